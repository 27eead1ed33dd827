"""The facts tables: a row for each of Apple's symbols that the engines use, as public pages have them."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "shims" / "facts"
COLUMNS = ["name", "declaration", "kind", "Sendable", "macOS", "iOS", "source"]
TYPES = {"class", "struct", "enum", "protocol", "actor"}


@dataclass(frozen=True)
class Fact:
    """A row: the name with labels, the declaration in Swift, since when it is there, and the page that says so."""

    name: str
    declaration: str
    kind: str
    sendable: str
    macos: str
    ios: str
    source: str
    place: str
    """The file and line of the row."""

    @property
    def base(self) -> str:
        """The last part of the name without its labels."""
        return self.name.split("(")[0].rsplit(".", 1)[-1]

    @property
    def owner(self) -> str:
        """The type that the symbol belongs to; empty for types and free functions."""
        return self.name.split("(")[0].rpartition(".")[0]

    @property
    def is_type(self) -> bool:
        return self.kind in TYPES or self.kind == "typealias"


def read(paths: Iterable[Path] | None = None) -> list[Fact]:
    """The rows of all tables.

    Raises:
        ValueError: A table has other columns, or a row has too few or an impossible entry.
    """
    facts = []
    for path in sorted(FOLDER.glob("*.tsv")) if paths is None else paths:
        lines = csv.reader(path.read_text(encoding="utf-8").splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
        for number, cells in enumerate(lines, 1):
            place = f"{path.name}:{number}"
            if number == 1:
                if cells != COLUMNS:
                    raise ValueError(f"{place}: the columns are {cells}; they must be {COLUMNS}.")
                continue
            if not cells:
                continue
            if len(cells) != len(COLUMNS) or not all(cell.strip() for cell in cells):
                raise ValueError(f"{place}: a row has {len(COLUMNS)} entries, none empty, not {cells}.")
            fact = Fact(*(cell.strip() for cell in cells), place)
            if fact.sendable not in ("yes", "no", "-"):
                raise ValueError(f"{place}: Sendable is 'yes', 'no' or '-', not {fact.sendable!r}.")
            for version in (fact.macos, fact.ios):
                if version != "-":
                    newer(version, "0")
            facts.append(fact)
    return facts


def newer(version: str, than: str) -> bool:
    """Whether a version such as 15.4 is later than another."""
    try:
        first, second = (tuple(int(part) for part in each.split(".")) for each in (version, than))
    except ValueError:
        raise ValueError(f"{version!r} is no version.") from None
    width = max(len(first), len(second))
    return first + (0,) * (width - len(first)) > second + (0,) * (width - len(second))
