"""Manipulation functions of the Python array API: the same elements in another shape or order.

Tensors never change under an alias, so what only changes the shape shares the elements: `reshape`, `squeeze` and
`expand_dims` copy nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from martlet._arguments import (
    Axis,
    alias,
    apply,
    axes_of,
    cast,
    count,
    filled,
    one_axis,
    owned,
    piece,
    reshaped,
    sizes,
    tensor,
    whole,
)
from martlet.data_types import broadcast_shapes, fitting, promoted
from martlet.errors import InvalidArgumentError
from martlet.tensor import Tensor

__all__ = [
    "concat",
    "expand_dims",
    "flatten",
    "flip",
    "moveaxis",
    "permute_dims",
    "repeat",
    "reshape",
    "roll",
    "squeeze",
    "stack",
    "swapaxes",
    "tile",
    "transpose",
    "unstack",
]


def reshape(x: Tensor, /, shape: int | Sequence[int], *, copy: bool | None = None) -> Tensor:
    """The same elements, in the same order, under another shape. Nothing is copied.

    Args:
        x: elements of any type.
        shape: the new shape; one -1 takes what is left.
        copy: whatever it says, the tensors never change each other.

    Returns:
        A tensor of that shape.

    Raises:
        InvalidArgumentError: the shape holds another number of elements.
    """
    x = tensor(x)
    listed = shape if isinstance(shape, Sequence) else (shape,)
    wanted = [whole(size, "A size") for size in listed]
    known = math.prod(size for size in wanted if size != -1)
    if wanted.count(-1) == 1 and known > 0 and x.size % known == 0:
        wanted[wanted.index(-1)] = x.size // known
    if any(size < 0 for size in wanted) or count(wanted) != x.size:
        raise InvalidArgumentError(f"Shape {x.shape} does not become {tuple(listed)}; it holds {x.size} elements.")
    return reshaped(x, tuple(wanted))


def flatten(x: Tensor, /) -> Tensor:
    """All elements along one axis."""
    return reshaped(tensor(x), (x.size,))


def permute_dims(x: Tensor, /, axes: Sequence[int]) -> Tensor:
    """The axes in another order.

    Args:
        x: elements of any type.
        axes: which axis of x becomes each axis of the result.

    Returns:
        A tensor whose shape is `[x.shape[axis] for axis in axes]`.

    Raises:
        InvalidArgumentError: the axes do not name each axis once.
    """
    x = tensor(x)
    order = axes_of(tuple(axes), x)
    if len(order) != x.ndim:
        raise InvalidArgumentError(
            f"The axes {tuple(axes)} must name each of the {x.ndim} axes of shape {x.shape} once."
        )
    shape = tuple(x.shape[axis] for axis in order)
    # Where axes longer than 1 keep their order, so do the elements.
    moving = [axis for axis in order if x.shape[axis] != 1]
    if x.size == 0 or moving == sorted(moving):
        return reshaped(x, shape)
    return apply("transpose", x, perm=order)


def transpose(x: Tensor, /, axes: Sequence[int] | None = None) -> Tensor:
    """The axes in another order, turned round where none is given."""
    x = tensor(x)
    return permute_dims(x, tuple(reversed(range(x.ndim))) if axes is None else axes)


def swapaxes(x: Tensor, /, axis1: int, axis2: int) -> Tensor:
    """Two axes in each other's place."""
    x = tensor(x)
    order = list(range(x.ndim))
    first, second = (one_axis(axis, x.ndim, x.shape) for axis in (axis1, axis2))
    order[first], order[second] = second, first
    return permute_dims(x, order)


def moveaxis(x: Tensor, source: int | Sequence[int], destination: int | Sequence[int], /) -> Tensor:
    """Axes moved to other places; the others keep their order.

    Args:
        x: elements of any type.
        source: the axes to move.
        destination: the place of each in the result.

    Raises:
        InvalidArgumentError: there are not as many places as axes, or one comes twice.
    """
    x = tensor(x)
    moved, places = axes_of(source, x), axes_of(destination, x)
    if len(moved) != len(places):
        raise InvalidArgumentError(f"{len(moved)} axes {moved} do not move to {len(places)} places {places}.")
    order = [axis for axis in range(x.ndim) if axis not in moved]
    for place, axis in sorted(zip(places, moved)):
        order.insert(place, axis)
    return permute_dims(x, order)


def expand_dims(x: Tensor, /, axis: int | Sequence[int] = 0) -> Tensor:
    """New axes of length 1.

    Args:
        x: elements of any type.
        axis: where they stand in the result.

    Raises:
        OutOfRangeError: an axis lies outside the result.
    """
    x = tensor(x)
    listed = axis if isinstance(axis, Sequence) else (axis,)
    ndim = x.ndim + len(listed)
    places = {one_axis(one, ndim, (*x.shape, *(1 for _ in listed))) for one in listed}
    if len(places) != len(listed):
        raise InvalidArgumentError(f"The new axes {tuple(listed)} name one place twice.")
    rest = iter(x.shape)
    return reshaped(x, tuple(1 if place in places else next(rest) for place in range(ndim)))


