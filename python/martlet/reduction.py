"""Statistical and utility functions of the Python array API: one result for all elements along some axes.

`axis` is one axis, several, or None for all; an empty tuple reduces nothing. `keepdims` keeps each reduced axis with
length 1. An axis that does not exist raises `OutOfRangeError` (an `IndexError`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from martlet._arguments import Axis, alias, apply, axes_of, cast, filled, need, one_axis, reshaped, tensor
from martlet.data_types import DType, element_type
from martlet.elementwise import not_equal, sqrt, subtract
from martlet.errors import InvalidArgumentError
from martlet.manipulation import concat, span
from martlet.tensor import Tensor

__all__ = [
    "all",
    "any",
    "count_nonzero",
    "cumulative_prod",
    "cumulative_sum",
    "diff",
    "max",
    "mean",
    "min",
    "prod",
    "std",
    "sum",
    "var",
]

int32, uint32, float32, bool_ = (np.dtype(name) for name in ("int32", "uint32", "float32", "bool"))


def wide_type(x: Tensor, dtype: DType | None) -> DType:
    """The type to sum in: the requested one, else that of x, with booleans and narrower integers widened to 32 bits."""
    if dtype is not None:
        return element_type(dtype)
    own = x.dtype
    if own.kind not in "biu" or own.itemsize > 4:
        return own
    return uint32 if own.kind == "u" else int32


def floating(x: Any) -> Tensor:
    """The elements as floating-point or complex numbers."""
    x = tensor(x)
    return cast(x, float32) if x.dtype.kind in "biu" else x


def is_nothing(axis: Axis) -> bool:
    """Whether an argument names no axes at all, which is not the same as leaving it out."""
    return isinstance(axis, Sequence) and not axis


def reduced(op: str, x: Tensor, axis: Axis, keepdims: bool, **constants: Any) -> Tensor:
    """One reduction; no axes to reduce leave the tensor as it is."""
    if axis is None:
        return apply(op, x, keep_dims=keepdims, **constants)
    axes = axes_of(axis, x)
    return apply(op, x, axes=axes, keep_dims=keepdims, **constants) if axes else alias(x)


def sum(x: Tensor, /, *, axis: Axis = None, dtype: DType | None = None, keepdims: bool = False) -> Tensor:
    """The sum along axes; 0 of nothing. Integers narrower than 32 bits are summed in 32 bits; all wrap around.

    Args:
        x: numeric elements, or booleans, which count as 0 and 1.
        dtype: the element type to sum in and to answer.

    Returns:
        A tensor without the reduced axes.
    """
    x = tensor(x)
    return reduced("reduce_sum", cast(x, wide_type(x, dtype)), axis, keepdims)


def prod(x: Tensor, /, *, axis: Axis = None, dtype: DType | None = None, keepdims: bool = False) -> Tensor:
    """The product along axes; 1 of nothing. Integers narrower than 32 bits become 32-bit ones; all wrap around.

    Args:
        x: numeric elements, or booleans, which count as 0 and 1.
        dtype: the element type to multiply in and to answer.

    Returns:
        A tensor without the reduced axes.
    """
    x = tensor(x)
    return reduced("reduce_prod", cast(x, wide_type(x, dtype)), axis, keepdims)


def max(x: Tensor, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element along axes; NaN where there is one.

    Args:
        x: real elements.

    Returns:
        A tensor of the same element type without the reduced axes.

    Raises:
        InvalidArgumentError: the axes hold no elements.
    """
    return extreme("reduce_max", x, axis, keepdims)


