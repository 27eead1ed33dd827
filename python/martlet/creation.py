"""Creation functions of the Python array API, and random numbers.

Without `dtype`, floating-point results are float32, integers int32 (int64 if they do not fit), booleans bool, complex
numbers complex64; NumPy arrays keep their element type. `device` is one of `martlet.devices()`, or "auto", the default:
the selector chooses one for each call.
"""

from __future__ import annotations

import builtins
import threading
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from martlet._arguments import (
    alias,
    apply,
    cast,
    filled,
    owned,
    placed,
    reshaped,
    sizes,
    tensor,
    whole,
)
from martlet._sharing import can_share, shared
from martlet.data_types import DEFAULTS, DType, broadcast_shapes, element_type, float32, scalar_kind
from martlet.errors import InvalidArgumentError, OutOfRangeError, WrongTypeError
from martlet.manipulation import expanded
from martlet.tensor import Tensor

__all__ = [
    "arange",
    "asarray",
    "empty",
    "empty_like",
    "eye",
    "from_dlpack",
    "from_numpy",
    "full",
    "full_like",
    "linspace",
    "manual_seed",
    "meshgrid",
    "ones",
    "ones_like",
    "rand",
    "randint",
    "randn",
    "tril",
    "triu",
    "zeros",
    "zeros_like",
]

Shape = int | Sequence[int]


def asarray(
    obj: Any, /, *, dtype: DType | None = None, device: str | None = None, copy: builtins.bool | None = None
) -> Tensor:
    """A tensor of what is given.

    Args:
        obj: a tensor, an array, a number, nested sequences of numbers, or an object with the buffer protocol.
        dtype: the element type; else that of the object, for Python's numbers the default one.
        device: where the tensor is to be.
        copy: True always copies; None copies what is not a tensor; False takes a NumPy array's memory as it is and
            fails if a conversion is needed. That memory must not change as long as the tensor exists.

    Returns:
        A tensor of the object's shape.

    Raises:
        InvalidArgumentError: sequences are ragged, or copy is False and a conversion is needed.
        OutOfRangeError: an integer does not fit the element type.
        WrongTypeError: the object does not hold numbers.
    """
    wanted = None if dtype is None else element_type(dtype)
    if not isinstance(obj, Tensor):
        return placed(over(obj, wanted) if copy is False else owned(array_of(obj, wanted)), device)
    if copy is False and wanted not in (None, obj.dtype):
        raise InvalidArgumentError(f"A tensor of {obj.dtype} cannot become one of {wanted} without a copy.")
    if copy is False or (copy is None and wanted in (None, obj.dtype)):
        return placed(obj, device)
    return placed(cast(obj, wanted or obj.dtype, copy=True), device)


def over(obj: Any, dtype: DType | None) -> Tensor:
    """A tensor over an array's memory, without a copy."""
    if isinstance(obj, np.ndarray) and obj.size == 0 and dtype in (None, obj.dtype):
        return owned(array_of(obj, dtype))  # there is nothing to copy, and no memory to share
    if not isinstance(obj, np.ndarray) or dtype not in (None, obj.dtype) or not can_share(obj):
        words = f"array of {obj.dtype} {obj.shape}" if isinstance(obj, np.ndarray) else type(obj).__name__
        raise InvalidArgumentError(
            f"The {words} cannot become a tensor without a copy; a NumPy array in rows and of the same type can."
        )
    element_type(obj.dtype)
    return shared(obj)


def array_of(obj: Any, dtype: DType | None) -> NDArray[Any]:
    """The elements of an object in a NumPy array of its own."""
    try:
        array = np.array(obj, dtype, order="C")
    except OverflowError as error:
        raise OutOfRangeError(f"{error}; the element type is {dtype}.") from None
    except (TypeError, ValueError) as error:
        kind = WrongTypeError if isinstance(error, TypeError) else InvalidArgumentError
        raise kind(f"The {type(obj).__name__} does not make a tensor: {error}") from None
    if dtype is None and is_python(obj):
        array = defaulted(array)
    element_type(array.dtype)
    return array


def is_python(obj: Any) -> builtins.bool:
    """Whether an object is a Python number, or sequences of such, whose numbers have no element type of their own."""
    while isinstance(obj, (list, tuple, range)):
        if len(obj) == 0:
            return True
        obj = obj[0]
    return scalar_kind(obj) is not None


