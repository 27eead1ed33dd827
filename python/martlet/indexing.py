"""Indexing as in NumPy: numbers, slices, new axes, an ellipsis, masks, integer arrays, and all of them mixed.

Neighbours in memory (`t[i]`, `t[a:b]`, `t[i, j, a:b]`) share the elements of the tensor; everything else is an op.
An assignment makes new elements and gives them to the Python object: what shared the old ones keeps them.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from martlet._arguments import alias, apply, cast, count, filled, number, one_axis, owned, piece, reshaped, tensor
from martlet.data_types import broadcast_shapes, scalar_kind
from martlet.errors import InvalidArgumentError, OutOfRangeError, WrongTypeError
from martlet.manipulation import expanded, flatten, gathered
from martlet.tensor import Tensor

__all__ = ["take", "take_along_axis"]

bool_ = np.dtype("bool")


class Span(NamedTuple):
    """What a slice or a number takes of one axis: `length` elements from `start` in steps of `step`."""

    start: int
    step: int
    length: int
    is_kept: bool = True

    @classmethod
    def of_slice(cls, key: slice, size: int) -> Span:
        taken = range(*key.indices(size))
        return cls(taken.start if taken else 0, taken.step if len(taken) > 1 else 1, len(taken))

    @property
    def forward(self) -> Span:
        """The span that takes the same elements from the first to the last."""
        if self.step > 0:
            return self
        return self._replace(start=self.start + self.step * (self.length - 1), step=-self.step)

    @property
    def slice(self) -> slice:
        """The slice that takes the same."""
        stop = self.start + self.step * self.length
        return slice(self.start, stop if stop >= 0 else None, self.step)


def getitem(x: Tensor, key: Any) -> Tensor:
    """`x[key]`.

    Raises:
        OutOfRangeError: an index lies outside its axis, there are too many of them, or a mask has another shape.
        WrongTypeError: the key is nothing to index with.
    """
    keys = key if type(key) is tuple else (key,)
    if keys and all(type(one) is int for one in keys):
        return leading(x, keys)
    if is_plain(keys):
        return plain(x, *spans(keys, x.shape))
    if len(keys) == 1 and is_array(keys[0]):
        chosen = tensor(np.asarray(keys[0]) if isinstance(keys[0], list) else keys[0])
        if chosen.dtype == bool_ and chosen.shape == x.shape and x.ndim:
            return apply("masked_select", flatten(x), flatten(chosen), names=("x", "mask"))
        if chosen.dtype.kind in "iu":
            return take(x, chosen, axis=0)
    places, used = positions(keys, x.shape)
    rows = reshaped(x, (count(x.shape[:used]), *x.shape[used:]))
    return gathered(rows, places, 0)


def leading(x: Tensor, keys: tuple[int, ...]) -> Tensor:
    """The slice at indices of the first axes, which shares the elements."""
    shape = x.shape
    if len(keys) > len(shape):
        raise too_many(len(keys), shape)
    place = 0
    for axis, (index, size) in enumerate(zip(keys, shape)):
        if not -size <= index < size:
            raise out_of_range(index, axis, shape)
        place = place * size + (index if index >= 0 else index + size)
    rest = shape[len(keys) :]
    return piece(x, place * math.prod(rest), rest)


def out_of_range(index: Any, axis: int, shape: tuple[int, ...]) -> OutOfRangeError:
    return OutOfRangeError(
        f"The index {index} lies outside axis {axis} of shape {shape}, which has {shape[axis]} elements."
    )


def too_many(count: int, shape: tuple[int, ...]) -> OutOfRangeError:
    return OutOfRangeError(f"There are {count} indices for shape {shape}, which has {len(shape)} axes.")


def is_array(key: Any) -> bool:
    return isinstance(key, (Tensor, np.ndarray, list))


def is_number(key: Any) -> bool:
    """Whether a key is a single integer, and not a boolean."""
    if isinstance(key, (Tensor, np.ndarray)):
        return key.ndim == 0 and key.dtype.kind in "iu"
    return hasattr(key, "__index__") and not isinstance(key, (bool, np.bool_))


def is_plain(keys: tuple[Any, ...]) -> bool:
    """Whether there are only numbers, slices, new axes and ellipses."""
    return all(type(key) in PLAIN or is_number(key) for key in keys)


PLAIN = {int, slice, type(None), type(Ellipsis)}


def spans(keys: tuple[Any, ...], shape: tuple[int, ...]) -> tuple[list[Span], tuple[int, ...]]:
    """What plain keys take of every axis, and the shape of the result with its new axes."""
    taken: list[Span] = []
    result: list[int] = []
    for key in whole_key(keys, len(shape), shape):
        if key is None:
            result.append(1)
            continue
        axis = len(taken)
        if isinstance(key, slice):
            taken.append(Span.of_slice(checked(key), shape[axis]))
            result.append(taken[-1].length)
            continue
        index = operator.index(key)
        if not -shape[axis] <= index < shape[axis]:
            raise out_of_range(index, axis, shape)
        taken.append(Span(index % shape[axis], 1, 1, False))
    return taken, tuple(result)


def checked(key: slice) -> slice:
    """A slice whose bounds and step are integers, with a step other than 0."""
    try:
        key.indices(0)
    except TypeError as error:
        raise WrongTypeError(f"The slice {key} must consist of integers: {error}") from None
    except ValueError:
        raise InvalidArgumentError(f"The step of the slice {key} is 0; it must be another number.") from None
    return key


def whole_key(keys: tuple[Any, ...], ndim: int, shape: tuple[int, ...]) -> list[Any]:
    """The keys with one for every axis: an ellipsis stands for the axes that no other key names."""
    named = sum(key is not None and key is not Ellipsis for key in keys)
    dots = sum(key is Ellipsis for key in keys)
    if dots > 1:
        raise OutOfRangeError("An index may have one ellipsis (...), not several.")
    if named > ndim:
        raise too_many(named, shape)
    rest = [slice(None)] * (ndim - named)
    if not dots:
        return [*keys, *rest]
    place = next(index for index, key in enumerate(keys) if key is Ellipsis)
    return [*keys[:place], *rest, *keys[place + 1 :]]


def plain(x: Tensor, taken: list[Span], shape: tuple[int, ...]) -> Tensor:
    """The elements that spans take, under a shape of as many."""
    lengths = [span.length for span in taken]
    if 0 in lengths:
        return filled(shape, 0, x.dtype)
    if is_contiguous(taken, x.shape):
        return piece(x, offset(taken, x.shape), shape)
    if all(span.step == 1 for span in taken):
        # The start comes at run time: one preparation for slices of one size, wherever they are.
        begin = owned(np.array([span.start for span in taken], np.int32))
        return reshaped(apply("slice_by_size", x, begin, names=("x", "begin"), size=tuple(lengths)), shape)
    return reshaped(apply("slice_by_index", x, **bounds(taken)), shape)


def is_contiguous(taken: list[Span], shape: tuple[int, ...]) -> bool:
    """Whether spans take neighbours in memory: single elements, then one run, then whole axes."""
    free = next((axis for axis, span in enumerate(taken) if span.length != 1), len(taken))
    if free < len(taken) and taken[free].step != 1:
        return False
    return all(span.length == size and span.step == 1 for span, size in zip(taken[free + 1 :], shape[free + 1 :]))


def offset(taken: list[Span], shape: tuple[int, ...]) -> int:
    """How many elements lie before the first one taken."""
    place = 0
    for span, size in zip(taken, shape):
        place = place * size + span.start
    return place


def bounds(taken: list[Span]) -> dict[str, Any]:
    """Spans as the constants of `slice_by_index` and `slice_update`."""
    slices = [span.slice for span in taken]
    return {
        "begin": tuple(one.start for one in slices),
        "end": tuple(one.stop if one.stop is not None else 0 for one in slices),
        "stride": tuple(span.step for span in taken),
        "end_mask": tuple(one.stop is None for one in slices),
    }


def positions(keys: tuple[Any, ...], shape: tuple[int, ...]) -> tuple[NDArray[Any], int]:
    """Where the elements that a key with arrays takes lie: positions in the axes it names, and how many axes those are.

    Each axis is asked with NumPy's own indexing what the key takes of it; its numbers are repeated by strides, so that
    nothing larger than the result is made.
    """
    known = tuple(host_key(key) for key in keys)
    used = sum(key_axes(key) for key in known)
    if Ellipsis in [key for key in known if not isinstance(key, np.ndarray)] or used > len(shape):
        used = len(shape)
    named = shape[:used]
    place: Any = 0
    try:
        for axis, size in enumerate(named):
            line = np.arange(size).reshape([size if other == axis else 1 for other in range(used)])
            place = place * size + np.broadcast_to(line, named)[known]
        # Masks of rank 0 take of no axis.
        return (place if used else np.zeros((), np.int64)[known]), used
    except IndexError as error:
        words = str(error)
        raise OutOfRangeError(f"{words[:1].upper()}{words[1:]}; the shape is {shape}.") from None


def host_key(key: Any) -> Any:
    """A key as NumPy takes it."""
    if isinstance(key, Tensor):
        key = key.numpy()
    if isinstance(key, (list, np.ndarray)):
        array = np.asarray(key)
        key = (
            array.astype(np.int64)
            if array.size == 0 and isinstance(array, np.ndarray) and array.dtype.kind == "f"
            else array
        )
        if key.dtype.kind not in "iub":
            raise OutOfRangeError(f"The index is an array of {key.dtype}; it must hold integers or booleans.")
        return key
    if key is None or key is Ellipsis or isinstance(key, (slice, bool, np.bool_)) or is_number(key):
        return key
    raise OutOfRangeError(
        f"A {type(key).__name__} is not an index; use integers, slices, ..., None, or arrays of integers or booleans."
    )


def key_axes(key: Any) -> int:
    """How many axes of the tensor a key speaks of."""
    if key is None or key is Ellipsis or isinstance(key, (bool, np.bool_)):
        return 0
    return key.ndim if isinstance(key, np.ndarray) and key.dtype == bool_ else 1


def setitem(x: Tensor, key: Any, value: Any) -> Tensor:
    """A tensor like x with `value` at `key`, for `x[key] = value`.

    Raises:
        InvalidArgumentError: the value does not broadcast to the shape of `x[key]`.
        OutOfRangeError: as for reading.
        WrongTypeError: the element type of the value does not become that of x without a change of kind.
    """
    value = assigned(value, x)
    keys = key if isinstance(key, tuple) else (key,)
    if is_plain(keys):
        return updated(x, *spans(keys, x.shape), value)
    if len(keys) == 1 and isinstance(keys[0], (Tensor, np.ndarray)) and value.ndim == 0:
        mask = tensor(keys[0])
        if mask.dtype == bool_ and mask.shape == x.shape:
            return apply("select", mask, value, x, names=("cond", "a", "b"))
    places, used = positions(keys, x.shape)
    rest = x.shape[used:]
    values = fitted(value, (*places.shape, *rest))
    if places.size == 0 or values.size == 0:
        return alias(x)
    rows = reshaped(x, (count(x.shape[:used]), *rest))
    indices = owned(places.reshape(-1).astype(np.int32 if x.size < 2**31 else np.int64))
    updates = reshaped(values, (places.size, *rest))
    names = ("data", "indices", "updates")
    result = apply("scatter", rows, indices, updates, names=names, axis=0, mode="update")
    return reshaped(result, x.shape)


def assigned(value: Any, x: Tensor) -> Tensor:
    """A value to be put into a tensor, in its element type."""
    if scalar_kind(value):
        if x.dtype.kind != "c" and isinstance(value, complex):
            raise WrongTypeError(f"The number {value} is complex; the tensor is {x.dtype}.")
        return number(value, x.dtype)
    return cast(tensor(np.asarray(value) if isinstance(value, (list, tuple)) else value), x.dtype)


def fitted(value: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A value repeated to the shape it is put at; leading axes of length 1 may be too many."""
    while value.ndim > len(shape) and value.shape[0] == 1:
        value = reshaped(value, value.shape[1:])
    try:
        return expanded(value, shape)
    except InvalidArgumentError:
        raise InvalidArgumentError(
            f"A value of shape {value.shape} does not fit where shape {shape} is indexed."
        ) from None


