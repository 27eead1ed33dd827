"""Elementwise ops, alone and in the chains that run as one."""

import numpy as np

from tests.cases import constant, erf, normal, one, positive, program, whole

LOGIC = {
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
}
COMPARISONS = {
    "equal": np.equal,
    "not_equal": np.not_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
}
ARITHMETIC = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "floor_div": np.floor_divide,
    "mod": np.mod,
}
BROADCASTS = [
    ((), ()),
    ((3, 5), ()),
    ((), (3, 5)),
    ((2, 3, 5), (5,)),
    ((7,), (2, 3, 7)),
    ((3, 1), (1, 5)),
    ((2, 3, 1), (2, 1, 5)),
    ((4, 1, 5), (4, 3, 1)),
    ((2, 1, 4, 1), (3, 1, 5)),
    ((2, 1, 3, 1, 5), (4, 1, 7, 1)),
    ((1, 3, 5), (3, 5)),
    ((33, 65), (33, 1)),
    ((0, 3), (1, 3)),
    ((2, 0), (2, 1)),
    ((2, 3, 0), ()),
]
CORNERS = np.array([0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 2.5, -2.5], np.float32)


def truth(*shape, seed=0):
    return whole(*shape, seed=seed, low=0, high=1).astype(bool)


def away_from_zero(*shape, seed=0):
    """Numbers of either sign whose quotients stay small."""
    return positive(*shape, seed=seed) * np.where(truth(*shape, seed=seed + 1), 1, -1).astype(np.float32)


def unary():
    """Each function over a range that shows its bends."""
    small = np.linspace(-0.99, 0.99, 23, dtype=np.float32)
    middle = np.linspace(-4.3, 4.3, 35, dtype=np.float32).reshape(5, 7)
    above = np.array([1e-3, 0.1, 0.5, 1, 1.5, 2, 4, 10, 100, 1000], np.float32)
    halves = np.array([-2.5, -1.5, -1.2, -0.5, -0.0, 0, 0.4, 0.5, 1.5, 2.5, 3.7], np.float32)
    functions = {
        "abs": (np.abs, middle),
        "acos": (np.arccos, small),
        "asin": (np.arcsin, small),
        "atan": (np.arctan, middle * 3),
        "atanh": (np.arctanh, small * 0.97),
        "ceil": (np.ceil, halves),
        "cos": (np.cos, middle * 3),
        "cosh": (np.cosh, middle),
        "erf": (erf, middle),
        "exp": (np.exp, middle),
        "exp2": (np.exp2, middle),
        "floor": (np.floor, halves),
        "identity": (lambda x: x, middle),
        "round": (np.rint, halves),
        "sign": (np.sign, halves),
        "sin": (np.sin, middle * 3),
        "sinh": (np.sinh, middle),
        "sqrt": (np.sqrt, above),
        "square": (np.square, middle),
        "tan": (np.tan, small * 1.2),
        "tanh": (np.tanh, middle),
        "log": (np.log, above),
        "inverse": (lambda x: 1 / (x + 1e-4), above),
        "rsqrt": (lambda x: 1 / np.sqrt(x), above),
        "threshold": (lambda x: np.maximum(x, 1), middle),
    }
    for op, (function, x) in functions.items():
        yield from one(op, function, x=x)
        yield from one(op, function, x=np.asarray(x.ravel()[6]))
        yield from one(op, function, x=np.zeros((2, 0, 3), np.float32))


def binary():
    for op, function in ARITHMETIC.items():
        yield from one(op, function, x=away_from_zero(2, 3, 5), y=away_from_zero(3, 1, seed=5), half=4e-3)
        yield from one(op, function, x=whole(3, 5), y=whole(2, 1, 5, low=1))
        yield from one(op, function, "constant", x=away_from_zero(3, 5), y=constant(positive(5)), half=4e-3)
        yield from one(op, function, "of_constant", x=constant(positive(5)), y=away_from_zero(3, 5), half=4e-3)
        yield from one(op, function, "literal", x=positive(2, 3), y=0.75)
    for op, function in COMPARISONS.items():
        yield from one(op, function, x=np.round(normal(2, 3, 5)), y=np.round(normal(3, 1)))
        yield from one(op, function, x=whole(3, 5, high=0, low=-2), y=whole(5, high=0, low=-2, seed=1))
        yield from one(op, function, "corners", x=CORNERS.reshape(-1, 1), y=CORNERS)
    for op, function in LOGIC.items():
        yield from one(op, function, x=truth(2, 3, 5), y=truth(3, 1, seed=1))
        yield from one(op, function, x=truth(33), y=truth(33, seed=1))
    for x, y in BROADCASTS:
        yield from one("add", np.add, x=normal(*x), y=normal(*y, seed=1))
        yield from one("less", np.less, x=whole(*x), y=whole(*y, seed=1))


