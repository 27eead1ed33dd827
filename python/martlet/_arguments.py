"""What comes in from outside: operands, shapes, axes and devices, each brought to one form and checked here."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from martlet import _call
from martlet import tensor as core
from martlet._call import part
from martlet._native import fail, lib
from martlet.data_types import DEFAULTS, DType, element_type, fitting, scalar_kind, weak_type
from martlet.errors import InvalidArgumentError, OutOfRangeError, WrongTypeError
from martlet.methods import Axis as Axis
from martlet.ports import MIL_NAMES
from martlet.tensor import Tensor

# What an operand of an elementwise function may be; Python's numbers take the type of the tensor beside them.
Operand: TypeAlias = Tensor | NDArray[Any] | complex
# What is made a tensor where one is wanted.
TensorLike: TypeAlias = Tensor | NDArray[Any] | complex | Sequence[Any]


def owned(array: NDArray[Any], device: str | None = None) -> Tensor:
    """A tensor with the elements of a NumPy array."""
    return placed(_call.copied(array), device)


def tensor(x: Any) -> Tensor:
    """A tensor as it is; a NumPy array, a NumPy scalar or a Python number as a tensor.

    Raises:
        WrongTypeError: it is something else.
    """
    if isinstance(x, Tensor):
        return x
    if isinstance(x, (np.ndarray, np.generic)):
        element_type(x.dtype)
        return Tensor(x)
    if kind := scalar_kind(x):
        return number(x, default_type(x, kind))
    raise WrongTypeError(f"A {type(x).__name__} is no tensor; make one with martlet.asarray.")


def default_type(value: Any, kind: type) -> DType:
    """The default type of a Python number: int64 for an integer that int32 cannot hold."""
    return np.dtype("int64") if kind is int and not -(2**31) <= value < 2**31 else DEFAULTS[kind]


def number(value: complex, dtype: DType) -> Tensor:
    """A Python number as a tensor of rank 0; those used last are kept.

    Raises:
        OverflowError: the type cannot hold the integer.
    """
    return core.scalar_tensor(scalar_kind(value), str(value), dtype)


def operand(x: Any, beside: Tensor) -> Tensor:
    """An operand beside a tensor: Python's numbers take its element type where that can hold such numbers."""
    if isinstance(x, Tensor):
        return x
    if kind := scalar_kind(x):
        return number(x, weak_type(kind, beside.dtype))
    return tensor(x)


def pair(x1: Any, x2: Any) -> tuple[Tensor, Tensor]:
    """Two operands as tensors."""
    if isinstance(x1, Tensor):
        return x1, operand(x2, x1)
    if isinstance(x2, Tensor):
        return operand(x1, x2), x2
    if scalar_kind(x1):
        second = tensor(x2)
        return operand(x1, second), second
    first = tensor(x1)
    return first, operand(x2, first)


@lru_cache(maxsize=2048)
def handle(op: str, names: tuple[str, ...], constants: tuple[tuple[str, Any], ...] = ()) -> Any:
    """An op with its constants, looked up once."""
    return _call.op(op, names, constants)


NAMES_OF = ((), ("x",), ("x", "y"))


def apply(op: str, *operands: Tensor, names: tuple[str, ...] | None = None, **constants: Any) -> Tensor:
    """Runs an op of one result whose operands are all tensors, or writes it into the function that is being traced.

    Args:
        op: its name.
        operands: the tensors, for the parameters x and y, or those that `names` gives; a name that repeats is a list.
        constants: the other parameters: numbers, texts, and tuples of them.
    """
    found = handle(op, names or NAMES_OF[len(operands)], tuple(constants.items()))
    if len(operands) == 1:
        made = lib.mlt_call1(found, operands[0]._handle)
    elif len(operands) == 2:
        made = lib.mlt_call2(found, operands[0]._handle, operands[1]._handle)
    else:
        result: Tensor = _call.run(found, operands)
        return result
    return Tensor._adopt(made) if made else fail()


SIZES = {code: dtype.itemsize for code, dtype in core.DTYPES.items()}


