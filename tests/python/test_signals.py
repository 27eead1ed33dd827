"""Signals that arrive during predictions: handlers run, and no memory is harmed."""

import os
import signal
import subprocess
import sys

import pytest

# A handler's frame lies below the stack pointer, which oneDNN's product kernels for AVX2 use for other things: the
# heap was overwritten. Real signals come from a timer, five thousand a second.
TICKS = """
import signal, time
import numpy as np
import martlet

generator = np.random.default_rng(0)
weight = (generator.normal(size=(384, 1536)) / 20).astype(np.float32)
text = "program(1.3) { func main<ios18>(tensor<fp32, [128, 384]> x, tensor<fp32, [12, 128, 32]> q) {"
text += f"w = const()[val = tensor<fp32, [384, 1536]>({weight.ravel().tolist()})];"
text += "h = matmul(x = x, y = w); y = matmul(x = h, y = w, transpose_y = true);"
text += "s = matmul(x = q, y = q, transpose_y = true); z = matmul(x = s, y = q); } -> (y, z); }"
model = martlet.parse(text, device="cpu")
x = generator.normal(size=(128, 384)).astype(np.float32)
q = generator.normal(size=(12, 128, 32)).astype(np.float32)
y = x.astype(np.float64) @ weight @ weight.T
z = q.astype(np.float64) @ q.swapaxes(1, 2) @ q

handled = 0
def handle(*_):
    global handled
    handled += 1

signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 2e-4, 2e-4)
end = time.monotonic() + 3
while time.monotonic() < end:
    got = model(x=x, q=q)
    for name, wanted in (("y", y), ("z", z)):
        assert np.abs(got[name] - wanted).max() < 1e-4 * np.abs(wanted).max(), name
signal.setitimer(signal.ITIMER_REAL, 0)
print(handled)
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timers")
@pytest.mark.parametrize("isa", ["SSE41", "AVX2", "AVX512_CORE"])
def test_signals_during_predictions(isa):
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": isa}
    done = subprocess.run([sys.executable, "-c", TICKS], capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 100
