"""Reductions and running sums."""

import numpy as np

from tests.cases import normal, one, positive, program, samples, whole


def log_sum_exp(x, axes, keepdims):
    largest = x.max(axes, keepdims=True)
    result = np.log(np.exp(x - largest).sum(axes, keepdims=True)) + largest
    return result if keepdims else result.squeeze(axes)


REDUCTIONS = {
    "reduce_sum": lambda x, axes, keep: x.sum(axes, keepdims=keep),
    "reduce_mean": lambda x, axes, keep: x.mean(axes, keepdims=keep),
    "reduce_prod": lambda x, axes, keep: x.prod(axes, keepdims=keep),
    "reduce_max": lambda x, axes, keep: x.max(axes, keepdims=keep),
    "reduce_min": lambda x, axes, keep: x.min(axes, keepdims=keep),
    "reduce_sum_square": lambda x, axes, keep: np.square(x).sum(axes, keepdims=keep),
    "reduce_l1_norm": lambda x, axes, keep: np.abs(x).sum(axes, keepdims=keep),
    "reduce_l2_norm": lambda x, axes, keep: np.sqrt(np.square(x).sum(axes, keepdims=keep)),
    "reduce_log_sum": lambda x, axes, keep: np.log(x.sum(axes, keepdims=keep)),
    "reduce_log_sum_exp": log_sum_exp,
}
AXES = [[0], [1], [-1], [0, 2], [1, 2], [0, 1, 2]]


def reduction(op):
    """The reference of an op with MIL's parameters."""

    def reference(x, axes=None, keep_dims=False):
        every = tuple(range(x.ndim)) if axes is None else tuple(axes)
        return np.asarray(REDUCTIONS[op](x, every, keep_dims)).astype(x.dtype)

    return reference


def position(function):
    def reference(x, axis=-1, keep_dims=False, output_dtype="int32"):
        return function(x, axis=axis, keepdims=keep_dims).astype(output_dtype)

    return reference


def cumsum(x, axis=0, exclusive=False, reverse=False):
    if reverse:
        x = np.flip(x, axis)
    sums = np.cumsum(x, axis, dtype=x.dtype)
    if exclusive:
        sums = sums - x
    return np.flip(sums, axis) if reverse else sums


def everywhere():
    """Each op along every choice of axes, over odd sizes."""
    for op in REDUCTIONS:
        reference = reduction(op)
        # Products stay near 1, sums are positive where their logarithm is taken.
        x = positive(3, 5, 7, low=0.8, high=1.25) if op in ("reduce_prod", "reduce_log_sum") else normal(3, 5, 7)
        for axes in AXES:
            yield from one(op, reference, x=x, axes=axes, half=4e-3)
        yield from one(op, reference, x=x, axes=[1], keep_dims=True, half=4e-3)
        yield from one(op, reference, x=x, axes=[-1, 0], keep_dims=True, half=4e-3)
        yield from one(op, reference, x=x, keep_dims=True, half=4e-3)
        yield from one(op, reference, x=x, half=4e-3)
        yield from one(op, reference, x=np.abs(normal(17)), half=4e-3)
        yield from one(op, reference, x=x[:, None, :, None], axes=[0, 3], half=4e-3)
        yield from one(op, reference, x=x[:, None, :, None], axes=[1], half=4e-3)
        # No elements along the kept axis; those along the reduced one give the sum of nothing.
        yield from one(op, reference, x=np.zeros((0, 3), np.float32), axes=[1])
        if op in ("reduce_sum", "reduce_prod", "reduce_l1_norm", "reduce_l2_norm", "reduce_sum_square"):
            yield from one(op, reference, x=np.zeros((2, 0, 3), np.float32), axes=[1])
        # Another order in memory.
        yield from program(
            op + "-transposed",
            f"t = transpose(x = x, perm = [2, 0, 1]); y = {op}(x = t, axes = [1], keep_dims = false);",
            lambda x, reference=reference: reference(x.transpose(2, 0, 1), [1]),
            x=x,
            half=4e-3,
        )
    for op in ("reduce_sum", "reduce_prod", "reduce_max", "reduce_min", "reduce_sum_square", "reduce_l1_norm"):
        for axes in ([0], [1], [0, 2]):
            yield from one(op, reduction(op), x=whole(2, 3, 5, low=-3, high=3), axes=axes)