def updated(x: Tensor, taken: list[Span], shape: tuple[int, ...], value: Tensor) -> Tensor:
    """The tensor with a value at spans."""
    values = fitted(value, shape)
    if values.size == 0:
        return alias(x)
    lengths = tuple(span.length for span in taken)
    update = reshaped(values, lengths)
    # Writing backwards is writing the reversed value forwards: no path below sees a negative step.
    backward = tuple(axis for axis, span in enumerate(taken) if span.step < 0)
    if backward:
        update = apply("reverse", update, axes=backward)
        taken = [span.forward for span in taken]
    if lengths == x.shape:
        return reshaped(update, x.shape)
    single = tuple(length == 1 for length in lengths)
    if all(one or length == size for one, length, size in zip(single, lengths, x.shape)):
        return placed_at_runtime(x, taken, single, update)
    return apply("slice_update", x, update, names=("x", "update"), **bounds(taken))


def placed_at_runtime(x: Tensor, taken: list[Span], single: tuple[bool, ...], values: Tensor) -> Tensor:
    """The tensor with a value at single places of some axes and along all of the others.

    The places come at run time: one preparation for all of them, so that a loop over rows prepares once.
    """
    update = reshaped(values, tuple(size for one, size in zip(single, x.shape) if not one))
    start = owned(np.array([span.start for span in taken], np.int32))
    whole = tuple(not one for one in single)
    masks = {"begin_mask": whole, "end_mask": whole, "squeeze_mask": single}
    return apply("slice_update", x, update, start, start, names=("x", "update", "begin", "end"), **masks)


