"""Element types: their names, their limits, and the rules by which two of them become one.

An element type is a `numpy.dtype`: `martlet.float32 == numpy.dtype("float32")`.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import zip_longest
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import martlet
from martlet.errors import InvalidArgumentError, OutOfMemoryError, WrongTypeError

__all__ = [
    "astype",
    "bool",
    "broadcast_arrays",
    "broadcast_shapes",
    "broadcast_to",
    "can_cast",
    "complex64",
    "complex128",
    "finfo",
    "float16",
    "float32",
    "float64",
    "iinfo",
    "int8",
    "int16",
    "int32",
    "int64",
    "isdtype",
    "result_type",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
]

DType: TypeAlias = np.dtype[Any]

bool = np.dtype("bool")
int8 = np.dtype("int8")
int16 = np.dtype("int16")
int32 = np.dtype("int32")
int64 = np.dtype("int64")
uint8 = np.dtype("uint8")
uint16 = np.dtype("uint16")
uint32 = np.dtype("uint32")
uint64 = np.dtype("uint64")
float16 = np.dtype("float16")
float32 = np.dtype("float32")
float64 = np.dtype("float64")
complex64 = np.dtype("complex64")
complex128 = np.dtype("complex128")

SIGNED = (int8, int16, int32, int64)
UNSIGNED = (uint8, uint16, uint32, uint64)
FLOATS = (float16, float32, float64)
COMPLEXES = (complex64, complex128)
ALL = (bool, *SIGNED, *UNSIGNED, *FLOATS, *COMPLEXES)

KINDS: dict[str, tuple[DType, ...]] = {
    "bool": (bool,),
    "signed integer": SIGNED,
    "unsigned integer": UNSIGNED,
    "integral": (*SIGNED, *UNSIGNED),
    "real floating": FLOATS,
    "complex floating": COMPLEXES,
    "numeric": ALL[1:],
}

# The types that Python's own numbers become where nothing else decides.
DEFAULTS: dict[type, DType] = {builtins.bool: bool, int: int32, float: float32, complex: complex64}

# bool, whole, floating-point and complex numbers, in the order in which they widen.
ORDER = {"b": 0, "i": 1, "u": 1, "f": 2, "c": 3}


# Called for nearly every operation: the cache makes it a look-up.
@lru_cache(maxsize=256)
def element_type(dtype: Any) -> DType:
    """One of Martlet's element types, from a `numpy.dtype`, a NumPy class, a Python class or a name.

    Python's `int`, `float` and `complex` mean the default types int32, float32 and complex64.

    Raises:
        WrongTypeError: it is none of them.
    """
    if isinstance(dtype, type) and dtype in DEFAULTS:
        return DEFAULTS[dtype]
    try:
        found: DType = np.dtype(dtype)
    except TypeError:
        raise WrongTypeError(f"{dtype!r} is no element type.") from None
    if found not in ALL:
        raise WrongTypeError(f"{found} is no element type of a tensor; there are {', '.join(d.name for d in ALL)}.")
    return found.newbyteorder("=")


@lru_cache(maxsize=256)
def promoted(first: DType, second: DType) -> DType:
    """The type that two types become together.

    These are the rules of the array API. Where it leaves the result open, an integer takes the type of the
    floating-point or complex number beside it, and int64 with uint64 becomes float64.
    """
    low, high = sorted((first, second), key=lambda dtype: (ORDER[dtype.kind], dtype.itemsize))
    if low == high or low.kind == "b":
        return high
    if ORDER[low.kind] == ORDER[high.kind]:
        return np.promote_types(low, high)
    return complex128 if low == float64 else high


def weak_type(kind: type, dtype: DType) -> DType:
    """The type that a Python number takes beside a tensor: the tensor's own, where that can hold such numbers."""
    default = DEFAULTS[kind]
    if ORDER[default.kind] <= ORDER[dtype.kind]:
        return dtype
    return complex128 if kind is complex and dtype == float64 else default


def scalar_kind(value: Any) -> type | None:
    """Python's class of a Python number, NumPy's scalars left out; None for everything else."""
    for kind in (builtins.bool, int, float, complex):
        if isinstance(value, kind) and not isinstance(value, np.generic):
            return kind
    return None


def result_type(*arrays_and_dtypes: martlet.Tensor | NDArray[Any] | complex | DType) -> DType:
    """The element type that tensors, element types and Python numbers have together.

    Python numbers are weak: they change the result only where it cannot hold numbers of their kind.

    Raises:
        InvalidArgumentError: there are no arguments.
        WrongTypeError: an argument is none of these.
    """
    if not arrays_and_dtypes:
        raise InvalidArgumentError("result_type has no arguments; it needs one.")
    kinds = [kind for kind in map(scalar_kind, arrays_and_dtypes) if kind]
    others: list[Any] = [x for x in arrays_and_dtypes if not scalar_kind(x)]
    strong = [element_type(getattr(x, "dtype", x)) for x in others]
    if not strong:
        return reduce(promoted, (DEFAULTS[kind] for kind in kinds))
    return reduce(lambda dtype, kind: weak_type(kind, dtype), kinds, reduce(promoted, strong))