def defaulted(array: NDArray[Any]) -> NDArray[Any]:
    """Python's numbers in the default types; integers keep their type if int32 cannot hold them."""
    kinds = {"f": DEFAULTS[float], "c": DEFAULTS[complex]}
    if array.dtype.kind == "i" and (array.size == 0 or (array.min() >= -(2**31) and array.max() < 2**31)):
        return array.astype(np.int32)
    with np.errstate(over="ignore"):
        return array.astype(kinds.get(array.dtype.kind, array.dtype))


def from_numpy(array: NDArray[Any], /) -> Tensor:
    """A tensor of the elements of a NumPy array, with its shape and element type.

    Raises:
        WrongTypeError: it is not an array, or its elements are not numbers.
    """
    if not isinstance(array, (np.ndarray, np.generic)):
        raise WrongTypeError(f"A {type(array).__name__} is no NumPy array; take martlet.asarray.")
    return tensor(array)


def from_dlpack(x: Any, /, *, device: str | None = None, copy: builtins.bool | None = None) -> Tensor:
    """A tensor of an object that speaks DLPack, such as an array of another library.

    Args:
        x: an object with `__dlpack__` and `__dlpack_device__`. Without a copy its memory is used as it is, and must not
            change as long as the tensor is there.
        device: where the tensor is to be.
        copy: True always copies, None where needed, False never.

    Raises:
        WrongTypeError: the object does not speak DLPack, or its elements are not numbers.
        InvalidArgumentError: its elements are not in memory that the CPU reads, or need a copy that is not wanted.
    """
    if isinstance(x, Tensor):
        return placed(x if copy is False else alias(x), device)
    if not hasattr(x, "__dlpack__"):
        raise WrongTypeError(f"A {type(x).__name__} does not speak DLPack.")
    try:
        array = np.from_dlpack(x)
    except (BufferError, RuntimeError) as error:
        raise InvalidArgumentError(f"The {type(x).__name__} cannot be taken over by DLPack: {error}") from error
    element_type(array.dtype)
    if copy is False or (copy is None and can_share(array)):
        return placed(over(array, None), device)
    return owned(array, device)


def full(shape: Shape, fill_value: complex, *, dtype: DType | None = None, device: str | None = None) -> Tensor:
    """One value everywhere.

    Args:
        shape: one size or several.
        fill_value: the value; it gives the element type where `dtype` does not.

    Raises:
        InvalidArgumentError: a size is negative.
        OutOfRangeError: the element type cannot hold the value.
    """
    value = array_of(fill_value, None if dtype is None else element_type(dtype))
    return filled(sizes(shape), value, value.dtype, device)


def empty(shape: Shape, *, dtype: DType | None = None, device: str | None = None) -> Tensor:
    """A tensor whose elements mean nothing yet; they are 0. float32 where `dtype` is left out."""
    return zeros(shape, dtype=dtype, device=device)


def zeros(shape: Shape, *, dtype: DType | None = None, device: str | None = None) -> Tensor:
    """0 everywhere; float32 where `dtype` is left out.

    Raises:
        InvalidArgumentError: a size is negative.
    """
    return full(shape, 0, dtype=dtype or float32, device=device)


def ones(shape: Shape, *, dtype: DType | None = None, device: str | None = None) -> Tensor:
    """1 everywhere; float32 where `dtype` is left out.

    Raises:
        InvalidArgumentError: a size is negative.
    """
    return full(shape, 1, dtype=dtype or float32, device=device)


def empty_like(x: Tensor, /, *, dtype: DType | None = None, device: str | None = None) -> Tensor:
    """A tensor of the shape, and by default the element type, of x; its elements are 0."""
    return full(x.shape, 0, dtype=dtype or x.dtype, device=device)


def zeros_like(x: Tensor, /, *, dtype: DType | None = None, device: str | None = None) -> Tensor:
    """0 everywhere in the shape, and by default the element type, of x."""
    return full(x.shape, 0, dtype=dtype or x.dtype, device=device)


def ones_like(x: Tensor, /, *, dtype: DType | None = None, device: str | None = None) -> Tensor:
    """1 everywhere in the shape, and by default the element type, of x."""
    return full(x.shape, 1, dtype=dtype or x.dtype, device=device)


