"""Contenders of a benchmark: runtimes in processes of their own, which take turns round by round.

Noise then hits all of them alike, and the ratio of two contenders is the median of their rounds' ratios.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

OURS, THEIRS = "martlet", "onnxruntime"


@dataclass(frozen=True)
class Contender:
    """A runtime with its settings. `threads` 0 leaves the number to the runtime.

    `launcher` is a command that runs the command after it, as `env` or `nice` do.
    """

    key: str
    title: str
    module: str
    threads: int
    precision: str = "fp32"
    environment: dict[str, str] = field(default_factory=dict)
    launcher: tuple[str, ...] = ()

    def unavailable(self, folder: Path) -> str | None:
        """Why it cannot run the model in `folder` on this machine, or None."""
        if find_spec(self.module) is None:
            return "not installed"
        if self.module == "ai_edge_litert" and not (folder / "model.tflite").exists():
            return "no .tflite to be had"
        if self.module == OURS and not (folder / f"{self.precision}.mlpackage").exists():
            return f"no {self.precision} package"
        return None


class WorkerError(Exception):
    """What a worker said instead of an answer."""


class Worker:
    """A process that runs one model for a contender (see `worker.py`)."""

    def __init__(self, contender: Contender, model: str, folder: Path) -> None:
        arguments = [contender.module, model, str(folder), contender.precision, str(contender.threads)]
        # NumPy's own threads wait by spinning after its import, which would disturb the first prediction of each.
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
        if contender.threads:
            environment["OMP_NUM_THREADS"] = str(contender.threads)
        self.process = subprocess.Popen(
            [*contender.launcher, sys.executable, str(ROOT / "benchmarks" / "worker.py"), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment | contender.environment,
        )

    def ask(self, what: str, **details: float) -> dict:
        with contextlib.suppress(BrokenPipeError):  # a dead worker is noticed below
            print(json.dumps({"do": what, **details}), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            reason = f"signal {signal.Signals(-code).name}" if code < 0 else f"status {code}"
            raise WorkerError(f"the process ended with {reason}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Contest:
    """The workers of several contenders for one model. A contender whose worker fails drops out with a reason."""

    def __init__(self, contenders: Iterable[Contender], model: str, folder: Path) -> None:
        self.contenders = {each.key: each for each in contenders}
        self.model, self.folder = model, folder
        self.workers: dict[str, Worker] = {}
        found = {key: each.unavailable(folder) for key, each in self.contenders.items()}
        self.reasons = {key: reason for key, reason in found.items() if reason}

    def __enter__(self) -> Contest:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers.values():
            worker.close()
        self.workers.clear()

    def ask(self, key: str, what: str, **details: float) -> dict | None:
        """The answer of a contender's worker, None if it failed."""
        try:
            return self.workers[key].ask(what, **details)
        except WorkerError as error:
            self.reasons[key] = str(error)
            self.workers.pop(key).close()
            return None

    def load(self) -> dict[str, dict]:
        """Starts a fresh process for each contender; what each needed for the import and the first prediction."""
        answers = {}
        for key, contender in self.contenders.items():
            if key in self.reasons:
                continue
            if key in self.workers:
                self.workers.pop(key).close()
            self.workers[key] = Worker(contender, self.model, self.folder)
            answers[key] = self.ask(key, "load")
        return {key: answer for key, answer in answers.items() if answer}

    def round(self, number: int, seconds: float) -> dict[str, list[float]]:
        """One turn each; the times of the predictions in ms. Each round starts with another contender."""
        order = list(self.workers)
        start = number % len(order) if order else 0
        answers = {key: self.ask(key, "turn", seconds=seconds) for key in order[start:] + order[:start]}
        return {key: answer["times_ms"] for key, answer in answers.items() if answer}

    def finish(self) -> dict[str, dict]:
        """Peak memory and error of each contender. Its worker takes no turns afterwards."""
        answers = {key: self.ask(key, "finish") for key in list(self.workers)}
        return {key: answer for key, answer in answers.items() if answer}


def median_ratio(own: list[float], other: list[float]) -> float:
    """The median of the ratios of values of the same round."""
    return statistics.median(one / two for one, two in zip(own, other, strict=True))


def percentile_90(times: list[float]) -> float:
    """The 90th percentile, never outside of the times, however few they are."""
    return statistics.quantiles(times, n=10, method="inclusive")[-1] if len(times) > 1 else times[0]


def markdown(headings: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
