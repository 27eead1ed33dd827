"""Times eager calls in Martlet, NumPy and, where it is installed, torch, in one run: ratios below 1 are better.

    python benchmarks/eager.py [--ops matmul add] [--threads 2] [--turns 15] [--json FILE]

Each library has a process of its own, which is stopped while the others have their turn: threads that wait spinning
would take the processors from them. A turn gives the least time of a call in it; a ratio is the median over the rounds
of one turn by another of the same round. All take as many threads.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import timeit
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

SIDES = (64, 128, 256, 512, 1024)
OURS, NUMPY, TORCH = "martlet", "numpy", "torch"


@dataclass(frozen=True)
class Row:
    """An op, the shape of its operands, and the most that its time may be of the rival's (None: the faster one)."""

    op: str
    shape: tuple[int, ...]
    limit: float = 1.0
    rival: str | None = None

    @property
    def title(self) -> str:
        return f"{self.op} {'×'.join(map(str, self.shape))}"


ROWS = [Row(op, (side, side)) for op in ("matmul", "relu", "add") for side in SIDES]
ROWS += [Row("add", (2,), 2.0, TORCH), Row("relu", (2,), 2.0, TORCH)]


def runner(row: Row, library: str, threads: int) -> Callable[[], Any]:
    """What runs a row's op in a library."""
    import numpy as np

    generator = np.random.default_rng(0)
    x, y = (generator.standard_normal(row.shape).astype(np.float32) for _ in range(2))
    if library == NUMPY:
        return {"matmul": lambda: x @ y, "relu": lambda: np.maximum(x, 0), "add": lambda: x + y}[row.op]
    if library == TORCH:
        import torch

        torch.set_num_threads(threads)
        s, t = torch.from_numpy(x), torch.from_numpy(y)
        return {"matmul": lambda: s @ t, "relu": lambda: s.relu(), "add": lambda: s + t}[row.op]
    import martlet

    martlet.set_num_threads(threads)
    a, b = martlet.Tensor(x), martlet.Tensor(y)
    return {"matmul": lambda: a @ b, "relu": lambda: a.relu(), "add": lambda: a + b}[row.op]


def serve(library: str, threads: int) -> None:
    """A library's process: to a row's number and a turn's seconds it answers the least time and the result's sum."""
    kept: dict[int, tuple[Callable[[], Any], int, float]] = {}
    for line in sys.stdin:
        index, seconds = int(line.split()[0]), float(line.split()[1])
        if index not in kept:
            run = runner(ROWS[index], library, threads)
            total = float(run().sum())
            kept[index] = (run, calls_in(run, seconds / 8), total)
        run, count, total = kept[index]
        timer = timeit.Timer(run)
        least = min(timer.repeat(8, count)) / count
        print(json.dumps({"seconds": least, "sum": total}), flush=True)


def calls_in(run: Callable[[], Any], seconds: float) -> int:
    """How many calls take so long."""
    run()
    count, timer = 1, timeit.Timer(run)
    while (spent := timer.timeit(count)) < seconds / 4:
        count *= 4
    return max(1, int(count * seconds / spent))


