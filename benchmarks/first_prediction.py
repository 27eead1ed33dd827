"""Times the first prediction of fresh processes, interpreter start included, in Martlet and in ONNX Runtime.

    python tests/models/build.py basic_pitch mobilenet_v2
    python benchmarks/first_prediction.py [MODEL…] [--rounds 15] [--threads 2]

In each round every runtime has one process, in turn, so that noise hits all alike; ratios are the medians of the
rounds' ratios. Every process imports NumPy and reads the same inputs. Times are counted from before the process is
made; `cpu` is all that its threads used. Below 1 Martlet is faster.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from tests.models.catalog import MODELS, cache  # noqa: E402

OURS, THEIRS = "martlet", "onnxruntime"
STAGES = ("start", "import", "load", "predict", "total", "cpu")

HEAD = """
import sys, time
began = time.monotonic()
import numpy as np
with np.load(sys.argv[1] + "/inputs.npz") as stored:
    inputs = {name: stored[name] for name in stored.files}
"""
TAIL = """
ended = time.monotonic()
print(began, imported, loaded, ended, flush=True)
"""
PROGRAMS = {
    OURS: """
import martlet
imported = time.monotonic()
martlet.set_num_threads(int(sys.argv[2]))
model = martlet.load(sys.argv[1] + "/fp32.mlpackage")
loaded = time.monotonic()
model.predict(inputs)
""",
    THEIRS: """
import onnxruntime
imported = time.monotonic()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(sys.argv[2])
session = onnxruntime.InferenceSession(sys.argv[1] + "/model.onnx", options, providers=["CPUExecutionProvider"])
loaded = time.monotonic()
session.run(None, dict(zip(sys.argv[3:], inputs.values())))
""",
}


def measured(runtime: str, folder: Path, threads: int, names: list[str]) -> dict[str, float]:
    """The seconds of each stage of one process."""
    command = [sys.executable, "-c", HEAD + PROGRAMS[runtime] + TAIL, str(folder), str(threads), *names]
    # The compiled modules of an installed package are there; those of a checkout come with the first process.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    made = time.monotonic()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        line, errors = process.stdout.readline(), process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{runtime} failed:\n{errors}")
    began, imported, loaded, ended = map(float, line.split())
    cpu = usage.ru_utime + usage.ru_stime
    values = (began - made, imported - began, loaded - imported, ended - loaded, ended - made, cpu)
    return dict(zip(STAGES, values))


def compared(name: str, folder: Path, rounds: int, threads: int) -> dict:
    """The medians of each stage by runtime, and of the rounds' ratios."""
    model = MODELS[name]
    names = [model.onnx_name(each.name) for each in model.inputs]
    runs = []
    for turn in range(rounds + 1):
        order = (OURS, THEIRS) if turn % 2 else (THEIRS, OURS)
        runs.append({runtime: measured(runtime, folder, threads, names) for runtime in order})
    runs = runs[1:]  # the first brings the files into memory
    stages = {
        runtime: {stage: statistics.median(run[runtime][stage] for run in runs) for stage in STAGES}
        for runtime in PROGRAMS
    }
    ratios = {
        stage: statistics.median(run[OURS][stage] / run[THEIRS][stage] for run in runs) for stage in ("total", "cpu")
    }
    return {"model": name, "rounds": rounds, "threads": threads, "stages": stages, "ratios": ratios}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=["basic_pitch", "mobilenet_v2"], metavar="MODEL")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=0, help="of one run; 0 leaves the number to each runtime")
    parser.add_argument("--cache", type=Path, default=cache())
    parser.add_argument("--json", type=Path, help="where all numbers are written")
    options = parser.parse_args()
    results = []
    print(f"{'':14}{'':12}" + "".join(f"{stage:>10}" for stage in STAGES) + "   [ms]")
    for name in options.models:
        folder = MODELS[name].folder(options.cache) if name in MODELS else None
        if folder is None:
            print(f"{name:14}not built: python tests/models/build.py {name}")
            continue
        result = compared(name, folder, options.rounds, options.threads)
        results.append(result)
        for runtime, stages in result["stages"].items():
            print(f"{name:14}{runtime:12}" + "".join(f"{1000 * stages[stage]:10.1f}" for stage in STAGES))
        shown = {"total": result["ratios"]["total"], "cpu": result["ratios"]["cpu"]}
        print(f"{name:14}{'×':12}" + "".join(f"{shown[s]:10.2f}" if s in shown else f"{'':10}" for s in STAGES))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
