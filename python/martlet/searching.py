"""Searching and sorting functions of the Python array API. Positions are int32."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from martlet._arguments import Operand, alias, apply, cast, count, filled, need, one_axis, pair, reshaped, tensor
from martlet.data_types import promoted, result_type, scalar_kind
from martlet.errors import InvalidArgumentError
from martlet.indexing import take
from martlet.manipulation import flatten, moveaxis
from martlet.tensor import Tensor

__all__ = ["argmax", "argmin", "argsort", "nonzero", "searchsorted", "sort", "where"]

bool_, int32 = np.dtype("bool"), np.dtype("int32")


def argmax(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position of the largest element along an axis; the first of several, that of a NaN where there is one.

    Args:
        x: real elements.
        axis: the axis; None counts the elements as if they stood along one axis.
        keepdims: keeps each searched axis with length 1.

    Returns:
        A tensor of int32.

    Raises:
        InvalidArgumentError: there are no elements to search.
    """
    return found("reduce_argmax", x, axis, keepdims)


def argmin(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position of the smallest element along an axis; the first of several, that of a NaN where there is one.

    Args:
        x: real elements.
        axis: the axis; None counts the elements as if they stood along one axis.
        keepdims: keeps each searched axis with length 1.

    Returns:
        A tensor of int32.

    Raises:
        InvalidArgumentError: there are no elements to search.
    """
    return found("reduce_argmin", x, axis, keepdims)


def found(op: str, x: Any, axis: int | None, keepdims: bool) -> Tensor:
    """The positions that one op finds."""
    x = tensor(x)
    need(x, "biuf", "complex numbers have no order")
    if axis is None:
        place = apply(op, flatten(x), axis=0, keep_dims=False)
        return reshaped(place, tuple(1 for _ in x.shape) if keepdims else ())
    place_axis = one_axis(axis, x.ndim, x.shape)
    return apply(op, x, axis=place_axis, keep_dims=keepdims)


def nonzero(x: Tensor, /) -> tuple[Tensor, ...]:
    """The positions of all elements that are not 0, in order: for each axis a tensor `[count]` of int32.

    Raises:
        InvalidArgumentError: the tensor has no axes.
    """
    x = tensor(x)
    if x.ndim == 0:
        raise InvalidArgumentError("A tensor of shape () has no positions; it needs an axis.")
    if x.size == 0:
        return tuple(filled((0,), 0, int32) for _ in x.shape)
    places = apply("non_zero", x)
    columns = moveaxis(places, 1, 0)
    return tuple(columns[axis] for axis in range(x.ndim))


def searchsorted(
    x1: Tensor, x2: Operand, /, *, side: Literal["left", "right"] = "left", sorter: Tensor | None = None
) -> Tensor:
    """Where elements would go into a sorted tensor so that it stays sorted.

    Args:
        x1: `[n]`: real elements in rising order, or put in order by `sorter`.
        x2: the elements to place, of any shape.
        side: `left` puts one before its equals, `right` behind them.
        sorter: `[n]`: the positions that sort x1.

    Returns:
        A tensor of int32 with the shape of x2, of numbers from 0 to n.

    Raises:
        InvalidArgumentError: x1 has another number of axes, or the side has another name.
    """
    x, values = pair(x1, x2)
    if x.ndim != 1:
        raise InvalidArgumentError(f"The sorted tensor has shape {x.shape}; it must have one axis.")
    if side not in ("left", "right"):
        raise InvalidArgumentError(f"The side is {side!r}; it must be 'left' or 'right'.")
    if values.size == 0 or x.size == 0:
        return filled(values.shape, 0, int32)
    if sorter is not None:
        x = take(x, sorter, axis=0)
    dtype = promoted(x.dtype, values.dtype)
    probes = flatten(cast(values, dtype))
    return reshaped(apply("search_sorted", cast(x, dtype), probes, names=("x", "v"), side=side), values.shape)


def where(condition: Tensor, x1: Operand, x2: Operand, /) -> Tensor:
    """x1 where a condition is true, else x2.

    Args:
        condition: booleans; numbers count as true if they are not 0.
        x1, x2: elements of any type.

    Returns:
        A tensor of the shape that the three broadcast to, of the common element type of x1 and x2.

    Raises:
        InvalidArgumentError: the shapes do not broadcast.
    """
    cond = cast(tensor(condition), bool_)
    if scalar_kind(x1) and scalar_kind(x2):
        dtype = result_type(x1, x2)
        first, second = (cast(tensor(x), dtype) for x in (x1, x2))
    else:
        first, second = pair(x1, x2)
    return apply("select", cond, first, second, names=("cond", "a", "b"))


def sort(x: Tensor, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The elements in order along an axis. NaN counts as larger than all else.

    Args:
        x: real elements.
        descending: falling order.
        stable: equal elements keep their order, as they do either way.

    Returns:
        A tensor of the same shape and element type.
    """
    return ordered("sort", x, axis, descending)


def argsort(x: Tensor, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The positions that put the elements in order along an axis. NaN counts as larger than all else.

    Args:
        x: real elements.
        descending: falling order.
        stable: equal elements keep their order, as they do either way.

    Returns:
        A tensor of int32 of the same shape.
    """
    return ordered("argsort", x, axis, descending)


def ordered(op: str, x: Any, axis: int, descending: bool) -> Tensor:
    """Elements or positions in order; equal elements keep theirs."""
    x = tensor(x)
    need(x, "biuf", "complex numbers have no order")
    place = one_axis(axis, x.ndim, x.shape)
    if count(x.shape) == 0:
        return filled(x.shape, 0, int32) if op == "argsort" else alias(x)
    return apply(op, x, axis=place, ascending=not descending)
