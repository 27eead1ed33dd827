"""Where an operation runs and why: the one rule that eager calls, plans and backends go by."""

from __future__ import annotations

import builtins
import json
import math
import operator
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from martlet import library
from martlet._native import answer, callback, check, ffi, lib, own
from martlet.errors import InvalidArgumentError, WrongTypeError
from martlet.model import encoded as c_text
from martlet.ports import MIL_NAMES, NUMPY_NAMES
from martlet.tables import Report, Table, html_table

__all__ = [
    "Calibration",
    "Candidate",
    "Choice",
    "DecisionMap",
    "DescribedDevice",
    "DeviceThresholds",
    "Explanation",
    "OperationProfile",
    "SmartDeviceSelector",
    "calibrate",
]

TYPES = (
    "matrix_multiplication",
    "activation",
    "convolution",
    "element_wise",
    "complex_number",
    "statistical_distribution",
    "custom_kernel",
    "distributed_operation",
)


def encoded(value: Any) -> bytes:
    try:
        return json.dumps(value, default=operator.index, allow_nan=False).encode()
    except ValueError:
        raise InvalidArgumentError(f"{value!r} holds a number that is not finite.") from None


@dataclass(frozen=True)
class OperationProfile:
    """What an operation is like, as far as choosing a device needs it.

    Args:
        op: The name of an op (`martlet.ops()`), or of an operation type: `matrix_multiplication`, `activation`,
            `convolution`, `element_wise`, `complex_number`, `statistical_distribution`, `custom_kernel`,
            `distributed_operation`.
        shape: The shape of its first operand. The second one of a product is taken to be square; the filters of a
            convolution to keep the channels and to cover 3 elements an axis.
        dtype: The element type, as NumPy or Core ML name it.

    Raises:
        InvalidArgumentError: No such op or type, or a dimension below 0.
        OutOfMemoryError: A tensor of that shape would be larger than any there can be.
        WrongTypeError: `shape` does not hold integers, or `dtype` is not an element type of Martlet.
    """

    op: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.float32))
    op_type: str = field(init=False)
    """One of the operation types."""
    elements: int = field(init=False, compare=False)
    work: float = field(init=False, compare=False)
    """Floating-point operations of products and convolutions, else elements."""
    bytes: int = field(init=False, compare=False)
    """Bytes of everything that goes in and comes out."""

    def __init__(self, op: str, shape: Sequence[int] | int, dtype: DTypeLike = np.float32) -> None:
        if not isinstance(op, str):
            raise WrongTypeError(f"The op is {op!r}; it must be the name of an op or operation type.")
        put = object.__setattr__
        put(self, "op", op)
        put(self, "shape", sizes(shape))
        put(self, "dtype", element_type(dtype))
        found = answer(lib.mlt_profile, self.question)
        put(self, "op_type", found["type"])
        for name in ("elements", "work", "bytes"):
            put(self, name, found[name])

    def memory_footprint(self) -> int:
        """Bytes of a tensor of `shape`."""
        return self.elements * self.dtype.itemsize

    @property
    def question(self) -> builtins.bytes:
        name = self.dtype.name
        return encoded({"op": self.op, "shape": self.shape, "dtype": MIL_NAMES.get(name, name)})


def sizes(shape: Sequence[int] | int) -> tuple[int, ...]:
    try:
        return tuple(operator.index(size) for size in (shape if isinstance(shape, Iterable) else (shape,)))
    except TypeError:
        raise WrongTypeError(f"The shape is {shape!r}; it must hold integers.") from None


def element_type(dtype: DTypeLike) -> np.dtype[Any]:
    try:
        return np.dtype(NUMPY_NAMES.get(dtype, dtype) if isinstance(dtype, str) else dtype)
    except TypeError:
        raise WrongTypeError(f"{dtype!r} is no element type.") from None


