"""Activations."""

import math

import numpy as np

from tests.cases import constant, erf, normal, one

# Both sides of every bend, and far out.
WIDE = np.array([[-1e4, -60.5, -12, -3.5, -1, -0.25, -1e-4], [-0.0, 1e-4, 0.25, 1, 3.5, 6, 60.5]], np.float32)
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 1, -1], np.float32)
EVERY_FLOAT = ("fp32", "fp16", "fp64")
SHAPES = [(), (1,), (37,), (3, 0, 2), (2, 3, 1, 5), (2, 1, 3, 2, 7)]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x, axis=-1):
    if x.ndim == 0:
        return np.ones_like(x)
    powers = np.exp(x - x.max(axis=axis, keepdims=True, initial=-np.inf))
    return powers / powers.sum(axis=axis, keepdims=True)


def gelu(x, mode="EXACT"):
    if mode == "EXACT":
        return x * 0.5 * (1 + erf(x / math.sqrt(2)))
    if mode == "TANH_APPROXIMATION":
        return x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return x * sigmoid(1.702 * x)


def along_channels(values, x):
    """One value a channel, along axis 1 of x."""
    return values.reshape(-1, *[1] * (x.ndim - 2))


def prelu(x, alpha):
    return np.where(x > 0, x, along_channels(alpha, x) * x)


def softplus_parametric(x, alpha, beta):
    return along_channels(alpha, x) * np.logaddexp(0, along_channels(beta, x) * x)


# The function, and the parameters to try: the defaults, then others.
SIMPLE = {
    "relu": (lambda x: np.maximum(x, 0), [{}]),
    "relu6": (lambda x: np.clip(x, 0, 6), [{}]),
    "sigmoid": (sigmoid, [{}]),
    "silu": (lambda x: x * sigmoid(x), [{}]),
    "softplus": (lambda x: np.logaddexp(0, x), [{}]),
    "softsign": (lambda x: x / (1 + abs(x)), [{}]),
    "leaky_relu": (lambda x, alpha=0.01: np.where(x >= 0, x, alpha * x), [{}, {"alpha": 0.3}]),
    "elu": (lambda x, alpha=1: np.where(x >= 0, x, alpha * np.expm1(x)), [{}, {"alpha": 0.7}]),
    "thresholded_relu": (lambda x, alpha=1: np.where(x >= alpha, x, 0), [{}, {"alpha": -0.25}]),
    "linear_activation": (lambda x, alpha, beta=0: alpha * x + beta, [{"alpha": 0.5}, {"alpha": -2.0, "beta": 1.5}]),
    "scaled_tanh": (lambda x, alpha=1, beta=1: alpha * np.tanh(beta * x), [{}, {"alpha": 1.7159, "beta": 0.6667}]),
    "sigmoid_hard": (
        lambda x, alpha=0.2, beta=0.5: np.clip(alpha * x + beta, 0, 1),
        [{}, {"alpha": 0.125, "beta": 0.25}],
    ),
    "clamped_relu": (
        lambda x, alpha, beta: np.minimum(np.where(x >= 0, x, alpha * x), beta),
        [{"alpha": 0.1, "beta": 6.0}, {"alpha": 0.0, "beta": 1.0}],
    ),
    "gelu": (gelu, [{}, {"mode": "TANH_APPROXIMATION"}, {"mode": "SIGMOID_APPROXIMATION"}]),
}


def inexact(parameters):
    """Whether a default is in play that fp32 rounds, as Core ML gives it: 0.01 is then not 0.01 in fp64 either."""
    return not parameters


CASES = [
    *(
        case
        for op, (reference, settings) in SIMPLE.items()
        for parameters in settings
        for case in one(
            op, reference, x=WIDE, dtypes=EVERY_FLOAT, double=5e-8 if inexact(parameters) else 1e-13, **parameters
        )
    ),
    *(
        case
        for op in sorted(
            SIMPLE.keys() - {"gelu", "silu", "softsign", "linear_activation", "clamped_relu", "thresholded_relu"}
        )
        for case in one(op, SIMPLE[op][0], "special_wide", x=SPECIAL, dtypes=("fp64",), double=5e-8)
    ),
    *(
        case
        for op in ("relu", "sigmoid", "gelu", "softmax")
        for shape in SHAPES
        if shape != () or op != "softmax"
        for case in one(
            op,
            SIMPLE.get(op, (softmax,))[0],
            x=normal(*shape, scale=2),
            dtypes=("fp32", "fp16") if op == "softmax" else EVERY_FLOAT,
        )
    ),
    # Infinities and NaN.
    *one("sigmoid", sigmoid, "special", x=SPECIAL),
    *one("softplus", lambda x: np.logaddexp(0, x), "special", x=SPECIAL),
    *one("relu6", lambda x: np.clip(x, 0, 6), "special", x=SPECIAL[1:]),
    *one("leaky_relu", lambda x: np.where(x >= 0, x, 0.01 * x), "special", x=SPECIAL[1:]),
    *one("elu", lambda x: np.where(x >= 0, x, np.expm1(x)), "special", x=SPECIAL[1:]),
    # One alpha a channel, with few and many elements behind the channels.
    *one("prelu", prelu, x=normal(2, 3), alpha=constant(np.array([0.1, -0.5, 2])), core_ml=False),
    *one("prelu", prelu, x=normal(2, 3, 5, 7), alpha=constant(np.array([0.1, -0.5, 2])), dtypes=EVERY_FLOAT),
    *one("prelu", prelu, x=normal(1, 5, 4), alpha=constant(np.full(5, 0.25))),
    *one(
        "softplus_parametric",
        softplus_parametric,
        x=normal(2, 3, 5, scale=4),
        alpha=constant(np.array([1, 0.5, -2])),
        beta=constant(np.array([1, 3, 0.5])),
        dtypes=EVERY_FLOAT,
    ),
    # Softmax along every axis, of short and long rows, with one element, and of numbers that overflow.
    *(case for axis in (0, 1, 2, -2) for case in one("softmax", softmax, x=normal(3, 4, 5), axis=axis)),
    *one("softmax", softmax, x=normal(7, 1000)),
    *one("softmax", softmax, x=normal(5, 1), axis=1),
    *one("softmax", softmax, x=normal(2, 17, 3, 5), axis=1),
    *one("softmax", softmax, "large", x=normal(3, 9) * 1000),
    *one("softmax", softmax, "masked", x=np.array([[0, -np.inf, 1], [-np.inf, 2, -np.inf]], np.float32)),
    *one("softmax", softmax, "not_a_number", x=np.array([[0, np.nan, 1], [1, 2, 3]], np.float32)),
]
