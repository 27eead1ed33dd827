"""What Martlet raises. Each class is a `martlet.Error` and also the class Python itself would raise."""

from __future__ import annotations

__all__ = [
    "BadHandleError",
    "BugError",
    "CallbackError",
    "Error",
    "InvalidArgumentError",
    "MalformedError",
    "NotFoundError",
    "OutOfMemoryError",
    "OutOfRangeError",
    "UnsupportedError",
    "WrongTypeError",
]


class Error(Exception):
    """The base of everything Martlet raises."""


class InvalidArgumentError(Error, ValueError):
    """A shape, a size, a name or an option that is not acceptable."""


class WrongTypeError(Error, TypeError):
    """An element type that is not the one asked for and cannot become it without loss."""


class NotFoundError(Error, FileNotFoundError):
    """No such file or folder."""


class MalformedError(Error, ValueError):
    """A file or a text that is not what it should be."""


class UnsupportedError(Error, NotImplementedError):
    """Correct, but nothing here can run it."""


class OutOfMemoryError(Error, MemoryError):
    """More memory than there is, or than anyone could mean."""


class BadHandleError(Error, RuntimeError):
    """A handle that is NULL, released or of another kind."""


class OutOfRangeError(Error, IndexError):
    """An index outside its range."""


class BugError(Error, RuntimeError):
    """A fault of Martlet's own: please report it."""


class CallbackError(Error, RuntimeError):
    """Code of the caller's that Martlet called back failed; `__cause__` is what a Python function raised."""
