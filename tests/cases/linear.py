"""Matrix products, with what follows them."""

import numpy as np

from tests.cases import constant, erf, normal, one, program, samples, whole


def linear(x, weight, bias=0):
    return x @ weight.T + bias


def matmul(x, y, transpose_x=False, transpose_y=False):
    x = x.swapaxes(-1, -2) if transpose_x else x
    y = y.swapaxes(-1, -2) if transpose_y else y
    return x @ y


def einsum(values, equation):
    return np.einsum(equation.replace(" ", ""), *values)


def gelu(x):
    return x * 0.5 * (1 + erf(x / np.sqrt(2)))


def layers(x, w, b, v, c):
    return np.maximum(x @ w.T + b, 0) @ v.T + c


# Shapes of x and y: vectors, single rows, many rows, broadcasts of the axes in front, sizes no vector divides.
PRODUCTS = [
    ((3, 5), (5, 7)),
    ((5,), (5, 7)),
    ((1, 5), (5, 1)),
    ((1, 1), (1, 1)),
    ((33, 65), (65, 17)),
    ((2, 3, 5), (2, 5, 7)),
    ((2, 3, 5), (5, 7)),
    ((3, 5), (2, 5, 7)),
    ((2, 1, 3, 5), (4, 5, 7)),
    ((2, 1, 3, 5), (1, 4, 5, 7)),
    ((1, 2, 3, 4, 5), (3, 1, 3, 5, 2)),
    ((0, 5), (5, 7)),
    ((3, 0), (0, 7)),
    ((2, 3, 5), (2, 5, 0)),
    ((130, 300), (300, 140)),
]


def products():
    for x, y in PRODUCTS:
        half = 4e-2 if x[-1] > 100 else 1e-2
        tolerance = 1e-4 if x[-1] > 100 else 1e-5
        settings = {"half": half, "tolerance": tolerance}
        yield from one("matmul", matmul, x=normal(*x), y=normal(*y, seed=1), **settings)
        if len(x) > 1:
            yield from one(
                "matmul", matmul, x=normal(*x).swapaxes(-1, -2), y=normal(*y, seed=1), transpose_x=True, **settings
            )
        yield from one(
            "matmul", matmul, x=normal(*x), y=normal(*y, seed=1).swapaxes(-1, -2), transpose_y=True, **settings
        )
        if len(y) == 2 and min(*x, *y) > 0:
            label = f"constant-{chr(45).join(map(str, x + y))}"
            yield from one("matmul", matmul, label, x=normal(*x), y=constant(normal(*y, seed=1)), **settings)
            turned = constant(normal(*y, seed=1).T)
            yield from one("linear", linear, x=normal(*x), weight=turned, **settings)
            bias = constant(normal(y[1], seed=2))
            yield from one("linear", linear, x=normal(*x), weight=turned, bias=bias, **settings)
    # A vector before matrices, which coremltools does not take.
    yield from one("matmul", matmul, x=normal(5), y=normal(2, 5, 7), half=1e-2, core_ml=False)
    # Both transposed; constants on either side.
    x, y = normal(5, 3), normal(7, 5, seed=1)
    yield from one("matmul", matmul, x=x, y=y, transpose_x=True, transpose_y=True, half=1e-2)
    yield from one("matmul", matmul, "constant", x=x, y=constant(y), transpose_x=True, transpose_y=True, half=1e-2)
    yield from one("matmul", matmul, "constant_left", x=constant(normal(3, 5)), y=normal(2, 5, 7), half=1e-2)
    yield from one("matmul", matmul, "constant_batch", x=normal(2, 3, 5), y=constant(normal(2, 5, 7)), half=1e-2)
    yield from one("matmul", matmul, "constant_vector", x=normal(5), y=constant(normal(5, 7)), half=1e-2)