def checked_indices(indices: Tensor, axis: int, shape: tuple[int, ...]) -> None:
    """Refuses indices outside an axis; those of a traced function are not known yet and pass."""
    if indices.dtype.kind not in "iu":
        raise OutOfRangeError(f"The indices are {indices.dtype}; they must be integers.")
    if indices.size == 0 or indices.is_traced:
        return
    values = indices.numpy()
    for index in (int(values.min()), int(values.max())):
        if not -shape[axis] <= index < shape[axis]:
            raise out_of_range(index, axis, shape)


def take(x: Tensor, indices: Tensor | Sequence[int], /, *, axis: int | None = None) -> Tensor:
    """The slices at indices of an axis.

    Args:
        x: elements of any type.
        indices: integers of any shape; negative ones count from the end.
        axis: may be left out if there is only one axis.

    Returns:
        A tensor of the shape of x with the shape of the indices in place of the axis.

    Raises:
        OutOfRangeError: an index lies outside the axis.
        InvalidArgumentError: the axis is left out and there are several.
    """
    x = tensor(x)
    if axis is None and x.ndim != 1:
        raise InvalidArgumentError(
            f"The tensor has shape {x.shape}; the axis may be left out of one-dimensional ones only."
        )
    place = one_axis(0 if axis is None else axis, x.ndim, x.shape)
    chosen = whole_indices(indices)
    checked_indices(chosen, place, x.shape)
    shape = (*x.shape[:place], *chosen.shape, *x.shape[place + 1 :])
    if 0 in shape:
        return filled(shape, 0, x.dtype)
    return apply("gather", x, chosen, names=("x", "indices"), axis=place)


