"""Attention."""

from __future__ import annotations

import math

import numpy as np

from martlet._call import call
from martlet.errors import InvalidArgumentError
from martlet.nn import init
from martlet.nn.layers import Linear
from martlet.nn.module import Module
from martlet.nn.recurrent import split
from martlet.tensor import Tensor

__all__ = ["MultiHeadAttention"]


class MultiHeadAttention(Module):
    """Attention of `num_heads` heads side by side: what torch calls MultiheadAttention, with its parameters.

    `in_proj_weight` is `[3 · embed_dim, embed_dim]`: the projections of queries, keys and values one above the other.
    """

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True, batch_first: bool = False
    ) -> None:
        if num_heads < 1 or embed_dim % num_heads:
            raise InvalidArgumentError(f"{embed_dim} values do not divide into {num_heads} heads.")
        self.embed_dim, self.num_heads, self.dropout, self.batch_first = embed_dim, num_heads, dropout, batch_first
        self.in_proj_weight = init.xavier_uniform(3 * embed_dim, embed_dim)
        self.in_proj_bias = init.zeros(3 * embed_dim) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias)
        if bias:
            self.out_proj.bias = init.zeros(embed_dim)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None,
        need_weights: bool = True, attn_mask: Tensor | None = None, average_attn_weights: bool = True,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """Mixes values by how well their keys meet the queries.

        Args:
            query: `[targets, batch, embed_dim]`, or `[batch, targets, embed_dim]` where `batch_first`.
            key: The same with sources.
            value: Like key.
            key_padding_mask: `[batch, sources]`: true leaves a source out, a number is added to its scores.
            need_weights: Whether the weights are wanted; without them it is quicker.
            attn_mask: `[targets, sources]` or `[batch · num_heads, targets, sources]`: true leaves a source out, a
                number is added.
            average_attn_weights: Weights as the mean over the heads, `[batch, targets, sources]`; else for each head.

        Returns:
            The result in the shape of `query`, and the weights or None. A target whose sources are all masked attends
            to none: its weights are 0.

        Raises:
            InvalidArgumentError: A shape does not fit.
        """
        for name, each in (("query", query), ("key", key), ("value", value)):
            if each.ndim != 3 or each.shape[-1] != self.embed_dim:
                raise InvalidArgumentError(f"{name} has shape {list(each.shape)}; it must be 3 sizes, the last one "
                                           f"{self.embed_dim}.")  # fmt: skip
        queries, keys, values = (self.heads(each) for each in self.projected(query, key, value))
        mask = self.mask(key_padding_mask, attn_mask, queries, keys)
        weights = None
        if need_weights or (self.training and self.dropout):
            weights = unmasked(self.weights(queries, keys, mask), mask)
            applied = weights
            if self.training and self.dropout:
                applied = call(
                    "mul", {"x": weights, "y": Tensor(init.dropped(self.dropout, weights.shape, weights.dtype))}
                )
            mixed = call("matmul", {"x": applied, "y": values})
            averaged = average_attn_weights
            weights = call("reduce_mean", {"x": weights}, axes=(1,), keep_dims=False) if averaged else weights
        else:
            mixed = call(
                "scaled_dot_product_attention", {"query": queries, "key": keys, "value": values, "attn_mask": mask}
            )
            mixed = unmasked(mixed, mask)
        order = (0, 2, 1, 3) if self.batch_first else (2, 0, 1, 3)
        return self.out_proj(mixed.transpose(*order).reshape(*query.shape)), weights if need_weights else None

    def projected(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values, by one product where all come from one tensor."""
        if query is key and key is value:
            weights = {"weight": self.in_proj_weight, "bias": self.in_proj_bias}
            whole = self._weighted("linear", {"x": query}, weights)
            return split(whole, 3, -1)
        sources = [self.in_proj_weight, *([] if self.in_proj_bias is None else [self.in_proj_bias])]
        parts = self._derived("parts", sources, lambda: [split(each, 3, 0) for each in sources])
        weights, biases = parts[0], parts[1] if len(parts) > 1 else [None] * 3
        return tuple(
            self._weighted("linear", {"x": x}, {"weight": weight, "bias": bias})
            for x, weight, bias in zip((query, key, value), weights, biases)
        )

    def heads(self, x: Tensor) -> Tensor:
        """`[batch, heads, steps, size]`."""
        first, second, _ = x.shape
        shaped = x.reshape(first, second, self.num_heads, self.embed_dim // self.num_heads)
        return shaped.transpose(*((0, 2, 1, 3) if self.batch_first else (1, 2, 0, 3)))

    def weights(self, queries: Tensor, keys: Tensor, mask: Tensor | None) -> Tensor:
        scale = Tensor(np.asarray(1 / math.sqrt(self.embed_dim // self.num_heads), queries.dtype))
        scores = call("matmul", {"x": call("mul", {"x": queries, "y": scale}), "y": keys}, transpose_y=True)
        if mask is not None:
            scores = call("add", {"x": scores, "y": mask})
        result: Tensor = call("softmax", {"x": scores}, axis=-1)
        return result

    def mask(self, padding: Tensor | None, attention: Tensor | None, queries: Tensor, keys: Tensor) -> Tensor | None:
        """Both masks as one that is added to the scores."""
        batch, heads, targets, _ = queries.shape
        sources = keys.shape[2]
        masks = []
        if padding is not None:
            masks.append(added(padding, "key_padding_mask", [(batch, sources)]).reshape(batch, 1, 1, sources))
        if attention is not None:
            attention = added(attention, "attn_mask", [(targets, sources), (batch * heads, targets, sources)])
            front = (1, 1) if attention.ndim == 2 else (batch, heads)
            masks.append(attention.reshape(*front, targets, sources))
        if len(masks) == 2:
            return call("add", {"x": masks[0], "y": masks[1]})  # type: ignore[no-any-return]
        return masks[0] if masks else None

    def extra_repr(self) -> str:
        return f"{self.embed_dim}, {self.num_heads}, batch_first={self.batch_first}"


def unmasked(rows: Tensor, mask: Tensor | None) -> Tensor:
    """`[batch, heads, targets, …]` with 0 for targets without any source, where softmax gives NaN."""
    if mask is None:
        return rows
    largest = call("reduce_max", {"x": mask}, axes=(-1,), keep_dims=True)
    has_source = call("greater", {"x": largest, "y": Tensor(np.asarray(-np.inf, largest.dtype))})
    result: Tensor = call("select", {"cond": has_source, "a": rows, "b": Tensor(np.asarray(0, rows.dtype))})
    return result


def added(mask: Tensor, name: str, shapes: list[tuple[int, ...]]) -> Tensor:
    """A mask as numbers to add: minus infinity where it is true."""
    if mask.shape not in shapes:
        wanted = " or ".join(str(list(shape)) for shape in shapes)
        raise InvalidArgumentError(f"{name} has shape {list(mask.shape)}; it must be {wanted}.")
    if mask.dtype != np.bool_:
        return mask
    choices = {"a": Tensor(np.float32(-np.inf)), "b": Tensor(np.float32(0))}
    result: Tensor = call("select", {"cond": mask, **choices})
    return result
