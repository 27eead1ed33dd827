"""The build hook of the wheel: writes the cffi module from martlet.h, checks the library, names the platform."""

from __future__ import annotations

import platform
import re
import sys
import sysconfig
from pathlib import Path
from typing import Any

from cffi import FFI
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE = Path(__file__).resolve().parent
PACKAGE = HERE / "martlet"
HEADER = HERE.parent / "Sources" / "CHeader" / "include" / "martlet.h"
LIBRARY = "libmartlet.dylib" if sys.platform == "darwin" else "libmartlet.so"


class Hook(BuildHookInterface):
    """Runs before every wheel, editable ones included."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if not (PACKAGE / LIBRARY).exists():
            raise FileNotFoundError(f"{PACKAGE / LIBRARY} is missing: run ./build.sh at the root of the repository")
        write_abi(HEADER, PACKAGE / "_martlet_abi.py")
        build_data["pure_python"] = False
        build_data["tag"] = f"cp310-abi3-{platform_tag(sorted(PACKAGE.glob('lib*')))}"


def write_abi(header: Path, target: Path) -> None:
    """Writes cffi's out-of-line ABI module: plain Python, no compiler, nothing parsed at import."""
    ffi = FFI()
    ffi.cdef(declarations(header.read_text()))
    ffi.set_source("martlet._martlet_abi", None)
    ffi.emit_python_code(str(target))


def declarations(header: str) -> str:
    """The header without what only a preprocessor understands."""
    plain_c = re.sub(r"^#ifdef __cplusplus$.*?^#endif$", "", header, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^#.*$", "", plain_c, flags=re.MULTILINE)


def platform_tag(libraries: list[Path]) -> str:
    """The oldest platform that has everything these libraries ask of it."""
    machine = platform.machine()
    if sys.platform == "darwin":
        return sysconfig.get_platform().replace("-", "_").replace(".", "_")
    needed = [version for library in libraries for version in glibc_versions(library)]
    major, minor = max(needed, default=(2, 17))
    return f"manylinux_{major}_{minor}_{machine}"


def glibc_versions(library: Path) -> list[tuple[int, int]]:
    """The versions of the C library's symbols that a library binds to; the linker writes them down as text."""
    found = re.findall(rb"\0GLIBC_(\d+)\.(\d+)", library.read_bytes())
    return [(int(major), int(minor)) for major, minor in found]