class Worker:
    """A library in a process of its own, stopped while others have their turn: its threads may not spin then."""

    def __init__(self, library: str, threads: int) -> None:
        command = [sys.executable, __file__, "--serve", library, "--threads", str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def turn(self, index: int, seconds: float) -> dict[str, float]:
        assert self.process.stdin
        assert self.process.stdout
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(f"{index} {seconds}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        self.process.send_signal(signal.SIGSTOP)
        if not answer:
            raise SystemExit(f"the process of {self.process.args} ended")  # it said why
        found: dict[str, float] = json.loads(answer)
        return found


def measured(index: int, workers: dict[str, Worker], options: argparse.Namespace) -> dict[str, Any]:
    """A row's least times and median ratios."""
    row = ROWS[index]
    times: dict[str, list[float]] = {name: [] for name in workers}
    sums: dict[str, float] = {}
    for turn in range(options.turns):
        order = list(workers)
        for name in order[turn % len(order) :] + order[: turn % len(order)]:
            answer = workers[name].turn(index, options.seconds)
            times[name].append(answer["seconds"])
            sums[name] = answer["sum"]
    scale = math.prod(row.shape) * (row.shape[0] if row.op == "matmul" else 1) ** 0.5
    if max(sums.values()) - min(sums.values()) > 1e-4 * scale:
        raise SystemExit(f"{row.title}: the libraries differ: {sums}")
    return judged(row, times)


def judged(row: Row, times: dict[str, list[float]]) -> dict[str, Any]:
    """What the times of a row's turns say."""
    rivals = [name for name in times if name != OURS]
    ratios = {name: median_ratio(times[OURS], times[name]) for name in rivals}
    faster = [min(turns) for turns in zip(*(times[name] for name in rivals), strict=True)]
    ratios["faster"] = median_ratio(times[OURS], faster)
    least = {name: min(each) for name, each in times.items()}
    asked = row.rival if row.rival in ratios else "faster"
    fastest = least[asked] if asked in least else min(least[name] for name in rivals)
    return {
        "op": row.op,
        "shape": list(row.shape),
        "least_us": {name: seconds * 1e6 for name, seconds in least.items()},
        "ratio": ratios,
        "ratio_of_least": least[OURS] / fastest,
        "limit": row.limit,
        "against": asked,
        "met": ratios[asked] <= row.limit,
    }


def median_ratio(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(own / other for own, other in zip(ours, theirs, strict=True))


def table(results: list[dict[str, Any]], threads: int) -> Table:
    """Everything measured, as one table."""
    names = list(results[0]["least_us"])
    made = Table(
        title=f"Eager calls, float32, {threads} threads",
        caption="least µs of one call; ÷ = median ratio in the same round; least ÷ = the same of the least times",
    )
    made.add_column("op")
    headings = [*names, *(f"÷ {name}" for name in names[1:]), "÷ faster", "least ÷", "wanted"]
    for heading in headings:
        made.add_column(heading, justify="right")
    for each in results:
        ratios = [f"{each['ratio'][name]:.2f}" for name in (*names[1:], "faster")]
        wanted = f"{'[green]' if each['met'] else '[red]'}≤ {each['limit']:g} {each['against']}[/]"
        times = [f"{each['least_us'][name]:.2f}" for name in names]
        title = f"{each['op']} {'×'.join(map(str, each['shape']))}"
        made.add_row(title, *times, *ratios, f"{each['ratio_of_least']:.2f}", wanted)
    return made


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time eager calls in Martlet, NumPy and torch, in one run.")
    ops = list(dict.fromkeys(row.op for row in ROWS))
    parser.add_argument("--ops", nargs="+", choices=ops, default=ops, metavar="NAME", help=", ".join(ops))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of each library")
    parser.add_argument("--turns", type=int, default=15, help="of each library")
    parser.add_argument("--seconds", type=float, default=0.06, help="the length of a turn")
    parser.add_argument("--serve", choices=[OURS, NUMPY, TORCH], help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, - for standard output")
    options = parser.parse_args()
    if min(options.threads, options.turns) < 1:
        parser.error("threads and turns are at least 1")
    return options


def main() -> None:
    options = arguments()
    if options.serve:
        serve(options.serve, options.threads)
        return
    # Matrix products of NumPy read this once, when it is imported.
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(options.threads)
    busy = os.getloadavg()[0]
    libraries = [OURS, NUMPY, *([TORCH] if find_spec("torch") else [])]
    workers = {name: Worker(name, options.threads) for name in libraries}
    rows = [index for index, row in enumerate(ROWS) if row.op in options.ops]
    console = Console(stderr=str(options.json) == "-", width=None if sys.stdout.isatty() else 150)
    try:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            results = [measured(index, workers, options) for index in progress.track(rows, description="eager calls")]
    finally:
        for worker in workers.values():
            worker.process.kill()
    console.print(table(results, options.threads))
    if busy > 0.5:
        console.print(f"[yellow]The machine was busy at the start (load {busy:.1f}): the least times tell more.[/]")
    if options.json:
        settings = {"threads": options.threads, "turns": options.turns, "load_average": busy}
        text = json.dumps({"settings": settings, "results": results}, indent=1)
        print(text) if str(options.json) == "-" else options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
