"""How fast single ops are: on each device here, where the selector chooses, in NumPy, and in torch where it is."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from martlet import functional
from martlet.errors import InvalidArgumentError, UnsupportedError
from martlet.library import devices, get_num_threads
from martlet.selector import OperationProfile, SmartDeviceSelector
from martlet.tables import Table
from martlet.tensor import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure
else:  # imported when one is made
    Figure = Any

__all__ = ["OPERATIONS", "SIZES", "Measured", "Operation", "OpsBenchmark", "measure_ops"]

SIZES = (64, 128, 256, 512)
CHOSEN, NUMPY, TORCH = "selector", "NumPy", "torch"

Array = NDArray[Any]
Run = Callable[[], Any]


@dataclass(frozen=True)
class Operation:
    """One op in three libraries, on arrays of size × size elements; a convolution's in 3 channels."""

    name: str
    operands: Callable[[int], list[Array]]
    martlet: Callable[..., Any]
    numpy: Callable[..., Array]
    torch: Callable[[Any], Callable[..., Any]]


def squares(count: int) -> Callable[[int], list[Array]]:
    return lambda size: [normal(index, size, size) for index in range(count)]


def normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def image_and_filters(size: int) -> list[Array]:
    return [normal(0, 1, 3, size, size), normal(1, 8, 3, 3, 3)]


def numpy_conv(x: Array, weight: Array) -> Array:
    """A convolution as one matrix product, NumPy's fastest way."""
    windows = np.lib.stride_tricks.sliding_window_view(x[0], weight.shape[2:], axis=(1, 2))
    return np.tensordot(weight, windows, axes=((1, 2, 3), (0, 3, 4)))[None]


def numpy_softmax(x: Array) -> Array:
    exponentials = np.exp(x - x.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


OPERATIONS = {
    each.name: each
    for each in (
        Operation("matmul", squares(2), lambda x, y: x @ y, np.matmul, lambda torch: torch.matmul),
        Operation("relu", squares(1), lambda x: x.relu(), lambda x: np.maximum(x, 0), lambda torch: torch.relu),
        Operation("add", squares(2), lambda x, y: x + y, np.add, lambda torch: torch.add),
        Operation("conv", image_and_filters, functional.conv, numpy_conv, lambda torch: torch.conv2d),
        Operation(
            "softmax", squares(1), lambda x: x.softmax(), numpy_softmax, lambda torch: partial(torch.softmax, dim=-1)
        ),
    )
}


@dataclass(frozen=True)
class Measured:
    """One op at one size: the median and the least milliseconds of each column, what the selector chose and why."""

    op: str
    size: int
    milliseconds: dict[str, float]
    least: dict[str, float]
    chosen: str
    reason: str


@dataclass(frozen=True, repr=False)
class OpsBenchmark:
    """What `measure_ops` found. `missing` has the devices that are not here, with the reason."""

    threads: int
    columns: list[str]
    missing: dict[str, str]
    results: list[Measured]

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return asdict(self)

    @property
    def rows(self) -> list[list[str]]:
        """Op, size, milliseconds by column, what the selector chose."""
        return [[each.op, f"{each.size}×{each.size}", *self.cells(each), each.chosen] for each in self.results]

    def cells(self, one: Measured) -> list[str]:
        return [f"{one.milliseconds[name]:.4f}" if name in one.milliseconds else "" for name in self.columns]

    @property
    def head(self) -> list[str]:
        return ["op", "size", *self.columns, "chosen"]

    def table(self) -> Table:
        """The milliseconds as a table to print."""
        title = f"milliseconds, medians, {self.threads} threads, float32"
        return Table(self.head, self.rows, title=title, right=self.columns)

    def plot(self, least: bool = False) -> Figure:
        """Time by size, one picture an op, both axes logarithmic. It needs matplotlib.

        Args:
            least: The least times instead of the medians: what a busy machine disturbs less.

        Raises:
            UnsupportedError: matplotlib is not installed.
        """
        if find_spec("matplotlib") is None:
            raise UnsupportedError("To plot, install matplotlib.")
        from matplotlib.figure import Figure

        names = list(dict.fromkeys(each.op for each in self.results))
        figure = Figure(figsize=(2.6 * len(names), 2.8), layout="constrained")
        for place, name in enumerate(names):
            axes = figure.add_subplot(1, len(names), place + 1, title=name, xlabel="size")
            found = [each for each in self.results if each.op == name]
            for column in self.columns:
                times = [(each.size, each.least if least else each.milliseconds) for each in found]
                points = [(size, cells[column]) for size, cells in times if column in cells]
                axes.loglog(*zip(*points), marker=".", label=column, linewidth=2 if column == CHOSEN else 1)
            axes.set_xticks([each.size for each in found], [str(each.size) for each in found])
            axes.minorticks_off()
        figure.axes[0].set_ylabel("milliseconds")
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=8, fontsize=8)
        return figure

    def __repr__(self) -> str:
        return f"<OpsBenchmark: {len(self.results)} times {', '.join(self.columns)}>"

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def measure_ops(
    sizes: Sequence[int] = SIZES,
    ops: Sequence[str] | None = None,
    turns: int = 15,
    seconds: float = 0.002,
    progress: Callable[[int, int, str], object] | None = None,
) -> OpsBenchmark:
    """Times ops on every device here, where the selector chooses, in NumPy, and in torch where it is installed.

    The candidates take turns, so that a busy moment strikes all; a turn repeats its op for some time after one run that
    does not count. Results stay where they are computed: nothing is copied to NumPy.

    Args:
        sizes: The lengths of the sides.
        ops: Names out of `OPERATIONS`; by default all.
        turns: Of each candidate; their median counts.
        seconds: The least length of a turn.
        progress: Called as `progress(done, total, next)` before each op and size. If it answers False, the results are
            those of what is done.

    Raises:
        InvalidArgumentError: There is no such op to measure, or a number is not positive.
    """
    names = list(OPERATIONS if ops is None else ops)
    if unknown := [name for name in names if name not in OPERATIONS]:
        raise InvalidArgumentError(f"There is no op {unknown[0]!r} to measure; there are {', '.join(OPERATIONS)}.")
    if turns < 1 or seconds < 0 or any(size < 8 for size in sizes):
        raise InvalidArgumentError("Turns must be at least 1, seconds not negative, and sizes at least 8.")
    results = []
    for done, (name, size) in enumerate(pairs := [(name, size) for name in names for size in sizes]):
        if progress is not None and progress(done, len(pairs), f"{name} {size}") is False:
            break
        results.append(measured(OPERATIONS[name], size, turns, seconds))
    columns = list(dict.fromkeys(column for each in results for column in each.milliseconds))
    missing = {each["name"]: each["reason"] or "" for each in devices() if not each["available"]}
    return OpsBenchmark(get_num_threads(), columns, missing, results)


