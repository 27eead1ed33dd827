"""How tensors look. Of a large one only the edges are read; NumPy's print options hold here too."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import martlet

__all__ = ["tensor_repr", "tensor_str"]


def shown(x: martlet.Tensor) -> tuple[NDArray[Any], int]:
    """The elements that will be printed, and the size from which NumPy leaves some out.

    Of an axis longer than its two edges, the edges and one element between are taken: NumPy puts dots in its place.
    """
    options = np.get_printoptions()
    edge, threshold = int(options["edgeitems"]), int(options["threshold"])
    array = x.numpy()
    if array.size <= threshold:
        return array, threshold
    for axis, size in enumerate(array.shape):
        if size > 2 * edge + 1:
            ends = [slice(None)] * array.ndim
            head, tail = list(ends), list(ends)
            head[axis], tail[axis] = slice(edge + 1), slice(size - edge, None)
            array = np.concatenate([array[tuple(head)], array[tuple(tail)]], axis=axis)
    return array, 0


def tensor_str(x: martlet.Tensor) -> str:
    """The elements alone, as NumPy prints them; a traced tensor has none."""
    if x.is_traced:
        return tensor_repr(x)
    if x.ndim == 0:
        return str(x.item())
    array, threshold = shown(x)
    return np.array2string(array, threshold=threshold)


def tensor_repr(x: martlet.Tensor) -> str:
    """`Tensor([1., 2.], dtype=float32)`; the shape where not all elements are shown, or none are there."""
    if x.is_traced:
        return f"Tensor(traced, shape={x.shape}, dtype={x.dtype.name})"
    array, threshold = shown(x)
    prefix = "Tensor("
    body = np.array2string(array, separator=", ", prefix=prefix, threshold=threshold) if x.size else "[]"
    words = [f"shape={x.shape}"] if threshold == 0 or (x.size == 0 and x.shape != (0,)) else []
    words.append(f"dtype={x.dtype.name}")
    last = len(body) - body.rfind("\n") - 1 + len(", ".join(words))
    width = int(np.get_printoptions()["linewidth"])
    gap = ",\n" + " " * len(prefix) if "\n" in body and last + 3 > width else ", "
    return f"{prefix}{body}{gap}{', '.join(words)})"
