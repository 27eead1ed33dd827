"""One runtime with one model in a process of its own, driven by `contest.py` through lines of JSON.

    python benchmarks/worker.py RUNTIME MODEL FOLDER PRECISION THREADS

THREADS 0 is the runtime's default. It answers `{"do": "load"}`, `{"do": "turn", "seconds": s}` and `{"do": "finish"}`
in turn. An answer with `error` is the last one, and closing its input ends it. Whatever a runtime prints itself goes to
standard error.

To compare one more runtime, add one more class.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.hide_avx512 import Sampler, is_hidden
from tests.models.catalog import MODELS, Model, arrays
from tests.models.check import largest_error

Arrays = dict[str, np.ndarray]

WARM_UP = 2  # predictions at the start of each turn that do not count: the others have emptied the caches
FEWEST = 3  # predictions that count, however long they take
SAMPLED = 1  # seconds


class Runtime(Protocol):
    """A runtime: made (which imports it), then loaded, then asked again and again."""

    title: str
    module: str

    def __init__(self) -> None: ...

    def load(self, model: Model, folder: Path, precision: str, threads: int) -> None: ...

    def predict(self, inputs: Arrays) -> Arrays: ...


class Martlet:
    title = "Martlet"
    module = "martlet"

    def __init__(self) -> None:
        import martlet

        self.martlet = martlet

    def load(self, model: Model, folder: Path, precision: str, threads: int) -> None:
        if threads:
            self.martlet.set_num_threads(threads)
        self.loaded = self.martlet.load(folder / f"{precision}.mlpackage")

    def predict(self, inputs: Arrays) -> Arrays:
        return self.loaded.predict(inputs)


class OnnxRuntime:
    title = "ONNX Runtime"
    module = "onnxruntime"

    def __init__(self) -> None:
        import onnxruntime

        self.onnxruntime = onnxruntime

    def load(self, model: Model, folder: Path, precision: str, threads: int) -> None:
        options = self.onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        path = folder / "model.onnx"
        self.session = self.onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.names = {name: model.onnx_name(name) for name in (*(each.name for each in model.inputs), *model.outputs)}
        self.outputs = model.outputs

    def predict(self, inputs: Arrays) -> Arrays:
        feeds = {self.names[name]: value for name, value in inputs.items()}
        answers = self.session.run([self.names[name] for name in self.outputs], feeds)
        return dict(zip(self.outputs, answers, strict=True))


class OpenVINO:
    """In float32 throughout: it would choose bfloat16 on processors that have it."""

    title = "OpenVINO"
    module = "openvino"

    def __init__(self) -> None:
        import openvino

        self.core = openvino.Core()

    def load(self, model: Model, folder: Path, precision: str, threads: int) -> None:
        settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        network = self.core.read_model(folder / "model.onnx")
        network.reshape({model.onnx_name(each.name): each.shape for each in model.inputs})
        self.request = self.core.compile_model(network, "CPU", settings).create_infer_request()
        self.names = {each.name: model.onnx_name(each.name) for each in model.inputs}
        self.outputs = {name: model.onnx_name(name) for name in model.outputs}

    def predict(self, inputs: Arrays) -> Arrays:
        feeds = {self.names[name]: value for name, value in inputs.items()}
        answers = self.request.infer(feeds, share_inputs=True)
        return {name: answers[there] for name, there in self.outputs.items()}


class LiteRT:
    """Only where a `.tflite` exists; its tensors bear the names of the ONNX twin."""

    title = "LiteRT"
    module = "ai_edge_litert"

    def __init__(self) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self.interpreter_class = Interpreter

    def load(self, model: Model, folder: Path, precision: str, threads: int) -> None:
        self.interpreter = self.interpreter_class(str(folder / "model.tflite"), num_threads=threads or None)
        self.interpreter.allocate_tensors()
        details = self.interpreter.get_input_details() + self.interpreter.get_output_details()
        places = {each["name"]: each["index"] for each in details}
        self.inputs = {each.name: places[model.onnx_name(each.name)] for each in model.inputs}
        self.outputs = {name: places[model.onnx_name(name)] for name in model.outputs}

    def predict(self, inputs: Arrays) -> Arrays:
        for name, value in inputs.items():
            self.interpreter.set_tensor(self.inputs[name], value)
        self.interpreter.invoke()
        return {name: self.interpreter.get_tensor(place) for name, place in self.outputs.items()}


RUNTIMES: dict[str, type[Runtime]] = {each.module: each for each in (Martlet, OnnxRuntime, OpenVINO, LiteRT)}


def peak_memory() -> float:
    """The most memory this process has held so far, in MB."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def milliseconds(start: float) -> float:
    return 1000 * (time.perf_counter() - start)


def answers(arguments: list[str]) -> Iterator[dict]:
    """What to say after each request: to `load`, to any number of `turn`s, to `finish`."""
    module, name, place, precision, threads = arguments
    model, folder = MODELS[name], Path(place)
    inputs = arrays(folder / "inputs.npz")
    start = time.perf_counter()
    runtime = RUNTIMES[module]()
    imported, before = milliseconds(start), peak_memory()

    start = time.perf_counter()
    runtime.load(model, folder, precision, int(threads))
    loaded = milliseconds(start)
    got = runtime.predict(inputs)
    yield {"import_ms": imported, "load_ms": loaded, "first_ms": milliseconds(start)}

    while (request := read())["do"] == "turn":
        for _ in range(WARM_UP):
            runtime.predict(inputs)
        times: list[float] = []
        end = time.perf_counter() + request["seconds"]
        while len(times) < FEWEST or time.perf_counter() < end:
            start = time.perf_counter()
            got = runtime.predict(inputs)
            times.append(milliseconds(start))
        yield {"times_ms": times}

    if request["do"] == "quit":
        return
    peak = peak_memory()  # before the comparison, which needs memory itself
    errors = largest_error(got, arrays(folder / "expected.npz"))
    answer = {"peak_mb": peak, "increase_mb": peak - before, "largest_error": max(errors.values())}
    yield answer | (where_it_computes(runtime, inputs) if is_hidden() else {})


def where_it_computes(runtime: Runtime, inputs: Arrays) -> dict[str, int]:
    """How often it was seen computing, and how often of these at an instruction of AVX-512."""
    with Sampler() as sampler:
        end = time.perf_counter() + SAMPLED
        while time.perf_counter() < end:
            runtime.predict(inputs)
    return {"samples": sampler.samples, "avx512_samples": sampler.evex}


def read() -> dict:
    return json.loads(sys.stdin.readline() or '{"do": "quit"}')


def main() -> None:
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        assert read()["do"] == "load"
        for answer in answers(sys.argv[1:]):
            print(json.dumps(answer), file=replies, flush=True)
    except Exception as error:  # whatever a runtime raises belongs into the table
        message = (str(error).strip() or "no message").splitlines()[0]
        print(json.dumps({"error": f"{type(error).__name__}: {message}"}), file=replies, flush=True)


if __name__ == "__main__":
    main()
