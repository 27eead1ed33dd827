"""What a shared library asks of the system it runs on, as `objdump` shows it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

# What manylinux_2_28 allows: AlmaLinux 8, RHEL 8, Debian 10, Ubuntu 18.10 and everything newer.
LIMITS = {"GLIBC": (2, 28), "GLIBCXX": (3, 4, 24), "CXXABI": (1, 3, 11), "GCC": (7, 0, 0)}


def dump(library: Path, option: str) -> str:
    return subprocess.run(["objdump", option, library], check=True, capture_output=True, text=True).stdout


def too_new(library: Path) -> list[str]:
    """The versioned symbols that an allowed system may lack."""
    found = []
    for line in dump(library, "-T").splitlines():
        wanted = re.search(r"\*UND\*.*\b([A-Z]+)_([0-9.]+)\)?\s+(\S+)$", line)
        if wanted and wanted[1] in LIMITS and tuple(map(int, wanted[2].split("."))) > LIMITS[wanted[1]]:
            found.append(f"{wanted[3]}@{wanted[1]}_{wanted[2]}")
    return found


def exports(library: Path) -> set[str]:
    """The names that other libraries can bind to."""
    lines = dump(library, "-T").splitlines()
    symbols = [line for line in lines if re.match(r"[0-9a-f]+ [gwu]", line) and "*UND*" not in line]
    return {line.split()[-1] for line in symbols}


def dynamic(library: Path, tag: str) -> list[str]:
    """The entries of the dynamic section with a tag, such as NEEDED or SONAME."""
    return re.findall(rf"^\s+{tag}\s+(\S+)$", dump(library, "-p"), re.MULTILINE)
