"""What ran where, when, how long and why: `with martlet.profile() as p:` records every run of the process."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from martlet._native import answer, check, ffi, lib, own, text
from martlet.tables import Table

__all__ = ["Profile", "ProfiledOp", "ProfiledRun", "profile"]

COLUMNS = ("ops", "device", "kernel", "calls", "total ms", "mean µs", "share", "MB", "GB/s", "reason")
NUMBERS = COLUMNS[3:9]


@dataclass(frozen=True)
class ProfiledOp:
    """One step of a run: the ops it did at once, where, with which kernel and why; times count from the beginning."""

    ops: list[str]
    output: str
    type: str
    device: str
    kernel: str
    reason: str
    start_ns: int
    duration_ns: int
    bytes: int
    """What the kernel read and wrote."""
    thread: int
    run: int
    """The run it belongs to, an index of `Profile.runs`."""


@dataclass(frozen=True)
class ProfiledRun:
    """One run of a function, on which device and why; nanoseconds since the profile began."""

    function: str
    device: str
    reason: str
    start_ns: int
    duration_ns: int
    thread: int


class Profile:
    """A record of runs: of a `with martlet.profile()` block, or a backend's own by `CoreMLBackend.profile()`."""

    def __init__(self, handle: Any = None) -> None:
        self._handle = handle
        self._answer: dict[str, Any] | None = None

    def __enter__(self) -> Profile:
        out = ffi.new("mlt_recording **")
        check(lib.mlt_profile_begin(out))
        self._handle, self._answer = own(out[0]), None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        check(lib.mlt_profile_end(self._handle))

    @property
    def _found(self) -> dict[str, Any]:
        """The numbers; asked again until the recording has come to its end."""
        if self._handle is None:
            return {"duration_ns": 0, "dropped": 0, "is_ended": True, "runs": [], "steps": []}
        if self._answer is None or not self._answer["is_ended"]:
            self._answer = answer(lib.mlt_profile_read, self._handle)
        return self._answer

    @property
    def ops(self) -> list[ProfiledOp]:
        """Every step, run by run."""
        return [ProfiledOp(**step) for step in self._found["steps"]]

    @property
    def runs(self) -> list[ProfiledRun]:
        """Every run, in the order they ended."""
        return [ProfiledRun(**run) for run in self._found["runs"]]

    @property
    def duration_ms(self) -> float:
        """From the beginning to the end, with what lay between the runs."""
        return float(self._found["duration_ns"]) / 1e6

    @property
    def dropped(self) -> int:
        """Steps that found no room: a profile holds about a million."""
        return int(self._found["dropped"])

    def __len__(self) -> int:
        return len(self._found["steps"])

    def __iter__(self) -> Iterator[ProfiledOp]:
        return iter(self.ops)

    def summary(self) -> list[dict[str, Any]]:
        """Steps of one kind together, the most costly first: `ops device kernel reason calls total_ms mean_us share
        bytes gb_per_s`; `share` is that of the time of all steps."""
        groups: dict[tuple[str, str, str, str], list[ProfiledOp]] = {}
        for op in self.ops:
            groups.setdefault((" + ".join(op.ops), op.device, op.kernel, op.reason), []).append(op)
        whole = sum(op.duration_ns for op in self.ops) or 1
        rows = [row(*key, ops, whole) for key, ops in groups.items()]
        return sorted(rows, key=lambda each: -each["total_ms"])

    def table(self) -> Table:
        """A table to print: steps of one kind together, the most costly first."""
        rows = [cells(each) for each in self.summary()]
        return Table(COLUMNS, rows, title=self.title, right=NUMBERS, prose=("ops", "reason"))

    @property
    def title(self) -> str:
        """One line: runs, steps, times."""
        found = self._found
        busy = sum(run["duration_ns"] for run in found["runs"]) / 1e6
        counts = f"{len(found['runs'])} runs, {len(found['steps'])} steps"
        return f"{counts}, {busy:.3f} ms of runs in {self.duration_ms:.3f} ms"

    def chrome_trace(self) -> dict[str, Any]:
        """The trace that Chrome's about:tracing and ui.perfetto.dev show; times in microseconds."""
        if self._handle is None:
            return {"displayTimeUnit": "ms", "traceEvents": []}
        trace: dict[str, Any] = json.loads(text(lib.mlt_profile_trace, self._handle))
        return trace

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the Chrome trace to a JSON file."""
        Path(path).write_text(json.dumps(self.chrome_trace()))

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and dictionaries."""
        found = self._found
        numbers = {name: found[name] for name in ("duration_ns", "dropped")}
        return numbers | {"runs": found["runs"], "ops": found["steps"]}

    def __repr__(self) -> str:
        return f"<Profile: {self.title}>"

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def profile() -> Profile:
    """Records every run of the process, of any thread, for a `with` block.

    with martlet.profile() as p:
        model.predict(inputs)
    print(p.table())

    Runs are recorded when they end; one that ends after the block is left out. A recording costs about a microsecond a
    step, none costs nothing.
    """
    return Profile()


def row(ops: str, device: str, kernel: str, reason: str, steps: list[ProfiledOp], whole: int) -> dict[str, Any]:
    """One line of the summary."""
    time, size = sum(op.duration_ns for op in steps), sum(op.bytes for op in steps)
    return {
        "ops": ops,
        "device": device,
        "kernel": kernel,
        "reason": reason,
        "calls": len(steps),
        "total_ms": time / 1e6,
        "mean_us": time / 1e3 / len(steps),
        "share": time / whole,
        "bytes": size,
        "gb_per_s": size / time if time else 0.0,
    }


def cells(each: dict[str, Any]) -> list[str]:
    """A line of the summary as words, in the order of the columns."""
    return [
        each["ops"],
        each["device"],
        each["kernel"],
        str(each["calls"]),
        f"{each['total_ms']:.3f}",
        f"{each['mean_us']:.2f}",
        f"{each['share']:.1%}",
        f"{each['bytes'] / 1e6:.3f}",
        f"{each['gb_per_s']:.1f}",
        each["reason"],
    ]
