"""Times whole models in Martlet, ONNX Runtime, OpenVINO and LiteRT, all in one run.

    python tests/models/build.py && python benchmarks/models.py [--models minilm lstm] [--threads 2] [--precision fp16]

How it is measured:
  load      from a path to the first answer, in a fresh process, import excluded; the median of `--loads` processes
  latency   best, p50 and p90 of warm predictions; in each round every runtime has one turn, so that noise hits all
            alike, and the ratio is the median of the rounds' ratios
  memory    the process's peak, and how far that lies above its peak after the import
  error     against the expected outputs: max |got - expected| / max |expected|
Every runtime gets the same float32 arrays and the same number of threads. `--precision` chooses Martlet's package; the
others always run the float32 ONNX file (LiteRT its own float32 file). The × columns are ratios to ONNX Runtime:
below 1 is faster, or smaller.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # instead of this folder, whose `models` and `worker` are nobody's modules

from benchmarks.worker import RUNTIMES  # noqa: E402
from tests.models.catalog import MODELS, cache  # noqa: E402

OURS, THEIRS = "martlet", "onnxruntime"
RATIOS = ("latency", "load", "memory")


class WorkerError(Exception):
    """What a worker said instead of an answer."""


class Worker:
    """A process that runs one model in one runtime (see `worker.py`)."""

    def __init__(self, module: str, name: str, folder: Path, precision: str, threads: int) -> None:
        arguments = [module, name, str(folder), precision, str(threads)]
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "benchmarks" / "worker.py"), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            # NumPy's own threads wait by spinning after its import, which would disturb the first prediction of each.
            env=os.environ | {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": "1"},
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


def unavailable(module: str, folder: Path, precision: str) -> str | None:
    """Why a runtime cannot run a model here, or None."""
    if find_spec(module) is None:
        return "not installed"
    if module == "ai_edge_litert" and not (folder / "model.tflite").exists():
        return "no .tflite to be had"
    if module == OURS and not (folder / f"{precision}.mlpackage").exists():
        return f"no {precision} package"
    return None


def measure(name: str, options: argparse.Namespace, progress: Progress) -> list[dict]:
    """One result for each runtime: its numbers, or a `reason` why there are none."""
    folder = MODELS[name].folder(options.cache)
    task = progress.add_task(name, total=options.loads + options.rounds)
    results = {module: {"model": name, "runtime": module} for module in options.runtimes}
    if folder is None:
        for result in results.values():
            result["reason"] = "not built"
        progress.advance(task, options.loads + options.rounds)
        return list(results.values())
    for module, result in results.items():
        if reason := unavailable(module, folder, options.precision):
            result["reason"] = reason

    workers: dict[str, Worker] = {}
    heard: dict[str, list[dict]] = {module: [] for module in results}
    turns: dict[str, list[list[float]]] = {module: [] for module in results}

    def ask(module: str, what: str, **details: float) -> dict | None:
        """The worker's answer; a failure ends the worker and becomes the reason."""
        try:
            return workers[module].ask(what, **details)
        except WorkerError as error:
            results[module]["reason"] = str(error)
            workers.pop(module).close()
            return None

    try:
        for _ in range(options.loads):
            for module, result in results.items():
                if "reason" in result:
                    continue
                if module in workers:
                    workers.pop(module).close()
                workers[module] = Worker(module, name, folder, options.precision, options.threads)
                if answer := ask(module, "load"):
                    heard[module].append(answer)
            progress.advance(task)
        for turn in range(options.rounds):
            order = list(workers)
            for module in order[turn % len(order) :] + order[: turn % len(order)] if order else []:
                if answer := ask(module, "turn", seconds=options.seconds):
                    turns[module].append(answer["times_ms"])
            progress.advance(task)
        for module in list(workers):
            if last := ask(module, "finish"):
                results[module] |= summary(heard[module], turns[module]) | last
    finally:
        for worker in workers.values():
            worker.close()
    return list(results.values())


def summary(loads: list[dict], turns: list[list[float]]) -> dict:
    """Medians of what the loads took; best, percentiles and the medians of all rounds of the warm predictions."""
    medians = {key: statistics.median(load[key] for load in loads) for key in loads[0]}
    times = sorted(time for turn in turns for time in turn)
    p50, p90 = statistics.median(times), statistics.quantiles(times, n=10)[-1]
    rounds = [statistics.median(turn) for turn in turns]
    return {"best_ms": times[0], "p50_ms": p50, "p90_ms": p90, "rounds_ms": rounds, **medians}


def add_ratios(results: list[dict]) -> None:
    """Adds each runtime's latency, load and memory as a part of ONNX Runtime's."""
    for name in {result["model"] for result in results}:
        rows = [result for result in results if result["model"] == name and "reason" not in result]
        reference = next((result for result in rows if result["runtime"] == THEIRS), None)
        for result in rows if reference else []:
            pairs = zip(result["rounds_ms"], reference["rounds_ms"], strict=True)
            result["ratio"] = {
                "latency": statistics.median(own / other for own, other in pairs),
                "load": result["first_ms"] / reference["first_ms"],
                "memory": result["increase_mb"] / reference["increase_mb"],
            }


def means(results: list[dict]) -> dict[str, tuple[int, dict[str, float]]]:
    """For each runtime: of how many models, and the geometric means of its ratios."""
    found = {}
    for module in RUNTIMES:
        ratios = [result["ratio"] for result in results if result["runtime"] == module and "ratio" in result]
        if ratios and module != THEIRS:
            average = {title: statistics.geometric_mean(max(r[title], 1e-3) for r in ratios) for title in RATIOS}
            found[module] = (len(ratios), average)
    return found


