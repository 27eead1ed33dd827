"""Where each part of a model runs, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from martlet.tables import Table

__all__ = ["Plan", "Step"]

COLUMNS = ("#", "ops", "output", "type", "kernel", "reason")


@dataclass(frozen=True)
class Step:
    """One step: the ops it does at once, the value it makes, the kernel that does it and why that one."""

    ops: list[str]
    output: str
    type: str
    kernel: str
    reason: str
    processor: str = ""
    """The processor inside the plan's device, such as `Neural Engine`; empty where the device is one processor."""
    known: str = "chosen by us"
    """How the place is known: `planned by Core ML`, which need not keep to it, or `chosen by us`."""

    def cells(self, number: int) -> list[str]:
        kernel = f"{self.kernel} on {self.processor}, {self.known}" if self.processor else self.kernel
        return [str(number), " + ".join(self.ops), self.output, self.type, kernel, self.reason or ""]


@dataclass(frozen=True)
class Plan:
    """The steps of a compiled function on its device, and the memory they take beside inputs and outputs."""

    device: str
    steps: list[Step]
    workspace_bytes: int
    packed_bytes: int
    reason: str = ""
    """Why this device."""

    @classmethod
    def from_answer(cls, answer: dict[str, Any]) -> Plan:
        names = Step.__dataclass_fields__
        steps = [Step(**{name: step[name] for name in names if name in step}) for step in answer["steps"]]
        workspace, packed = (answer.get(name, 0) for name in ("workspace_bytes", "packed_bytes"))
        return cls(answer["device"], steps, workspace, packed, answer.get("reason", ""))

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __repr__(self) -> str:
        return f"<Plan: {self.summary}>"

    @property
    def summary(self) -> str:
        """One line: steps, device, memory."""
        workspace, packed = (f"{size / 1e6:.1f} MB" for size in (self.workspace_bytes, self.packed_bytes))
        return f"{len(self.steps)} steps on {self.device}, workspace {workspace}, packed weights {packed}"

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and dictionaries."""
        return asdict(self)

    def table(self) -> Table:
        """A table to print: a row a step."""
        rows = [step.cells(number) for number, step in enumerate(self.steps, 1)]
        title = "\n".join([self.summary, *self.choice])
        return Table(COLUMNS, rows, title=title, right=("#",), prose=("reason",))

    def __str__(self) -> str:
        return str(self.table())

    @property
    def choice(self) -> list[str]:
        """The reason for the device as a line, where there is one."""
        return [f"{self.device}: {self.reason}"] if self.reason else []

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()
