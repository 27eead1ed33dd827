"""Writes link-time stubs of the C library, so that what is linked against them runs on an older glibc.

A linker binds each symbol to the newest version in the libc it sees (`pthread_create@GLIBC_2.34`), even where an older
version of the same function exists (`@GLIBC_2.2.5`). A stub has each symbol of the build machine's library once, in its
newest version that is not above the wanted one. Symbols that came later keep their own version.

usage: CC=clang python3 stubs.py FOLDER [LIMIT, 2.28 if absent]
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

CC = shlex.split(os.environ.get("CC", "clang"))
# The last two are empty from glibc 2.34 on, but an older system has threads and dlopen in them.
LIBRARIES = {"libc.so.6": "c", "libm.so.6": "m", "libpthread.so.0": "pthread", "libdl.so.2": "dl"}
SYMBOL = re.compile(r"^[0-9a-f]+ (.{7}) (\S+)\t([0-9a-f]+)\s+\(?(GLIBC_[0-9.]+)\)?\s+(?:\.\S+ )?(\w+)$", re.MULTILINE)


def number(version: str) -> tuple[int, ...]:
    """`GLIBC_2.2.5` as (2, 2, 5)."""
    return tuple(int(part) for part in version.removeprefix("GLIBC_").split("."))


def found(name: str) -> str:
    """The path of a file that the compiler's linker would take."""
    path = subprocess.run([*CC, f"-print-file-name={name}"], check=True, capture_output=True, text=True).stdout.strip()
    if not os.path.isabs(path):
        sys.exit(f"{CC[0]} finds no {name}")
    return path


def chosen(library: str, limit: tuple[int, ...]) -> dict[str, tuple[str, bool, int]]:
    """The symbols of a library: version, whether it is data, size."""
    table = subprocess.run(["objdump", "-T", library], check=True, capture_output=True, text=True).stdout
    symbols: dict[str, tuple[str, bool, int]] = {}
    for flags, section, size, version, name in SYMBOL.findall(table):
        if section in ("*UND*", "*ABS*") or section.startswith((".tbss", ".tdata")):
            continue
        new, old = number(version), number(symbols[name][0]) if name in symbols else ()
        if not old or (max(new, old) if max(new, old) <= limit else min(new, old)) == new:
            symbols[name] = (version, "O" in flags, int(size, 16))
    return symbols


def write_stub(folder: Path, name: str, symbols: dict[str, tuple[str, bool, int]]) -> None:
    """Assembles and links the stub of one library."""
    lines = []
    for place, (symbol, (version, is_data, size)) in enumerate(sorted(symbols.items())):
        lines += [
            ".data" if is_data else ".text",
            f".globl stub_{place}",
            f".type stub_{place}, %{'object' if is_data else 'function'}",
            f"stub_{place}: .zero {max(size, 1) if is_data else 1}",
            f".size stub_{place}, {size if is_data else 1}",
            f".symver stub_{place}, {symbol}@@{version}",
        ]
    versions = sorted({version for version, _, _ in symbols.values()}, key=number)
    script = "".join(f"{version} {{ }};\n" for version in versions) + "STUB { local: *; };\n"
    assembly, versioned = folder / f"{name}.s", folder / f"{name}.map"
    assembly.write_text("\n".join(lines) + "\n")
    versioned.write_text(script)
    subprocess.run(
        [
            *(*CC, "-shared", "-nostdlib", f"-Wl,-soname,{name}", f"-Wl,--version-script,{versioned}"),
            *(assembly, "-o", folder / name),
        ],
        check=True,
    )


def main(folder: Path, limit: str = "2.28") -> None:
    """Writes the stubs, and for each the name by which -lc, -lm, -lpthread and -ldl find it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, short in LIBRARIES.items():
        write_stub(folder, name, chosen(found(name), number(limit)))
        link = folder / f"lib{short}.so"
        link.unlink(missing_ok=True)
        link.symlink_to(name)
    # In the C library's own package libc.so is a linker script, too: some functions are static, some are the loader's.
    (folder / "libc.so").unlink()
    here = Path(found("libc.so.6")).parent
    loader = next(path for place in (here, here.parent) for path in place.glob("ld-linux*.so.*"))
    (folder / "libc.so").write_text(
        f'GROUP ( "{folder}/libc.so.6" "{found("libc_nonshared.a")}" AS_NEEDED ( "{loader}" ) )\n'
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), *sys.argv[2:])
