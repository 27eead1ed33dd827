"""Times eager calls in Martlet, NumPy and, where it is installed, torch, in one run: ratios below 1 are better.

    python benchmarks/eager.py [--ops matmul add] [--threads 2] [--turns 51] [--json FILE]

The libraries take turns, in another order each round. A ratio is the median over the rounds of one turn by another of
the same round; times are the least ones. All take as many threads.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
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


def candidates(row: Row, threads: int) -> dict[str, Callable[[], Any]]:
    """What runs a row's op, by library."""
    import numpy as np

    import martlet

    generator = np.random.default_rng(0)
    x, y = (generator.standard_normal(row.shape).astype(np.float32) for _ in range(2))
    a, b = martlet.Tensor(x), martlet.Tensor(y)
    runs: dict[str, Callable[[], Any]] = {
        OURS: {"matmul": lambda: a @ b, "relu": lambda: a.relu(), "add": lambda: a + b}[row.op],
        NUMPY: {"matmul": lambda: x @ y, "relu": lambda: np.maximum(x, 0), "add": lambda: x + y}[row.op],
    }
    if find_spec("torch"):
        import torch

        torch.set_num_threads(threads)
        s, t = torch.from_numpy(x), torch.from_numpy(y)
        runs[TORCH] = {"matmul": lambda: s @ t, "relu": lambda: s.relu(), "add": lambda: s + t}[row.op]
    for name, run in runs.items():
        if not np.allclose(np.asarray(run()), np.asarray(runs[NUMPY]()), rtol=1e-3, atol=1e-3):
            raise SystemExit(f"{row.title}: {name} and NumPy differ")
    return runs


def measured(row: Row, options: argparse.Namespace) -> dict[str, Any]:
    """A row's least times and median ratios."""
    from martlet.bench import take_turns

    times = take_turns(candidates(row, options.threads), options.turns, options.seconds)
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
    parser.add_argument("--turns", type=int, default=51, help="of each library")
    parser.add_argument("--seconds", type=float, default=0.005, help="the least length of a turn")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, - for standard output")
    options = parser.parse_args()
    if min(options.threads, options.turns) < 1:
        parser.error("threads and turns are at least 1")
    return options


def main() -> None:
    options = arguments()
    # NumPy's matrix products read this once, when it is imported.
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(options.threads)
    import martlet

    martlet.set_num_threads(options.threads)
    busy = os.getloadavg()[0]
    rows = [row for row in ROWS if row.op in options.ops]
    console = Console(stderr=str(options.json) == "-", width=None if sys.stdout.isatty() else 150)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        results = [measured(row, options) for row in progress.track(rows, description="eager calls")]
    console.print(table(results, options.threads))
    if busy > 0.5:
        console.print(f"[yellow]The machine was busy at the start (load {busy:.1f}): the least times tell more.[/]")
    if options.json:
        settings = {"threads": options.threads, "turns": options.turns, "load_average": busy}
        text = json.dumps({"settings": settings, "results": results}, indent=1)
        print(text) if str(options.json) == "-" else options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
