"""Normalizations."""

import numpy as np

from tests.cases import constant, normal, one, positive, program


def channels(values, x):
    return values.reshape(-1, *[1] * (x.ndim - 2))


def batch_norm(x, mean, variance, gamma=None, beta=None, epsilon=1e-5):
    y = (x - channels(mean, x)) / np.sqrt(channels(variance, x) + epsilon)
    y = y if gamma is None else y * channels(gamma, x)
    return y if beta is None else y + channels(beta, x)


def standard(x, axes, epsilon):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)


def instance_norm(x, gamma=None, beta=None, epsilon=1e-5):
    y = standard(x, tuple(range(2, x.ndim)), epsilon)
    y = y if gamma is None else y * channels(gamma, x)
    return y if beta is None else y + channels(beta, x)


def layer_norm(x, axes=None, gamma=None, beta=None, epsilon=1e-5):
    axes = tuple(range(x.ndim)) if axes is None else tuple(sorted(axis % x.ndim for axis in axes))
    shape = [size if axis in axes else 1 for axis, size in enumerate(x.shape)]
    y = standard(x, axes, epsilon)
    y = y if gamma is None else y * gamma.reshape(shape)
    return y if beta is None else y + beta.reshape(shape)


def softmax(x, axis=-1):
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


def l2_norm(x, epsilon=1e-6):
    return x / np.sqrt(np.square(x).sum((-3, -2, -1), keepdims=True) + epsilon)


