"""How a process ends that still holds Martlet's objects, or whose threads still run: with status 0 and no word."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

START = """
import asyncio, atexit, codecs, sys, threading, time, weakref
import numpy as np
import martlet

PROGRAM = "program(1.3) { func main<ios18>(tensor<fp32, [64, 64]> x) { y = %s(x = x); } -> (y); }"
X = np.ones((64, 64), np.float32)
model = martlet.parse(PROGRAM % "relu")

def hold(*objects):
    # Python drops its codecs last, when the modules named here have been cleared.
    codecs.register(lambda name, held=(objects, list(sys.modules.values())): None)

def daemon(work):
    def forever():
        while True:
            try:
                work()
            except martlet.Error:
                pass
    threading.Thread(target=forever, daemon=True).start()
"""

HELD = {
    "tensors": "hold(martlet.ones((2, 3)), martlet.rand(4) + 1)",
    "arrays of others": "hold(martlet.from_numpy(np.ones((2000, 3))), martlet.ones(3).numpy())",
    "a model and its results": "hold(model, model(x=X), model.predict_batch([{'x': X}] * 2), model.plan())",
    "a state": """
        text = '''program(1.3) { func main<ios18>(state<tensor<fp32, [4]>> s, tensor<fp32, [4]> x) {
            r = read_state(input = s); n = add(x = r, y = x); u = coreml_update_state(state = s, value = n);
        } -> (u); }'''
        counter = martlet.parse(text)
        state = counter.make_state()
        counter.predict({"x": np.ones(4, np.float32)}, state)
        hold(state, counter, state["s"])
    """,
    "backends and selectors": """
        backend, selector = martlet.CoreMLBackend(), martlet.SmartDeviceSelector()
        backend.run("relu", x=X)
        hold(backend, selector, backend.run(model, x=X), martlet.DeviceCache())
    """,
    "an open profile": """
        profile = martlet.profile()
        hold(profile, profile.__enter__(), model.predict({"x": X}))
    """,
    "custom ops": """
        @martlet.custom_op("twice")
        def twice(x):
            return x + x
        hold(twice, twice(X), martlet.parse(PROGRAM % "twice"))
    """,
    "modules of networks": "hold(martlet.nn.Linear(4, 4), martlet.trace(martlet.tanh, martlet.TensorSpec((4,))))",
    "a thread-local": """
        local = threading.local()
        local.kept = martlet.ones(3)
        hold(local)
    """,
    "a cycle": """
        class Node: pass
        node = Node()
        node.self, node.kept = node, [martlet.ones(3), model]
        hold(node)
    """,
    "finalizers": """
        class Late:
            def __init__(self, tensor):
                self.tensor = tensor
            def __del__(self, model=model, X=X):
                self.tensor + self.tensor
                model.predict({"x": X})
        late = Late(martlet.ones(3))
        weakref.finalize(late, lambda tensor: tensor + tensor, martlet.ones(4))
        atexit.register(lambda: model.predict({"x": X}))
        sys.late = late
    """,
    "what is debugged": """
        martlet.logger.setLevel("DEBUG")
        backend = martlet.CoreMLBackend()
        hold(backend, backend.run("relu", x=X))
    """,
    "predictions under way": """
        async def main():
            for _ in range(4):
                asyncio.ensure_future(model.predict_async({"x": X}))
            await asyncio.sleep(0)
        asyncio.run(main())
        hold(model)
    """,
    "threads that predict": """
        for _ in range(3):
            daemon(lambda: model.predict({"x": X}))
        time.sleep(0.1)
    """,
    "threads in custom ops": """
        slow = martlet.custom_op("slow", lambda x: (time.sleep(0.001), x)[1])
        late = martlet.parse(PROGRAM % "slow")
        for _ in range(3):
            daemon(lambda: late.predict({"x": X}))
        time.sleep(0.1)
    """,
    "threads with shared arrays": """
        for _ in range(3):
            daemon(lambda: martlet.from_numpy(X.copy()) + 1)
        time.sleep(0.1)
    """,
    "a calibration under way": """
        daemon(lambda: martlet.calibrate(quick=True, progress=lambda *_: None))
        time.sleep(0.1)
    """,
}


def ended(program: str, tmp_path: object) -> tuple[int, str]:
    environment = {**os.environ, "MARTLET_CACHE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, env=environment, check=False
    )
    return done.returncode, done.stderr


def dedented(source: str) -> str:
    lines = source.strip("\n").splitlines()
    indent = len(lines[0]) - len(lines[0].lstrip())
    return "\n".join(line[indent:] for line in lines)


@pytest.mark.parametrize("what", HELD)
def test_a_process_ends_well_that_holds(what: str, tmp_path: object) -> None:
    assert ended(START + dedented(HELD[what]), tmp_path) == (0, "")


def test_status_and_message_of_a_program_that_fails_are_its_own(tmp_path: object) -> None:
    status, message = ended(START + "hold(model, martlet.ones(3))\nsys.exit(7)", tmp_path)
    assert (status, message) == (7, "")
    status, message = ended(START + "kept = martlet.ones(3)\nraise KeyError(kept.shape)", tmp_path)
    assert status == 1
    assert message.endswith("KeyError: (3,)\n")


def test_a_forked_child_ends_well(tmp_path: object) -> None:
    program = START + dedented("""
        import os
        hold(martlet.ones(3), model.predict({"x": X}), martlet.from_numpy(X))
        child = os.fork()
        if child:
            assert os.waitpid(child, 0)[1] == 0
    """)
    assert ended(program, tmp_path) == (0, "")