def cast(x: Tensor, dtype: DType, *, copy: bool = False) -> Tensor:
    """The elements in another type; the tensor itself where it has that type and no copy is asked for.

    Raises:
        WrongTypeError: complex numbers were to become real ones.
    """
    if x.dtype == dtype:
        return alias(x) if copy else x
    if x.dtype.kind == "c" and dtype.kind not in "cb":
        raise WrongTypeError(f"{x.dtype} does not become {dtype}; take real(x) or abs(x) first.")
    return apply("cast", x, dtype=MIL_NAMES.get(dtype.name, dtype.name))


def alias(x: Tensor) -> Tensor:
    """The same elements as another object, so that an assignment to one leaves the other as it is."""
    return x.copy()


def placed(x: Tensor, device: str | None) -> Tensor:
    """The tensor bound to a device; as it is where there is None.

    Raises:
        InvalidArgumentError: there is no such device.
    """
    return x if device is None else x.to(device)


def whole(value: Any, what: str) -> int:
    """A value as an integer; `what` names it in the message.

    Raises:
        WrongTypeError: the value is not an integer.
    """
    try:
        return operator.index(value)
    except TypeError:
        raise WrongTypeError(f"{what} is {value!r}; it must be an integer.") from None


def sizes(shape: int | Iterable[int]) -> tuple[int, ...]:
    """A shape: one size or several, none of them negative.

    Raises:
        InvalidArgumentError: a size is negative.
        WrongTypeError: a size is not an integer.
    """
    listed = shape if isinstance(shape, Iterable) else (shape,)
    result = tuple(whole(size, "A size") for size in listed)
    if any(size < 0 for size in result):
        raise InvalidArgumentError(f"The shape {result} holds a negative size.")
    return result


def one_axis(axis: Any, ndim: int, shape: Sequence[int]) -> int:
    """An axis counted from the front.

    Raises:
        OutOfRangeError: the tensor has no such axis.
    """
    place = whole(axis, "The axis")
    if not -ndim <= place < ndim:
        words = f"it must be from {-ndim} to {ndim - 1}" if ndim else "there are no axes"
        raise OutOfRangeError(f"The axis {place} lies outside shape {tuple(shape)}; {words}.")
    return place % ndim


def axes_of(axis: Axis, x: Tensor) -> tuple[int, ...]:
    """The axes an argument names, counted from the front and in its order; all where it is None.

    Raises:
        OutOfRangeError: the tensor has no such axis.
        InvalidArgumentError: an axis comes twice.
    """
    if axis is None:
        return tuple(range(x.ndim))
    listed = axis if isinstance(axis, Iterable) else (axis,)
    result = tuple(one_axis(one, x.ndim, x.shape) for one in listed)
    if len(set(result)) != len(result):
        raise InvalidArgumentError(f"The axes {tuple(listed)} of shape {x.shape} name one axis twice.")
    return result


def need(x: Tensor, kinds: str, words: str) -> None:
    """Refuses a tensor whose element type is of another kind; `kinds` are NumPy's letters.

    Raises:
        WrongTypeError: it is of another kind.
    """
    if x.dtype.kind not in kinds:
        raise WrongTypeError(f"The tensor is {x.dtype}; {words}.")


def reshaped(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The same elements under a shape of as many."""
    return apply("reshape", x, shape=shape) if x.is_traced else part(x, 0, shape)


def piece(x: Tensor, start: int, shape: tuple[int, ...]) -> Tensor:
    """Neighbours in memory, from an element on, under a shape of as many."""
    view = x._view()
    if not view.data:  # a traced tensor
        line = apply("reshape", x, shape=(-1,))
        return reshaped(apply("slice_by_size", line, begin=(start,), size=(count(shape),)), shape)
    return part(x, start * SIZES[view.dtype], shape)


def count(shape: Iterable[int]) -> int:
    """How many elements a shape has."""
    return math.prod(shape)


def filled(shape: tuple[int, ...], value: Any, dtype: DType, device: str | None = None) -> Tensor:
    """A tensor with one value everywhere.

    Raises:
        OutOfMemoryError: it would be larger than a tensor may be.
    """
    return owned(np.full(fitting(shape, dtype), value, dtype), device)
