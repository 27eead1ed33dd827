"""Every notebook runs from a clean kernel, anywhere, and what is stored in it is what the code of today shows."""

from __future__ import annotations

import os
import re
import sys
from html.parser import HTMLParser

import pytest
from conftest import ROOT

nbformat = pytest.importorskip("nbformat", reason="nbclient brings it: ./build.sh test installs it")
nbclient = pytest.importorskip("nbclient", reason="./build.sh test installs it")

sys.path.insert(0, str(ROOT / "notebooks"))
from execute import executed  # noqa: E402

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


class Skeleton(HTMLParser):
    """The tags of a page and the heads of its tables; rows of equal structure count once, since their number and their
    numbers belong to the machine."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.in_head = False
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.in_head = tag == "th"
        if self.found[-1:] != [tag] or tag not in ("td", "tr"):
            self.found.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.in_head = False

    def handle_data(self, data: str) -> None:
        if self.in_head:
            self.found.append(data)

    @property
    def shape(self) -> list[str]:
        text = "\n".join(self.found)
        return re.sub(r"(?:\ntr\ntd)+", "\nrows", text).split("\n")


def shape(output: nbformat.NotebookNode) -> list:
    """What an output is like on any machine: numbers and what speaks of devices may differ."""
    if output.output_type == "stream":
        lines = output.text.splitlines()
        return ["stream", len(lines), *(re.sub(r"-?\d[\d.e+-]*", "#", line) for line in lines if " " not in line)]
    kinds = sorted(output.data)
    return [output.output_type, kinds, Skeleton("".join(output.data.get("text/html", ""))).shape]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_and_shows_what_is_stored(path, tmp_path, monkeypatch):
    # The kernel starts in an empty folder, so that nothing of the repository can be reached by a relative path.
    monkeypatch.delenv("PYTHONPATH", raising=False)
    stored = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert stored
    fresh = [cell for cell in executed(path, tmp_path).cells if cell.cell_type == "code"]
    for number, (old, new) in enumerate(zip(stored, fresh, strict=True), 1):
        assert old.execution_count == number, f"not executed in order; python notebooks/execute.py does:\n{old.source}"
        assert [shape(each) for each in old.outputs] == [shape(each) for each in new.outputs], (
            f"python notebooks/execute.py stores what this shows today:\n{old.source}"
        )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_name_nothing_of_this_machine(path):
    text = path.read_text()
    for word in (str(ROOT), os.path.expanduser("~") + "/", "tests.", "sys.path"):
        assert word not in text


def test_what_is_stale_differs():
    def stream(text):
        return shape(nbformat.v4.new_output("stream", text=text))

    def page(html):
        return shape(nbformat.v4.new_output("execute_result", {"text/plain": "", "text/html": html}))

    assert stream("cpu 1.5 ms\n") == stream("cpu 9.5 ms\n")
    assert stream("cpu\n") != stream("cpu\nmetal\n")
    row = "<tr><td>1</td></tr>"
    assert page(f"<table><th>µs</th>{row}</table>") == page(f"<table><th>µs</th>{row}{row}</table>")
    assert page(f"<table><th>µs</th>{row}</table>") != page(f"<table><th>ms</th>{row}</table>")
