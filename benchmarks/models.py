"""Times whole models in Martlet, ONNX Runtime, OpenVINO and LiteRT, all in one run; or in two builds of Martlet.

    python tests/models/build.py && python benchmarks/models.py [--models minilm lstm] [--threads 2] [--precision fp16]
    python benchmarks/models.py --against OLD/python/martlet

How it is measured:
  load      from a path to the first answer, in a fresh process, import excluded; the median of `--loads` processes
  latency   best, p50 and p90 of warm predictions; in each round every runtime has one turn, so that noise hits all
            alike, and the ratio is the median of the rounds' ratios; each of the `--loads` processes has its part of
            the rounds
  memory    the process's peak, and how far that lies above its peak after the import
  error     against the expected outputs: max |got - expected| / max |expected|
Every runtime gets the same float32 arrays and the same number of threads. `--precision` chooses Martlet's package; the
others always run the float32 ONNX file (LiteRT its own float32 file). The × columns are ratios to ONNX Runtime:
below 1 is faster, or smaller.

`--isa avx2` limits every runtime to AVX2 and shows that it is: `benchmarks/README.md` says how. A runtime of which that
is not shown has no numbers, and the status is 1.

`--against` takes the `libmartlet.so` of an older build, for this Python package, or its folder `python/martlet`, and
compares this build with it instead. The status is 1 if this build is slower: above 1.02 in the geometric mean of the
latency ratios, or above 1.05 in one model.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

# Import from the repository's root, not from this folder: its `models` and `worker` are not top-level modules.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.contest import OURS, THEIRS, Contender, Contest, markdown, median_ratio, percentile_90  # noqa: E402
from benchmarks.hide_avx512 import environment, has_avx512, libraries_of, obstacle  # noqa: E402
from benchmarks.worker import RUNTIMES  # noqa: E402
from tests.models.catalog import MODELS, cache  # noqa: E402

OLD = "old"
ISA = ("avx2",)
FEWEST_SAMPLES = 50  # of a second in which a process does nothing but predict; fewer show little
RATIOS = ("latency", "load", "memory")
LARGEST_MEAN, LARGEST = 1.02, 1.05
"""The most that this build's latency may be of an old build's: in the geometric mean, and in any model."""


def contenders(options: argparse.Namespace) -> list[Contender]:
    """The runtimes or, with `--against`, this build and the old one."""
    if options.against:
        settings = (OURS, options.threads, options.precision)
        there = build_environment(options.against)
        return [
            Contender(OURS, "this build", *settings, environment=limits(options, libraries_of(OURS))),
            Contender(OLD, "old build", *settings, environment=there | limits(options, libraries_at(options.against))),
        ]
    return [
        Contender(
            module,
            RUNTIMES[module].title,
            module,
            options.threads,
            options.precision,
            limits(options, libraries_of(module)),
        )
        for module in options.runtimes
    ]


def is_hiding(options: argparse.Namespace) -> bool:
    """Whether the processor has more than is wanted."""
    return bool(options.isa) and has_avx512()


def limits(options: argparse.Namespace, libraries: set[Path]) -> dict[str, str]:
    """What keeps a runtime of these libraries to the wanted instruction set; nothing if the processor has no more."""
    return environment(libraries) if is_hiding(options) else {}


def libraries_at(build: Path) -> set[Path]:
    """The libraries of another build of Martlet: a library finds its own oneDNN beside it."""
    folder = build.parent if build.is_file() else build
    return {file for file in folder.glob("*.so*") if file.is_file()}


def build_environment(build: Path) -> dict[str, str]:
    """What makes a worker import another build: a library under this Python package, or a package with its own."""
    if build.is_dir():
        return {"PYTHONPATH": str(build.resolve().parent)}
    return {"MARTLET_LIBRARY": str(build.resolve())}


def is_build(path: Path) -> bool:
    return path.is_file() or any((path / name).is_file() for name in ("libmartlet.so", "libmartlet.dylib"))


def measure(name: str, options: argparse.Namespace, progress: Progress) -> list[dict]:
    """One result for each contender: its numbers, or a `reason` why there are none."""
    taking_part = contenders(options)
    folder = MODELS[name].folder(options.cache)
    task = progress.add_task(name, total=options.loads + options.rounds)
    results = {each.key: {"model": name, "runtime": each.key, "title": each.title} for each in taking_part}
    if folder is None:
        for result in results.values():
            result["reason"] = "not built"
        progress.advance(task, options.loads + options.rounds)
        return list(results.values())

    loads: dict[str, list[dict]] = {key: [] for key in results}
    turns: dict[str, list[list[float]]] = {key: [] for key in results}
    with Contest(taking_part, name, folder) as contest:
        started = set(results) - set(contest.reasons)
        # Each load's processes take their part of the rounds: the luck of one process is not a runtime's.
        for load in range(options.loads):
            for key, answer in contest.load().items():
                loads[key].append(answer)
            progress.advance(task)
            for turn in range(load, options.rounds, options.loads):
                for key, times in contest.round(turn, options.seconds).items():
                    turns[key].append(times)
                progress.advance(task)
        for key, last in contest.finish().items():
            results[key] |= summary(loads[key], turns[key]) | last
        for key, reason in contest.reasons.items():
            results[key]["reason"] = reason
    for key in started if is_hiding(options) else ():
        if found := doubt(results[key]):
            results[key] |= {"doubt": found, "reason": results[key].get("reason", found)}
    return list(results.values())


def doubt(result: dict) -> str | None:
    """Why it is not shown that a contender from which AVX-512 was hidden went without, or None."""
    count, wide = result.get("samples", 0), result.get("avx512_samples", 0)
    if wide:
        return f"at an instruction of AVX-512 in {wide} of {count} samples"
    return f"seen in {count} samples alone" if count < FEWEST_SAMPLES else None


def summary(loads: list[dict], turns: list[list[float]]) -> dict:
    """Medians of what the loads took; best, percentiles and the medians of all rounds of the warm predictions."""
    medians = {key: statistics.median(load[key] for load in loads) for key in loads[0]}
    times = sorted(time for turn in turns for time in turn)
    p50, p90 = statistics.median(times), percentile_90(times)
    rounds = [statistics.median(turn) for turn in turns]
    return {"best_ms": times[0], "p50_ms": p50, "p90_ms": p90, "rounds_ms": rounds, **medians}


def add_ratios(results: list[dict], reference: str) -> None:
    """Adds each contender's latency, load and memory as a part of the reference's."""
    for name in {result["model"] for result in results}:
        rows = [result for result in results if result["model"] == name and "reason" not in result]
        other = next((result for result in rows if result["runtime"] == reference), None)
        for result in rows if other else []:
            result["ratio"] = {
                "latency": median_ratio(result["rounds_ms"], other["rounds_ms"]),
                "load": result["first_ms"] / other["first_ms"],
                "memory": result["increase_mb"] / other["increase_mb"],
            }


def means(results: list[dict], reference: str) -> dict[str, tuple[int, dict[str, float]]]:
    """For each contender's title: of how many models, and the geometric means of its ratios."""
    found = {}
    for title in dict.fromkeys(result["title"] for result in results if result["runtime"] != reference):
        ratios = [result["ratio"] for result in results if result["title"] == title and "ratio" in result]
        if ratios:
            average = {key: statistics.geometric_mean(max(each[key], 1e-3) for each in ratios) for key in RATIOS}
            found[title] = (len(ratios), average)
    return found