CASES = [
    *products(),
    # Few rows take another kernel than many.
    *(
        case
        for rows in (1, 2, 4, 5, 13)
        for case in one(
            "linear",
            linear,
            x=normal(rows, 70),
            weight=constant(normal(35, 70, seed=1) / 8),
            bias=constant(normal(35)),
            half=1e-2,
        )
    ),
    *one("linear", linear, x=normal(2, 3, 4, 5), weight=constant(normal(7, 5)), bias=constant(normal(7)), half=1e-2),
    *one("linear", linear, x=normal(1, 1, 300), weight=constant(normal(200, 300) / 16), half=1e-2),
    *one("linear", linear, x=normal(0, 5), weight=constant(normal(7, 5)), bias=constant(normal(7))),
    *one("linear", linear, "computed_weight", x=normal(3, 5), weight=normal(7, 5), half=1e-2, core_ml=False),
    *one(
        "linear", linear, "computed_both", x=normal(3, 5), weight=normal(7, 5), bias=normal(7), half=1e-2, core_ml=False
    ),
    # Operands that lie otherwise in memory.
    *program(
        "matmul-transposed",
        "a = transpose(x = x, perm = [0, 2, 1, 3]); b = transpose(x = z, perm = [0, 2, 3, 1]);"
        " y = matmul(x = a, y = b);",
        lambda x, z: x.transpose(0, 2, 1, 3) @ z.transpose(0, 2, 3, 1),
        x=normal(2, 5, 3, 4),
        z=normal(2, 7, 3, 4),
        half=1e-2,
    ),
    *program(
        "matmul-of_slices",
        "a = slice_by_index(x = x, begin = [0, 1], end = [0, 0], stride = [1, 2], end_mask = [true, true]);"
        " y = matmul(x = a, y = z);",
        lambda x, z: x[:, 1::2] @ z,
        x=normal(3, 10),
        z=normal(5, 7),
        half=1e-2,
    ),
    *program(
        "linear-of_slices",
        "a = slice_by_index(x = x, begin = [0, 1], end = [0, 0], stride = [1, 2], end_mask = [true, true]);"
        " y = linear(x = a, weight = w);",
        lambda x, w: x[:, 1::2] @ w.T,
        x=normal(6, 10),
        w=constant(normal(7, 5)),
        half=1e-2,
    ),
    *program(
        "linear-of_transposed",
        "a = transpose(x = x, perm = [0, 2, 1]); l = linear(x = a, weight = w, bias = b);"
        " y = transpose(x = l, perm = [0, 2, 1]);",
        lambda x, w, b: (x.transpose(0, 2, 1) @ w.T + b).transpose(0, 2, 1),
        x=normal(2, 5, 9),
        w=constant(normal(7, 5)),
        b=constant(normal(7)),
        half=1e-2,
    ),
    *program(
        "linear-of_part",
        "p, q = split(x = x, num_splits = 2, axis = 1); y = linear(x = p, weight = w); z = linear(x = q, weight = w);",
        lambda x, w: (x[:, :5] @ w.T, x[:, 5:] @ w.T),
        ("y", "z"),
        x=normal(6, 10),
        w=constant(normal(7, 5)),
        half=1e-2,
    ),
    *program(
        "matmul-with_itself",
        "y = matmul(x = x, y = x, transpose_y = true);",
        lambda x: x @ x.T,
        x=normal(7, 5),
        half=1e-2,
    ),
    *program("matmul-squared", "y = matmul(x = x, y = x);", lambda x: x @ x, x=normal(5, 5), half=1e-2),
    # What follows a product joins it, but only where nothing else reads the product.
    *(
        case
        for rows in (3, 9)
        for op, function in {
            "relu": lambda x: np.maximum(x, 0),
            "relu6": lambda x: np.clip(x, 0, 6),
            "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
            "silu": lambda x: x / (1 + np.exp(-x)),
            "tanh": np.tanh,
            "gelu": gelu,
            "exp": np.exp,
        }.items()
        for case in program(
            f"linear-{op}-{rows}",
            f"l = linear(x = x, weight = w, bias = b); y = {op}(x = l);",
            lambda x, w, b, function=function: function(x @ w.T + b),
            x=normal(rows, 33),
            w=constant(normal(17, 33, seed=1) / 5),
            b=constant(normal(17)),
            half=1e-2,
        )
    ),
    *(
        case
        for rows in (3, 9)
        for name, body, reference in [
            ("gelu-add", "g = gelu(x = l); y = add(x = g, y = r);", lambda p, r: gelu(p) + r),
            ("gelu-add_from_left", "g = gelu(x = l); y = add(x = r, y = g);", lambda p, r: gelu(p) + r),
            ("add-relu", "g = add(x = l, y = r); y = relu(x = g);", lambda p, r: np.maximum(p + r, 0)),
            (
                "relu-add-relu",
                "g = relu(x = l); h = add(x = g, y = r); y = relu(x = h);",
                lambda p, r: np.maximum(np.maximum(p, 0) + r, 0),
            ),
            ("add-add", "g = add(x = l, y = r); y = add(x = g, y = r);", lambda p, r: p + r + r),
            ("add_itself", "y = add(x = l, y = l);", lambda p, r: p + p),
            ("read_twice", "g = relu(x = l); y = add(x = g, y = l);", lambda p, r: np.maximum(p, 0) + p),
            ("residual_is_product", "g = relu(x = r); y = add(x = l, y = g);", lambda p, r: p + np.maximum(r, 0)),
            (
                "clip",
                "g = clip(x = l, alpha = -0.25, beta = 0.5); y = add(x = g, y = r);",
                lambda p, r: np.clip(p, -0.25, 0.5) + r,
            ),
        ]
        for case in program(
            f"linear-{name}-{rows}",
            "l = linear(x = x, weight = w, bias = b); " + body,
            lambda x, w, b, r, reference=reference: reference(x @ w.T + b, r),
            x=normal(rows, 33),
            w=constant(normal(17, 33, seed=1) / 5),
            b=constant(normal(17)),
            r=normal(rows, 17, seed=3),
            half=1e-2,
        )
    ),
    *program(
        "linear-product_is_output",
        "l = linear(x = x, weight = w); y = relu(x = l);",
        lambda x, w: (np.maximum(x @ w.T, 0), x @ w.T),
        ("y", "l"),
        x=normal(9, 5),
        w=constant(normal(7, 5)),
        half=1e-2,
    ),
    *program(
        "linear-residual_broadcast",
        "l = linear(x = x, weight = w); y = add(x = l, y = r);",
        lambda x, w, r: x @ w.T + r,
        x=normal(9, 5),
        w=constant(normal(7, 5)),
        r=normal(7),
        half=1e-2,
    ),
    *program(
        "linear-residual_transposed",
        "t = transpose(x = r, perm = [1, 0]); l = linear(x = x, weight = w); y = add(x = l, y = t);",
        lambda x, w, r: x @ w.T + r.T,
        x=normal(9, 5),
        w=constant(normal(7, 5)),
        r=normal(7, 9),
        half=1e-2,
    ),
    *program(
        "linear-residual_comes_later",
        "l = linear(x = x, weight = w); e = exp(x = r); y = add(x = l, y = e);",
        lambda x, w, r: x @ w.T + np.exp(r),
        x=normal(9, 5),
        w=constant(normal(7, 5)),
        r=normal(9, 7),
        half=1e-2,
    ),
    *program(
        "linear-residual_is_input_of_it",
        "l = linear(x = x, weight = w); y = add(x = l, y = x);",
        lambda x, w: x @ w.T + x,
        x=normal(9, 5),
        w=constant(normal(5, 5)),
        half=1e-2,
    ),
    *program(
        "linear-two_layers",
        "l = linear(x = x, weight = w, bias = b); r = relu(x = l); y = linear(x = r, weight = v, bias = c);",
        layers,
        x=normal(9, 20),
        w=constant(normal(33, 20) / 4),
        b=constant(normal(33)),
        v=constant(normal(10, 33) / 5),
        c=constant(normal(10)),
        half=1e-2,
    ),
    *program(
        "linear-weight_used_twice",
        "l = linear(x = x, weight = w); y = linear(x = l, weight = w);",
        lambda x, w: x @ w.T @ w.T,
        x=normal(9, 7),
        w=constant(normal(7, 7) / 3),
        half=1e-2,
    ),
    # The sums that equations name.
    *(
        case
        for equation, a, b in [
            ("nchw,nwhu->nchu", (2, 3, 4, 5), (2, 5, 4, 7)),
            ("bij,bjk->bik", (2, 3, 5), (2, 5, 7)),
            ("ij,jk->ik", (3, 5), (5, 7)),
            ("ij,kj->ki", (3, 5), (7, 5)),
            ("i,j->ij", (3,), (5,)),
            ("ijk,k->ij", (2, 3, 5), (5,)),
            ("abc,abd->acd", (2, 3, 5), (2, 3, 7)),
            ("bhid,bhjd->bhij", (2, 3, 4, 5), (2, 3, 7, 5)),
            ("ab,ab->ab", (3, 5), (3, 5)),
            ("ab,ab->ba", (3, 5), (3, 5)),
        ]
        for case in one(
            "einsum",
            einsum,
            values=[normal(*a), normal(*b, seed=1)],
            equation=equation,
            half=1e-2,
            core_ml=len(a) == 4 and equation[0] == "n",
        )
    ),
    *one(
        "einsum",
        einsum,
        "summed_alone",
        values=[normal(3, 5), normal(5, 7)],
        equation="ij,jk->k",
        half=1e-2,
        core_ml=False,
    ),
    *(
        case
        for shapes in [
            *PRODUCTS,
            ((5,), (5,)),
            ((3, 5), (5,)),
            ((2, 3, 5), (5,)),
            ((5,), (2, 5, 3)),
            ((2, 1, 3, 4), (5, 4, 6)),
            ((3, 0), (0, 4)),
            ((130, 300), (300, 70)),
        ]
        for (x, settings), (y, _) in zip(
            samples(*shapes[0], kinds="iufc"), samples(*shapes[1], kinds="iufc", seed=1), strict=True
        )
        for case in one("matmul", matmul, x=x, y=y, double=1e-11, tolerance=1e-3, core_ml=False, **settings)
    ),
    *(
        case
        for x, settings in samples(2, 33, 21, kinds="iufc")
        for case in one(
            "matmul",
            matmul,
            f"flipped-{x.dtype}",
            x=x,
            y=x[:, ::-1].copy(),
            transpose_x=True,
            tolerance=1e-3,
            double=1e-11,
            **settings,
        )
    ),
    *(
        case
        for x, settings in samples(9, 33, kinds="iufc")
        for case in one(
            "matmul", matmul, f"flipped-back-{x.dtype}", x=x, y=x + 1, transpose_y=True, tolerance=1e-3, **settings
        )
    ),
    *one("matmul", matmul, x=normal(3, 5), y=normal(5), core_ml=False),
    *one("matmul", matmul, x=normal(5), y=normal(5), core_ml=False),
    *one("matmul", matmul, "large", x=whole(3, 5) * 99991, y=whole(5, 7) * 9973),
    *one("matmul", matmul, "weights", x=normal(3, 5), y=constant(normal(5, 7)), dtypes=("fp64",)),
    *(
        case
        for x, settings in samples(2, 3, 5, kinds="iufc")
        for case in one(
            "einsum",
            einsum,
            f"every-type-{x.dtype}",
            values=[x, x[::-1, ::-1].copy()],
            equation="bij,bkj->ikb",
            tolerance=1e-4,
            core_ml=False,
            **settings,
        )
    ),
]
