"""Runs every notebook here from a clean kernel, in a folder of its own, and stores what it shows.

python notebooks/execute.py        # needs nbclient, ipykernel and matplotlib
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import nbclient
import nbformat


def executed(path: Path, folder: Path) -> nbformat.NotebookNode:
    """A notebook after a run that began in some folder."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.metadata.clear()
    # A slow cell may send what it prints in pieces.
    nbclient.NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        coalesce_streams=True,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    ).execute()
    return notebook


if __name__ == "__main__":
    for path in sorted(Path(__file__).parent.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            nbformat.write(executed(path, Path(folder)), path)
        print(path.name)