def slower(results: list[dict]) -> list[str]:
    """What of this build is slower than the old one beyond the limits, or cannot be compared with it."""
    ours = [result for result in results if result["runtime"] == OURS]
    found = [f"{result['model']} has no ratio" for result in ours if "ratio" not in result]
    ratios = {result["model"]: result["ratio"]["latency"] for result in ours if "ratio" in result}
    found += [f"{name} × {ratio:.3f} > {LARGEST}" for name, ratio in ratios.items() if ratio > LARGEST]
    mean = statistics.geometric_mean(ratios.values()) if ratios else 1
    return found + ([f"geometric mean × {mean:.3f} > {LARGEST_MEAN}"] if mean > LARGEST_MEAN else [])


def samples(results: list[dict]) -> dict[str, tuple[int, int]]:
    """For each contender's title how often it was seen computing, and how often at an instruction of AVX-512."""
    found: dict[str, tuple[int, int]] = {}
    for result in results:
        if "samples" in result:
            count, wide = found.get(result["title"], (0, 0))
            found[result["title"]] = count + result["samples"], wide + result["avx512_samples"]
    return found


def reference_title(options: argparse.Namespace) -> str:
    return "the old build" if options.against else RUNTIMES[THEIRS].title


def table(results: list[dict], options: argparse.Namespace) -> Table:
    """Everything measured, as one table."""
    made = Table(
        title=f"Whole models, {options.threads or 'default'} threads, batch 1, Martlet in {options.precision}",
        caption=f"ms and MB; × = ratio to {reference_title(options)}, below 1 is better; "
        "memory × compares the increases"
        + ("" if options.against else "; LiteRT runs only where a model is published as .tflite"),
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
        row = [title, result["title"]]
        if reason := result.get("reason"):
            made.add_row(*row, *["-"] * 11, reason)
            continue
        ratio = {key: f"{value:.{3 if options.against else 2}f}" for key, value in result.get("ratio", {}).items()}
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


def short_table(results: list[dict]) -> str:
    """Each contender's p50 and its ratio to the reference, in Markdown, a model a row."""
    titles = list(dict.fromkeys(result["title"] for result in results))
    cells = {(result["model"], result["title"]): result for result in results}
    rows = []
    for name in dict.fromkeys(result["model"] for result in results):
        row = [MODELS[name].title]
        for title in titles:
            cell = cells[name, title]
            ratio = f"{cell['ratio']['latency']:.2f}" if "ratio" in cell else "-"
            row += ["-" if "reason" in cell else f"{cell['p50_ms']:.2f}", ratio]
        rows.append(row)
    return markdown(["model", *(heading for title in titles for heading in (f"{title}, ms", "×"))], rows)


def plot(results: list[dict], path: Path, reference: str) -> None:
    """Bars of the latencies as parts of the reference's, one group for each model."""
    from matplotlib import pyplot

    rows = {(result["model"], result["title"]): result["ratio"] for result in results if "ratio" in result}
    names = list(dict.fromkeys(name for name, _ in rows))
    titles = list(dict.fromkeys(title for _, title in rows))
    figure, axes = pyplot.subplots(figsize=(1.5 * len(names) + 2, 4), layout="constrained")
    for index, title in enumerate(titles):
        places = [(number, rows[name, title]["latency"]) for number, name in enumerate(names) if (name, title) in rows]
        offset = (index - (len(titles) - 1) / 2) * 0.8 / len(titles)
        positions, heights = [number + offset for number, _ in places], [height for _, height in places]
        bars = axes.bar(positions, heights, 0.8 / len(titles), label=title)
        axes.bar_label(bars, fmt="%.2f", fontsize=7)
    axes.axhline(1, color="grey", linewidth=0.8)
    axes.set_xticks(range(len(names)), [MODELS[name].title.replace(", ", "\n") for name in names], fontsize=8)
    axes.set_ylabel(f"latency ÷ {reference} (less is better)")
    axes.legend()
    figure.savefig(path, dpi=150)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time whole models in Martlet and other runtimes, in one run.")
    choose = {"nargs": "+", "metavar": "NAME"}
    parser.add_argument("--models", **choose, choices=MODELS, default=list(MODELS), help=", ".join(MODELS))
    parser.add_argument("--runtimes", **choose, choices=RUNTIMES, default=list(RUNTIMES), help=", ".join(RUNTIMES))
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="0: each runtime's default")
    parser.add_argument("--precision", choices=("fp32", "fp16"), default="fp32", help="of Martlet's package")
    parser.add_argument(
        "--against", type=Path, metavar="BUILD", help="an old libmartlet.so or python/martlet to compare with"
    )
    parser.add_argument("--rounds", type=int, help="turns of each runtime (10, with --against 15)")
    parser.add_argument("--seconds", type=float, default=0.2, help="the least length of a turn")
    parser.add_argument("--loads", type=int, default=3, help="fresh processes to take the load's median of")
    parser.add_argument("--cache", type=Path, default=cache(), metavar="DIR", help="where the models were built")
    parser.add_argument("--isa", choices=ISA, help="the widest instruction set, see benchmarks/README.md")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write a shorter table there, in Markdown")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, - for standard output")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the latencies (needs matplotlib)")
    options = parser.parse_args()
    options.rounds = options.rounds or (15 if options.against else 10)
    if options.threads < 0 or not 1 <= options.loads <= options.rounds:
        parser.error("threads is at least 0, loads at least 1, rounds at least loads")
    if options.against and not is_build(options.against):
        parser.error(f"{options.against} is neither a libmartlet nor a built python/martlet")
    if options.isa and has_avx512() and (reason := obstacle()):
        parser.error(f"AVX-512, which this processor has, cannot be hidden: {reason}")
    if options.plot and find_spec("matplotlib") is None:
        parser.error("--plot needs matplotlib, which is not installed")
    return options