def table(results: list[dict], options: argparse.Namespace) -> Table:
    """Everything measured, as one table."""
    made = Table(
        title=f"Whole models, {options.threads} threads, batch 1, Martlet in {options.precision}",
        caption="ms and MB; × = ratio to ONNX Runtime, below 1 is better; memory × compares the increases; "
        "LiteRT runs only where a model is published as .tflite",
    )
    made.add_column("model")
    made.add_column("runtime")
    for heading in ("best", "p50", "×", "p90", "load", "×", "import", "peak", "increase", "×", "error"):
        made.add_column(heading, justify="right", style="bold" if heading == "×" else None)
    made.add_column("")
    previous = None
    for result in results:
        title = MODELS[result["model"]].title if result["model"] != previous else ""
        if title and previous:
            made.add_section()
        previous = result["model"]
        row = [title, RUNTIMES[result["runtime"]].title]
        if reason := result.get("reason"):
            made.add_row(*row, *["-"] * 11, reason)
            continue
        ratio = {key: f"{value:.2f}" for key, value in result.get("ratio", {}).items()}
        row += [
            f"{result['best_ms']:.2f}",
            f"{result['p50_ms']:.2f}",
            ratio.get("latency", ""),
            f"{result['p90_ms']:.2f}",
        ]
        row += [f"{result['first_ms']:.0f}", ratio.get("load", ""), f"{result['import_ms']:.0f}"]
        row += [f"{result['peak_mb']:.0f}", f"{result['increase_mb']:.0f}", ratio.get("memory", "")]
        made.add_row(*row, f"{result['largest_error']:.0e}")
    return made


def plot(results: list[dict], path: Path) -> None:
    """Bars of the latencies as parts of ONNX Runtime's, one group for each model."""
    from matplotlib import pyplot

    rows = {(result["model"], result["runtime"]): result["ratio"] for result in results if "ratio" in result}
    names = list(dict.fromkeys(name for name, _ in rows))
    modules = [module for module in RUNTIMES if any(there == module for _, there in rows)]
    figure, axes = pyplot.subplots(figsize=(1.5 * len(names) + 2, 4), layout="constrained")
    for index, module in enumerate(modules):
        places = [
            (number, rows[name, module]["latency"]) for number, name in enumerate(names) if (name, module) in rows
        ]
        offset = (index - (len(modules) - 1) / 2) * 0.8 / len(modules)
        positions, heights = [number + offset for number, _ in places], [height for _, height in places]
        bars = axes.bar(positions, heights, 0.8 / len(modules), label=RUNTIMES[module].title)
        axes.bar_label(bars, fmt="%.2f", fontsize=7)
    axes.axhline(1, color="grey", linewidth=0.8)
    axes.set_xticks(range(len(names)), [MODELS[name].title.replace(", ", "\n") for name in names], fontsize=8)
    axes.set_ylabel("latency ÷ ONNX Runtime (less is better)")
    axes.legend()
    figure.savefig(path, dpi=150)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time whole models in Martlet and other runtimes, in one run.")
    choose = {"nargs": "+", "metavar": "NAME"}
    parser.add_argument("--models", **choose, choices=MODELS, default=list(MODELS), help=", ".join(MODELS))
    parser.add_argument("--runtimes", **choose, choices=RUNTIMES, default=list(RUNTIMES), help=", ".join(RUNTIMES))
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--precision", choices=("fp32", "fp16"), default="fp32", help="of Martlet's package")
    parser.add_argument("--rounds", type=int, default=10, help="turns of each runtime")
    parser.add_argument("--seconds", type=float, default=0.2, help="the least length of a turn")
    parser.add_argument("--loads", type=int, default=3, help="fresh processes to take the load's median of")
    parser.add_argument("--cache", type=Path, default=cache(), metavar="DIR", help="where the models were built")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, - for standard output")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the latencies (needs matplotlib)")
    options = parser.parse_args()
    if min(options.threads, options.rounds, options.loads) < 1:
        parser.error("threads, rounds and loads are at least 1")
    if options.plot and find_spec("matplotlib") is None:
        parser.error("--plot needs matplotlib, which is not installed")
    return options


def main() -> None:
    options = arguments()
    console = Console(stderr=str(options.json) == "-", width=None if sys.stdout.isatty() else 165)
    busy = os.getloadavg()[0]
    results: list[dict] = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        for name in options.models:
            results += measure(name, options, progress)
    add_ratios(results)
    console.print(table(results, options))
    if busy > 0.5:
        console.print(
            f"[yellow]The machine was busy at the start (load {busy:.1f}): trust best and ×, not p50 and p90.[/]"
        )
    for module, (count, average) in means(results).items():
        parts = ", ".join(f"{title} × {value:.2f}" for title, value in average.items())
        console.print(f"{RUNTIMES[module].title} ÷ ONNX Runtime, geometric mean of {count}: {parts}")
    if options.json:
        settings = {
            "threads": options.threads,
            "precision": options.precision,
            "rounds": options.rounds,
            "load_average": busy,
        }
        text = json.dumps({"settings": settings, "results": results}, indent=1)
        print(text) if str(options.json) == "-" else options.json.write_text(text + "\n")
    if options.plot:
        plot(results, options.plot)


if __name__ == "__main__":
    main()
