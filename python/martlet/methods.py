"""The methods of a tensor that are functions of this package with the tensor in front; those say what they take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import martlet

if TYPE_CHECKING:
    from martlet._arguments import Axis, Operand
    from martlet.data_types import DType
    from martlet.tensor import Tensor

__all__ = ["TensorMethods"]


class TensorMethods:
    """Functions of `martlet` as methods: `t.sum(0)` is `martlet.sum(t, axis=0)`."""

    __slots__ = ()

    @property
    def real(self) -> Tensor:
        """The real part: `martlet.real`."""
        return martlet.real(self)

    @property
    def imag(self) -> Tensor:
        """The imaginary part: `martlet.imag`."""
        return martlet.imag(self)

    def softmax(self, axis: int = -1) -> Tensor:
        """e to each element, divided by their sum along an axis."""
        result: Tensor = martlet._call.call("softmax", {"x": self}, axis=axis)
        return result

    def sum(self, axis: Axis = None, *, dtype: DType | None = None, keepdims: bool = False) -> Tensor:
        """The sum along axes."""
        return martlet.sum(self, axis=axis, dtype=dtype, keepdims=keepdims)

    def prod(self, axis: Axis = None, *, dtype: DType | None = None, keepdims: bool = False) -> Tensor:
        """The product along axes."""
        return martlet.prod(self, axis=axis, dtype=dtype, keepdims=keepdims)

    def mean(self, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
        """The mean along axes."""
        return martlet.mean(self, axis=axis, keepdims=keepdims)

    def std(self, axis: Axis = None, *, correction: float = 0.0, keepdims: bool = False) -> Tensor:
        """The standard deviation along axes."""
        return martlet.std(self, axis=axis, correction=correction, keepdims=keepdims)

    def var(self, axis: Axis = None, *, correction: float = 0.0, keepdims: bool = False) -> Tensor:
        """The variance along axes."""
        return martlet.var(self, axis=axis, correction=correction, keepdims=keepdims)

    def max(self, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
        """The largest element along axes."""
        return martlet.max(self, axis=axis, keepdims=keepdims)

    def min(self, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
        """The smallest element along axes."""
        return martlet.min(self, axis=axis, keepdims=keepdims)

    def any(self, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
        """Whether any element along axes is not 0."""
        return martlet.any(self, axis=axis, keepdims=keepdims)

    def all(self, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
        """Whether all elements along axes are not 0."""
        return martlet.all(self, axis=axis, keepdims=keepdims)

    def argmax(self, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
        """The position of the largest element along an axis."""
        return martlet.argmax(self, axis=axis, keepdims=keepdims)

    def argmin(self, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
        """The position of the smallest element along an axis."""
        return martlet.argmin(self, axis=axis, keepdims=keepdims)

    def cumulative_sum(self, axis: int | None = None, *, dtype: DType | None = None) -> Tensor:
        """The sums of all elements up to each one along an axis."""
        return martlet.cumulative_sum(self, axis=axis, dtype=dtype)

    def cumulative_prod(self, axis: int | None = None, *, dtype: DType | None = None) -> Tensor:
        """The products of all elements up to each one along an axis."""
        return martlet.cumulative_prod(self, axis=axis, dtype=dtype)

    def sort(self, axis: int = -1, *, descending: bool = False) -> Tensor:
        """The elements in order along an axis."""
        return martlet.sort(self, axis=axis, descending=descending)

    def argsort(self, axis: int = -1, *, descending: bool = False) -> Tensor:
        """The positions that put the elements in order along an axis."""
        return martlet.argsort(self, axis=axis, descending=descending)

    def nonzero(self) -> tuple[Tensor, ...]:
        """The positions of all elements that are not 0, one tensor for each axis."""
        return martlet.nonzero(self)

    def take(self, indices: Tensor | Sequence[int], axis: int | None = None) -> Tensor:
        """The slices at indices of an axis."""
        return martlet.take(self, indices, axis=axis)

    def squeeze(self, axis: Axis = None) -> Tensor:
        """Axes of length 1 taken away."""
        return martlet.squeeze(self, axis)

    def expand_dims(self, axis: int | Sequence[int] = 0) -> Tensor:
        """New axes of length 1."""
        return martlet.expand_dims(self, axis)

    def flatten(self) -> Tensor:
        """All elements along one axis."""
        return martlet.flatten(self)

    def flip(self, axis: Axis = None) -> Tensor:
        """The elements along axes in reverse."""
        return martlet.flip(self, axis=axis)

    def roll(self, shift: int | Sequence[int], axis: Axis = None) -> Tensor:
        """The elements moved along axes."""
        return martlet.roll(self, shift, axis=axis)

    def repeat(self, repeats: int | Tensor | Sequence[int], axis: int | None = None) -> Tensor:
        """Each element repeated where it stands."""
        return martlet.repeat(self, repeats, axis=axis)

    def tile(self, repetitions: Sequence[int]) -> Tensor:
        """The whole tensor repeated along each axis."""
        return martlet.tile(self, repetitions)

    def swapaxes(self, axis1: int, axis2: int) -> Tensor:
        """Two axes in each other's place."""
        return martlet.swapaxes(self, axis1, axis2)

    def moveaxis(self, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
        """Axes moved to other places."""
        return martlet.moveaxis(self, source, destination)

    def broadcast_to(self, shape: tuple[int, ...]) -> Tensor:
        """The tensor repeated to a shape it broadcasts to."""
        return martlet.broadcast_to(self, shape)

    def clip(self, min: Operand | None = None, max: Operand | None = None) -> Tensor:
        """The elements held between two bounds."""
        return martlet.clip(self, min, max)

    def log(self) -> Tensor:
        """The natural logarithm."""
        return martlet.log(self)

    def conj(self) -> Tensor:
        """The complex conjugate."""
        return martlet.conj(self)