def main() -> int:
    options = arguments()
    reference = OLD if options.against else THEIRS
    console = Console(stderr=str(options.json) == "-", width=None if sys.stdout.isatty() else 165)
    busy = os.getloadavg()[0]
    results: list[dict] = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        for name in options.models:
            results += measure(name, options, progress)
    add_ratios(results, reference)
    console.print(table(results, options))
    if busy > 0.5:
        console.print(
            f"[yellow]The machine was busy at the start (load {busy:.1f}): trust best and ×, not p50 and p90.[/]"
        )
    for title, (count, average) in means(results, reference).items():
        parts = ", ".join(f"{key} × {value:.{3 if options.against else 2}f}" for key, value in average.items())
        console.print(f"{title} ÷ {reference_title(options)}, geometric mean of {count}: {parts}")
    too_slow = slower(results) if options.against else []
    if options.against:
        console.print("[red]Slower: " + "; ".join(too_slow) if too_slow else "[green]No slower than the old build")
    seen = [
        f"{title}: at an instruction of AVX-512 in {wide} of {count} samples"
        for title, (count, wide) in samples(results).items()
    ]
    for line in seen:
        console.print(line)
    doubts = [f"{each['title']} in {each['model']} ({each['doubt']})" for each in results if "doubt" in each]
    if doubts:
        console.print("Not shown to be limited: " + "; ".join(doubts), style="red", markup=False)
    if options.markdown:
        options.markdown.write_text("\n".join([short_table(results), *([""] if seen else []), *seen]) + "\n")
    if options.json:
        settings = {
            "threads": options.threads,
            "precision": options.precision,
            "isa": options.isa,
            "against": str(options.against) if options.against else None,
            "rounds": options.rounds,
            "load_average": busy,
        }
        text = json.dumps({"settings": settings, "results": results}, indent=1)
        print(text) if str(options.json) == "-" else options.json.write_text(text + "\n")
    if options.plot:
        plot(results, options.plot, reference_title(options))
    return 1 if too_slow or doubts else 0


if __name__ == "__main__":
    sys.exit(main())
