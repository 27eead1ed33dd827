"""How parameters begin: torch's distributions, drawn from the generator that `martlet.manual_seed` starts anew."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from martlet.creation import Randomness
from martlet.tensor import Tensor

__all__ = ["dropped", "normal", "ones", "uniform", "xavier_uniform", "zeros"]


def uniform(bound: float, *shape: int) -> Tensor:
    """Numbers spread evenly from -bound to bound. With 1 / √(inputs) this is torch's start of weights and biases."""
    return Tensor(Randomness.draw("uniform", -bound, bound, shape).astype(np.float32))


def xavier_uniform(rows: int, columns: int) -> Tensor:
    """Numbers spread evenly up to √(6 / (rows + columns))."""
    return uniform(math.sqrt(6 / (rows + columns)), rows, columns)


def normal(*shape: int) -> Tensor:
    """Numbers from the standard normal distribution."""
    return Tensor(Randomness.draw("standard_normal", shape).astype(np.float32))


def ones(*shape: int) -> Tensor:
    return Tensor(np.ones(shape, np.float32))


def zeros(*shape: int) -> Tensor:
    return Tensor(np.zeros(shape, np.float32))


def dropped(p: float, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """0 with probability p, else 1 / (1 - p)."""
    kept = Randomness.draw("random", shape) >= p
    return (kept / (1 - p) if p < 1 else kept * 0.0).astype(dtype)
