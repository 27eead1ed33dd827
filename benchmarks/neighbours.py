"""Times models in Martlet and ONNX Runtime alone, with one busy process, and with a quota of one CPU, all in one run.

    python tests/models/build.py && python benchmarks/neighbours.py [--models lstm] [--rounds 7] [--json FILE]

Each cell has a process of its own, and each round gives each of them one turn. A cell's p50 and p90 are the medians of
its rounds' medians and 90th percentiles; a ratio is the median of the rounds' ratios, below 1 is faster. The busy
process is a loop, pinned to no CPU. The quota is a control group of Linux, which needs root.

Martlet runs with its default settings, ONNX Runtime with its own and with 2 threads. The status is 1 if a ratio is
above 1.10, or the geometric mean of all above 1.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.contest import OURS, THEIRS, Contender, Contest, markdown, median_ratio, percentile_90  # noqa: E402
from benchmarks.quota import Quota, QuotaError  # noqa: E402
from tests.models.catalog import MODELS, cache  # noqa: E402

BUSY, QUOTA = "busy", "quota"
CONDITIONS = {"alone": "alone", BUSY: "one busy process", QUOTA: "quota of one CPU"}
CONTENDERS = {
    OURS: Contender(OURS, "Martlet", OURS, threads=0),
    THEIRS: Contender(THEIRS, "ONNX Runtime", THEIRS, threads=0),
    "two": Contender("two", "ONNX Runtime, 2 threads", THEIRS, threads=2),
}
LARGEST, LARGEST_MEAN = 1.10, 1.0
"""The most that Martlet's times may be of ONNX Runtime's: in any cell, and in the geometric mean."""

# Ends with its parent, however that ends.
SPIN = """
import os
parent = os.getppid()
print(flush=True)
while os.getppid() == parent:
    for _ in range(100_000):
        pass