def chain(x, count):
    for index in range(count):
        x = np.sin(x) if index % 2 else np.square(x)
    return x


def tree(x):
    a = [x * (i + 0.5) for i in range(16)]
    b = [a[2 * i] + a[2 * i + 1] for i in range(8)]
    c = [b[2 * i] * b[2 * i + 1] for i in range(4)]
    return np.maximum(c[0], c[1]) - np.minimum(c[2], c[3])


CASES = [
    *unary(),
    *binary(),
    # Division.
    *one("real_div", np.divide, x=normal(2, 3, 5), y=away_from_zero(3, 1)),
    *one("real_div", np.divide, x=normal(2, 3), y=constant(np.array([0.5, -3, 7]))),
    *one("real_div", np.divide, "corners", x=CORNERS.reshape(-1, 1), y=CORNERS),
    *one("floor_div", np.floor_divide, "signs", x=np.float32([7, -7, 7, -7, 6]), y=np.float32([2, 2, -2, -2, 3])),
    *one("mod", np.mod, "signs", x=np.float32([7, -7, 7, -7, 6]), y=np.float32([2, 2, -2, -2, 3])),
    *one("floor_div", np.floor_divide, "signs", x=np.int32([7, -7, 7, -7, 6]), y=np.int32([2, 2, -2, -2, 3])),
    *one("mod", np.mod, "signs", x=np.int32([7, -7, 7, -7, 6]), y=np.int32([2, 2, -2, -2, 3])),
    *one(
        "floor_div", np.floor_divide, "large", x=np.int32([2**31 - 1, -(2**31) + 1, 123456789]), y=np.int32([2, 7, 3])
    ),
    # Powers.
    *one("pow", np.power, x=positive(2, 3, 5), y=normal(3, 1), half=4e-3),
    *one("pow", np.power, "whole_powers", x=normal(4, 1), y=np.float32([-2, -1, 0, 1, 2, 3, 5]), half=1e-2),
    *one("pow", np.power, "literal", x=normal(3, 5), y=2.0, half=4e-3),
    *one(
        "pow", np.power, "corners", x=np.float32([0, 0, 1, -2, np.inf, 4]), y=np.float32([0, 2, np.inf, 0.5, -1, 0.5])
    ),
    *one("pow", np.power, x=whole(3, 5), y=whole(5, low=0, high=4)),
    # Parameters.
    *one("log", lambda x, epsilon: np.log(x + epsilon), x=positive(2, 3), epsilon=0.5),
    *one("log", np.log, "corners", x=np.float32([0.5, np.inf, -1, np.nan])),
    *one("inverse", lambda x, epsilon: 1 / (x + epsilon), x=positive(2, 3), epsilon=0.25),
    *one("rsqrt", lambda x, epsilon: 1 / np.sqrt(x + epsilon), x=positive(2, 3), epsilon=0.25),
    *one("threshold", lambda x, alpha: np.maximum(x, alpha), x=normal(2, 3), alpha=-0.5),
    *one("clip", lambda x, alpha, beta: np.clip(x, alpha, beta), x=normal(3, 5), alpha=-0.5, beta=0.75),
    # Functions far out.
    *one("exp", np.exp, "corners", x=np.float32([-200, -100, -20, 0, 20, 88, 200, np.inf, -np.inf, np.nan])),
    *one("tanh", np.tanh, "corners", x=np.float32([-100, -9, -1e-4, 0, 1e-4, 9, 100, np.inf, -np.inf, np.nan])),
    *one("erf", erf, "corners", x=np.float32([-100, -3, -1e-4, 0, 1e-4, 3, 100, np.inf, -np.inf, np.nan])),
    *one("sqrt", np.sqrt, "corners", x=np.float32([0, -0.0, -1, np.inf, np.nan, 1e-6])),
    *one("sin", np.sin, "far", x=np.float32([100, -1000, 10000, 31415]), tolerance=1e-4),
    *one("cos", np.cos, "far", x=np.float32([100, -1000, 10000, 31415]), tolerance=1e-4),
    # Whole numbers.
    *one("abs", np.abs, x=whole(3, 5)),
    *one("sign", np.sign, x=whole(3, 5)),
    *one("square", np.square, x=whole(3, 5)),
    *one("exp2", lambda x: 2**x, x=whole(3, 5, low=0)),
    *one("identity", lambda x: x, x=whole(3, 5)),
    *one("identity", lambda x: x, x=truth(3, 5)),
    *one("logical_not", np.logical_not, x=truth(3, 5)),
    *one("equal", np.equal, x=truth(3, 5), y=truth(5, seed=1), core_ml=False),
    *one("add", np.add, "exact", x=np.int32([2**24 + 1, -(2**30)]), y=np.int32([2, 3])),
    *one("mul", np.multiply, "exact", x=np.int32([65537, -46341]), y=np.int32([32767, 46340])),
    # Select takes floats, whole numbers and truth values, broadcast from any side.
    *(
        case
        for shapes in [
            ((3, 5),) * 3,
            ((3, 1), (3, 5), (5,)),
            ((2, 3, 5), (), (3, 1)),
            ((), (2, 3), (2, 3)),
            ((0, 3),) * 3,
        ]
        for case in one(
            "select",
            lambda cond, a, b: np.where(cond, a, b),
            cond=truth(*shapes[0]),
            a=normal(*shapes[1]),
            b=normal(*shapes[2], seed=1),
        )
    ),
    *one("select", lambda cond, a, b: np.where(cond, a, b), cond=truth(3, 5), a=whole(3, 5), b=whole(5, seed=1)),
    *one(
        "select", lambda cond, a, b: np.where(cond, a, b), cond=truth(3, 5), a=truth(3, 5, seed=2), b=truth(5, seed=1)
    ),
    *one("select", lambda cond, a, b: np.where(cond, a, b), "infinite", cond=truth(9), a=-np.inf, b=normal(9)),
    # Casts: towards zero, and of truth values.
    *(
        case
        for dtype, numpy in {"fp32": np.float32, "fp16": np.float16, "int32": np.int32, "bool": bool}.items()
        for x in (np.float32([[-2.7, -0.5, 0], [0.5, 1.5, 300.9]]), np.int32([-7, 0, 300]), truth(7))
        for case in one("cast", lambda x, dtype, numpy=numpy: x.astype(numpy), x=x, dtype=dtype)
    ),
    *(
        case
        for dtype in ("int8", "uint8", "int16", "uint16")
        for x in (np.float32([0, 1.7, 100.2, 126.9]), np.int32([0, 5, 127]))
        for case in one("cast", lambda x, dtype: x.astype(dtype), x=x, dtype=dtype)
    ),
    # One value read twice, by one op and by two.
    *program("twice", "y = add(x = x, y = x);", lambda x: x + x, x=normal(3, 5)),
    *program(
        "diamond",
        "s = add(x = a, y = b); r = relu(x = s); p = mul(x = s, y = r); y = sub(x = p, y = a);",
        lambda a, b: (a + b) * np.maximum(a + b, 0) - a,
        a=normal(3, 5),
        b=normal(5),
        half=1e-2,
    ),
    *program(
        "two_readers",
        "e = exp(x = x); s = reduce_sum(x = e, axes = [-1], keep_dims = true); y = real_div(x = e, y = s);",
        lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
        x=normal(3, 7),
        half=4e-3,
    ),
    # Values on the way that are outputs too.
    *program(
        "all_outputs",
        "s = add(x = a, y = b); r = relu(x = s); t = tanh(x = r);",
        lambda a, b: (a + b, np.maximum(a + b, 0), np.tanh(np.maximum(a + b, 0))),
        ("s", "r", "t"),
        a=normal(2, 3),
        b=normal(2, 3, seed=1),
        half=4e-3,
    ),
    *program(
        "outputs_of_views",
        "t = transpose(x = x, perm = [1, 0]); y = exp(x = t); z = identity(x = t);",
        lambda x: (x.T, np.exp(x.T), x.T),
        ("t", "y", "z"),
        x=normal(3, 5),
        half=4e-3,
    ),
    *program(
        "outputs_in_another_order",
        "a = exp(x = x); b = add(x = a, y = x);",
        lambda x: (np.exp(x) + x, np.exp(x)),
        ("b", "a"),
        x=normal(3, 5),
        half=4e-3,
    ),
    # Operands that lie otherwise in memory.
    *program(
        "transposed",
        "t = transpose(x = x, perm = [2, 0, 1]); y = add(x = t, y = z);",
        lambda x, z: x.transpose(2, 0, 1) + z,
        x=normal(3, 5, 7),
        z=normal(7, 3, 5),
    ),
    *program(
        "transposed_broadcast",
        "t = transpose(x = x, perm = [0, 2, 1]); u = transpose(x = z, perm = [1, 0]); y = mul(x = t, y = u);",
        lambda x, z: x.transpose(0, 2, 1) * z.T,
        x=normal(2, 3, 5),
        z=normal(3, 1),
    ),
    *program(
        "reversed",
        "r = reverse(x = x, axes = [1]); e = exp(x = r); y = add(x = e, y = x);",
        lambda x: np.exp(x[:, ::-1]) + x,
        x=normal(3, 6),
        half=4e-3,
    ),
    *program(
        "sliced",
        "a = slice_by_index(x = x, begin = [0, 1], end = [0, 0], stride = [1, 2], end_mask = [true, true]);"
        " b = slice_by_index(x = x, begin = [0, 0], end = [0, -1], stride = [1, 2], end_mask = [true, false]);"
        " y = sub(x = a, y = b);",
        lambda x: x[:, 1::2] - x[:, :-1:2],
        x=normal(3, 8),
    ),
    # Chains too long for one tape, and with more operands than one takes.
    *program(
        "long_chain",
        "".join(f"v{i + 1} = {'sin' if i % 2 else 'square'}(x = {f'v{i}' if i else 'x'}); " for i in range(40)),
        lambda x: chain(x, 40),
        ("v40",),
        x=normal(3, 5),
        half=2e-2,
    ),
    *program(
        "many_operands",
        "".join(f"s{i} = add(x = {f's{i - 1}' if i > 1 else 'x0'}, y = x{i}); " for i in range(1, 20)),
        lambda **x: sum(x.values()),
        ("s19",),
        **{f"x{i}": normal(*[(3, 5), (5,), (3, 1), ()][i % 4], seed=i) for i in range(20)},
        half=2e-2,
    ),
    *program(
        "tree",
        "".join(f"a{i} = mul(x = x, y = {i + 0.5}); " for i in range(16))
        + "".join(f"b{i} = add(x = a{2 * i}, y = a{2 * i + 1}); " for i in range(8))
        + "".join(f"c{i} = mul(x = b{2 * i}, y = b{2 * i + 1}); " for i in range(4))
        + "d0 = maximum(x = c0, y = c1); d1 = minimum(x = c2, y = c3); y = sub(x = d0, y = d1);",
        lambda x: tree(x),
        x=normal(3, 5),
        half=4e-3,
    ),
    *program(
        "shapes_grow",
        "e = exp(x = a); s = add(x = e, y = b); t = tanh(x = s); y = mul(x = t, y = c);",
        lambda a, b, c: np.tanh(np.exp(a) + b) * c,
        a=normal(3, 1),
        b=normal(1, 5),
        c=normal(2, 1, 1),
        half=4e-3,
    ),
    # Types that change within a chain.
    *program(
        "masked",
        "m = greater(x = x, y = z); n = logical_not(x = m); o = logical_or(x = n, y = c);"
        " y = select(cond = o, a = x, b = 0.25);",
        lambda x, z, c: np.where(~(x > z) | c, x, 0.25),
        x=normal(3, 5),
        z=normal(5),
        c=truth(3, 1),
    ),
    *program(
        "through_whole_numbers",
        'i = cast(x = x, dtype = "int32"); d = add(x = i, y = 3);'
        ' f = cast(x = d, dtype = "fp32"); y = mul(x = f, y = 0.5);',
        lambda x: ((np.trunc(x) + 3) * 0.5).astype(np.float32),
        x=normal(3, 5, scale=5),
    ),
    *program(
        "truth_as_number",
        'm = less(x = x, y = 0.0); y = cast(x = m, dtype = "int32");',
        lambda x: (x < 0).astype(np.int32),
        x=normal(3, 5),
    ),
    # The last result takes the memory of an operand that only the last operation reads.
    *program(
        "in_place",
        "s = matmul(x = x, y = z); a = sin(x = m); b = exp(x = a); c = tanh(x = b);"
        " d = add(x = s, y = c); y = cumsum(x = d, axis = 0);",
        lambda x, z, m: np.cumsum(x @ z + np.tanh(np.exp(np.sin(m))), 0),
        x=normal(5, 3),
        z=normal(3, 37),
        m=normal(5, 37),
        half=1e-2,
    ),
    # Constants meet constants: the program computes nothing at run time.
    *program(
        "constants_only",
        "t = transpose(x = c, perm = [1, 0]); e = exp(x = t); y = add(x = e, y = 1.0); z = identity(x = x);",
        lambda c, x: (np.exp(c.T) + 1, x),
        ("y", "z"),
        c=constant(normal(3, 5)),
        x=normal(2),
        half=4e-3,
    ),
    *program(
        "input_is_output", "y = relu(x = x);", lambda x: (np.maximum(x, 0), x), ("y", "x"), x=normal(3), core_ml=False
    ),
]