@dataclass
class DeviceThresholds:
    """The sizes from which each kind of device is worth its start-up cost, used until devices have been measured.

    `coreml_min_size`, `coreml_max_size` and `metal_min_size` are elements, `gpu_min_memory` is bytes. Smaller work goes
    to the CPU, work above `coreml_max_size` to Metal.
    """

    coreml_min_size: int = 1024
    coreml_max_size: int = 1_048_576
    metal_min_size: int = 256
    gpu_min_memory: int = 4096


@dataclass(frozen=True)
class DescribedDevice:
    """A device that is only described: the selector ranks it and nothing runs on it. So a Linux machine can say what a
    Mac would choose.

    Args:
        name: Its name, such as `metal`.
        kind: `cpu`, `metal` or `coreml`.
        available: Whether it is there; `reason` says why it is not.
        refuses: Ops and operation types, by name, that it does not run.
        cost: (a, b): an operation takes a + b · work seconds, whatever its type; None where that is not known.
        changes_results: Whether its numeric mode changes results, so that only a pin takes it.

    Raises:
        InvalidArgumentError: The cost is not two numbers, or one is negative or not finite.
        WrongTypeError: The cost does not hold numbers.
    """

    name: str
    kind: str
    available: bool = True
    reason: str | None = None
    refuses: Sequence[str] = ()
    cost: tuple[float, float] | None = None
    changes_results: bool = False

    def __post_init__(self) -> None:
        if self.cost is not None:
            object.__setattr__(self, "cost", seconds(self.cost, self.name))

    def to_dict(self) -> dict[str, Any]:
        found = asdict(self) | {"refuses": list(self.refuses)}
        if self.cost is not None:
            found["cost"] = dict(zip(("a", "b"), self.cost, strict=True))
        return found


def seconds(cost: Any, name: str) -> tuple[float, float]:
    """The two numbers of a cost."""
    try:
        numbers = tuple(float(each) for each in cost)
    except (TypeError, ValueError):
        raise WrongTypeError(f"The cost of {name!r} is {cost!r}; it must be two numbers, (a, b).") from None
    if len(numbers) != 2:
        raise InvalidArgumentError(f"The cost of {name!r} is {cost!r}; it must be two numbers, (a, b).")
    if not all(math.isfinite(each) and each >= 0 for each in numbers):
        raise InvalidArgumentError(f"The cost of {name!r} is {cost!r}; costs are finite and not negative.")
    return numbers


@dataclass(frozen=True)
class Choice:
    """A device that was chosen: its name and kind, the reason in words, what the choice goes by, and the expected
    seconds where they were measured. `basis` is `prior` (the table), `measured` or `pinned`."""

    device: str
    kind: str
    reason: str
    basis: str
    seconds: float | None

    def __str__(self) -> str:
        return self.device


@dataclass(frozen=True)
class Candidate:
    """A device with what speaks for or against it. `standing` is `eligible`, `by name` (only a pin takes it), `refused`
    or `unavailable`."""

    name: str
    kind: str
    standing: str
    seconds: float | None
    reason: str


@dataclass(frozen=True, repr=False)
class Explanation:
    """A decision with all that led to it. `device` is None where nothing runs the operation."""

    profile: dict[str, Any]
    size: str
    device: str | None
    basis: str | None
    reason: str
    chain: list[str]
    devices: list[Candidate]
    measurements: dict[str, Any]

    @classmethod
    def from_answer(cls, found: dict[str, Any]) -> Explanation:
        return cls(**found | {"devices": [Candidate(**each) for each in found["devices"]]})

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return asdict(self)

    @property
    def summary(self) -> str:
        """One line: the operation, its device and why."""
        profile = self.profile
        name = profile["op"] or profile["type"]
        return f"{name} {profile['shape']} {profile['dtype']}: {self.device or 'no device'} ({self.reason})"

    @property
    def basis_words(self) -> str:
        """One line: when the measurements that it goes by were made, or why there are none."""
        found = self.measurements
        if found["reason"]:
            return str(found["reason"])
        made = "" if found["measured_at"] is None else f" on {when(found['measured_at'])}"
        return f"measured{made}, kept in {found['path']}"

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        """Device, place in the chain, and reason, of each device."""
        places = {name: str(place) for place, name in enumerate(self.chain, 1)}
        return [(each.name, places.get(each.name, ""), each.reason) for each in self.devices]

    def table(self) -> Table:
        """The devices as a table to print."""
        return Table(HEAD, self.rows, title=f"{self.summary}\n{self.basis_words}", prose=("reason",))

    def __str__(self) -> str:
        return str(self.table())

    def __repr__(self) -> str:
        return f"<Explanation: {self.summary}>"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