def squeeze(x: Tensor, /, axis: Axis = None) -> Tensor:
    """Axes of length 1 taken away; all of them where none is named.

    Raises:
        InvalidArgumentError: a named axis has another length.
    """
    x = tensor(x)
    axes = [place for place, size in enumerate(x.shape) if size == 1] if axis is None else axes_of(axis, x)
    for place in axes:
        if x.shape[place] != 1:
            raise InvalidArgumentError(f"Axis {place} of shape {x.shape} has length {x.shape[place]}; it must be 1.")
    return reshaped(x, tuple(size for place, size in enumerate(x.shape) if place not in axes))


def expanded(x: Any, shape: int | Sequence[int]) -> Tensor:
    """The tensor repeated to a shape it broadcasts to."""
    x = tensor(x)
    wanted = sizes(shape)
    if x.shape == wanted:
        return alias(x)
    if len(wanted) < x.ndim or broadcast_shapes(x.shape, wanted) != wanted:
        raise InvalidArgumentError(f"Shape {x.shape} does not broadcast to {wanted}.")
    fitting(wanted, x.dtype)
    if 0 in wanted:
        return filled(wanted, 0, x.dtype)
    padded = (*(1 for _ in wanted[x.ndim :]), *x.shape)
    reps = [size if own == 1 else 1 for own, size in zip(padded, wanted)]
    return tiled(reshaped(x, padded), reps)


def tiled(x: Tensor, reps: Sequence[int]) -> Tensor:
    """The tensor repeated along each of its axes."""
    if count(reps) == 1:
        return alias(x)
    if x.size == 0 or count(reps) == 0:
        return filled(tuple(size * rep for size, rep in zip(x.shape, reps)), 0, x.dtype)
    return apply("tile", x, reps=tuple(reps))


def tile(x: Tensor, repetitions: Sequence[int], /) -> Tensor:
    """The whole tensor repeated along each axis.

    Args:
        x: elements of any type.
        repetitions: how often along each of the last axes; more of them than axes add axes in front.
    """
    x = tensor(x)
    reps = sizes(repetitions)
    ndim = max(x.ndim, len(reps))
    reps = (*(1 for _ in range(ndim - len(reps))), *reps)
    return tiled(reshaped(x, (*(1 for _ in range(ndim - x.ndim)), *x.shape)), reps)


def repeat(x: Tensor, repeats: int | Tensor | Sequence[int], /, *, axis: int | None = None) -> Tensor:
    """Each element repeated where it stands.

    Args:
        x: elements of any type.
        repeats: how often: one number, or one for each element along the axis.
        axis: the axis to repeat along; None takes the elements along one axis.

    Raises:
        InvalidArgumentError: there are not as many numbers as elements, or one is negative.
    """
    x = tensor(x)
    if axis is None:
        x, axis = flatten(x), 0
    place = one_axis(axis, x.ndim, x.shape)
    length = x.shape[place]
    times = np.asarray(repeats.numpy() if isinstance(repeats, Tensor) else repeats)
    if times.dtype.kind not in "iub" and times.size:
        raise InvalidArgumentError(f"The repeats are {times.dtype}; they must be integers.")
    if times.size not in (1, length) or (times < 0).any():
        raise InvalidArgumentError(f"The {times.size} repeats must be 1 or {length} numbers, none negative.")
    if times.size == 1 and x.size:
        return repeated(x, place, int(times.reshape(())))
    return gathered(x, np.repeat(np.arange(length), times.reshape(-1) if times.size != 1 else int(times.item())), place)


def repeated(x: Tensor, axis: int, times: int) -> Tensor:
    """Each element as often, along one axis."""
    split = (*x.shape[: axis + 1], 1, *x.shape[axis + 1 :])
    reps = [times if place == axis + 1 else 1 for place in range(len(split))]
    joined = (*x.shape[:axis], x.shape[axis] * times, *x.shape[axis + 1 :])
    return reshaped(tiled(reshaped(x, split), reps), joined)