def wrapping(function):
    """A reference in the element type of its operand: sums and products wrap."""

    def reference(x, axes=None, keep_dims=False):
        every = tuple(range(x.ndim)) if axes is None else tuple(axes)
        dtype = {"dtype": x.dtype} if function in (np.sum, np.prod) else {}
        return np.asarray(function(x, axis=every, keepdims=keep_dims, **dtype))

    return reference


def variance(x, axes=None, keep_dims=False, correction=0.0):
    every = tuple(range(x.ndim)) if axes is None else tuple(axes)
    return np.var(x, axis=every, keepdims=keep_dims, ddof=correction)


def running(function):
    def reference(x, axis=0, exclusive=False, reverse=False):
        x = np.flip(x, axis) if reverse else x
        if exclusive:
            first = np.full_like(np.take(x, [0], axis), function is np.cumprod)
            x = np.concatenate([first, np.delete(x, -1, axis)], axis)
        result = function(x, axis, dtype=x.dtype)
        return np.flip(result, axis) if reverse else result

    return reference


ORDERED = {"reduce_max": np.max, "reduce_min": np.min}
TRUTHS = {"reduce_any": np.any, "reduce_all": np.all}
NUMBERS = {"reduce_sum": np.sum, "reduce_prod": np.prod}
# Rows, columns, axes apart, none, lanes that no vector divides, and rows longer than a group.
SHAPES = [((3, 5, 7), [2]), ((3, 5, 7), [0]), ((3, 5, 7), [0, 2]), ((3, 5), []), ((2, 133, 71), [1]), ((2, 9001), [1])]
SPECIAL = np.array([[1, np.nan, 3], [np.inf, 2, -np.inf], [-0.0, 0.0, 5]])


def in_every_type():
    for shape, axes in SHAPES:
        kinds = {"double": 1e-12, "tolerance": 1e-3}
        for op, function in NUMBERS.items():
            for x, settings in samples(*shape, kinds="iufc"):
                # Products of many numbers stay near 1.
                near = x / np.abs(x) if op == "reduce_prod" and x.dtype.kind in "fc" else x
                yield from one(op, wrapping(function), x=near, axes=axes, **kinds, **settings)
        for x, settings in samples(*shape, kinds="fc"):
            yield from one("reduce_mean", wrapping(np.mean), x=x, axes=axes, **kinds, **settings)
        for op, function in ORDERED.items():
            for x, settings in samples(*shape, kinds="iuf"):
                yield from one(op, wrapping(function), x=x, axes=axes, **settings)
        for op, function in TRUTHS.items():
            for x, settings in samples(*shape):
                mostly = np.where(np.arange(x.size).reshape(shape) % 9 < 4, x, 0 if op == "reduce_any" else 1)
                yield from one(op, wrapping(function), x=mostly.astype(x.dtype), axes=axes, **settings)
        yield from one("reduce_variance", variance, x=normal(*shape), axes=axes)
        yield from one("reduce_variance", variance, x=normal(*shape), axes=axes, dtypes=("fp64",))
    for op, function in {"reduce_argmax": np.argmax, "reduce_argmin": np.argmin}.items():
        for axis in (0, 1, 2):
            for x, settings in samples(3, 5, 7, kinds="iuf"):
                yield from one(op, position(function), x=x, axis=axis, **settings)
                yield from one(op, position(function), x=x, axis=axis, output_dtype="int64", **settings)
        yield from one(op, position(function), "special", x=SPECIAL, axis=1, dtypes=("fp64",))
        yield from one(op, position(function), x=normal(3, 5), axis=1, output_dtype="int64", dtypes=("fp32",))
    for op, function in {"cumsum": np.cumsum, "cumprod": np.cumprod}.items():
        for exclusive, reverse in ((False, False), (True, False), (False, True), (True, True)):
            for x, settings in samples(3, 5, 7, kinds="iufc"):
                for axis in (0, 2):
                    more = {"axis": axis, "exclusive": exclusive, "reverse": reverse}
                    yield from one(op, running(function), x=x, **more, double=1e-12, **settings)
    yield from one("cumprod", running(np.cumprod), x=normal(3, 5), axis=1)