"""


@contextlib.contextmanager
def busy_process() -> Iterator[None]:
    """A process that does nothing but use a CPU."""
    with subprocess.Popen([sys.executable, "-c", SPIN], stdout=subprocess.PIPE) as process:
        try:
            process.stdout.readline()
            yield
        finally:
            process.kill()


def contenders(condition: str, stack: contextlib.ExitStack) -> list[Contender]:
    """All contenders, with the quota each in a control group of its own, which the stack removes."""
    if condition != QUOTA:
        return list(CONTENDERS.values())
    found = []
    for each in CONTENDERS.values():
        quota = Quota(1)
        stack.callback(quota.close)
        found.append(Contender(each.key, each.title, each.module, each.threads, launcher=quota.launcher))
    return found


def measure(name: str, options: argparse.Namespace, progress: Progress) -> list[dict]:
    """One result for each condition and contender: its rounds, or a `reason` why there are none."""
    folder = MODELS[name].folder(options.cache)
    task = progress.add_task(name, total=len(options.conditions) * (1 + options.rounds))
    results = {
        (condition, key): {"model": name, "condition": condition, "contender": key, "p50_ms": [], "p90_ms": []}
        for condition in options.conditions
        for key in CONTENDERS
    }
    if folder is None:
        return [result | {"reason": "not built"} for result in results.values()]
    with contextlib.ExitStack() as stack:
        contests: dict[str, Contest] = {}
        for condition in options.conditions:
            try:
                taking_part = contenders(condition, stack)
            except QuotaError as error:
                for key in CONTENDERS:
                    results[condition, key]["reason"] = str(error)
            else:
                contests[condition] = stack.enter_context(Contest(taking_part, name, folder))
                contests[condition].load()
            progress.advance(task)
        for turn in range(options.rounds):
            for condition, contest in contests.items():
                with busy_process() if condition == BUSY else contextlib.nullcontext():
                    times = contest.round(turn, options.seconds)
                for key, each in times.items():
                    results[condition, key]["p50_ms"].append(statistics.median(each))
                    results[condition, key]["p90_ms"].append(percentile_90(each))
                progress.advance(task)
        for condition, contest in contests.items():
            for key, reason in contest.reasons.items():
                results[condition, key]["reason"] = reason
    return list(results.values())


def add_ratios(results: list[dict]) -> None:
    """Adds Martlet's p50 and p90 as parts of each of ONNX Runtime's two settings."""
    found = {(each["model"], each["condition"], each["contender"]): each for each in results if "reason" not in each}
    for (model, condition, key), own in found.items():
        if key != OURS:
            continue
        others = {other: found.get((model, condition, other)) for other in CONTENDERS if other != OURS}
        own["ratio"] = {
            other: {which: median_ratio(own[f"{which}_ms"], their[f"{which}_ms"]) for which in ("p50", "p90")}
            for other, their in others.items()
            if their
        }


def all_ratios(results: list[dict], other: str) -> list[float]:
    return [ratio for each in results for ratio in each.get("ratio", {}).get(other, {}).values()]


def table(results: list[dict], options: argparse.Namespace) -> str:
    """Everything measured, in Markdown."""
    headings = ["model", "condition"]
    for key, contender in CONTENDERS.items():
        headings += [f"{contender.title}: p50, ms", "p90"] + ([] if key == OURS else ["p50 ×", "p90 ×"])
    cells = {(each["model"], each["condition"], each["contender"]): each for each in results}
    rows = []
    for name in options.models:
        for condition in options.conditions:
            row = [MODELS[name].title, CONDITIONS[condition]]
            ratios = cells[name, condition, OURS].get("ratio", {})
            for key in CONTENDERS:
                cell = cells[name, condition, key]
                if "reason" in cell:
                    row += [cell["reason"], "-"]
                else:
                    row += [f"{statistics.median(cell[which]):.2f}" for which in ("p50_ms", "p90_ms")]
                if key != OURS:
                    row += [f"{ratios[key][which]:.2f}" if key in ratios else "-" for which in ("p50", "p90")]
            rows.append(row)
    return markdown(headings, rows)


def verdict(results: list[dict]) -> tuple[list[str], bool]:
    """A line about each setting of ONNX Runtime, and whether Martlet stays within the limits of both."""
    lines, is_within = [], True
    for key, contender in CONTENDERS.items():
        if key != OURS and (ratios := all_ratios(results, key)):
            mean, largest = statistics.geometric_mean(ratios), max(ratios)
            lines.append(
                f"Martlet ÷ {contender.title}: geometric mean of {len(ratios)} × {mean:.2f} (at most {LARGEST_MEAN}), "
                f"largest × {largest:.2f} (at most {LARGEST})"
            )
            is_within &= mean <= LARGEST_MEAN and largest <= LARGEST
    is_complete = not any("reason" in each for each in results)
    return lines if is_complete else [*lines, "Some cells could not be measured"], is_within and is_complete


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time models alone, beside a busy process and with a quota of a CPU.")
    choose = {"nargs": "+", "metavar": "NAME"}
    standard = ["basic_pitch", "mobilenet_v2", "minilm"]
    parser.add_argument("--models", **choose, choices=MODELS, default=standard, help=", ".join(MODELS))
    parser.add_argument(
        "--conditions", **choose, choices=CONDITIONS, default=list(CONDITIONS), help=", ".join(CONDITIONS)
    )
    parser.add_argument("--rounds", type=int, default=7, help="turns of each cell")
    parser.add_argument("--seconds", type=float, default=3, help="the least length of a turn; a quota's period is 0.1")
    parser.add_argument("--cache", type=Path, default=cache(), metavar="DIR", help="where the models were built")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, - for standard output")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("rounds is at least 1")
    return options


def main() -> int:
    options = arguments()
    console = Console(stderr=str(options.json) == "-", soft_wrap=True, highlight=False, markup=False)
    busy = os.getloadavg()[0]
    results: list[dict] = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        for name in options.models:
            results += measure(name, options, progress)
    add_ratios(results)
    lines, is_within = verdict(results)
    console.print(table(results, options), end="\n\n")
    console.print("\n".join(lines))
    if busy > 0.5:
        console.print(f"The machine was busy at the start (load {busy:.1f}): its neighbours were more than these.")
    if options.json:
        settings = {"rounds": options.rounds, "seconds": options.seconds, "load_average": busy}
        settings["processors"] = os.cpu_count()
        text = json.dumps({"settings": settings, "results": results}, indent=1)
        print(text) if str(options.json) == "-" else options.json.write_text(text + "\n")
    return 0 if is_within else 1


if __name__ == "__main__":
    sys.exit(main())