def min(x: Tensor, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element along axes; NaN where there is one.

    Args:
        x: real elements.

    Returns:
        A tensor of the same element type without the reduced axes.

    Raises:
        InvalidArgumentError: the axes hold no elements.
    """
    return extreme("reduce_min", x, axis, keepdims)


def extreme(op: str, x: Any, axis: Axis, keepdims: bool) -> Tensor:
    x = tensor(x)
    need(x, "biuf", "complex numbers have no order")
    return reduced(op, x, axis, keepdims)


def mean(x: Tensor, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean along axes; NaN of nothing. Integers become float32.

    Args:
        x: floating-point or complex elements.

    Returns:
        A tensor of the same element type without the reduced axes.
    """
    return reduced("reduce_mean", floating(x), axis, keepdims)


def var(x: Tensor, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """The variance along axes: the sum of squared distances from the mean, divided by n - correction.

    Args:
        x: real elements; integers become float32.
        correction: 0 for the variance of everything there is, 1 for an estimate from a sample.

    Returns:
        A tensor of the same element type without the reduced axes.
    """
    x = floating(x)
    need(x, "f", "the variance is that of real numbers")
    if is_nothing(axis):  # every element is a population of its own
        return reshaped(var(reshaped(x, (*x.shape, 1)), axis=-1, correction=correction), x.shape)
    return reduced("reduce_variance", x, axis, keepdims, correction=float(correction))


def std(x: Tensor, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """The standard deviation along axes: the square root of the variance.

    Args:
        x: real elements; integers become float32.
        correction: 0 for the deviation of everything there is, 1 for an estimate from a sample.

    Returns:
        A tensor of the same element type without the reduced axes.
    """
    return sqrt(var(x, axis=axis, correction=correction, keepdims=keepdims))


def all(x: Tensor, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether all elements along axes are true, that is not 0; True of nothing.

    Args:
        x: elements of any type.

    Returns:
        A boolean tensor without the reduced axes.
    """
    return truths("reduce_all", x, axis, keepdims)


def any(x: Tensor, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether any element along axes is true, that is not 0; False of nothing.

    Args:
        x: elements of any type.

    Returns:
        A boolean tensor without the reduced axes.
    """
    return truths("reduce_any", x, axis, keepdims)


def truths(op: str, x: Any, axis: Axis, keepdims: bool) -> Tensor:
    """One reduction to booleans."""
    x = tensor(x)
    return cast(x, bool_, copy=True) if is_nothing(axis) else reduced(op, x, axis, keepdims)


def count_nonzero(x: Tensor, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """How many elements along axes are not 0.

    Args:
        x: elements of any type.

    Returns:
        A tensor of int32 without the reduced axes.
    """
    return reduced("reduce_sum", cast(cast(tensor(x), bool_), int32), axis, keepdims)


def cumulative_sum(
    x: Tensor, /, *, axis: int | None = None, dtype: DType | None = None, include_initial: bool = False
) -> Tensor:
    """The sums of all elements up to each one along an axis. Element types are those of `sum`.

    Args:
        x: numeric elements of one or more axes.
        axis: may be left out where there is one axis only.
        dtype: the element type to sum in and to answer.
        include_initial: puts the sum of nothing, 0, in front.

    Returns:
        A tensor of the shape of x, one longer along the axis with `include_initial`.

    Raises:
        InvalidArgumentError: the axis is left out and there are several, or none.
    """
    return cumulative("cumsum", x, axis, dtype, 0 if include_initial else None)


def cumulative_prod(
    x: Tensor, /, *, axis: int | None = None, dtype: DType | None = None, include_initial: bool = False
) -> Tensor:
    """The products of all elements up to each one along an axis. Element types are those of `prod`.

    Args:
        x: numeric elements of one or more axes.
        axis: may be left out where there is one axis only.
        dtype: the element type to multiply in and to answer.
        include_initial: puts the product of nothing, 1, in front.

    Returns:
        A tensor of the shape of x, one longer along the axis with `include_initial`.

    Raises:
        InvalidArgumentError: the axis is left out and there are several, or none.
    """
    return cumulative("cumprod", x, axis, dtype, 1 if include_initial else None)


def cumulative(op: str, x: Any, axis: int | None, dtype: DType | None, initial: int | None) -> Tensor:
    """Running sums or products, with the one of nothing in front where `initial` names it."""
    x = tensor(x)
    if axis is None and x.ndim != 1:
        raise InvalidArgumentError(
            f"The tensor has shape {x.shape}; the axis may be left out of one-dimensional ones only."
        )
    place = one_axis(0 if axis is None else axis, x.ndim, x.shape)
    result = apply(op, cast(x, wide_type(x, dtype)), axis=place)
    if initial is None:
        return result
    edge = filled((*x.shape[:place], 1, *x.shape[place + 1 :]), initial, result.dtype)
    return concat([edge, result], axis=place)


def diff(
    x: Tensor, /, *, axis: int = -1, n: int = 1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """The differences of neighbours along an axis, taken n times.

    Args:
        x: numeric elements; for booleans the result says whether neighbours differ.
        n: how often, 0 or more.
        prepend, append: elements to put in front or behind first; of the shape of x but for the axis.

    Returns:
        A tensor of the shape of x, n shorter along the axis.

    Raises:
        InvalidArgumentError: n is negative.
    """
    x = tensor(x)
    place = one_axis(axis, x.ndim, x.shape)
    if n < 0:
        raise InvalidArgumentError(f"The differences are to be taken {n} times; it must be 0 or more.")
    parts = [tensor(part) for part in (prepend, x, append) if part is not None]
    result = concat(parts, axis=place) if len(parts) > 1 else alias(x)
    for _ in range(n):
        result = neighbours(result, place)
    return result


def neighbours(x: Tensor, axis: int) -> Tensor:
    """Each element less the one before it."""
    length = x.shape[axis] - 1
    if length < 1:
        return filled((*x.shape[:axis], 0, *x.shape[axis + 1 :]), 0, x.dtype)
    later, earlier = span(x, axis, 1, length), span(x, axis, 0, length)
    return not_equal(later, earlier) if x.dtype == bool_ else subtract(later, earlier)