HEAD = ("device", "chain", "reason")


@dataclass(frozen=True, repr=False)
class DecisionMap:
    """Which device each operation gets at each size: `cells[op][side]`, for tensors of side × side elements."""

    ops: list[str]
    sides: list[int]
    cells: dict[str, dict[int, str]]
    reasons: dict[str, dict[int, str]]
    kinds: dict[str, str]
    """The kind of each device."""

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return asdict(self)

    @property
    def rows(self) -> list[list[str]]:
        return [[op, *(self.cells[op][side] for side in self.sides)] for op in self.ops]

    @property
    def head(self) -> list[str]:
        return ["", *(f"{side} × {side}" for side in self.sides)]

    def __str__(self) -> str:
        return str(Table(self.head, self.rows))

    def __repr__(self) -> str:
        return f"<DecisionMap: {len(self.ops)} operations, {len(self.sides)} sizes>"

    def _repr_html_(self) -> str:
        colours = {"cpu": "#dbe9f6", "metal": "#fde3c8", "coreml": "#d9f0d3"}

        def style(cell: str) -> str:
            kind = self.kinds.get(cell)
            return f"color:#111;background:{colours[kind]}" if kind else ""

        return html_table(self.head, self.rows, style)


class SmartDeviceSelector:
    """Chooses where an operation runs, and says why. Safe to use from several threads at once.

    Devices that are not available or refuse the operation are left out, and those whose numeric mode changes results
    unless they are pinned. What `martlet.calibrate` measured decides: seconds = a + b · work, and c · bytes where data
    must be copied; the device chosen before for a class and size of work stays until another is better by more than
    20 %. Without measurements small work goes to the CPU, medium to Metal, large to Core ML; complex numbers,
    distributions, custom kernels and distributed operations go to Metal, never to Core ML.

    Args:
        devices: Names, entries of `martlet.devices()`, `CoreMLDevice`s, `DescribedDevice`s or dicts of their fields; by
            default every device of this machine.
        thresholds: What is small, medium and large.

    Raises:
        InvalidArgumentError: No such device, none at all, two of one name, or thresholds that contradict each other.
        WrongTypeError: `devices` cannot be gone through, or `thresholds` is no `DeviceThresholds`.
    """

    def __init__(self, devices: Iterable[Any] | None = None, thresholds: DeviceThresholds | None = None) -> None:
        out = ffi.new("mlt_selector **")
        chosen = None if devices is None else entries(devices)
        given = ffi.NULL if chosen is None else encoded(chosen)
        if thresholds is not None and not isinstance(thresholds, DeviceThresholds):
            raise WrongTypeError(f"The thresholds are {thresholds!r}; they must be a DeviceThresholds.")
        limits = ffi.NULL if thresholds is None else encoded(asdict(thresholds))
        check(lib.mlt_selector_make(out, given, limits))
        self._handle = own(out[0])
        self._names = chosen and [each if isinstance(each, str) else each.get("name", "?") for each in chosen]

    def __repr__(self) -> str:
        names = [each["name"] for each in library.devices()] if self._names is None else self._names
        return f"<SmartDeviceSelector over {', '.join(names)}>"

    def select_device(self, profile: OperationProfile) -> Choice:
        """The device for an operation, and why.

        Raises:
            UnsupportedError: No device runs it; the message has each device's reason.
        """
        return Choice(**self._ask(lib.mlt_selector_select, profile))

    def fallback_chain(self, profile: OperationProfile) -> list[Choice]:
        """The device for an operation, then those to try where it fails, ending in CPUs; empty where none runs it."""
        return [Choice(**each) for each in self._ask(lib.mlt_selector_chain, profile)]

    get_fallback_chain = fallback_chain

    def explain(self, profile: OperationProfile) -> Explanation:
        """What would be chosen, and what speaks for and against each device. Keeps nothing in mind."""
        return Explanation.from_answer(self._ask(lib.mlt_selector_explain, profile))

    def pin(self, name: str, device: str) -> None:
        """Has an op or an operation type run on one device; an op's pin goes before its type's.

        Raises:
            InvalidArgumentError: No such op or type, or the device is not among the selector's.
        """
        check(lib.mlt_selector_pin(self._handle, c_text(name, "name"), c_text(device, "device")))

    def unpin(self, name: str) -> None:
        """Leaves an op or an operation type to the rule again."""
        check(lib.mlt_selector_pin(self._handle, c_text(name, "name"), ffi.NULL))

    def decision_map(
        self,
        ops: Sequence[str] = TYPES,
        sides: Sequence[int] = (8, 16, 32, 64, 128, 256, 512, 1024, 2048),
        dtype: DTypeLike = np.float32,
    ) -> DecisionMap:
        """Which device each operation gets at each size, as data that notebooks show as a coloured table.

        Args:
            ops: Names of ops or operation types.
            sides: Sizes: each operation has side × side elements, a convolution as many in 16 channels.
            dtype: The element type; complex operations take the complex type of that precision.
        """
        found = {op: {side: self.explain(square(op, side, dtype)) for side in sides} for op in ops}
        every = [each for line in found.values() for each in line.values()]
        return DecisionMap(
            ops=list(ops),
            sides=list(sides),
            cells={op: {side: each.device or "none" for side, each in line.items()} for op, line in found.items()},
            reasons={op: {side: each.reason for side, each in line.items()} for op, line in found.items()},
            kinds={device.name: device.kind for each in every[:1] for device in each.devices},
        )

    def _ask(self, function: Callable[..., int], profile: OperationProfile) -> Any:
        if not isinstance(profile, OperationProfile):
            raise WrongTypeError(f"A selector judges an OperationProfile, not {type(profile).__name__}.")
        return answer(function, self._handle, profile.question)


