"""Memory of others under a tensor: an array's elements are used where they are, and the array is kept as long."""

from __future__ import annotations

import itertools
from typing import Any

from numpy.typing import NDArray

from martlet._native import callback, check, ffi, lib
from martlet.ports import CODES
from martlet.tensor import Tensor

__all__ = ["can_share", "shared"]

# The arrays under living tensors, by a number that never comes again.
KEPT: dict[int, NDArray[Any]] = {}
NUMBERS = itertools.count(1)


@callback("void(void *)")
def let_go(context: Any) -> None:
    """Called by the library, on any thread, when no tensor and no run uses an array's memory any more."""
    KEPT.pop(int(ffi.cast("uintptr_t", context)), None)


def can_share(array: NDArray[Any]) -> bool:
    """Whether an array lies in memory as a tensor does: in rows, aligned, in the machine's byte order."""
    flags = array.flags
    return bool(array.size and flags.c_contiguous and flags.aligned and array.dtype.isnative)


def shared(array: NDArray[Any]) -> Tensor:
    """A tensor over an array's memory, which must not change as long as the tensor is there."""
    number = next(NUMBERS)
    KEPT[number] = array
    out = ffi.new("mlt_tensor **")
    code, data = CODES[array.dtype.name], ffi.cast("void *", array.ctypes.data)
    context = ffi.cast("void *", number)
    status = lib.mlt_tensor_wrap(out, code, array.ndim, list(array.shape), data, array.nbytes, let_go, context)
    if status:
        del KEPT[number]
        check(status)
    return Tensor._adopt(out[0])