TIES = np.array([[1, 3, 3, 2], [5, 0, 5, 0]], np.float32)

CASES = [
    *everywhere(),
    *(
        case
        for op, function in {"reduce_argmax": np.argmax, "reduce_argmin": np.argmin}.items()
        for arguments in (
            {"x": normal(3, 5, 7)},
            {"x": normal(3, 5, 7), "axis": 0},
            {"x": normal(3, 5, 7), "axis": 1, "keep_dims": True},
            {"x": normal(3, 5, 7), "axis": -2},
            {"x": normal(41)},
            {"x": normal(2, 1000), "axis": 1},
            {"x": whole(3, 5), "axis": 1},
            {"x": TIES},
            {"x": TIES, "axis": 1, "output_dtype": "uint16"},
        )
        for case in one(op, position(function), **arguments)
    ),
    *(
        case
        for axis in (0, 1, 2, -1)
        for exclusive in (False, True)
        for reverse in (False, True)
        for case in one("cumsum", cumsum, x=normal(3, 5, 7), axis=axis, exclusive=exclusive, reverse=reverse, half=1e-2)
    ),
    *one("cumsum", cumsum, x=whole(3, 5)),
    *one("cumsum", cumsum, x=whole(3, 5), axis=1, exclusive=True, reverse=True),
    *one("cumsum", cumsum, x=normal(300), tolerance=1e-4, half=3e-2),
    *one("cumsum", cumsum, x=np.zeros((3, 0), np.float32), axis=1),
    # Long rows, in both directions, and sums that lose digits when they are added one by one.
    *one("reduce_sum", reduction("reduce_sum"), x=normal(3, 4001), axes=[1], tolerance=1e-4, half=5e-2),
    *one("reduce_sum", reduction("reduce_sum"), x=normal(4001, 3), axes=[0], tolerance=1e-4, half=5e-2),
    *one("reduce_mean", reduction("reduce_mean"), x=100 + normal(2, 100, 200), axes=[1, 2], dtypes=("fp32",)),
    *one("reduce_mean", reduction("reduce_mean"), x=100 + normal(5000, 3), axes=[0], dtypes=("fp32",)),
    *one("reduce_log_sum_exp", reduction("reduce_log_sum_exp"), "large", x=normal(3, 5) * 1000, axes=[1]),
    # Infinities and NaN.
    *one("reduce_max", reduction("reduce_max"), "infinite", x=np.full((2, 3), -np.inf, np.float32), axes=[1]),
    *one("reduce_min", reduction("reduce_min"), "infinite", x=np.full((2, 3), np.inf, np.float32), axes=[0]),
    *one("reduce_sum", reduction("reduce_sum"), "nan", x=np.float32([[1, np.nan], [2, 3]]), axes=[1]),
    *one("reduce_mean", reduction("reduce_mean"), "infinite", x=np.float32([[1, np.inf], [2, 3]]), axes=[1]),
    # Rank 5, and what networks do: the mean of each channel, the spread of a row.
    *one("reduce_mean", reduction("reduce_mean"), x=normal(2, 3, 2, 5, 3), axes=[2, 3, 4], keep_dims=True),
    *one("reduce_max", reduction("reduce_max"), x=normal(2, 3, 2, 5, 3), axes=[0, 2, 4]),
    *program(
        "spread",
        "m = reduce_mean(x = x, axes = [-1], keep_dims = true); d = sub(x = x, y = m); q = mul(x = d, y = d);"
        " v = reduce_mean(x = q, axes = [-1], keep_dims = true); r = rsqrt(x = v, epsilon = 1e-3);"
        " y = mul(x = d, y = r);",
        lambda x: (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-3),
        x=normal(3, 33),
        half=1e-2,
    ),
    *program(
        "channels_then_mean",
        "t = transpose(x = x, perm = [0, 3, 1, 2]); r = relu(x = t); y = reduce_mean(x = r, axes = [2, 3]);",
        lambda x: np.maximum(x, 0).mean((1, 2)),
        x=normal(2, 5, 7, 3),
    ),
    *program(
        "argmax_of_sum",
        "s = add(x = a, y = b); y = reduce_argmax(x = s, axis = 1); z = reduce_max(x = s, axes = [1]);",
        lambda a, b: ((a + b).argmax(1).astype(np.int32), (a + b).max(1)),
        ("y", "z"),
        a=np.round(normal(4, 9) * 8),
        b=np.round(normal(9) * 8),
    ),
    *in_every_type(),
    *one("reduce_variance", variance, x=normal(4, 9), axes=[1], correction=1.0),
    *one("reduce_variance", variance, x=normal(4, 9), keep_dims=True, correction=0.5, dtypes=("fp32", "fp64")),
    *one("reduce_variance", variance, "far-from-0", x=1e6 + normal(4, 999), axes=[1], dtypes=("fp64",), double=1e-9),
    # NaN, and no elements at all.
    *(
        case
        for op in ("reduce_sum", "reduce_mean", "reduce_max", "reduce_min", "reduce_prod")
        for axes in ([0], [1])
        for case in one(op, wrapping(getattr(np, op[7:])), f"special-{axes[0]}", x=SPECIAL, axes=axes, dtypes=("fp64",))
    ),
    *one("reduce_sum", wrapping(np.sum), "empty", x=np.zeros((2, 0, 3), np.int64), axes=[1]),
    *one("reduce_prod", wrapping(np.prod), "empty", x=np.zeros((2, 0, 3), np.uint8), axes=[1]),
    *one("reduce_mean", wrapping(np.mean), "empty", x=np.zeros((2, 0)), axes=[1], dtypes=("fp32", "fp64")),
    *one(
        "reduce_mean",
        wrapping(np.mean),
        "empty-complex",
        x=np.zeros((2, 0), complex),
        axes=[1],
        dtypes=("fp32", "fp64"),
    ),
    *one("reduce_any", wrapping(np.any), "empty", x=np.zeros((2, 0), bool), axes=[1]),
    *one("reduce_all", wrapping(np.all), "empty", x=np.zeros((2, 0), bool), axes=[1]),
    *one("reduce_any", wrapping(np.any), "special", x=SPECIAL[:, :2], axes=[1], keep_dims=True),
    # Long sums: each of fp32 within its last digits, those of fp64 as exact as NumPy's; a row that threads share.
    *one(
        "reduce_sum", wrapping(np.sum), "long", x=np.full(2_000_003, 0.1, np.float32), tolerance=4e-7, dtypes=("fp32",)
    ),
    *one("reduce_mean", wrapping(np.mean), "long", x=0.1 + normal(600_007), dtypes=("fp32",), tolerance=1e-7),
    *one("reduce_sum", wrapping(np.sum), "long", x=1e8 + normal(600_007), dtypes=("fp64",), double=1e-14),
    *one("reduce_sum", wrapping(np.sum), "long", x=np.arange(300_001) << 44),
    *one("reduce_max", wrapping(np.max), "long", x=np.arange(300_001) << 44),
    # The expansions of what has no kernel for a type.
    *one("reduce_sum_square", reduction("reduce_sum_square"), x=whole(3, 5).astype(np.int16), axes=[1]),
]