def local_response_norm(x, size, alpha=1e-4, beta=0.75, k=1.0):
    if x.ndim == 3:  # an image without a batch, as the values of coremltools' tests show
        return local_response_norm(x[None], size, alpha, beta, k)[0]
    y = np.zeros_like(x)
    for channel in range(x.shape[1]):
        near = x[:, max(0, channel - size // 2) : channel + (size - 1) // 2 + 1]
        y[:, channel] = x[:, channel] / (k + alpha / size * np.square(near).sum(1)) ** beta
    return y


def statistics(count):
    return {"mean": constant(normal(count)), "variance": constant(positive(count))}


def scale_and_shift(*shape):
    return {"gamma": constant(normal(*shape, seed=1)), "beta": constant(normal(*shape, seed=2))}


CASES = [
    # batch_norm: every rank, with and without scale and shift.
    *(
        case
        for shape in [(2, 3), (2, 3, 5), (2, 3, 5, 7), (1, 3, 2, 5, 2), (2, 17, 4, 4), (0, 3, 2)]
        for case in one(
            "batch_norm",
            batch_norm,
            x=normal(*shape),
            **statistics(shape[1]),
            **scale_and_shift(shape[1]),
            core_ml=len(shape) > 2,
            half=1e-2,
        )
    ),
    *one("batch_norm", batch_norm, x=normal(2, 3, 5, 7), **statistics(3), half=1e-2),
    *one("batch_norm", batch_norm, x=normal(2, 3, 5), **statistics(3), epsilon=0.25, half=1e-2),
    # instance_norm: one mean for each image and channel.
    *(
        case
        for shape in [(2, 3, 5), (2, 3, 5, 7), (1, 17, 9, 4), (2, 3, 1, 1)]
        for case in one("instance_norm", instance_norm, x=normal(*shape), **scale_and_shift(shape[1]), half=1e-2)
    ),
    *one("instance_norm", instance_norm, x=normal(2, 3, 5, 7), half=1e-2),
    *one("instance_norm", instance_norm, x=normal(2, 3, 5, 7), epsilon=0.25, half=1e-2),
    *one("instance_norm", instance_norm, "far_from_0", x=normal(2, 3, 50) + 100, dtypes=("fp32",), tolerance=1e-3),
    # layer_norm: the last axes, other axes, all of them.
    *(
        case
        for shape, axes in [
            ((3, 7), [-1]),
            ((3, 7), [1]),
            ((2, 3, 33), [2]),
            ((2, 3, 5), [1, 2]),
            ((2, 3, 5), [-2, -1]),
            ((2, 3, 5, 4), [1, 2, 3]),
            ((2, 5, 3, 4), [1]),
            ((2, 3, 5), [0]),
            ((2, 3, 5), [0, 2]),
            ((7,), [0]),
            ((4, 300), [1]),
            ((0, 5), [1]),
        ]
        for case in one(
            "layer_norm",
            layer_norm,
            x=normal(*shape),
            axes=axes,
            **scale_and_shift(*[shape[axis] for axis in sorted(axis % len(shape) for axis in axes)]),
            half=1e-2,
        )
    ),
    *one("layer_norm", layer_norm, x=normal(2, 3, 5), axes=[2], half=1e-2),
    *one("layer_norm", layer_norm, x=normal(2, 3, 5), axes=[2], gamma=constant(normal(5)), half=1e-2),
    *one(
        "layer_norm",
        layer_norm,
        x=normal(2, 3, 5),
        axes=[2],
        beta=constant(normal(5)),
        epsilon=0.25,
        half=1e-2,
        core_ml=False,
    ),
    *one("layer_norm", layer_norm, x=normal(2, 3, 5), half=1e-2, core_ml=False),
    *one("layer_norm", layer_norm, "far_from_0", x=normal(3, 64) + 100, axes=[1], dtypes=("fp32",), tolerance=1e-3),
    # l2_norm, local_response_norm.
    *(
        case
        for shape in [(3, 5, 7), (2, 3, 5, 7), (2, 2, 3, 1, 4)]
        for case in one("l2_norm", l2_norm, x=normal(*shape))
    ),
    *one("l2_norm", l2_norm, x=normal(2, 3, 5), epsilon=0.5),
    *one("l2_norm", l2_norm, "zeros", x=np.zeros((2, 3, 5), np.float32)),
    *one("local_response_norm", local_response_norm, x=normal(7, 2, 5), size=3, alpha=0.5, half=4e-3),
    # Published values of coremltools' TestNormalizationLocalResponseNorm.
    *[
        case
        for size, answer in [
            (2, [0.99996257, -6.98716545, 4.99531746, -5.99191284, -2.99898791, -4.99531746]),
            (3, [0.99997497, -6.99143696, 4.99687672, -5.99460602, -2.99932504, -4.99687672]),
        ]
        for case in one(
            "local_response_norm",
            lambda answer=answer, **_: np.array(answer, np.float64).reshape(1, 3, 2),
            f"published-{size}",
            x=np.array([[[1, -7], [5, -6], [-3, -5]]], np.float32),
            size=size,
        )
    ],
    *one(
        "local_response_norm", local_response_norm, x=normal(2, 7, 5, 3), size=5, alpha=0.5, beta=0.6, k=2.0, half=4e-3
    ),
    *one("local_response_norm", local_response_norm, x=normal(1, 6, 2, 3), size=4, alpha=0.5, half=4e-3),
    *one("local_response_norm", local_response_norm, x=normal(1, 3, 2, 3), size=7, alpha=0.5, half=4e-3),
    # Operands and results in another order; scale and shift that are computed.
    *program(
        "layer_norm-transposed",
        "t = transpose(x = x, perm = [0, 2, 1]); y = layer_norm(x = t, axes = [-1], gamma = g, beta = b);",
        lambda x, g, b: layer_norm(x.transpose(0, 2, 1), [-1], g, b),
        x=normal(2, 9, 5),
        g=constant(normal(9)),
        b=constant(normal(9, seed=1)),
        half=1e-2,
    ),
    *program(
        "layer_norm-computed_scale",
        "e = exp(x = g); y = layer_norm(x = x, axes = [-1], gamma = e, beta = b);",
        lambda x, g, b: layer_norm(x, [-1], np.exp(g), b),
        x=normal(3, 9),
        g=normal(9),
        b=normal(9, seed=1),
        half=2e-2,
        core_ml=False,
    ),
    *program(
        "instance_norm-computed_scale",
        "e = exp(x = g); y = instance_norm(x = x, gamma = e, beta = b);",
        lambda x, g, b: instance_norm(x, np.exp(g), b),
        x=normal(2, 3, 9),
        g=normal(3),
        b=normal(3, seed=1),
        half=2e-2,
        core_ml=False,
    ),
    *program(
        "layer_norm-residual",
        "s = add(x = x, y = r); y = layer_norm(x = s, axes = [-1]); z = add(x = y, y = s);",
        lambda x, r: (layer_norm(x + r, [-1]), layer_norm(x + r, [-1]) + x + r),
        ("y", "z"),
        x=normal(3, 9),
        r=normal(3, 9, seed=1),
        half=1e-2,
    ),
    *program(
        "batch_norm-computed_statistics",
        "m = reduce_mean(x = x, axes = [0, 2]); y = batch_norm(x = x, mean = m, variance = v);",
        lambda x, v: batch_norm(x, x.mean((0, 2)), v),
        x=normal(2, 3, 9),
        v=positive(3),
        half=1e-2,
        core_ml=False,
    ),
    *program(
        "instance_norm-relu-transposed",
        "t = transpose(x = x, perm = [0, 2, 1]); n = instance_norm(x = t); r = relu(x = n);"
        " y = transpose(x = r, perm = [0, 2, 1]);",
        lambda x: np.maximum(instance_norm(x.transpose(0, 2, 1)), 0).transpose(0, 2, 1),
        x=normal(2, 9, 5),
        half=1e-2,
    ),
    *program(
        "softmax-of_transposed",
        "t = transpose(x = x, perm = [1, 0]); y = softmax(x = t, axis = 0);",
        lambda x: np.exp(x.T) / np.exp(x.T).sum(0),
        x=normal(3, 9),
        half=4e-3,
    ),
    # fp64 has no kernels of its own here: the ops are said with simpler ones. The default of epsilon is an fp32 number.
    *(
        case
        for axis in (0, 1, -1)
        for case in one("softmax", softmax, x=normal(3, 5, 7), axis=axis, dtypes=("fp64",), double=1e-11)
    ),
    *one("layer_norm", layer_norm, x=normal(3, 5), axes=[1], dtypes=("fp64",), double=1e-11),
    *one(
        "layer_norm",
        layer_norm,
        x=normal(3, 5),
        axes=[1],
        gamma=positive(5),
        beta=normal(5),
        dtypes=("fp64",),
        double=1e-11,
    ),
    *one("instance_norm", instance_norm, x=normal(2, 3, 5), dtypes=("fp64",), double=1e-11),
]