def full_like(x: Tensor, /, fill_value: complex, *, dtype: DType | None = None, device: str | None = None) -> Tensor:
    """One value everywhere in the shape, and by default the element type, of x.

    Raises:
        OutOfRangeError: the element type cannot hold the value.
    """
    return full(x.shape, fill_value, dtype=dtype or x.dtype, device=device)


def eye(
    n_rows: int,
    n_cols: int | None = None,
    /,
    *,
    k: int = 0,
    dtype: DType | None = None,
    device: str | None = None,
) -> Tensor:
    """1 on one diagonal, 0 elsewhere.

    Args:
        n_rows, n_cols: the shape; as many columns as rows where they are left out.
        k: the diagonal; positive ones lie above the main one.
    """
    rows, columns = sizes((n_rows, n_rows if n_cols is None else n_cols))
    diagonal = max(min(whole(k, "The diagonal"), columns), -rows)
    return owned(np.eye(rows, columns, diagonal, element_type(dtype or float32)), device)


def arange(
    start: float,
    /,
    stop: float | None = None,
    step: float = 1,
    *,
    dtype: DType | None = None,
    device: str | None = None,
) -> Tensor:
    """The numbers from start in steps, before stop; from 0 where there is one number only.

    Returns:
        `[⌈(stop - start) / step⌉]`, of int32 (int64 where they do not fit) or float32 where `dtype` is left out.

    Raises:
        InvalidArgumentError: the step is 0.
    """
    first: Any = 0 if stop is None else start
    last: Any = start if stop is None else stop
    if step == 0:
        raise InvalidArgumentError("The step is 0; it must be another number.")
    wanted = None if dtype is None else element_type(dtype)
    if not all(isinstance(value, int) for value in (first, last, step)):
        values = np.arange(first, last, step, dtype=np.float64)
        return owned(values.astype(wanted or float32), device)
    if wanted is not None and wanted.kind not in "iu":
        return owned(np.arange(first, last, step, dtype=np.float64).astype(wanted), device)
    values = np.arange(first, last, step, dtype=wanted)
    return owned(values if wanted else defaulted(values), device)


def linspace(
    start: complex,
    stop: complex,
    /,
    num: int,
    *,
    dtype: DType | None = None,
    device: str | None = None,
    endpoint: builtins.bool = True,
) -> Tensor:
    """Numbers at equal distances.

    Args:
        start, stop: the first number and the last, or where the last would be followed without `endpoint`.
        num: how many.

    Returns:
        `[num]`, of float32, or complex64 for complex ends, where `dtype` is left out.

    Raises:
        InvalidArgumentError: `num` is negative.
    """
    number = sizes(num)[0]
    kind = complex if isinstance(start, complex) or isinstance(stop, complex) else float
    values = np.linspace(start, stop, number, endpoint=endpoint)
    return owned(values.astype(DEFAULTS[kind] if dtype is None else element_type(dtype)), device)


def meshgrid(*arrays: Tensor, indexing: Literal["xy", "ij"] = "xy") -> list[Tensor]:
    """The coordinates of a grid: each tensor `[n]` repeated over the grid that all span.

    Args:
        arrays: one tensor of one axis for each axis of the grid.
        indexing: `ij` puts the axes in the order of the arrays, `xy` swaps the first two.

    Raises:
        InvalidArgumentError: an array has several axes, or the element types differ.
    """
    if indexing not in ("xy", "ij"):
        raise InvalidArgumentError(f"The indexing is {indexing!r}; it must be 'xy' or 'ij'.")
    lines = [tensor(array) for array in arrays]
    for line in lines:
        if line.ndim > 1:
            raise InvalidArgumentError(f"The tensor has shape {line.shape}; those of a grid have one axis.")
    places = list(range(len(lines)))
    if indexing == "xy" and len(lines) > 1:
        places[:2] = [1, 0]
    spread = [
        reshaped(line, tuple(line.size if axis == place else 1 for axis in range(len(lines))))
        for place, line in zip(places, lines)
    ]
    shape = broadcast_shapes(*(line.shape for line in spread))
    return [expanded(line, shape) for line in spread]


