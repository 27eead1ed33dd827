"""Linear algebra functions of the Python array API: products of matrices and vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from martlet._arguments import (
    axes_of,
    cast,
    count,
    filled,
    one_axis,
    pair,
    reshaped,
    tensor,
    whole,
)
from martlet._call import call
from martlet.data_types import broadcast_shapes, promoted
from martlet.elementwise import conj, multiply
from martlet.errors import InvalidArgumentError, OutOfRangeError, WrongTypeError
from martlet.manipulation import permute_dims
from martlet.reduction import sum
from martlet.tensor import Tensor

__all__ = ["matmul", "matrix_transpose", "outer", "tensordot", "vecdot"]


def matmul(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The matrix product of the last two axes; the axes before them broadcast.

    Args:
        x1: `[…, rows, inner]` or `[inner]`.
        x2: `[…, inner, columns]` or `[inner]`.

    Returns:
        `[…, rows, columns]`, without the axis of an operand that is a vector, of the common element type.

    Raises:
        InvalidArgumentError: the inner lengths differ, or the axes before do not broadcast.
        WrongTypeError: an operand is a number.
    """
    x, y = tensors(x1, x2)
    if x.ndim == 0 or y.ndim == 0:
        raise InvalidArgumentError(f"Shapes {x.shape} and {y.shape} have no matrix product; both need an axis.")
    left = reshaped(x, (1, *x.shape)) if x.ndim == 1 else x
    right = reshaped(y, (*y.shape, 1)) if y.ndim == 1 else y
    if left.shape[-1] != right.shape[-2]:
        raise InvalidArgumentError(
            f"Shapes {x.shape} and {y.shape} have no matrix product; the inner lengths {left.shape[-1]} and"
            f" {right.shape[-2]} must be equal."
        )
    shape = (*broadcast_shapes(left.shape[:-2], right.shape[:-2]), left.shape[-2], right.shape[-1])
    empty = 0 in shape or left.shape[-1] == 0
    result = filled(shape, 0, x.dtype) if empty else call("matmul", {"x": left, "y": right})
    rows = shape[-2:-1] if x.ndim > 1 else ()
    columns = shape[-1:] if y.ndim > 1 else ()
    return reshaped(result, (*shape[:-2], *rows, *columns))


def tensors(x1: Any, x2: Any) -> tuple[Tensor, Tensor]:
    """Two tensors in their common type; numbers are none."""
    for x in (x1, x2):
        if isinstance(x, (bool, int, float, complex)):
            raise WrongTypeError(f"The number {x} is no tensor; multiply by it with *.")
    first, second = pair(x1, x2)
    dtype = promoted(first.dtype, second.dtype)
    return cast(first, dtype), cast(second, dtype)


def matrix_transpose(x: Tensor, /) -> Tensor:
    """The last two axes in each other's place.

    Raises:
        InvalidArgumentError: there are fewer than two axes.
    """
    x = tensor(x)
    if x.ndim < 2:
        raise InvalidArgumentError(f"Shape {x.shape} is no matrix; it needs two axes.")
    return permute_dims(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def outer(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The products of each element of one vector with each of another, `[n]` and `[m]` to `[n, m]`."""
    x, y = tensors(x1, x2)
    return multiply(reshaped(x, (x.size, 1)), reshaped(y, (1, y.size)))


def tensordot(x1: Tensor, x2: Tensor, /, *, axes: int | tuple[Sequence[int], Sequence[int]] = 2) -> Tensor:
    """The sum of products over axes of two tensors.

    Args:
        x1, x2: numeric elements.
        axes: the axes of each to sum over, pair by pair; one number takes the last ones of x1 and the first of x2.

    Returns:
        The axes of x1 that are left, then those of x2, of the common element type.

    Raises:
        InvalidArgumentError: the lengths of a pair differ.
        OutOfRangeError: there is no such axis.
    """
    x, y = tensors(x1, x2)
    first, second = summed_axes(x, y, axes)
    lengths = [tuple(operand.shape[axis] for axis in listed) for operand, listed in ((x, first), (y, second))]
    if lengths[0] != lengths[1]:
        raise InvalidArgumentError(
            f"Axes {first} of shape {x.shape} and {second} of shape {y.shape} do not fit; their lengths must be equal."
        )
    kept = [
        [axis for axis in range(x.ndim) if axis not in first],
        [axis for axis in range(y.ndim) if axis not in second],
    ]
    outside = [tuple(operand.shape[axis] for axis in listed) for operand, listed in ((x, kept[0]), (y, kept[1]))]
    inner = count(lengths[0])
    left = reshaped(permute_dims(x, (*kept[0], *first)), (count(outside[0]), inner))
    right = reshaped(permute_dims(y, (*second, *kept[1])), (inner, count(outside[1])))
    return reshaped(matmul(left, right), (*outside[0], *outside[1]))


def summed_axes(x: Tensor, y: Tensor, axes: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes to sum over, of each operand."""
    if isinstance(axes, Sequence):
        return axes_of(tuple(axes[0]), x), axes_of(tuple(axes[1]), y)
    number = whole(axes, "The number of axes")
    if not 0 <= number <= min(x.ndim, y.ndim):
        raise OutOfRangeError(f"Shapes {x.shape} and {y.shape} do not both have {number} axes to sum over.")
    return tuple(range(x.ndim - number, x.ndim)), tuple(range(number))


def vecdot(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    """The sum of the products of two vectors along an axis; the first is conjugated where complex.

    Args:
        x1, x2: numeric elements; the other axes broadcast.
        axis: the axis of the vectors, counted from the end.

    Raises:
        InvalidArgumentError: the vectors differ in length, or the other axes do not broadcast.
    """
    x, y = tensors(x1, x2)
    shorter = min(x.ndim, y.ndim)
    back = one_axis(axis, shorter, min(x.shape, y.shape, key=len)) - shorter if axis < 0 else axis
    first, second = one_axis(back, x.ndim, x.shape), one_axis(back, y.ndim, y.shape)
    if x.shape[first] != y.shape[second]:
        raise InvalidArgumentError(
            f"Shapes {x.shape} and {y.shape} hold vectors of different lengths along axis {axis}."
        )
    product = multiply(conj(x), y)
    return cast(sum(product, axis=back, dtype=product.dtype), product.dtype)