def square(op: str, side: int, dtype: DTypeLike) -> OperationProfile:
    """An operation on side × side elements."""
    if op == "complex_number":
        dtype = np.result_type(element_type(dtype), np.complex64)
    if op in ("convolution", "conv"):
        shape = (1, 16, side // 4, side // 4) if side % 4 == 0 else (1, 1, side, side)
        return OperationProfile(op, shape, dtype)
    return OperationProfile(op, (side, side), dtype)


def entries(devices: Any) -> list[Any]:
    """Devices as the library takes them."""
    if isinstance(devices, (str, Mapping)) or not isinstance(devices, Iterable):
        raise WrongTypeError(f"The devices are {devices!r}; they must be a list, such as ['cpu'].")
    found = [entry(device) for device in devices]
    if not found:
        raise InvalidArgumentError("The list of devices is empty; a selector needs at least one device.")
    return found


def entry(device: Any) -> Any:
    """A device as the library takes it: a name, or a description."""
    if isinstance(device, DescribedDevice):
        return device.to_dict()
    if isinstance(device, Mapping):
        # `martlet.devices()` has a summary of each, which no description has.
        return device["name"] if "summary" in device else {**device}
    name = device if isinstance(device, str) else getattr(device, "name", None)
    if not isinstance(name, str):
        raise InvalidArgumentError(f"{device!r} is no device; give a name out of martlet.devices(), or a description.")
    return name


@dataclass(frozen=True, repr=False)
class Calibration:
    """What was measured: seconds a + b · work of each operation type on each device; seconds to start an operation that
    does nothing, and to copy a byte; what could not be measured, with the reason; and where all that is kept."""

    machine: dict[str, Any]
    measured_at: int
    """Seconds since 1970."""
    dispatch: dict[str, float]
    copies: dict[str, float]
    costs: dict[str, dict[str, dict[str, float]]]
    gaps: dict[str, str]
    path: str | None
    """None if nothing is kept."""
    objection: str | None
    """Why nothing is kept, such as a machine that is too busy; None if it is."""
    seconds: float

    @property
    def is_kept(self) -> bool:
        """Whether the selector goes by it from now on."""
        return self.path is not None

    @property
    def verdict(self) -> str:
        """One line: how long it took, and where it is kept or why not."""
        kept = f"kept in {self.path}" if self.is_kept else f"not kept: {self.objection}"
        return f"measured in {self.seconds:.1f} s on {when(self.measured_at)}, {kept}"

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return asdict(self)

    def report(self) -> Report:
        """The costs as tables to print."""
        costs = [
            (device, kind, f"{cost['a'] * 1e6:.2f} µs", f"{cost['b'] * 1e9:.3g} ns")
            for device, kinds in self.costs.items()
            for kind, cost in kinds.items()
        ]
        starts = [
            (device, f"{start * 1e6:.2f} µs", f"{self.copies.get(device, 0) * 1e9:.3g} ns")
            for device, start in self.dispatch.items()
        ]
        return Report(
            Table(
                ("device", "operation type", "start", "per unit of work"), costs, right=("start", "per unit of work")
            ),
            Table(("device", "empty operation", "copied byte"), starts, right=("empty operation", "copied byte")),
            *(f"not measured: {what}: {why}" for what, why in self.gaps.items()),
            self.verdict,
        )

    def __str__(self) -> str:
        return str(self.report())

    def __repr__(self) -> str:
        return f"<Calibration of {', '.join(self.costs) or 'no device'}: {self.verdict}>"

    def _repr_html_(self) -> str:
        return self.report()._repr_html_()


def when(seconds: float) -> str:
    """A time since 1970 in words, in the local time zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def calibrate(
    quick: bool = False,
    progress: Callable[[int, int, str], object] | None = None,
    tolerance: float = 0.2,
) -> Calibration:
    """Measures the devices present in rounds until the rounds agree, and keeps what it finds on disk for this machine
    and version of Martlet. Selectors made afterwards go by it.

    Where the rounds agree at once, this takes four seconds or, `quick`, under one; on a busy machine up to 20 or 3. If
    they do not agree by then, nothing is kept: `path` is None, and `objection` is the reason.

    Args:
        quick: Fewer sizes and runs.
        progress: Called as `progress(done, total, next)` before each visit of a point and, `next` empty, at the
            end. What it raises ends the measuring, with nothing kept.
        tolerance: How far the median of an operation's rounds may lie above its fastest round: 0.2 is 20 %.

    Raises:
        InvalidArgumentError: The folder for caches cannot be written, or the tolerance is negative.
        WrongTypeError: The tolerance is not a number.
    """
    try:
        limit = float(tolerance)
    except (TypeError, ValueError):
        raise WrongTypeError(f"The tolerance is {tolerance!r}; it must be a number.") from None

    @callback("int32_t(void *, int32_t, int32_t, const char *)", otherwise=1, forever=False)
    def report(_: Any, done: int, total: int, name: Any) -> int:
        if progress is not None:
            progress(done, total, ffi.string(name).decode())
        return 0

    return Calibration(**answer(lib.mlt_calibrate, int(quick), limit, report, ffi.NULL))