def can_cast(from_: DType | martlet.Tensor, to: DType, /) -> builtins.bool:
    """Whether a type becomes another by promotion, so that no value changes its kind."""
    source, target = element_type(getattr(from_, "dtype", from_)), element_type(to)
    return promoted(source, target) == target


def isdtype(dtype: DType, kind: DType | str | tuple[DType | str, ...]) -> builtins.bool:
    """Whether an element type is of a kind: a type, a name such as `"real floating"`, or one of a tuple of these.

    The names: `bool`, `signed integer`, `unsigned integer`, `integral`, `real floating`, `complex floating`, `numeric`.

    Raises:
        InvalidArgumentError: there is no kind of that name.
    """
    if isinstance(kind, tuple):
        return any(isdtype(dtype, one) for one in kind)
    if isinstance(kind, str):
        if kind not in KINDS:
            raise InvalidArgumentError(f"There is no kind {kind!r} of element types; there are {', '.join(KINDS)}.")
        return element_type(dtype) in KINDS[kind]
    return element_type(dtype) == element_type(kind)


@dataclass(frozen=True)
class FloatLimits:
    """What `finfo` answers: `bits` of one real number, the distance `eps` from 1 to the next, and the limits."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: DType


@dataclass(frozen=True)
class IntegerLimits:
    """What `iinfo` answers."""

    bits: int
    max: int
    min: int
    dtype: DType


def finfo(type: DType | martlet.Tensor, /) -> FloatLimits:
    """The limits of a floating-point type, for a complex type those of its parts.

    Raises:
        WrongTypeError: the type is neither floating-point nor complex.
    """
    dtype = element_type(getattr(type, "dtype", type))
    if dtype.kind not in "fc":
        raise WrongTypeError(f"finfo takes a floating-point or complex type, not {dtype}.")
    found = np.finfo(dtype)
    eps, largest, least, normal = map(float, (found.eps, found.max, found.min, found.smallest_normal))
    return FloatLimits(int(found.bits), eps, largest, least, normal, np.dtype(found.dtype))


def iinfo(type: DType | martlet.Tensor, /) -> IntegerLimits:
    """The limits of an integer type.

    Raises:
        WrongTypeError: the type is no integer type.
    """
    dtype = element_type(getattr(type, "dtype", type))
    if dtype.kind not in "iu":
        raise WrongTypeError(f"iinfo takes an integer type, not {dtype}.")
    found = np.iinfo(dtype)
    return IntegerLimits(int(found.bits), int(found.max), int(found.min), dtype)


# The most that the library lets a tensor hold.
LARGEST_BYTE_COUNT = 64 << 30


def fitting(shape: tuple[int, ...], dtype: DType) -> tuple[int, ...]:
    """A shape, if there can be a tensor of it.

    Raises:
        OutOfMemoryError: it would be larger than the library lets any be.
    """
    if math.prod(shape) * dtype.itemsize > LARGEST_BYTE_COUNT:
        words = f"{LARGEST_BYTE_COUNT >> 30} GiB, the most a tensor may hold"
        raise OutOfMemoryError(f"A {dtype} tensor of shape {shape} is larger than {words}.")
    return shape


def broadcast_shapes(*shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape that several shapes broadcast to.

    Raises:
        InvalidArgumentError: they do not.
        OutOfMemoryError: they do, to more elements than a tensor may hold.
    """
    try:
        return tuple(np.broadcast_shapes(*map(tuple, shapes)))
    except ValueError:
        words = ", ".join(str(tuple(shape)) for shape in shapes)
        columns = zip_longest(*(tuple(shape)[::-1] for shape in shapes), fillvalue=1)
        stretched = [{*column} - {1} or {1} for column in columns]
        if all(len(each) == 1 for each in stretched) and math.prod(map(max, stretched)) > LARGEST_BYTE_COUNT:
            raise OutOfMemoryError(f"Shapes {words} broadcast to more elements than a tensor may hold.") from None
        raise InvalidArgumentError(
            f"Shapes {words} do not broadcast; counted from the right, sizes must be equal or 1."
        ) from None


def astype(
    x: martlet.Tensor, dtype: DType, /, *, copy: builtins.bool = True, device: str | None = None
) -> martlet.Tensor:
    """The elements in another type. Floating-point numbers are cut towards zero; 0 becomes False, all else True.

    Tensors never change under an alias, so `copy` asks for nothing that is not so already.

    Raises:
        WrongTypeError: complex numbers were to become real ones; take `real` or `abs`.
    """
    from martlet._arguments import cast, placed, tensor

    return placed(cast(tensor(x), element_type(dtype), copy=copy), device)


def broadcast_to(x: martlet.Tensor, /, shape: tuple[int, ...]) -> martlet.Tensor:
    """The tensor repeated to a shape it broadcasts to.

    Raises:
        InvalidArgumentError: it does not broadcast to that shape.
        OutOfMemoryError: the result is larger than a tensor may be.
    """
    from martlet.manipulation import expanded

    return expanded(x, shape)


def broadcast_arrays(*arrays: martlet.Tensor) -> list[martlet.Tensor]:
    """The tensors, each repeated to the shape that all broadcast to. Element types stay.

    Raises:
        InvalidArgumentError: the shapes do not broadcast.
    """
    shape = broadcast_shapes(*(array.shape for array in arrays))
    return [broadcast_to(array, shape) for array in arrays]
