"""Small disks, for tests of what happens where a disk takes nothing more."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(path: Path, lazily: bool = False) -> Iterator[Path]:
    """A disk of 64 KiB of its own at `path`, with a cache's folder in it; only root can have one. `lazily` lets it go
    although something there is still open."""
    path.mkdir()
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("only root on Linux can mount a disk")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", path], check=False).returncode:
        pytest.skip("no disk can be mounted here")
    (path / "compiled").mkdir()
    try:
        yield path
    finally:
        subprocess.run(["umount", *(["-l"] if lazily else []), path], check=True)


def fill(disk: Path) -> None:
    """Writes until the disk takes no byte more."""
    for size in (4096, 1):
        with contextlib.suppress(OSError), (disk / f"filler{size}").open("wb", buffering=0) as file:
            while file.write(bytes(size)):
                pass