def measured(operation: Operation, size: int, turns: int, seconds: float) -> Measured:
    """One op at one size."""
    operands = operation.operands(size)
    choice = SmartDeviceSelector().select_device(OperationProfile(operation.name, operands[0].shape))
    times = take_turns(dict(candidates(operation, operands)), turns, seconds)
    medians, least = (
        {column: measure(each) * 1e3 for column, each in times.items()} for measure in (statistics.median, min)
    )
    return Measured(operation.name, size, medians, least, choice.device, choice.reason)


def candidates(operation: Operation, operands: list[Array]) -> Iterator[tuple[str, Run]]:
    """What runs an op, by column; devices that refuse it are left out."""
    tensors = [Tensor(each) for each in operands]
    for device in [each["name"] for each in devices() if each["available"]]:
        bound = [each.to(device) for each in tensors]
        try:
            operation.martlet(*bound)
        except UnsupportedError:
            continue
        yield device, partial(operation.martlet, *bound)
    yield CHOSEN, partial(operation.martlet, *tensors)
    yield NUMPY, partial(operation.numpy, *operands)
    if find_spec("torch"):
        import torch  # type: ignore[import-not-found, unused-ignore]

        torch.set_num_threads(get_num_threads())
        yield TORCH, partial(operation.torch(torch), *map(torch.from_numpy, operands))


def take_turns(runs: dict[str, Run], turns: int, seconds: float) -> dict[str, list[float]]:
    """The seconds of one run in each turn, by name; candidates follow each other, backwards in every second round."""
    repeats = {name: fitting(run, seconds) for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(turns):
        order = list(runs.items())
        for name, run in order if turn % 2 else reversed(order):
            run()
            times[name].append(timed(run, repeats[name]))
    return times


def fitting(run: Run, seconds: float) -> int:
    """How many runs fill some time."""
    run()
    count = 1
    while (took := timed(run, count) * count) < seconds:
        count = max(count + 1, min(10 * count, round(count * seconds / max(took, 1e-9))))
    return count


def timed(run: Run, count: int) -> float:
    """The seconds of one of several runs."""
    start = time.perf_counter()
    for _ in range(count):
        run()
    return (time.perf_counter() - start) / count


def save(figure: Figure, path: Path) -> None:
    """Writes a plot as the kind of picture that the file's name says."""
    figure.savefig(path, dpi=120)
