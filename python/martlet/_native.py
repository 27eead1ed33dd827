"""The door to libmartlet: finds and loads it, turns its statuses into exceptions and its texts into values."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from martlet import errors

try:
    from martlet._martlet_abi import ffi
except ImportError as error:
    raise ImportError("this copy of martlet is not built: run ./build.sh in its repository") from error

__all__ = ["answer", "called_back", "check", "fail", "ffi", "lib", "library_path", "own", "ready", "text"]

FILE_NAME = "libmartlet.dylib" if sys.platform == "darwin" else "libmartlet.so"


def library_path() -> Path:
    """Where libmartlet is: `MARTLET_LIBRARY`, else beside this file."""
    chosen = os.environ.get("MARTLET_LIBRARY")
    path = Path(chosen) if chosen else Path(__file__).with_name(FILE_NAME)
    if not path.is_file():
        reason = "MARTLET_LIBRARY names" if chosen else "the package lacks"
        raise ImportError(f"{reason} {path}, which is no file: run ./build.sh, or set MARTLET_LIBRARY to {FILE_NAME}")
    return path.resolve()


def load_library() -> Any:
    """Loads libmartlet. Where the process finds no OpenMP runtime, the one we ship goes first."""
    path = library_path()
    try:
        return ffi.dlopen(str(path), ffi.RTLD_NOW)
    except OSError as error:
        openmp = path.with_name("libgomp.so.1")
        if openmp.name in str(error) and openmp.exists():
            LOADED.append(ffi.dlopen(str(openmp), ffi.RTLD_NOW | ffi.RTLD_GLOBAL))
            return ffi.dlopen(str(path), ffi.RTLD_NOW)
        raise ImportError(f"{path} cannot be loaded: {error}") from error


LOADED: list[Any] = []
lib = load_library()

ERRORS: dict[int, type[errors.Error]] = {
    lib.MLT_INVALID_ARGUMENT: errors.InvalidArgumentError,
    lib.MLT_WRONG_TYPE: errors.WrongTypeError,
    lib.MLT_NOT_FOUND: errors.NotFoundError,
    lib.MLT_MALFORMED: errors.MalformedError,
    lib.MLT_UNSUPPORTED: errors.UnsupportedError,
    lib.MLT_OUT_OF_MEMORY: errors.OutOfMemoryError,
    lib.MLT_BAD_HANDLE: errors.BadHandleError,
    lib.MLT_OUT_OF_RANGE: errors.OutOfRangeError,
    lib.MLT_BUG: errors.BugError,
    lib.MLT_CALLBACK: errors.CallbackError,
}


def check(status: int) -> None:
    """Raises what a status stands for, with the library's own words; first what a callback raised meanwhile."""
    if RAISED.escaped is not None:
        RAISED.raise_escaped()
    if status:
        message = ffi.string(lib.mlt_last_error()).decode(errors="replace")
        cause = RAISED.take(message) if status == lib.MLT_CALLBACK else None
        raise ERRORS.get(status, errors.BugError)(message) from cause


class Raised(threading.local):
    """What a Python function raised while the library called it back, on its way to the caller in the same thread."""

    error: BaseException | None = None
    words = ""
    escaped: BaseException | None = None
    """What a callback did not catch itself, such as Ctrl-C at its first line. C cannot be told of it."""

    def keep(self, error: BaseException, words: str) -> None:
        self.error, self.words = error, words

    def take(self, message: str) -> BaseException | None:
        """The exception behind a message of the library. What ends a program, as Ctrl-C does, goes on as it is."""
        error, self.error = self.error, None
        if error is None or self.words not in message:
            return None
        if not isinstance(error, Exception):
            raise error
        return error

    def escape(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """What cffi calls where a callback raised: the first exception waits for the library to return."""
        if self.escaped is None:
            self.escaped = error

    def raise_escaped(self) -> NoReturn:
        error, self.escaped = self.escaped, None
        assert error is not None
        raise error


RAISED = Raised()


def called_back(kind: str, function: Callable[..., Any], error: int | None = None) -> Any:
    """A C function over a Python one. What that raises, Ctrl-C included, is raised where the library was called, once
    it has returned; until then C gets `error`."""
    return ffi.callback(kind, function, error=error, onerror=RAISED.escape)


def fail() -> NoReturn:
    """Raises what the library said last on this thread, where a call answered NULL."""
    ready()
    status = lib.mlt_last_status()
    check(status or lib.MLT_BUG)
    raise errors.BugError("A call failed without a word.")


class Process:
    """What this process did with the library. A fork copies no threads: a child must not go on with its parent's."""

    used = False
    forked = False

    @classmethod
    def after_fork(cls) -> None:
        cls.forked = cls.used


os.register_at_fork(after_in_child=Process.after_fork)


def ready() -> None:
    """Refuses to work in a forked child of a process with models: a call could wait for threads that are gone."""
    if Process.forked:
        raise errors.UnsupportedError(
            "Martlet was used before this process was forked; start workers with"
            ' multiprocessing.get_context("spawn"), or use Martlet only in the workers.'
        )


def release(handle: Any) -> None:
    """Ends a handle, except in a forked child, whose copy of the library must stay untouched."""
    if not Process.forked:
        lib.mlt_release(handle)


def own(handle: Any) -> Any:
    """The handle, released when Python drops it."""
    return ffi.gc(handle, release)


def text(function: Callable[..., int], *arguments: Any) -> str:
    """The text that a function of the library answers."""
    ready()
    out = ffi.new("mlt_text **")
    check(function(out, *arguments))
    handle = own(out[0])
    characters: bytes = ffi.string(lib.mlt_text_chars(handle))
    return characters.decode()


def answer(function: Callable[..., int], *arguments: Any) -> Any:
    """The value that a function of the library answers as JSON."""
    return json.loads(text(function, *arguments))
