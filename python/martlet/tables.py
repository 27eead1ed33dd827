"""Tables for people: laid out for the width there is, as text, through `rich`, and as HTML in notebooks and pages."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from martlet._printable import printable

__all__ = ["Markup", "Report", "Table", "html_table", "terminal_width"]

GAP = 2
INDENT = 4
PROSE = 28
"""A column of sentences is at least this wide, or goes below its row."""
LONGEST = 44
"""Other cells are broken at spaces, never inside a word, if they are longer."""


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


class Table:
    """Rows under a head. `print` shows it as wide as the terminal; notebooks and `rich.print` show it, too.

    Where the columns do not fit side by side, those of sentences (`prose`) go below their row first, then the last
    ones. No word is broken unless it is longer than a line.
    """

    def __init__(
        self,
        head: Sequence[str],
        rows: Iterable[Sequence[object]],
        *,
        title: str = "",
        right: Sequence[str] = (),
        prose: Sequence[str] = (),
    ) -> None:
        self.head, self.title, self.right, self.prose = [*map(plain, head)], title, {*right}, {*prose}
        self.rows = [[plain(cell) for cell in row] for row in rows]

    @property
    def row_count(self) -> int:
        """The number of rows."""
        return len(self.rows)

    def text(self, width: int | None = None, bold: Callable[[str], str] = str) -> str:
        """The table as lines of at most `width` cells, by default the terminal's; `bold` marks the head."""
        lines = self.lines(terminal_width() if width is None else width)
        return "\n".join(bold(line) if is_head else line for line, is_head in lines)

    def lines(self, width: int) -> Iterator[tuple[str, bool]]:
        """Each line, and whether it is the head."""
        for line in filter(None, self.title.splitlines()):
            yield from ((each, False) for each in wrapped(plain(line), width))
        beside, widths = self.layout(width)
        if any(self.head):
            yield from ((line, True) for line in self.side_by_side(self.head, beside, widths))
        for row in self.rows:
            yield from ((line, False) for line in self.side_by_side(row, beside, widths))
            for column, cell in enumerate(row):
                if column not in beside and cell:
                    name = f"{self.head[column]}: " if self.head[column] else ""
                    indent = min(INDENT, width // 4)
                    lines = wrapped(name + cell, max(width - indent, 1))
                    yield from ((" " * indent + line, False) for line in lines)

    def layout(self, width: int) -> tuple[list[int], dict[int, int]]:
        """The columns that stand side by side, and their widths."""
        natural, least = {}, {}
        for column, name in enumerate(self.head):
            cells = [name, *(row[column] for row in self.rows)]
            natural[column] = max(map(cells_of, cells))
            longest = max(cells_of(word) for cell in cells for word in [*cell.split(" "), ""])
            limit = PROSE if name in self.prose else max(longest, LONGEST)
            least[column] = min(natural[column], limit)
        beside = [*range(len(self.head))]
        movable = sorted(beside[1:], key=lambda column: (self.head[column] in self.prose, column))
        while movable and sum(least[each] for each in beside) + GAP * (len(beside) - 1) > width:
            beside.remove(movable.pop())
        widths = {column: min(least[column], width) for column in beside}
        spare = max(width - sum(widths.values()) - GAP * (len(beside) - 1), 0)
        # What is short of its natural width shares the rest: words first, then sentences.
        for is_prose in (False, True):
            short = [each for each in beside if (self.head[each] in self.prose) is is_prose]
            short.sort(key=lambda column: natural[column] - widths[column])
            for place, column in enumerate(short):
                more = min(natural[column] - widths[column], spare // (len(short) - place))
                widths[column] += more
                spare -= more
        return beside, widths

    def side_by_side(self, row: Sequence[str], beside: list[int], widths: dict[int, int]) -> Iterator[str]:
        """The lines of a row whose cells stand beside each other."""
        blocks = [(column, wrapped(row[column], widths[column])) for column in beside]
        for place in range(max((len(block) for _, block in blocks), default=0)):
            parts = []
            for column, block in blocks:
                part = block[place] if place < len(block) else ""
                space = " " * (widths[column] - cells_of(part))
                parts.append(space + part if self.head[column] in self.right else part + space)
            yield (" " * GAP).join(parts).rstrip()

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<Table: {self.row_count} rows of {', '.join(filter(None, self.head)) or 'facts'}>"

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        from rich.text import Text

        for line, is_head in self.lines(options.max_width):
            yield Text(line, style="bold" if is_head else "", no_wrap=True, overflow="ignore")

    def _repr_html_(self) -> str:
        title = "<br>".join(map(escaped, filter(None, self.title.splitlines())))
        return (f"<p>{title}</p>" if title else "") + html_table(self.head, self.rows)


class Report:
    """Lines of text and tables, one below the other."""

    def __init__(self, *parts: str | Table) -> None:
        self.parts = parts

    def text(self, width: int | None = None, bold: Callable[[str], str] = str) -> str:
        """The parts as lines of at most `width` cells, by default the terminal's; `bold` marks the heads of tables."""
        width = terminal_width() if width is None else width
        return "\n".join(
            part.text(width, bold) if isinstance(part, Table) else "\n".join(paragraphs(part, width))
            for part in self.parts
        )

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<Report: {len(self.parts)} parts>"

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        from rich.text import Text

        for part in self.parts:
            if isinstance(part, Table):
                yield part
            else:
                yield from (Text(line) for line in paragraphs(part, options.max_width))

    def _repr_html_(self) -> str:
        return "".join(
            part._repr_html_() if isinstance(part, Table) else f"<p>{escaped(part)}</p>" for part in self.parts
        )


def html_table(
    head: Sequence[str], rows: Iterable[Sequence[object]], style: Callable[[str], str] = lambda cell: ""
) -> str:
    """A table in HTML. Cells are escaped unless they are `Markup`; `style` gives a cell's own CSS."""
    titles = f"<thead><tr>{''.join(f'<th>{escaped(cell)}</th>' for cell in head)}</tr></thead>" if any(head) else ""
    lines = "".join(
        "<tr>"
        + "".join(
            f"<td data-label='{escaped(name)}' style='text-align:left;{style(str(cell))}'>{markup(cell)}</td>"
            for name, cell in zip(head, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f"<table>{titles}<tbody>{lines}</tbody></table>"


def escaped(text: str) -> str:
    from html import escape

    return escape(text)


def markup(cell: object) -> str:
    return cell if isinstance(cell, Markup) else escaped(str(cell))


def terminal_width() -> int:
    """The width of the terminal, or what `COLUMNS` says; 160 where the output goes to a file or a pipe."""
    import shutil

    return max(shutil.get_terminal_size((160, 24)).columns, 20)


def plain(cell: object) -> str:
    """Text on one line, in which control characters can be seen and do nothing."""
    return printable(" ".join(str(cell).split()))


def cells_of(text: str) -> int:
    """How many cells of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text
    )


def paragraphs(text: str, width: int) -> Iterator[str]:
    for line in text.split("\n"):
        yield from wrapped(plain(line), width)


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` cells, broken at spaces; a word longer than a line goes on in the next one."""
    lines, line, used = [], "", 0
    for word in text.split(" "):
        size = cells_of(word)
        if line and used + 1 + size > width:
            lines.append(line)
            line, used = "", 0
        while size > width:
            head = fitting(word, width)
            lines.append(head)
            word = word[len(head) :]
            size = cells_of(word)
        line, used = (f"{line} {word}", used + 1 + size) if line else (word, size)
    return [*lines, line]


def fitting(word: str, width: int) -> str:
    """The beginning of a word that fits into a line, of at least one character."""
    used = 0
    for place, each in enumerate(word):
        used += cells_of(each)
        if used > width:
            return word[: max(place, 1)]
    return word
