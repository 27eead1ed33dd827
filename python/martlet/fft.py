"""The Fourier transforms of the Python array API's extension `fft`.

Complex transforms take and answer complex64 or complex128; real ones float32 or float64 on the real side. `norm` says
where the factor 1/n stands: `backward` on the inverse, `forward` on the forward transform, `ortho` as 1/√n on both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from martlet._arguments import Axis, alias, axes_of, cast, filled, one_axis, owned, tensor, whole
from martlet._call import call
from martlet.data_types import DType, complex64, complex128, element_type, float32
from martlet.elementwise import conj
from martlet.errors import InvalidArgumentError, WrongTypeError
from martlet.manipulation import roll
from martlet.tensor import Tensor

__all__ = [
    "fft",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfftn",
    "rfft",
    "rfftfreq",
    "rfftn",
]

Norm: TypeAlias = Literal["backward", "ortho", "forward"]
OTHER_NORM: dict[str, Norm] = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


def transform(op: str, x: Tensor, n: int | None, axis: int, norm: Norm) -> Tensor:
    """One transform along one axis."""
    place = one_axis(axis, x.ndim, x.shape)
    if norm not in OTHER_NORM:
        raise InvalidArgumentError(f"The norm is {norm!r}; it must be 'backward', 'ortho' or 'forward'.")
    size = x.shape[place] if n is None else whole(n, "The length")
    if op == "irfft" and n is None:
        size = 2 * (size - 1)
    if size < 1:
        raise InvalidArgumentError(
            f"The transform has length {size} along axis {place} of shape {x.shape}; it must be at least 1."
        )
    if x.size == 0 and 0 in x.shape[:place] + x.shape[place + 1 :]:
        result = size // 2 + 1 if op == "rfft" else size
        parts = element_type(np.float32 if x.dtype.name in ("float32", "complex64") else np.float64)
        dtype = parts if op == "irfft" else complex64 if parts == float32 else complex128
        return filled((*x.shape[:place], result, *x.shape[place + 1 :]), 0, dtype)
    return call(op, {"x": x}, n=size, axis=place, norm=norm)


def complexes(x: Any) -> Tensor:
    """The elements as complex numbers of their own size."""
    x = tensor(x)
    return cast(x, x.dtype if x.dtype.kind == "c" else complex128 if x.dtype == np.float64 else complex64)


def reals(x: Any) -> Tensor:
    """The elements as real floating-point numbers."""
    x = tensor(x)
    if x.dtype.kind == "c":
        raise WrongTypeError(f"The tensor is {x.dtype}; a real transform takes real numbers. Take fft instead.")
    return cast(x, x.dtype if x.dtype in (np.float32, np.float64) else float32)


def along(op: str, x: Tensor, s: Sequence[int] | None, axes: Sequence[int] | None, norm: Norm) -> Tensor:
    """One transform along several axes, the last one first."""
    for size, axis in reversed(lengths(x, s, axes)):
        x = transform(op, x, size, axis, norm)
    return alias(x)


def lengths(x: Tensor, s: Sequence[int] | None, axes: Sequence[int] | None) -> list[tuple[int | None, int]]:
    """The axes to transform, each with the length asked for."""
    if axes is None:
        axes = range(x.ndim) if s is None else range(x.ndim - len(s), x.ndim)
    sizes = [None] * len(axes) if s is None else list(s)
    if len(sizes) != len(axes):
        raise InvalidArgumentError(f"There are {len(sizes)} lengths for {len(axes)} axes; give one for each.")
    return [(size, one_axis(axis, x.ndim, x.shape)) for size, axis in zip(sizes, axes)]


def fft(x: Tensor, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Tensor:
    """The discrete Fourier transform along an axis.

    Args:
        x: complex elements; real ones are taken as such.
        n: the length; x is cut or filled up with zeros to it. That of the axis where left out.

    Returns:
        A complex tensor of the shape of x with length n along the axis.

    Raises:
        InvalidArgumentError: the length is not at least 1, or the norm has another name.
    """
    return transform("fft", complexes(x), n, axis, norm)


def ifft(x: Tensor, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Tensor:
    """The inverse discrete Fourier transform along an axis. Arguments, result and errors are those of `fft`."""
    return transform("ifft", complexes(x), n, axis, norm)


def fftn(
    x: Tensor, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: Norm = "backward"
) -> Tensor:
    """The discrete Fourier transform along several axes.

    Args:
        x: complex elements; real ones are taken as such.
        s: the length along each axis.
        axes: the axes; all where left out, or the last ones, as many as lengths.

    Returns:
        A complex tensor.
    """
    return along("fft", complexes(x), s, axes, norm)


def ifftn(
    x: Tensor, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: Norm = "backward"
) -> Tensor:
    """The inverse discrete Fourier transform along several axes. Arguments are those of `fftn`."""
    return along("ifft", complexes(x), s, axes, norm)


def rfft(x: Tensor, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Tensor:
    """The discrete Fourier transform of real numbers along an axis: the n // 2 + 1 results that are not redundant.

    Raises:
        WrongTypeError: the elements are complex.
    """
    return transform("rfft", reals(x), n, axis, norm)


def irfft(x: Tensor, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Tensor:
    """The inverse of `rfft`: n real numbers, by default 2 (m - 1) where the axis has length m."""
    return transform("irfft", complexes(x), n, axis, norm)


def rfftn(
    x: Tensor, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: Norm = "backward"
) -> Tensor:
    """The transform of real numbers along several axes: `rfft` along the last, `fft` along the others."""
    x = reals(x)
    *others, (size, last) = lengths(x, s, axes)
    result = transform("rfft", x, size, last, norm)
    for length, axis in reversed(others):
        result = transform("fft", result, length, axis, norm)
    return result


def irfftn(
    x: Tensor, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: Norm = "backward"
) -> Tensor:
    """The inverse of `rfftn`: `ifft` along all axes but the last, then `irfft` along that."""
    result = complexes(x)
    *others, (size, last) = lengths(result, s, axes)
    for length, axis in others:
        result = transform("ifft", result, length, axis, norm)
    return transform("irfft", result, size, last, norm)


def hfft(x: Tensor, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Tensor:
    """The transform of a sequence that mirrors itself conjugated, of which x is the first half: n real numbers."""
    if norm not in OTHER_NORM:
        raise InvalidArgumentError(f"The norm is {norm!r}; it must be 'backward', 'ortho' or 'forward'.")
    return transform("irfft", conj(complexes(x)), n, axis, OTHER_NORM[norm])


def ihfft(x: Tensor, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Tensor:
    """The inverse of `hfft`: the first n // 2 + 1 numbers of a sequence that mirrors itself conjugated."""
    if norm not in OTHER_NORM:
        raise InvalidArgumentError(f"The norm is {norm!r}; it must be 'backward', 'ortho' or 'forward'.")
    return conj(transform("rfft", reals(x), n, axis, OTHER_NORM[norm]))


