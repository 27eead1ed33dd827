"""What a C compiler needs to know of this installation."""

from __future__ import annotations

from pathlib import Path

from martlet._native import library_path

__all__ = ["cflags", "libs", "pkg_config_path"]

HERE = Path(__file__).resolve().parent


def cflags() -> list[str]:
    """The compiler's flags: where `martlet.h` is."""
    return [f"-I{HERE / 'include'}"]


def libs() -> list[str]:
    """The linker's flags: the library, and where a program finds it when it runs."""
    library = Path(library_path())
    return [f"-L{library.parent}", f"-Wl,-rpath,{library.parent}", f"-l{library.stem.removeprefix('lib')}"]


def pkg_config_path() -> str:
    """The folder of `martlet.pc`, for PKG_CONFIG_PATH."""
    return str(HERE)