def tril(x: Tensor, /, *, k: int = 0) -> Tensor:
    """The last two axes with 0 above the diagonal k; positive diagonals lie above the main one.

    Raises:
        InvalidArgumentError: there are fewer than two axes.
    """
    return triangle(x, whole(k, "The diagonal"), True)


def triu(x: Tensor, /, *, k: int = 0) -> Tensor:
    """The last two axes with 0 below the diagonal k; positive diagonals lie above the main one.

    Raises:
        InvalidArgumentError: there are fewer than two axes.
    """
    return triangle(x, whole(k, "The diagonal") - 1, False)


def triangle(x: Any, k: int, is_lower: builtins.bool) -> Tensor:
    """What lies on and below a diagonal, or what lies above it; 0 elsewhere."""
    x = tensor(x)
    if x.ndim < 2:
        raise InvalidArgumentError(f"Shape {x.shape} is no matrix; it needs two axes.")
    if x.size == 0:
        return alias(x)
    rows, columns = x.shape[-2:]
    below = np.tri(rows, columns, max(min(k, columns), -rows), np.bool_)
    zero = filled((), 0, x.dtype)
    return apply("select", owned(below if is_lower else ~below), x, zero, names=("cond", "a", "b"))


class Randomness:
    """The generator of random numbers, shared by all threads. Made at its first use: NumPy's takes long to import."""

    lock = threading.Lock()
    generator: np.random.Generator | None = None

    @classmethod
    def draw(cls, name: str, *arguments: Any, **more: Any) -> NDArray[Any]:
        """What one method of the generator answers."""
        with cls.lock:
            cls.generator = cls.generator or np.random.default_rng()
            return np.asarray(getattr(cls.generator, name)(*arguments, **more))


def manual_seed(seed: int) -> None:
    """Starts the sequence of random numbers anew: the same seed gives the same numbers."""
    with Randomness.lock:
        Randomness.generator = np.random.default_rng(seed)


def shape_of(shape: tuple[Any, ...]) -> tuple[int, ...]:
    """A shape given as several numbers or as one sequence."""
    return sizes(shape[0] if len(shape) == 1 else shape)


def rand(*shape: Any, dtype: DType | None = None, device: str | None = None) -> Tensor:
    """Random numbers spread evenly from 0 up to 1, 1 itself left out: `rand(2, 3)` or `rand((2, 3))`.

    Args:
        shape: the sizes.
        dtype: a floating-point type; float32 where left out.
    """
    return drawn("random", shape, dtype, device)


def randn(*shape: Any, dtype: DType | None = None, device: str | None = None) -> Tensor:
    """Random numbers from the standard normal distribution: `randn(2, 3)` or `randn((2, 3))`.

    Args:
        shape: the sizes.
        dtype: a floating-point type; float32 where left out.
    """
    return drawn("standard_normal", shape, dtype, device)


def drawn(name: str, shape: tuple[Any, ...], dtype: DType | None, device: str | None) -> Tensor:
    """Floating-point random numbers."""
    wanted = float32 if dtype is None else element_type(dtype)
    if wanted.kind != "f":
        raise WrongTypeError(f"Random numbers of this kind are floating-point ones, not {wanted}.")
    source = np.float64 if wanted == np.float64 else np.float32
    return owned(Randomness.draw(name, shape_of(shape), source).astype(wanted, copy=False), device)


def randint(
    low: int, high: int | None = None, size: Shape = (), *, dtype: DType | None = None, device: str | None = None
) -> Tensor:
    """Random integers from low up to but not including high; from 0 up to but not including low if high is None.

    Args:
        size: the shape.
        dtype: an integer type; int32 by default.

    Raises:
        InvalidArgumentError: the range is empty, its numbers do not fit the type, or a size is negative.
        WrongTypeError: dtype is not an integer type.
    """
    wanted = np.dtype(np.int32) if dtype is None else element_type(dtype)
    first, last = (0, low) if high is None else (low, high)
    if wanted.kind not in "iu":
        raise WrongTypeError(f"Random integers need an integer type, not {wanted}.")
    try:
        return owned(np.array(Randomness.draw("integers", first, last, sizes(size), dtype=wanted)), device)
    except ValueError as error:
        raise InvalidArgumentError(f"The numbers from {first} to {last} in {wanted}: {error}.") from None