def whole_indices(indices: Any) -> Tensor:
    """Indices as a tensor; a list becomes integers even if it is empty."""
    if isinstance(indices, (Tensor, np.ndarray)):
        return tensor(indices)
    array = np.asarray(indices)
    return owned(array.astype(np.int32) if array.size == 0 or array.dtype == np.int64 else array)


def take_along_axis(x: Tensor, indices: Tensor, /, *, axis: int = -1) -> Tensor:
    """Along one axis, the elements at the indices; the other axes run in step and broadcast.

    Args:
        x: elements of any type.
        indices: integers, with as many axes as x; negative ones count from the end.
        axis: the axis the indices count along.

    Raises:
        OutOfRangeError: an index lies outside the axis.
        InvalidArgumentError: the shapes do not fit.
    """
    x, chosen = tensor(x), whole_indices(indices)
    place = one_axis(axis, x.ndim, x.shape)
    if chosen.ndim != x.ndim:
        raise InvalidArgumentError(f"Shapes {x.shape} and {chosen.shape} must have as many axes.")
    checked_indices(chosen, place, x.shape)

    def spread(value: Tensor, shared: tuple[int, ...]) -> Tensor:
        return expanded(value, (*shared[:place], value.shape[place], *shared[place + 1 :]))

    shared = broadcast_shapes(*((*one.shape[:place], 1, *one.shape[place + 1 :]) for one in (x, chosen)))
    chosen = spread(chosen, shared)
    if chosen.size == 0:
        return filled(chosen.shape, 0, x.dtype)
    return apply("gather_along_axis", spread(x, shared), chosen, names=("x", "indices"), axis=place)
