"""Recurrent layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from martlet._call import call
from martlet.errors import InvalidArgumentError
from martlet.nn import init
from martlet.nn.module import Module
from martlet.tensor import Tensor

__all__ = ["LSTM"]


class LSTM(Module):
    """Long short-term memory: layers of it over `[steps, batch, input_size]`, or `[batch, steps, input_size]` where
    `batch_first`, or one sequence without the batch.

    Parameters are torch's: `weight_ih_l0` `[4 · hidden_size, input_size]`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`,
    gates in the order input, forget, cell, output; names of the backward direction end in `_reverse`.
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False,
    ) -> None:  # fmt: skip
        if num_layers < 1 or hidden_size < 1:
            raise InvalidArgumentError(f"An LSTM needs a layer and a hidden size, not {num_layers} and {hidden_size}.")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout, self.bidirectional = bias, batch_first, dropout, bidirectional
        self.ends = ("", "_reverse") if bidirectional else ("",)
        bound = 1 / math.sqrt(hidden_size)
        for layer in range(num_layers):
            width = input_size if layer == 0 else hidden_size * len(self.ends)
            for end in self.ends:
                shapes: dict[str, tuple[int, ...]]
                shapes = {"weight_ih": (4 * hidden_size, width), "weight_hh": (4 * hidden_size, hidden_size)}
                shapes |= {"bias_ih": (4 * hidden_size,), "bias_hh": (4 * hidden_size,)} if bias else {}
                for name, shape in shapes.items():
                    setattr(self, f"{name}_l{layer}{end}", init.uniform(bound, *shape))

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Runs over the sequences.

        Args:
            x: The sequences.
            state: Hidden and cell state to begin with, each `[layers · directions, batch, hidden_size]`; 0 by default.

        Returns:
            The hidden states of every step, `[…, directions · hidden_size]`, and the last hidden and cell states.

        Raises:
            InvalidArgumentError: A shape does not fit.
        """
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            raise InvalidArgumentError(
                f"The LSTM takes [steps, batch, {self.input_size}] or [steps, {self.input_size}], not {list(x.shape)}."
            )
        single = x.ndim == 2
        axis = 0 if single or not self.batch_first else 1
        x = call("expand_dims", {"x": x}, axes=(1,)) if single else x.transpose(1, 0, 2) if axis else x
        hidden, cell = self.starts(x, state, single)
        last: list[tuple[Tensor, Tensor]] = []
        for layer in range(self.num_layers):
            x, h, c = self.layer(layer, x, hidden[layer], cell[layer])
            last.append((h, c))
            if self.training and self.dropout and layer + 1 < self.num_layers:
                x = call("mul", {"x": x, "y": Tensor(init.dropped(self.dropout, x.shape, x.dtype))})
        states = [self.by_direction([each[index] for each in last]) for index in (0, 1)]
        if single:
            x, *states = (call("squeeze", {"x": each}, axes=(1,)) for each in (x, *states))
        return x.transpose(1, 0, 2) if axis else x, (states[0], states[1])

    def layer(self, layer: int, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        weights = self._derived(layer, self.own(layer), lambda: self.arranged(layer))
        results: tuple[Tensor, Tensor, Tensor] = self._weighted(
            "lstm", {"x": x, "initial_h": h, "initial_c": c}, weights, output_sequence=True,
            direction="bidirectional" if self.bidirectional else "forward",
        )  # fmt: skip
        return results

    def own(self, layer: int) -> list[Tensor]:
        names = ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if self.bias else [])]
        return [getattr(self, f"{name}_l{layer}{end}") for end in self.ends for name in names]

    def arranged(self, layer: int) -> dict[str, Tensor]:
        """A layer's weights as the op takes them: gates in the order input, forget, output, cell; one bias."""
        own = [each.numpy() for each in self.own(layer)]
        count = len(own) // len(self.ends)
        result = {}
        for end, first in zip(("", "_back"), range(0, len(own), count)):
            result["weight_ih" + end], result["weight_hh" + end] = map(reordered, own[first : first + 2])
            if self.bias:
                result["bias" + end] = reordered(own[first + 2] + own[first + 3])
        return result

    def starts(self, x: Tensor, state: tuple[Tensor, Tensor] | None, single: bool) -> tuple[list[Tensor], list[Tensor]]:
        """The first states of each layer, `[batch, directions · hidden_size]`."""
        batch, count = x.shape[1], len(self.ends)
        if state is None:
            if batch < 0:
                raise InvalidArgumentError("The size of the batch is not known yet: give the first state.")
            zero = Tensor(np.zeros((batch, count * self.hidden_size), x.dtype))
            return [zero] * self.num_layers, [zero] * self.num_layers
        wanted = [self.num_layers * count, *([] if single else [batch]), self.hidden_size]
        for each in state:
            if list(each.shape) != wanted:
                raise InvalidArgumentError(f"The first state has shape {list(each.shape)}; it must be {wanted}.")
        return self.by_layer(state[0], batch), self.by_layer(state[1], batch)

    def by_layer(self, state: Tensor, batch: int) -> list[Tensor]:
        """`[layers · directions, batch, hidden]` as one `[batch, directions · hidden]` a layer."""
        count = len(self.ends)
        shaped = state.reshape(self.num_layers, count, batch, self.hidden_size).transpose(0, 2, 1, 3)
        parts = split(shaped.reshape(self.num_layers, batch, count * self.hidden_size), self.num_layers, 0)
        return [call("squeeze", {"x": each}, axes=(0,)) for each in parts]

    def by_direction(self, states: list[Tensor]) -> Tensor:
        """One `[batch, directions · hidden]` a layer as `[layers · directions, batch, hidden]`."""
        batch, count = states[0].shape[0], len(self.ends)
        stacked = call("stack", {"values": states}, axis=0)
        shaped = stacked.reshape(self.num_layers, batch, count, self.hidden_size).transpose(0, 2, 1, 3)
        result: Tensor = shaped.reshape(self.num_layers * count, batch, self.hidden_size)
        return result

    def extra_repr(self) -> str:
        options = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
        changed = [f"{name}={getattr(self, name)}" for name, usual in options.items() if getattr(self, name) != usual]
        return ", ".join([str(self.input_size), str(self.hidden_size), *changed])


def reordered(rows: Any) -> Tensor:
    """torch's gates, input, forget, cell, output, as the op's: input, forget, output, cell."""
    i, f, g, o = np.split(rows, 4)
    return Tensor(np.concatenate([i, f, o, g]))


def split(x: Tensor, count: int, axis: int) -> tuple[Tensor, ...]:
    """Equal parts along an axis."""
    if count == 1:
        return (x,)
    parts: tuple[Tensor, ...] = call("split", {"x": x}, num_splits=count, axis=axis)
    return parts
