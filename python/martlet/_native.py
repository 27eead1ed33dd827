"""The door to libmartlet: finds and loads it, turns its statuses into exceptions and its texts into values."""

from __future__ import annotations

import ctypes
import json
import operator
import os
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, NoReturn

from martlet import errors
from martlet._printable import printable

try:
    from martlet._martlet_abi import ffi
except ImportError as error:
    raise ImportError("this copy of martlet is not built: run ./build.sh in its repository") from error

__all__ = ["answer", "callback", "check", "fail", "ffi", "lib", "library_path", "own", "text", "thread_count"]

FILE_NAME = "libmartlet.dylib" if sys.platform == "darwin" else "libmartlet.so"


def library_path() -> str:
    """Where libmartlet is: `MARTLET_LIBRARY`, else beside this file."""
    chosen = os.environ.get("MARTLET_LIBRARY")
    path = chosen or os.path.join(os.path.dirname(__file__), FILE_NAME)
    if not os.path.isfile(path):
        reason = "MARTLET_LIBRARY names" if chosen else "the package lacks"
        raise ImportError(f"{reason} {path}, which is no file: run ./build.sh, or set MARTLET_LIBRARY to {FILE_NAME}")
    return os.path.realpath(path)


def load_library() -> Any:
    path = library_path()
    try:
        return opened(path)
    except OSError as error:
        raise ImportError(f"{path} cannot be loaded: {error}") from error


def opened(path: str) -> Any:
    """A library that stays until the process ends. cffi closes one with its module, but tensors can be released later,
    and the library's threads run on.
    """
    return ffi.dlopen(path, ffi.RTLD_NOW | ffi.RTLD_NODELETE)


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
        raise ERRORS.get(status, errors.BugError)(printable(message)) from cause


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


def fail() -> NoReturn:
    """Raises the error that the library reported last on this thread, after a call has returned NULL."""
    status = lib.mlt_last_status()
    check(status or lib.MLT_BUG)
    raise errors.BugError("A call failed, and the library reported no error.")


def release(handle: Any, end: Callable[[Any], int] = lib.mlt_release) -> None:
    """Releases a handle. The last handles go after Python has cleared this module, hence the default."""
    end(handle)


def own(handle: Any) -> Any:
    """The handle, released when Python drops it."""
    return ffi.gc(handle, release)


def callback(signature: str, otherwise: int | None = None, forever: bool = True) -> Callable[[Callable[..., Any]], Any]:
    """A decorator that makes a function callable from C: until the process ends, or, not `forever`, while it is held.

    What the function raises, Ctrl-C included, is raised where the library was called, once it has returned; C is
    answered `otherwise`. The library may call while Python ends, too, when the modules that the function needs are
    cleared: from then on C is answered `otherwise`, and Python's function is not called.
    """

    def decorate(function: Callable[..., Any], is_ending: Callable[[], bool] = sys.is_finalizing) -> Any:
        def guarded(*arguments: Any) -> Any:
            return otherwise if is_ending() else function(*arguments)

        pointer = ffi.callback(signature, guarded, error=otherwise, onerror=RAISED.escape)
        if forever:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(pointer))  # cffi frees the C function with this object
        return pointer

    return decorate


def text(function: Callable[..., int], *arguments: Any) -> str:
    """The text that a function of the library answers."""
    out = ffi.new("mlt_text **")
    check(function(out, *arguments))
    handle = own(out[0])
    characters: bytes = ffi.string(lib.mlt_text_chars(handle))
    return characters.decode()


def thread_count(count: int) -> int:
    """A number of threads as an int32. The library refuses what is not possible; what no int32 holds is as impossible
    as the nearest one that it does.
    """
    try:
        number = operator.index(count)
    except TypeError:
        raise errors.WrongTypeError(f"The number of threads is {count!r}; it must be an integer.") from None
    return max(min(number, 2**31 - 1), -1)


def answer(function: Callable[..., int], *arguments: Any) -> Any:
    """The value that a function of the library answers as JSON."""
    return json.loads(text(function, *arguments))
