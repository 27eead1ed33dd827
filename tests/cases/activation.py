"""Activations."""

import numpy as np

from tests.cases import normal, one


def softmax(x, axis=-1):
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


CASES = [
    *one("relu", lambda x: np.maximum(x, 0), x=normal(2, 3)),
    *one("softmax", softmax, x=normal(2, 3, 5)),
    *one("softmax", softmax, x=normal(2, 3, 5), axis=1),
]
