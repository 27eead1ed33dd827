"""Every notebook runs from a clean kernel, and what it shows was saved from such a run."""

from __future__ import annotations

import copy

import pytest
from conftest import ROOT

nbformat = pytest.importorskip("nbformat", reason="nbclient brings it: ./build.sh test installs it")
nbclient = pytest.importorskip("nbclient", reason="./build.sh test installs it")

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_and_was_saved_after_a_run(path):
    saved = nbformat.read(path, as_version=4)
    code = [cell for cell in saved.cells if cell.cell_type == "code"]
    assert code
    # A slow cell may send what it prints in pieces.
    client = nbclient.NotebookClient(copy.deepcopy(saved), timeout=300, kernel_name="python3", coalesce_streams=True)
    fresh = client.execute()
    for old, new in zip(code, (cell for cell in fresh.cells if cell.cell_type == "code"), strict=True):
        assert old.execution_count is not None, f"never executed: {old.source}"
        assert [each.output_type for each in old.outputs] == [each.output_type for each in new.outputs], old.source
