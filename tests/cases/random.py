"""Random numbers: what they must have in common, and that a seed gives the same ones again."""

import numpy as np

from tests.cases import constant, program

COUNT = 40000


def same(*numbers):
    """A reference that gives these numbers whatever the arguments are: one list for each output."""
    return lambda **_: tuple(np.array(each if isinstance(each, list) else [each], np.float64) for each in numbers)


def moments(op):
    """Mean and mean square of what an op gives."""
    return f"""r = {op};
    mean = reduce_mean(x = r, axes = [0], keep_dims = true);
    s = square(x = r);
    spread = reduce_mean(x = s, axes = [0], keep_dims = true);"""


def settings(tolerance):
    return {"outputs": ("mean", "spread"), "tolerance": tolerance, "half": tolerance}


CASES = [
    *program(
        "random_normal",
        moments(f"random_normal(shape = [{COUNT}], mean = mean_value, stddev = deviation, seed = 7)"),
        same(1.5, 1.5**2 + 0.5**2),
        mean_value=constant(1.5),
        deviation=constant(0.5),
        **settings(0.02),
    ),
    *program(
        "random_normal-of-fp64",
        f"""r = random_normal(shape = [{COUNT}], mean = mean_value, stddev = deviation, seed = 7);
        mean = reduce_mean(x = r, axes = [0], keep_dims = true);
        spread = reduce_variance(x = r, axes = [0], keep_dims = true);""",
        same(1.5, 0.25),
        outputs=("mean", "spread"),
        mean_value=constant(1.5),
        deviation=constant(0.5),
        dtypes=("fp64",),
        double=0.01,
        core_ml=False,
    ),
    *program(
        "random_uniform-of-fp64",
        f"""r = random_uniform(shape = [{COUNT}], low = low, high = high, seed = 3);
        mean = reduce_mean(x = r, axes = [0], keep_dims = true);
        spread = reduce_variance(x = r, axes = [0], keep_dims = true);
        least = reduce_min(x = r, axes = [0], keep_dims = true);
        most = reduce_max(x = r, axes = [0], keep_dims = true);""",
        same(1, 16 / 12, -1, 3),
        outputs=("mean", "spread", "least", "most"),
        low=constant(-1.0),
        high=constant(3.0),
        dtypes=("fp64",),
        double=0.02,
        core_ml=False,
    ),
    *program(
        "random_normal-third-and-fourth-moment",
        f"""r = random_normal(shape = [{COUNT // 4}, 4], seed = 11);
        s = square(x = r);
        c = mul(x = s, y = r);
        f = square(x = s);
        third = reduce_mean(x = c, keep_dims = false);
        fourth = reduce_mean(x = f, keep_dims = false);""",
        lambda **_: (np.float64(0), np.float64(3)),
        outputs=("third", "fourth"),
        tolerance=0.06,
        dtypes=("fp32",),
    ),
    *program(
        "random_uniform",
        moments(f"random_uniform(shape = [{COUNT}], low = low, high = high, seed = 3)"),
        same(1, 1 + 16 / 12),
        low=constant(-1.0),
        high=constant(3.0),
        **settings(0.03),
    ),
    *program(
        "random_uniform-within-its-bounds",
        f"""r = random_uniform(shape = [{COUNT}], low = low, high = high, seed = 4);
        a = greater_equal(x = r, y = low);
        b = less(x = r, y = high);
        both = logical_and(x = a, y = b);
        i = cast(x = both, dtype = "int32");
        y = reduce_min(x = i, axes = [0], keep_dims = true);""",
        lambda **_: np.ones(1, np.int32),
        low=constant(0.0),
        high=constant(1.0),
    ),
    *program(
        "random_uniform-without-a-range",
        "y = random_uniform(shape = [5], low = low, high = low, seed = 4);",
        lambda low: np.full(5, low),
        low=constant(0.75),
    ),
    *program(
        "random_uniform-of-nothing",
        "y = random_uniform(shape = [0, 5], seed = 4);",
        lambda **_: np.zeros((0, 5)),
        dtypes=("fp32",),
    ),
    *program(
        "random_bernoulli",
        moments(f"random_bernoulli(shape = [{COUNT}], prob = part, seed = 5)"),
        same(0.25, 0.25),
        part=constant(0.25),
        **settings(0.01),
    ),
    *program(
        "random_bernoulli-never-and-always",
        """a = random_bernoulli(shape = [999], prob = zero, seed = 5);
        b = random_bernoulli(shape = [999], prob = one, seed = 5);""",
        lambda zero, one: (np.zeros(999), np.ones(999)),
        outputs=("a", "b"),
        zero=constant(0.0),
        one=constant(1.0),
    ),
    *[
        case
        for mode, weights in {"probs": [0.5, 0.125, 0, 0.375], "logits": np.log([2, 0.5, 1e-9, 1.5])}.items()
        for case in program(
            f"random_categorical-{mode}",
            f"""r = random_categorical(x = x, mode = "{mode}", size = {COUNT}, seed = 6);
            p = cast(x = r, dtype = "int32");
            h = one_hot(indices = p, one_hot_vector_size = 4, axis = 0);
            f = cast(x = h, dtype = "fp32");
            y = reduce_mean(x = f, axes = [-1], keep_dims = false);""",
            lambda x: np.array([[0.5, 0], [0.125, 0], [0, 1], [0.375, 0]], np.float32),
            x=np.array([weights, [0, 0, 1, 0] if mode == "probs" else [-99, -99, 3, -99]], np.float32),
            tolerance=0.01,
            half=0.01,
        )
    ],
    *program(
        "random-same-seed",
        """a = random_normal(shape = [7, 3], seed = 5);
        b = random_normal(shape = [7, 3], seed = 5);
        c = random_normal(shape = [7, 3], seed = 6);
        same = equal(x = a, y = b);
        other = equal(x = a, y = c);""",
        lambda **_: (np.ones((7, 3), bool), np.zeros((7, 3), bool)),
        outputs=("same", "other"),
        dtypes=("fp32",),
    ),
    *program(
        "random-any-seed",
        """a = random_uniform(shape = [99]);
        b = random_uniform(shape = [99]);
        e = equal(x = a, y = b);
        i = cast(x = e, dtype = "int32");
        s = reduce_sum(x = i, axes = [0], keep_dims = true);
        y = less(x = s, y = 9);""",
        lambda **_: np.ones(1, bool),
        dtypes=("fp32",),
    ),
]
