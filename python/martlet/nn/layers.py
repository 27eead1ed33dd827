"""Layers: linear, convolution, normalization, pooling, embedding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from martlet._call import call
from martlet.errors import InvalidArgumentError
from martlet.nn import init
from martlet.nn.module import Module
from martlet.tensor import Tensor

__all__ = [
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv1d",
    "Conv2d",
    "Dropout",
    "Embedding",
    "Flatten",
    "LayerNorm",
    "Linear",
    "MaxPool2d",
]

Sizes = int | Sequence[int]


def sizes(value: Sizes, count: int, name: str) -> tuple[int, ...]:
    """One size for every dimension, or one of each."""
    result = (value,) * count if isinstance(value, int) else tuple(int(each) for each in value)
    if len(result) != count:
        raise InvalidArgumentError(f"{name} has {len(result)} sizes; it must have {count}.")
    return result


def optional(tensor: Tensor, is_wanted: bool) -> Tensor | None:
    return tensor if is_wanted else None


class Linear(Module):
    """x · weightᵀ + bias along the last dimension: `[…, in_features]` becomes `[…, out_features]`.

    `weight` is `[out_features, in_features]`, `bias` `[out_features]`, or None without one.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        self.in_features, self.out_features = in_features, out_features
        bound = 1 / math.sqrt(max(in_features, 1))
        self.weight = init.uniform(bound, out_features, in_features)
        self.bias = optional(init.uniform(bound, out_features), bias)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self._weighted("linear", {"x": x}, {"weight": self.weight, "bias": self.bias})
        return result

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Convolution(Module):
    """What convolutions of every rank share."""

    rank: int

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1, padding: Sizes | str = 0,
        dilation: Sizes = 1, groups: int = 1, bias: bool = True,
    ) -> None:  # fmt: skip
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise InvalidArgumentError(f"{in_channels} and {out_channels} channels do not divide into {groups} groups.")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = sizes(kernel_size, self.rank, "kernel_size")
        self.stride = sizes(stride, self.rank, "stride")
        self.dilation = sizes(dilation, self.rank, "dilation")
        self.padding = padding if isinstance(padding, str) else sizes(padding, self.rank, "padding")
        self.pad = self.pads()
        inputs = in_channels // groups
        bound = 1 / math.sqrt(max(inputs * math.prod(self.kernel_size), 1))
        self.weight = init.uniform(bound, out_channels, inputs, *self.kernel_size)
        self.bias = optional(init.uniform(bound, out_channels), bias)

    def pads(self) -> tuple[int, ...]:
        """What is added before and after each dimension; with "same" the odd element goes behind, as in torch."""
        if isinstance(self.padding, tuple):
            return tuple(each for size in self.padding for each in (size, size))
        if self.padding == "valid":
            return (0, 0) * self.rank
        if self.padding != "same" or set(self.stride) != {1}:
            raise InvalidArgumentError(f"padding is {self.padding!r}; it must be valid, same (with stride 1) or sizes.")
        totals = [step * (size - 1) for step, size in zip(self.dilation, self.kernel_size)]
        return tuple(each for total in totals for each in (total // 2, total - total // 2))

    def forward(self, x: Tensor) -> Tensor:
        return batched(self.convolve, x, self.rank + 2)

    def convolve(self, x: Tensor) -> Tensor:
        result: Tensor = self._weighted(
            "conv", {"x": x}, {"weight": self.weight, "bias": self.bias}, strides=self.stride, pad_type="custom",
            pad=self.pad, dilations=self.dilation, groups=self.groups,
        )  # fmt: skip
        return result

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
            + "".join(
                f", {name}={value!r}"
                for name, value, usual in [
                    ("padding", self.padding, (0,) * self.rank),
                    ("dilation", self.dilation, (1,) * self.rank),
                    ("groups", self.groups, 1),
                    ("bias", self.bias is not None, True),
                ]
                if value != usual
            )
        )


class Conv1d(Convolution):
    """Convolution of `[batch, in_channels, length]`, or of one example without the batch.

    `weight` is `[out_channels, in_channels / groups, kernel_size]`. `padding` is a size, `valid` or `same`.
    """

    rank = 1


class Conv2d(Convolution):
    """Convolution of `[batch, in_channels, height, width]`, or of one example without the batch.

    `weight` is `[out_channels, in_channels / groups, height, width]`. `padding` is sizes, `valid` or `same`.
    """

    rank = 2


def batched(function: Any, x: Tensor, rank: int) -> Tensor:
    """Applies what takes a batch, also to one example alone."""
    if x.ndim == rank - 1:
        single: Tensor = call("squeeze", {"x": function(call("expand_dims", {"x": x}, axes=(0,)))}, axes=(0,))
        return single
    result: Tensor = function(x)
    return result


class Pool2d(Module):
    """What poolings share."""

    op: str

    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool = False
    ) -> None:
        self.kernel_size = sizes(kernel_size, 2, "kernel_size")
        self.stride = self.kernel_size if stride is None else sizes(stride, 2, "stride")
        self.padding = sizes(padding, 2, "padding")
        if any(2 * pad > size for pad, size in zip(self.padding, self.kernel_size)):
            raise InvalidArgumentError(f"padding {self.padding} is more than half of the window {self.kernel_size}.")
        self.ceil_mode = ceil_mode

    def forward(self, x: Tensor) -> Tensor:
        return batched(self.pool, x, 4)

    def pool(self, x: Tensor, **more: Any) -> Tensor:
        pad = tuple(each for size in self.padding for each in (size, size))
        result: Tensor = call(
            self.op, {"x": x}, kernel_sizes=self.kernel_size, strides=self.stride, pad_type="custom", pad=pad,
            ceil_mode=self.ceil_mode, **more,
        )  # fmt: skip
        return result

    def extra_repr(self) -> str:
        sized = f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
        return f"{sized}, ceil_mode={self.ceil_mode}"