def fftfreq(n: int, /, *, d: float = 1.0, dtype: DType | None = None, device: str | None = None) -> Tensor:
    """The frequencies of the results of `fft`: `[0, 1, …, (n-1)/2, -n/2, …, -1] / (d n)`.

    Args:
        n: the length of the transform.
        d: the distance of two samples.
        dtype: the floating-point type of the result; float32 where left out.
    """
    return frequencies(np.fft.fftfreq(whole(n, "The length"), d), dtype, device)


def rfftfreq(n: int, /, *, d: float = 1.0, dtype: DType | None = None, device: str | None = None) -> Tensor:
    """The frequencies of the results of `rfft`: `[0, 1, …, n/2] / (d n)`. Arguments are those of `fftfreq`."""
    return frequencies(np.fft.rfftfreq(whole(n, "The length"), d), dtype, device)


def frequencies(values: np.ndarray[Any, Any], dtype: DType | None, device: str | None) -> Tensor:
    wanted = float32 if dtype is None else element_type(dtype)
    if wanted.kind != "f":
        raise WrongTypeError(f"Frequencies are floating-point numbers, not {wanted}.")
    return owned(values.astype(wanted), device)


def fftshift(x: Tensor, /, *, axes: Axis = None) -> Tensor:
    """The results of a transform with frequency 0 moved to the middle of each axis."""
    x = tensor(x)
    places = axes_of(axes, x)
    return roll(x, tuple(x.shape[axis] // 2 for axis in places), axis=places)


def ifftshift(x: Tensor, /, *, axes: Axis = None) -> Tensor:
    """The inverse of `fftshift`."""
    x = tensor(x)
    places = axes_of(axes, x)
    return roll(x, tuple(-(x.shape[axis] // 2) for axis in places), axis=places)
