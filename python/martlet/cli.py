"""The command `martlet`."""

from __future__ import annotations

import functools
import json
import shlex
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn
from zipfile import BadZipFile

import click
import numpy as np
from numpy.typing import NDArray

import martlet
from martlet import _flags
from martlet import model as models
from martlet._native import answer, lib, library_path
from martlet._printable import printable
from martlet.model import name_or_null
from martlet.selector import when
from martlet.tables import Report, Table

__all__ = ["main"]

# The statuses that commands end with.
NO, FAILED, INTERRUPTED = 1, 3, 130

EPILOG = """\b
Exit statuses:
  0    done
  1    done, and the answer is no: a rule of `explain --fail-on` is
       broken, or `calibrate` kept nothing
  2    the command line is wrong
  3    an error: no such file, a broken or unsupported model, a full disk
  130  interrupted by Ctrl-C; what was measured until then is shown

Completion in bash: eval "$(_MARTLET_COMPLETE=bash_source martlet)"; in zsh and fish with zsh_source and fish_source.
"""


def command(function: Callable[..., Any]) -> click.Command:
    """A command of `martlet`, guarded."""
    return main.command()(guarded_json(function))


def guarded_json(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--json`; an error or Ctrl-C is one line on the error stream, and one object with `--json`."""

    @functools.wraps(function)
    def guarded(as_json: bool, **options: Any) -> None:
        try:
            function(as_json=as_json, **options)
        except BrokenPipeError:
            # The reader has closed the pipe, so nothing more can be written to it.
            sys.stdout = None
            raise SystemExit(0) from None
        except (martlet.Error, OSError, ValueError, EOFError, BadZipFile) as error:
            stop(error, str(error), FAILED, as_json)
        except KeyboardInterrupt as interrupt:
            stop(interrupt, "; ".join(["interrupted", *map(str, interrupt.args)]), INTERRUPTED, as_json)

    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(guarded)


def stop(error: BaseException, words: str, status: int, as_json: bool) -> NoReturn:
    """Ends the command with one line that says why."""
    message = " ".join(words.split())
    if as_json:
        write_json({"error": {"kind": type(error).__name__, "message": message}})
    click.echo(f"martlet: {printable(message)}", err=True)
    raise SystemExit(status) from None


class Turns:
    """The turns of a long command, with a bar. Ctrl-C ends them in order, so that what is done can be shown; a second
    one ends the command at once."""

    def __init__(self, unit: str, quiet: bool, total: int | None = None) -> None:
        from tqdm import tqdm  # type: ignore[import-untyped]

        self.interrupted = False
        self.unit, self.total = unit, total
        self.bar = tqdm(total=total, unit=unit, leave=False, disable=True if quiet or total == 0 else None)

    def __enter__(self) -> Turns:
        # Only the main thread may set handlers, and only there does Ctrl-C arrive.
        if threading.current_thread() is threading.main_thread():
            self.handler = signal.signal(signal.SIGINT, self.interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        self.restore()
        self.bar.close()

    def interrupt(self, *_: object) -> None:
        self.interrupted = True
        self.restore()

    def restore(self) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self.handler)

    def __iter__(self) -> Iterator[int]:
        for turn in range(self.total or 0):
            if self.interrupted:
                return
            yield turn
            self.bar.update()

    def progress(self, done: int, total: int, name: str = "") -> bool:
        """For functions that report how far they are, and go on while they get True."""
        self.bar.total = total
        self.bar.set_postfix_str(name, refresh=False)
        self.bar.update(done - self.bar.n)
        return not self.interrupted

    def finish(self, done: int, total: int) -> None:
        """Ends the command if it was interrupted, once everything is shown."""
        if self.interrupted:
            click.echo(f"martlet: interrupted after {done} of {total} {self.unit}s", err=True)
            raise SystemExit(INTERRUPTED)


MODEL = click.argument("path", type=click.Path(path_type=Path))
DEVICE = click.option(
    "--device",
    help="One of `martlet devices`.",
    shell_complete=lambda context, option, start: [
        each["name"] for each in martlet.devices() if each["available"] and each["name"].startswith(start)
    ],
)
FUNCTION = click.option("--function", help="Which function of the model.")
THREADS = click.option("--threads", type=click.IntRange(0, 256), help="Threads of one run; 0: all processors.")


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(martlet.__version__, prog_name="martlet")
def main() -> None:
    """Runs Core ML models anywhere, and says where and why."""


@command
def devices(as_json: bool) -> None:
    """List the devices, those that are missing here with the reason."""
    found = martlet.devices()
    if as_json:
        write_json(found)
        return
    rows = [
        (each["name"], "yes" if each["available"] else "no", each["summary"], each["reason"] or "") for each in found
    ]
    show_table(("device", "available", "summary", "reason"), rows, prose=("summary", "reason"))


@command
@click.option("--quick", is_flag=True, help="Under a second on a quiet machine, with fewer sizes.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=0.2,
    show_default=True,
    help="How far the median of an operation's rounds may lie above its fastest round.",
)
def calibrate(quick: bool, tolerance: float, as_json: bool) -> None:
    """Measure the devices, and keep the costs for this machine: device selection goes by them.

    Rounds are repeated until they agree. If they do not in time, the machine is too busy: nothing is kept, and the
    status is 1.
    """
    turns = Turns("visit", as_json)
    try:
        found = martlet.calibrate(quick, turns.progress, tolerance)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("nothing is kept") from None
    finally:
        turns.bar.close()
    if as_json:
        write_json(found.to_dict())
    elif found.is_kept:
        show(found.report())
    else:
        click.echo(f"martlet: {found.verdict}", err=True)
    if not found.is_kept:
        raise SystemExit(NO)


@command
@click.argument("op")
@click.argument("shape")
@click.argument("dtype", default="float32")
def select(op: str, shape: str, dtype: str, as_json: bool) -> None:
    """Show which device OP (an op or operation type) gets for a SHAPE such as 512x512, and why."""
    dimensions = integers(shape.replace("x", ","), f"The shape {shape!r} is not valid; write it as 512x512.")
    found = martlet.SmartDeviceSelector().explain(martlet.OperationProfile(op, dimensions, dtype))
    if as_json:
        write_json(found.to_dict())
        return
    show(found.table())


@command
@click.option("--cflags", is_flag=True, help="Print the flags that compile a C program with martlet.h.")
@click.option("--libs", is_flag=True, help="Print the flags that link it.")
@click.option("--pkg-config-path", is_flag=True, help="Print the folder of martlet.pc.")
def info(cflags: bool, libs: bool, pkg_config_path: bool, as_json: bool) -> None:
    """Show the build and the machine, or what a C compiler needs to know."""
    if cflags or libs or pkg_config_path:
        asked = {
            "cflags": _flags.cflags() if cflags else [],
            "libs": _flags.libs() if libs else [],
            "pkg_config_path": [_flags.pkg_config_path()] if pkg_config_path else [],
        }
        if as_json:
            write_json({name: flags for name, flags in asked.items() if flags})
        else:
            click.echo(shlex.join(flag for flags in asked.values() for flag in flags))
        return
    found = {**martlet.info(), "python_package": martlet.__version__, "library": library_path()}
    if as_json:
        write_json(found)
        return
    show_table(
        ("", ""), [(name.replace("_", " "), "none" if value is None else value) for name, value in found.items()]
    )


@command
@MODEL
@click.option("--plan", is_flag=True, help="Also compile it and show every step with its kernel and why.")
@DEVICE
@FUNCTION
def inspect(path: Path, plan: bool, device: str | None, function: str | None, as_json: bool) -> None:
    """Show what a model takes and gives, its ops, weights, precision and metadata."""
    if (device or function) and not plan:
        raise click.UsageError("--device and --function choose what is compiled: give --plan, too.")
    handle = models.read(path)
    found = answer(lib.mlt_model_info, handle)
    steps = martlet.Model(handle, device, function).plan() if plan else None
    if as_json:
        write_json(found | ({"plan": steps.to_dict()} if steps else {}))
        return
    weights = found["weights"]
    kinds = ", ".join(f"{dtype} {megabytes(size)}" for dtype, size in weights["by_dtype"].items())
    facts = [
        ("kind", f"{found['kind']}, specification version {found['specification_version']}"),
        ("precision", found["precision"]),
        ("weights", f"{weights['count']} of {megabytes(weights['bytes'])}" + (f": {kinds}" if kinds else "")),
    ]
    metadata = found["metadata"]
    facts += [(name.replace("_", " "), value) for name, value in metadata.items() if value and name != "user_defined"]
    facts += list((metadata.get("user_defined") or {}).items())
    show_table((str(path), ""), facts)
    for each in found["functions"]:
        chosen = " (default)" if each["name"] == found["default_function"] and len(found["functions"]) > 1 else ""
        title = f"Function {each['name']}{chosen}, opset {each['opset']}, {each['operations']} operations"
        click.echo("\n" + printable(title))
        show_table(
            ("", "name", "kind", "dtype", "shape", "description"),
            [
                (side, port["name"], port["kind"], port["dtype"], sizes(port), port["description"] or "")
                for side, ports in (("input", each["inputs"]), ("output", each["outputs"]), ("state", each["states"]))
                for port in ports
            ],
        )
        for port in each["outputs"]:
            if port["labels"]:
                click.echo(f"{printable(port['name'])}: {printable(listed(port['labels']))}")
        histogram = sorted(each["ops"].items(), key=lambda item: (-item[1], item[0]))
        show_table(("op", "count"), histogram)
    if steps:
        click.echo()
        show(steps.table())


@command
@MODEL
@click.option(
    "--input",
    "given",
    multiple=True,
    metavar="NAME=FILE",
    help="An .npy file or an image; or one FILE.npz for all inputs. NAME ends at the first '=' unless an input's"
    " name has one.",
)
@click.option(
    "--random",
    "seed",
    type=click.IntRange(min=0),
    metavar="SEED",
    help="Random values for the inputs that are not given.",
)
@click.option("--output", type=click.Path(path_type=Path), help="Write all outputs to this .npz file.")
@DEVICE
@FUNCTION
@THREADS
def run(
    path: Path,
    given: tuple[str, ...],
    seed: int | None,
    output: Path | None,
    device: str | None,
    function: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Run a model once and show what comes out."""
    model = open_model(path, device, function, threads)
    inputs = read_inputs(given, [port.name for port in model.inputs])
    if seed is not None:
        inputs = random_inputs(model, seed) | inputs
    start = time.perf_counter()
    arrays = model.predict(inputs, fresh(model), raw=True)
    milliseconds = (time.perf_counter() - start) * 1e3
    if output:
        with output.open("wb") as file:
            np.savez(file, **arrays, **labels_of(model))  # type: ignore[arg-type]
    summaries = [summary(port, arrays[port.name]) for port in model.outputs]
    if as_json:
        write_json({"device": model.device, "milliseconds": milliseconds, "outputs": summaries})
        return
    names = ("name", "dtype", "shape", "least", "mean", "most")
    if rows := [[compact(each[name]) for name in names] for each in summaries if "shape" in each]:
        show_table(names, rows)
    for each in summaries:
        if "value" in each:
            click.echo(printable(f"{each['name']}: {each['value']}"))
        elif "values" in each:
            best = list(each["values"].items())[:SHOWN]
            show_table((each["name"], ""), [(label, compact(value)) for label, value in best])
            if len(each["values"]) > SHOWN:
                click.echo(f"and {len(each['values']) - SHOWN} more")
    click.echo(f"{milliseconds:.2f} ms on {model.device}" + (f", written to {output}" if output else ""))


class OneOrMany(click.Group):
    """A group whose arguments belong to its command `model` where they do not begin with another one's name."""

    def resolve_command(self, context: click.Context, arguments: list[str]) -> Any:
        named = arguments and arguments[0] in self.commands
        return super().resolve_command(context, arguments if named else ["model", *arguments])


@main.group(cls=OneOrMany, context_settings={"ignore_unknown_options": True})
def bench() -> None:
    """Measure a model (`martlet bench MODEL`) or single ops (`martlet bench ops`)."""


def bench_command(name: str) -> Callable[..., click.Command]:
    return lambda function: bench.command(name)(guarded_json(function))


@bench_command("ops")
@click.option("--sizes", default="64,128,256,512", show_default=True, help="Lengths of the sides.")
@click.option("--ops", "names", help="Which ops, such as matmul,relu; by default all that are measured.")
@click.option("--turns", type=click.IntRange(min=1), default=15, show_default=True, help="Of each candidate.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the times to this file (needs matplotlib).")
@THREADS
def bench_ops(sizes: str, names: str | None, turns: int, plot: Path | None, threads: int | None, as_json: bool) -> None:
    """Time ops on every device here, in NumPy, and in torch where it is installed."""
    from martlet.bench import measure_ops, save

    if threads is not None:
        martlet.set_num_threads(threads)
    chosen, sides = names.split(",") if names else None, integers(sizes)
    with Turns("op", as_json) as steps:
        found = measure_ops(sides, chosen, turns, progress=steps.progress)
    if not found.results:
        raise KeyboardInterrupt
    if plot:
        save(found.plot(), plot)
    if as_json:
        write_json(found.to_dict() | {"interrupted": steps.interrupted})
    else:
        show(found.table())
        for name, reason in found.missing.items():
            click.echo(f"not measured: {name}: {reason}")
        if plot:
            click.echo(f"drawn to {plot}")
    steps.finish(len(found.results), steps.bar.total)


@bench_command("model")
@MODEL
@click.option("--runs", type=click.IntRange(min=1), default=100, show_default=True, help="Timed runs.")
@click.option("--warmup", type=click.IntRange(min=0), default=10, show_default=True, help="Runs before those.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="For the random inputs.")
@THREADS
@DEVICE
@FUNCTION
def bench_model(
    path: Path,
    runs: int,
    warmup: int,
    seed: int,
    threads: int | None,
    device: str | None,
    function: str | None,
    as_json: bool,
) -> None:
    """Measure load time and latency on random inputs."""
    start = time.perf_counter()
    model = open_model(path, device, function, threads)
    loaded = time.perf_counter()
    inputs = random_inputs(model, seed)
    began = time.perf_counter()
    model.predict(inputs, fresh(model))
    first = time.perf_counter() - began
    state, times = fresh(model), []
    with Turns("run", as_json, warmup + runs) as turns:
        for turn in turns:
            began = time.perf_counter()
            model.predict(inputs, state)
            took = time.perf_counter() - began
            if turn >= warmup:
                times.append(took * 1e3)
    if not times:
        raise KeyboardInterrupt
    latency = {
        "min": min(times),
        "mean": statistics.fmean(times),
        **{f"p{part}": float(np.percentile(times, part)) for part in (50, 90, 99)},
    }
    found = {
        "model": str(path),
        "device": model.device,
        "threads": martlet.get_num_threads(),
        "runs": len(times),
        "interrupted": turns.interrupted,
        "load_ms": (loaded - start) * 1e3,
        "first_ms": first * 1e3,
        "latency_ms": latency,
    }
    if as_json:
        write_json(found)
    else:
        click.echo(f"{path.name} on {model.device}, {found['threads']} threads, {len(times)} runs")
        times_of = {"load": found["load_ms"], "first": found["first_ms"], **latency}
        show_table([*times_of], [[f"{value:.3f} ms" for value in times_of.values()]], right=[*times_of])
    turns.finish(len(times), runs)


@command
@MODEL
@click.option("--runs", type=click.IntRange(min=1), default=10, show_default=True, help="Recorded runs.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="For the random inputs.")
@click.option("--trace", type=click.Path(path_type=Path), help="Write a trace for Chrome or Perfetto to this file.")
@THREADS
@DEVICE
@FUNCTION
def profile(
    path: Path,
    runs: int,
    seed: int,
    trace: Path | None,
    threads: int | None,
    device: str | None,
    function: str | None,
    as_json: bool,
) -> None:
    """Show where the time of a model goes, on random inputs."""
    model = open_model(path, device, function, threads)
    inputs, state = random_inputs(model, seed), fresh(model)
    model.predict(inputs, state)
    with Turns("run", as_json, runs) as turns, martlet.profile() as found:
        for _ in turns:
            model.predict(inputs, state)
    if not found.runs:
        raise KeyboardInterrupt
    if trace:
        found.save(trace)
    if as_json:
        write_json(found.to_dict() | {"summary": found.summary(), "interrupted": turns.interrupted})
    else:
        show(found.table())
        if trace:
            click.echo(f"written to {trace}; open it in chrome://tracing or ui.perfetto.dev")
    turns.finish(len(found.runs), runs)


@command
@MODEL
@DEVICE
@FUNCTION
@click.option("--run", "runs", type=click.IntRange(0, 1_000_000), default=0, help="Run it so often, for times.")
@click.option("--html", type=click.Path(path_type=Path), help="Write a page of its own to this file.")
@click.option("--rules-only", is_flag=True, help="Leave out the list of operations.")
@click.option(
    "--fail-on",
    type=click.Choice(["refused", "slow", "note"]),
    help="End with status 1 if a rule of this severity, or a worse one, is broken; errors end with 3.",
)
@click.option(
    "--processor",
    type=click.Choice(["ane", "gpu"]),
    default="ane",
    show_default=True,
    help="Whose rules --fail-on means.",
)
def explain(
    path: Path,
    device: str | None,
    function: str | None,
    runs: int,
    html: Path | None,
    rules_only: bool,
    fail_on: str | None,
    processor: str,
    as_json: bool,
) -> None:
    """Show where each operation of a model runs, how that is known, and what would keep it off the Neural Engine."""
    with Turns("run", as_json, runs) as turns:
        found = martlet.explain(path, function, device, runs, turns.progress)
    if html:
        html.write_text(found.to_html(), encoding="utf-8")
    if as_json:
        write_json(found.to_dict())
    else:
        show(found.summary())
        if not rules_only:
            click.echo()
            show(found.table())
        if html:
            click.echo(f"written to {html}")
    turns.finish(found.runs, runs)
    if fail_on and (broken := found.of(processor, fail_on)):
        names = ", ".join(each.rule for each in broken)
        click.echo(f"martlet: {len(broken)} rules are broken: {names}", err=True)
        raise SystemExit(NO)


@command
def rules(as_json: bool) -> None:
    """List the rule books: what keeps work off the Neural Engine and the GPU, each rule with its source."""
    found = martlet.rules()
    if as_json:
        write_json([asdict(each) for each in found])
        return
    rows = [(each.id, each.severity, each.words, f"{each.source}, {each.confidence}") for each in found]
    show_table(("rule", "severity", "what and why", "source"), rows, prose=("what and why", "source"))


@main.group()
def cache() -> None:
    """Look at what Martlet keeps on disk between processes, or clear it."""


def cache_command(name: str, words: str) -> Callable[..., click.Command]:
    kinds = click.Choice(["model", "kernel", "measurements"])
    kind = click.option("--kind", type=kinds, help="Only compiled models, Metal kernels or measurements.")
    return lambda function: cache.command(name, help=words)(kind(guarded_json(function)))


def kept(action: str, kind: str | None) -> Any:
    return answer(lib.mlt_disk_cache, action.encode(), name_or_null(kind, "kind"))


@cache_command("ls", "List everything, what was used or measured last first.")
def cache_ls(kind: str | None, as_json: bool) -> None:
    found = kept("list", kind)
    if as_json:
        write_json(found)
        return
    rows = [(each["kind"], each["name"], megabytes(each["bytes"]), when(each["time"])) for each in found["entries"]]
    show_table(("kind", "name", "size", "last used or measured"), rows, right=("size",), prose=("name",))
    click.echo(f"{len(rows)} entries in {found['folder']}")


@cache_command("size", "Say how much there is of each kind.")
def cache_size(kind: str | None, as_json: bool) -> None:
    found = kept("size", kind)
    if as_json:
        write_json(found)
        return
    rows = [(name, each["entries"], megabytes(each["bytes"])) for name, each in found["kinds"].items()]
    show_table(("kind", "entries", "size"), rows, right=("entries", "size"))
    click.echo(
        f"{found['entries']} entries, {megabytes(found['bytes'])} in {found['folder']}; of models and kernels at most "
        f"{found['max_compiled_entries']} entries, {megabytes(found['max_compiled_bytes'])}"
    )


@cache_command("clear", "Remove everything, or what is of one kind.")
def cache_clear(kind: str | None, as_json: bool) -> None:
    found = kept("clear", kind)
    if as_json:
        write_json(found)
        return
    click.echo(f"removed {found['entries']} entries, {megabytes(found['bytes'])}, from {found['folder']}")


def integers(text: str, otherwise: str = "Sizes are integers separated by commas, such as 64,128.") -> list[int]:
    try:
        return [int(each) for each in text.strip("()[] ").split(",") if each.strip()]
    except ValueError:
        raise martlet.InvalidArgumentError(otherwise) from None


def open_model(path: Path, device: str | None, function: str | None, threads: int | None) -> martlet.Model:
    if threads is not None:
        martlet.set_num_threads(threads)
    return martlet.load(path, device, function)


def read_inputs(given: tuple[str, ...], names: Sequence[str]) -> dict[str, Any]:
    """The arrays that `--input` gives to a model with inputs of these names."""
    inputs: dict[str, Any] = {}
    for each in given:
        name, file = split_input(each, names)
        if name is None:
            with np.load(file) as stored:
                inputs |= {key: stored[key] for key in stored.files}
        else:
            inputs[name] = np.load(file) if file.endswith(".npy") else read_image(file)
    return inputs


def split_input(given: str, names: Sequence[str]) -> tuple[str | None, str]:
    """The name and file of NAME=FILE; the name is None if FILE.npz holds all inputs.

    Names and paths may both contain '='. The longest input name that stands in front of one counts; else the first '='.
    """
    fitting = [name for name in names if given.startswith(f"{name}=")]
    if fitting:
        name = max(fitting, key=len)
        return name, given[len(name) + 1 :]
    if given.endswith(".npz"):
        return None, given
    unknown, equals, file = given.partition("=")
    if not equals:
        raise martlet.InvalidArgumentError(f"--input takes NAME=FILE.npy or FILE.npz, not {given!r}.")
    return unknown, file


def read_image(file: str) -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise martlet.UnsupportedError(f"{file} is no .npy file; to read images, install pillow.") from None
    return Image.open(file)


def fresh(model: martlet.Model) -> martlet.State | None:
    """A new state for a model that has any."""
    return model.make_state() if model.states else None


def random_inputs(model: martlet.Model, seed: int) -> dict[str, NDArray[Any]]:
    generator = np.random.default_rng(seed)
    return {port.name: port.random(generator) for port in model.inputs}


# Labels and probabilities that fit on a screen.
SHOWN = 5


def listed(labels: list[Any]) -> str:
    """Labels for people: all of a few, else the first and the last."""
    names = [str(each) for each in labels]
    if len(names) > 2 * SHOWN:
        names = [*names[:SHOWN], "…", names[-1]]
    return f"{len(labels)} labels: {', '.join(names)}"


def labels_of(model: martlet.Model) -> dict[str, NDArray[Any]]:
    """The labels of dictionaries, whose arrays have probabilities in their order."""
    return {f"{port.name}.labels": np.array(port.labels) for port in model.outputs if port.kind == "dictionary"}


def number(value: float) -> float | str:
    """A number for JSON, which has no NaN and no infinity."""
    return value if np.isfinite(value) else str(value)


def summary(port: martlet.Port, array: NDArray[Any]) -> dict[str, Any]:
    """What an output is, for a table and for JSON: what an array is like, a label, or probabilities, largest first."""
    value = port.feature(array)
    if isinstance(value, dict):
        values = sorted(value.items(), key=lambda item: -item[1])
        return {"name": port.name, "kind": port.kind, "values": {str(key): number(each) for key, each in values}}
    if not isinstance(value, np.ndarray):
        return {"name": port.name, "kind": port.kind, "value": value}
    found: dict[str, Any] = {"name": port.name, "dtype": array.dtype.name, "shape": list(array.shape)}
    wide = array.astype(np.float64)
    for key, measure in (("least", np.min), ("mean", np.mean), ("most", np.max)):
        found[key] = number(float(measure(wide))) if array.size else None
    return found


def sizes(port: dict[str, Any]) -> str:
    if image := port.get("image"):
        return f"{image['width']} x {image['height']} {image['color_space']}"
    return "[" + ", ".join("?" if size < 0 else str(size) for size in port["shape"]) + "]"


def megabytes(size: int) -> str:
    return f"{size / 1e6:.2f} MB"


def compact(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def write_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def show_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], right: Sequence[str] = (), prose: Sequence[str] = ("",)
) -> None:
    """Prints a table; in one without a head the values are prose."""
    show(Table(columns, rows, right=right, prose=prose))


def show(what: Table | Report) -> None:
    """Prints tables, with bold heads where there is a terminal."""
    click.echo(what.text(bold=lambda line: click.style(line, bold=True)))


if __name__ == "__main__":
    main()