class MaxPool2d(Pool2d):
    """The largest element of each window of `[batch, channels, height, width]`; windows lie side by side by default."""

    op = "max_pool"


class AvgPool2d(Pool2d):
    """The mean of each window of `[batch, channels, height, width]`; zeros of the padding count where wanted."""

    op = "avg_pool"

    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = count_include_pad

    def pool(self, x: Tensor, **more: Any) -> Tensor:
        return super().pool(x, exclude_padding_from_average=not self.count_include_pad)


class BatchNorm(Module):
    """What batch normalizations of every rank share."""

    ranks: tuple[int, ...]

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:  # fmt: skip
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight = optional(init.ones(num_features), affine)
        self.bias = optional(init.zeros(num_features), affine)
        self.running_mean: Tensor | None = None
        self.running_var: Tensor | None = None
        self.num_batches_tracked: Tensor | None = None
        if track_running_stats:
            self.register_buffer("running_mean", init.zeros(num_features))
            self.register_buffer("running_var", init.ones(num_features))
            self.register_buffer("num_batches_tracked", Tensor(np.zeros((), np.int64)))

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim not in self.ranks or x.shape[1] not in (-1, self.num_features):
            ranks = " or ".join(map(str, self.ranks))
            raise InvalidArgumentError(
                f"{type(self).__name__} takes {ranks} dimensions with {self.num_features} channels, "
                f"not {list(x.shape)}."
            )
        scale = {"gamma": self.weight, "beta": self.bias}
        if self.training or self.running_mean is None:
            mean, variance = self.statistics(x)
            inputs, weights = {"x": x, "mean": mean, "variance": variance}, scale
        else:
            inputs, weights = {"x": x}, {"mean": self.running_mean, "variance": self.running_var, **scale}
        result: Tensor = self._weighted("batch_norm", inputs, weights, epsilon=self.eps)
        return result

    def statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of a batch for each channel; they move the running ones."""
        axes = tuple(axis for axis in range(x.ndim) if axis != 1)
        mean = call("reduce_mean", {"x": x}, axes=axes, keep_dims=True)
        difference = call("sub", {"x": x, "y": mean})
        variance = call("reduce_mean", {"x": call("square", {"x": difference})}, axes=axes, keep_dims=False)
        mean = call("reshape", {"x": mean}, shape=(self.num_features,))
        if self.training and self.running_mean is not None and not x.is_traced:
            self.track(mean.numpy(), variance.numpy(), x.size // self.num_features)
        return mean, variance

    def track(self, mean: Any, variance: Any, count: int) -> None:
        if count < 2:
            raise InvalidArgumentError("Training needs more than one value in each channel.")
        assert self.num_batches_tracked is not None
        tracked = self.num_batches_tracked.numpy() + 1
        share = 1 / float(tracked) if self.momentum is None else self.momentum
        for name, new in (("running_mean", mean), ("running_var", variance * count / (count - 1))):
            old = getattr(self, name).numpy()
            setattr(self, name, Tensor(((1 - share) * old + share * new).astype(old.dtype)))
        self.num_batches_tracked = Tensor(np.asarray(tracked, np.int64))

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(BatchNorm):
    """Each channel of `[batch, channels]` or `[batch, channels, length]` with mean 0 and variance 1, then scaled.

    In training it takes the statistics of its batch and moves the running ones, which it takes after `eval()`.
    """

    ranks = (2, 3)


class BatchNorm2d(BatchNorm):
    """Each channel of `[batch, channels, height, width]` with mean 0 and variance 1, then scaled.

    In training it takes the statistics of its batch and moves the running ones, which it takes after `eval()`.
    """

    ranks = (4,)


class LayerNorm(Module):
    """x with mean 0 and variance 1 over its last dimensions, those of `normalized_shape`, times weight plus bias."""

    def __init__(
        self, normalized_shape: Sizes, eps: float = 1e-5, elementwise_affine: bool = True, bias: bool = True
    ) -> None:
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.weight = optional(init.ones(*self.normalized_shape), elementwise_affine)
        self.bias = optional(init.zeros(*self.normalized_shape), elementwise_affine and bias)

    def forward(self, x: Tensor) -> Tensor:
        count = len(self.normalized_shape)
        if x.shape[-count:] != self.normalized_shape:
            raise InvalidArgumentError(
                f"LayerNorm takes tensors that end in {list(self.normalized_shape)}, not {list(x.shape)}."
            )
        result: Tensor = self._weighted(
            "layer_norm", {"x": x}, {"gamma": self.weight, "beta": self.bias}, axes=tuple(range(-count, 0)),
            epsilon=self.eps,
        )  # fmt: skip
        return result

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class Embedding(Module):
    """The row of `weight`, `[num_embeddings, embedding_dim]`, for each integer in x: one dimension more."""

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None) -> None:
        self.num_embeddings, self.embedding_dim, self.padding_idx = num_embeddings, embedding_dim, padding_idx
        start = init.normal(num_embeddings, embedding_dim).numpy().copy()
        if padding_idx is not None:
            start[padding_idx] = 0
        self.weight = Tensor(start)

    def forward(self, x: Tensor) -> Tensor:
        if not x.is_traced and x.size:
            low, high = int(x.numpy().min()), int(x.numpy().max())
            if low < 0 or high >= self.num_embeddings:
                raise InvalidArgumentError(
                    f"The indices lie from {low} to {high}; there are embeddings 0 to {self.num_embeddings - 1}."
                )
        result: Tensor = call("gather", {"x": self.weight, "indices": x}, axis=0)
        return result

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


class Dropout(Module):
    """In training each element becomes 0 with probability p, or is divided by 1 - p; in use x as it is."""

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise InvalidArgumentError(f"The probability is {p}; it must be from 0 to 1.")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        result: Tensor = call("mul", {"x": x, "y": Tensor(init.dropped(self.p, x.shape, x.dtype))})
        return result

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Flatten(Module):
    """The dimensions from start_dim to end_dim as one."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Tensor) -> Tensor:
        rank = x.ndim
        first, last = (dim + rank if dim < 0 else dim for dim in (self.start_dim, self.end_dim))
        if not 0 <= first <= last < max(rank, 1):
            raise InvalidArgumentError(f"A tensor of shape {list(x.shape)} has no dimensions {first} to {last}.")
        shape = list(x.shape)
        inner = shape[first : last + 1]
        shape[first : last + 1] = [-1 if -1 in inner else math.prod(inner)]
        return x.reshape(*(shape if rank else [1]))

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