def gathered(x: Tensor, places: np.ndarray[Any, Any], axis: int) -> Tensor:
    """The elements at places of one axis, known to lie within it."""
    shape = (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
    if 0 in shape:
        return filled(shape, 0, x.dtype)
    indices = owned(places.astype(np.int32 if x.size < 2**31 else np.int64))
    return apply("gather", x, indices, names=("x", "indices"), axis=axis)


def span(x: Tensor, axis: int, start: int, length: int) -> Tensor:
    """`length` neighbours along an axis from `start` on, known to lie within it."""
    shape = (*x.shape[:axis], length, *x.shape[axis + 1 :])
    if length == x.shape[axis]:
        return alias(x)
    if 0 in shape:
        return filled(shape, 0, x.dtype)
    if count(x.shape[:axis]) == 1:
        return piece(x, start * count(x.shape[axis + 1 :]), shape)
    # A start that comes at run time: one preparation for all starts.
    begin = np.array([start if place == axis else 0 for place in range(x.ndim)], np.int32)
    return apply("slice_by_size", x, owned(begin), names=("x", "begin"), size=shape)


def flip(x: Tensor, /, *, axis: Axis = None) -> Tensor:
    """The elements along axes in reverse; along all where none is named."""
    x = tensor(x)
    axes = [place for place in axes_of(axis, x) if x.shape[place] > 1]
    return apply("reverse", x, axes=tuple(axes)) if axes and x.size else alias(x)


def roll(x: Tensor, /, shift: int | Sequence[int], *, axis: Axis = None) -> Tensor:
    """The elements moved along axes; those that leave at one end come in at the other.

    Args:
        x: elements of any type.
        shift: how far, towards higher indices; one number for each axis, or one for all.
        axis: the axes; None rolls the elements as if they stood along one axis.

    Raises:
        InvalidArgumentError: there are not as many shifts as axes.
    """
    x = tensor(x)
    if axis is None:
        return reshaped(rolled(flatten(x), 0, whole(shift, "The shift")), x.shape)
    axes = [one_axis(one, x.ndim, x.shape) for one in (axis if isinstance(axis, Sequence) else (axis,))]
    shifts = list(shift) if isinstance(shift, Sequence) else [shift] * len(axes)
    if len(shifts) != len(axes):
        raise InvalidArgumentError(f"There are {len(shifts)} shifts for {len(axes)} axes; give one for each.")
    return reduce(lambda result, pair: rolled(result, *pair), zip(axes, shifts), alias(x))


def rolled(x: Tensor, axis: int, shift: int) -> Tensor:
    """The elements moved along one axis."""
    length = x.shape[axis]
    cut = -shift % length if length else 0
    if cut == 0 or x.size == 0:
        return alias(x)
    return concat([span(x, axis, cut, length - cut), span(x, axis, 0, cut)], axis=axis)


def concat(arrays: Sequence[Tensor], /, *, axis: int | None = 0) -> Tensor:
    """Tensors joined along an axis.

    Args:
        arrays: tensors of one shape but for the axis; their element types become the common one.
        axis: the axis; None joins all elements along one axis.

    Raises:
        InvalidArgumentError: the shapes do not fit, or there are no tensors.
    """
    values = [tensor(array) for array in arrays]
    if not values:
        raise InvalidArgumentError("There are no tensors to join; at least one is needed.")
    if axis is None:
        values, axis = [flatten(value) for value in values], 0
    first = values[0].shape
    place = one_axis(axis, len(first), first)
    for value in values:
        if value.shape[:place] + value.shape[place + 1 :] != first[:place] + first[place + 1 :] or value.ndim != len(
            first
        ):
            raise InvalidArgumentError(
                f"Shapes {first} and {value.shape} do not join along axis {place}; they must be equal elsewhere."
            )
    dtype = reduce(promoted, (value.dtype for value in values))
    filling = [cast(value, dtype) for value in values if value.size]
    if not filling:
        length = sum(value.shape[place] for value in values)
        return filled((*first[:place], length, *first[place + 1 :]), 0, dtype)
    return (
        apply("concat", *filling, names=("values",) * len(filling), axis=place)
        if len(filling) > 1
        else alias(filling[0])
    )


def stack(arrays: Sequence[Tensor], /, *, axis: int = 0) -> Tensor:
    """Tensors of one shape joined along a new axis.

    Args:
        arrays: the tensors; their element types become the common one.
        axis: where the new axis stands in the result.

    Raises:
        InvalidArgumentError: the shapes differ, or there are no tensors.
    """
    values = [tensor(array) for array in arrays]
    for value in values[1:]:
        if value.shape != values[0].shape:
            raise InvalidArgumentError(f"Shapes {values[0].shape} and {value.shape} do not stack; they must be equal.")
    if not values:
        raise InvalidArgumentError("There are no tensors to stack; at least one is needed.")
    place = one_axis(axis, values[0].ndim + 1, (*values[0].shape, len(values)))
    return concat([expand_dims(value, place) for value in values], axis=place)


def unstack(x: Tensor, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices along an axis, each without it; the slices of the first axis copy nothing."""
    x = tensor(x)
    place = one_axis(axis, x.ndim, x.shape)
    front = moveaxis(x, place, 0)
    step, shape = count(front.shape[1:]), front.shape[1:]
    return tuple(piece(front, index * step, shape) for index in range(front.shape[0]))
