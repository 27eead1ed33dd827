"""Set functions of the Python array API: the different elements of a tensor, in rising order. NaNs all differ."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from martlet import _call
from martlet._arguments import filled, handle, reshaped, tensor
from martlet.manipulation import flatten
from martlet.tensor import Tensor

__all__ = ["unique_all", "unique_counts", "unique_inverse", "unique_values"]


class UniqueAll(NamedTuple):
    """The different elements; where each comes first; which of them each element is; how often each comes."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCounts(NamedTuple):
    """The different elements, and how often each comes."""

    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    """The different elements, and which of them each element is."""

    values: Tensor
    inverse_indices: Tensor


def unique_all(x: Tensor, /) -> UniqueAll:
    """The different elements and all about them.

    Args:
        x: elements of any type.

    Returns:
        `values` `[n]` of the type of x; `indices` `[n]`, where each comes first in x taken along one axis;
        `inverse_indices`, of the shape of x, with `values[inverse_indices]` equal to x; `counts` `[n]`. All but the
        values are int32.
    """
    x = tensor(x)
    if x.size == 0:
        nothing = filled((0,), 0, np.dtype("int32"))
        return UniqueAll(filled((0,), 0, x.dtype), nothing, reshaped(nothing, x.shape), nothing)
    values, indices, inverse, counts = distinct(x)
    return UniqueAll(values, indices, reshaped(inverse, x.shape), counts)


def distinct(x: Tensor) -> Any:
    """What the op answers for the elements along one axis."""
    return _call.run(handle("unique", ("x",)), (flatten(x),))


def unique_counts(x: Tensor, /) -> UniqueCounts:
    """The different elements `[n]` of x, and how often each comes, `[n]` of int32."""
    found = unique_all(x)
    return UniqueCounts(found.values, found.counts)


def unique_inverse(x: Tensor, /) -> UniqueInverse:
    """The different elements `[n]` of x, and which of them each element is, in the shape of x, of int32."""
    found = unique_all(x)
    return UniqueInverse(found.values, found.inverse_indices)


def unique_values(x: Tensor, /) -> Tensor:
    """The different elements `[n]` of x."""
    return unique_all(x).values
