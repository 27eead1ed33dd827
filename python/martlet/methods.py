"""The methods of a tensor that are functions of this package with the tensor in front; those say what they take."""

# The class is a part of Tensor, which type checkers cannot know of its `self`.
# mypy: disable-error-code="arg-type"
from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import martlet
from martlet.data_types import DType

__all__ = ["Axis", "TensorMethods"]

Axis: TypeAlias = int | Sequence[int] | None


class TensorMethods:
    """Functions of `martlet` as methods: `t.sum(0)` is `martlet.sum(t, axis=0)`."""

    __slots__ = ()

    @property
    def real(self) -> martlet.Tensor:
        """The real part: `martlet.real`."""
        return martlet.real(self)

    @property
    def imag(self) -> martlet.Tensor:
        """The imaginary part: `martlet.imag`."""
        return martlet.imag(self)

    def softmax(self, axis: int = -1) -> martlet.Tensor:
        """e to each element, divided by their sum along an axis."""
        return martlet._arguments.apply("softmax", self, axis=axis)

    def sum(self, axis: Axis = None, *, dtype: DType | None = None, keepdims: bool = False) -> martlet.Tensor:
        """The sum along axes."""
        return martlet.sum(self, axis=axis, dtype=dtype, keepdims=keepdims)

    def prod(self, axis: Axis = None, *, dtype: DType | None = None, keepdims: bool = False) -> martlet.Tensor:
        """The product along axes."""
        return martlet.prod(self, axis=axis, dtype=dtype, keepdims=keepdims)

    def mean(self, axis: Axis = None, *, keepdims: bool = False) -> martlet.Tensor:
        """The mean along axes."""
        return martlet.mean(self, axis=axis, keepdims=keepdims)

    def std(self, axis: Axis = None, *, correction: float = 0.0, keepdims: bool = False) -> martlet.Tensor:
        """The standard deviation along axes."""
        return martlet.std(self, axis=axis, correction=correction, keepdims=keepdims)

    def var(self, axis: Axis = None, *, correction: float = 0.0, keepdims: bool = False) -> martlet.Tensor:
        """The variance along axes."""
        return martlet.var(self, axis=axis, correction=correction, keepdims=keepdims)

    def max(self, axis: Axis = None, *, keepdims: bool = False) -> martlet.Tensor:
        """The largest element along axes."""
        return martlet.max(self, axis=axis, keepdims=keepdims)

    def min(self, axis: Axis = None, *, keepdims: bool = False) -> martlet.Tensor:
        """The smallest element along axes."""
        return martlet.min(self, axis=axis, keepdims=keepdims)

    def any(self, axis: Axis = None, *, keepdims: bool = False) -> martlet.Tensor:
        """Whether any element along axes is not 0."""
        return martlet.any(self, axis=axis, keepdims=keepdims)

    def all(self, axis: Axis = None, *, keepdims: bool = False) -> martlet.Tensor:
        """Whether all elements along axes are not 0."""
        return martlet.all(self, axis=axis, keepdims=keepdims)

    def argmax(self, axis: int | None = None, *, keepdims: bool = False) -> martlet.Tensor:
        """The position of the largest element along an axis."""
        return martlet.argmax(self, axis=axis, keepdims=keepdims)

    def argmin(self, axis: int | None = None, *, keepdims: bool = False) -> martlet.Tensor:
        """The position of the smallest element along an axis."""
        return martlet.argmin(self, axis=axis, keepdims=keepdims)

    def cumulative_sum(self, axis: int | None = None, *, dtype: DType | None = None) -> martlet.Tensor:
        """The sums of all elements up to each one along an axis."""
        return martlet.cumulative_sum(self, axis=axis, dtype=dtype)

    def cumulative_prod(self, axis: int | None = None, *, dtype: DType | None = None) -> martlet.Tensor:
        """The products of all elements up to each one along an axis."""
        return martlet.cumulative_prod(self, axis=axis, dtype=dtype)

    def sort(self, axis: int = -1, *, descending: bool = False) -> martlet.Tensor:
        """The elements in order along an axis."""
        return martlet.sort(self, axis=axis, descending=descending)

    def argsort(self, axis: int = -1, *, descending: bool = False) -> martlet.Tensor:
        """The positions that put the elements in order along an axis."""
        return martlet.argsort(self, axis=axis, descending=descending)

    def nonzero(self) -> tuple[martlet.Tensor, ...]:
        """The positions of all elements that are not 0, one tensor for each axis."""
        return martlet.nonzero(self)

    def take(self, indices: martlet.Tensor | Sequence[int], axis: int | None = None) -> martlet.Tensor:
        """The slices at indices of an axis."""
        return martlet.take(self, indices, axis=axis)

    def squeeze(self, axis: Axis = None) -> martlet.Tensor:
        """Axes of length 1 taken away."""
        return martlet.squeeze(self, axis)

    def expand_dims(self, axis: int | Sequence[int] = 0) -> martlet.Tensor:
        """New axes of length 1."""
        return martlet.expand_dims(self, axis)

    def flatten(self) -> martlet.Tensor:
        """All elements along one axis."""
        return martlet.flatten(self)

    def flip(self, axis: Axis = None) -> martlet.Tensor:
        """The elements along axes in reverse."""
        return martlet.flip(self, axis=axis)

    def roll(self, shift: int | Sequence[int], axis: Axis = None) -> martlet.Tensor:
        """The elements moved along axes."""
        return martlet.roll(self, shift, axis=axis)

    def repeat(self, repeats: int | martlet.Tensor | Sequence[int], axis: int | None = None) -> martlet.Tensor:
        """Each element repeated where it stands."""
        return martlet.repeat(self, repeats, axis=axis)

    def tile(self, repetitions: Sequence[int]) -> martlet.Tensor:
        """The whole tensor repeated along each axis."""
        return martlet.tile(self, repetitions)

    def swapaxes(self, axis1: int, axis2: int) -> martlet.Tensor:
        """Two axes in each other's place."""
        return martlet.swapaxes(self, axis1, axis2)

    def moveaxis(self, source: int | Sequence[int], destination: int | Sequence[int]) -> martlet.Tensor:
        """Axes moved to other places."""
        return martlet.moveaxis(self, source, destination)

    def broadcast_to(self, shape: tuple[int, ...]) -> martlet.Tensor:
        """The tensor repeated to a shape it broadcasts to."""
        return martlet.broadcast_to(self, shape)

    def clip(
        self, min: martlet._arguments.Operand | None = None, max: martlet._arguments.Operand | None = None
    ) -> martlet.Tensor:
        """The elements held between two bounds."""
        return martlet.clip(self, min, max)

    def log(self) -> martlet.Tensor:
        """The natural logarithm."""
        return martlet.log(self)

    def conj(self) -> martlet.Tensor:
        """The complex conjugate."""
        return martlet.conj(self)
