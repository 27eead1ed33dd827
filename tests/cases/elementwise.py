"""Elementwise ops, alone and in the chains that run as one."""

import numpy as np

from tests.cases import Case, constant, erf, normal, one, positive, program, whole, written

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


def floor_div(x, y):
    """Python's quotient, but that infinities divide as with `/`: the array API's choice."""
    quotient = np.floor_divide(x, y)
    return np.where(np.isinf(x) | np.isinf(y), x / y, quotient) if quotient.dtype.kind == "f" else quotient


ARITHMETIC = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "floor_div": floor_div,
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
INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
# What tapes lack, whose results are computed otherwise.
WIDE = ("uint32", "int64", "uint64")
EVERY_FLOAT = ("fp32", "fp16", "fp64")
BITS = {
    "bitwise_and": np.bitwise_and,
    "bitwise_or": np.bitwise_or,
    "bitwise_xor": np.bitwise_xor,
}
# Columns of the table of casts.
CASTS = {
    "bool": np.bool_,
    "fp16": np.float16,
    "fp32": np.float32,
    "fp64": np.float64,
    "complex64": np.complex64,
    "complex128": np.complex128,
    **{name: np.dtype(name).type for name in INTEGERS},
}


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
        "inverse": (lambda x: 1 / (x + np.float32(1e-4).item()), above),
        "rsqrt": (lambda x: 1 / np.sqrt(x + np.float32(1e-12).item()), above),
        "threshold": (lambda x: np.maximum(x, 1), middle),
    }
    for op, (function, x) in functions.items():
        yield from one(op, function, x=x, dtypes=EVERY_FLOAT)
        yield from one(op, function, x=np.asarray(x.ravel()[6]), dtypes=EVERY_FLOAT)
        yield from one(op, function, x=np.zeros((2, 0, 3), np.float32), dtypes=EVERY_FLOAT)


def binary():
    for op, function in ARITHMETIC.items():
        yield from one(
            op, function, x=away_from_zero(2, 3, 5), y=away_from_zero(3, 1, seed=5), half=4e-3, dtypes=EVERY_FLOAT
        )
        yield from one(op, function, x=whole(3, 5), y=whole(2, 1, 5, low=1))
        yield from one(op, function, "constant", x=away_from_zero(3, 5), y=constant(positive(5)), half=4e-3)
        yield from one(op, function, "of_constant", x=constant(positive(5)), y=away_from_zero(3, 5), half=4e-3)
        yield from one(op, function, "literal", x=positive(2, 3), y=0.75, dtypes=EVERY_FLOAT)
    for op, function in COMPARISONS.items():
        yield from one(op, function, x=np.round(normal(2, 3, 5)), y=np.round(normal(3, 1)), dtypes=EVERY_FLOAT)
        yield from one(op, function, x=whole(3, 5, high=0, low=-2), y=whole(5, high=0, low=-2, seed=1))
        yield from one(op, function, "corners", x=CORNERS.reshape(-1, 1), y=CORNERS, dtypes=EVERY_FLOAT)
    for op, function in LOGIC.items():
        yield from one(op, function, x=truth(2, 3, 5), y=truth(3, 1, seed=1))
        yield from one(op, function, x=truth(33), y=truth(33, seed=1))
    for x, y in BROADCASTS:
        yield from one("add", np.add, x=normal(*x), y=normal(*y, seed=1), dtypes=EVERY_FLOAT)
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


def ends(dtype, count=24, seed=0):
    """Integers of a type: both ends of its range, those around 0, and random ones."""
    limits = np.iinfo(dtype)
    known = [0, 1, 2, 3, limits.max, limits.max - 1, limits.min, limits.min + 1, limits.max // 2]
    known += [-1, -2, -3] if limits.min < 0 else []
    others = np.random.default_rng(seed).integers(limits.min, limits.max, count, dtype, endpoint=True)
    return np.concatenate([np.array(known, dtype), others])


def without_zero(function):
    """A function of integers in which division by 0 gives 0."""
    return lambda x, y: np.where(y == 0, np.zeros((), x.dtype), function(x, np.where(y == 0, np.ones((), y.dtype), y)))


def exact_power(x, y):
    """A power of Python's unbounded integers. A negative power is truncated to an integer, and is 0 for base 0."""
    if y < 0:
        return (x if y % 2 else 1) if x in (1, -1) else 0
    return x**y


def wrapped(dtype, numbers):
    """Python's unbounded integers, wrapped around to a type."""
    bits = np.iinfo(dtype).bits
    flat = [int(number) & ((1 << bits) - 1) for number in np.ravel(numbers)]
    return np.array(flat, f"uint{bits}").view(dtype).reshape(np.shape(numbers))


def integer_types():
    """Every operation on every integer type, overflows included."""
    for dtype in INTEGERS:
        x, y = ends(dtype).reshape(-1, 1), ends(dtype, 7, seed=1)
        for op in ("add", "sub", "mul", "maximum", "minimum"):
            yield from one(op, ARITHMETIC[op], x=x, y=y)
        for op in ("floor_div", "mod"):
            yield from one(op, without_zero(ARITHMETIC[op]), x=x, y=y)
        yield from one("real_div", without_zero(np.floor_divide), x=x, y=y)
        for op, function in (COMPARISONS | BITS).items():
            yield from one(op, function, x=x, y=y)
        power = np.frompyfunc(exact_power, 2, 1)
        yield from one(
            "pow",
            lambda x, y, power=power: wrapped(x.dtype, power(x.astype(object), y.astype(object))),
            x=x,
            y=y[y < 99],
        )
        shifts = np.arange(np.iinfo(dtype).bits + 3).astype(dtype)
        yield from one("shift_left", np.left_shift, x=x, y=shifts)
        yield from one("shift_right", np.right_shift, x=x, y=shifts)
        for op, function in {
            "abs": np.abs,
            "sign": np.sign,
            "square": np.square,
            "negative": np.negative,
            "bitwise_not": np.invert,
            "is_nan": np.isnan,
            "is_inf": np.isinf,
            "is_finite": np.isfinite,
            "relu": lambda x: np.maximum(x, np.zeros((), x.dtype)),
        }.items():
            yield from one(op, function, x=x)
        for op in ("ceil", "floor", "round", "trunc", "identity"):
            yield from one(op, lambda x: x, x=x)
        yield from one("clip", lambda x, alpha, beta: np.clip(x, alpha, beta), x=x, alpha=3, beta=100)
        yield from one(
            "clip",
            lambda x, alpha, beta: np.clip(x.astype(object), alpha.item(), beta.item()).astype(x.dtype),
            f"{dtype}_wide_bounds",
            x=x,
            alpha=constant(np.int32(-5)),
            beta=constant(np.int32(40000)),
            core_ml=False,
        )
        yield from one("threshold", lambda x, alpha: np.maximum(x, alpha), x=x, alpha=5)
        yield from one("select", lambda cond, a, b: np.where(cond, a, b), cond=truth(x.size, 1), a=x, b=y)
        yield from one("add", np.add, f"{dtype}_of_constant", x=x, y=constant(y))
    for dtype in WIDE:
        yield from one("exp2", lambda x: np.left_shift(np.ones_like(x), x), x=whole(7, low=0).astype(dtype))
        for x, y in BROADCASTS:
            x, y = whole(*x, low=0).astype(dtype), whole(*y, seed=1, low=0).astype(dtype)
            yield from one("sub", np.subtract, x=x, y=y)
    for op, function in BITS.items():
        yield from one(op, function, x=truth(2, 3, 5), y=truth(3, 1, seed=1))
    yield from one("bitwise_not", np.invert, x=truth(7))
    for op in ("less", "less_equal", "greater", "greater_equal", "not_equal"):
        yield from one(op, COMPARISONS[op], x=truth(7, 1), y=truth(5, seed=1))


def floats():
    """What floating-point numbers have beyond the functions above, in every width."""
    middle = np.linspace(-4.3, 4.3, 35, dtype=np.float32).reshape(5, 7)
    above = np.float32([1, 1.001, 1.5, 2, 4, 10, 100, 1000])
    tiny = np.float32([-1e-4, -0.0, 0, 1e-4, 0.25])
    special = np.float32([0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 0.5])
    functions = {
        "acosh": (np.arccosh, above),
        "asinh": (np.arcsinh, middle),
        "expm1": (np.expm1, middle),
        "log1p": (np.log1p, above),
        "log2": (np.log2, above),
        "log10": (np.log10, above),
        "negative": (np.negative, middle),
        "trunc": (np.trunc, middle),
        "is_nan": (np.isnan, special),
        "is_inf": (np.isinf, special),
        "is_finite": (np.isfinite, special),
        "sign_bit": (np.signbit, special),
    }
    for op, (function, x) in functions.items():
        yield from one(op, function, x=x, dtypes=EVERY_FLOAT, core_ml=False)
        yield from one(op, function, "special", x=special, dtypes=EVERY_FLOAT, core_ml=False)
    for op in ("expm1", "log1p", "asinh"):
        # Absolute, so that only the fp64 result may be off in its last digit.
        yield from one(op, functions[op][0], "tiny", x=tiny, double=1e-18, dtypes=("fp64",), core_ml=False)
        yield from scaled(op, functions[op][0], tiny)
    for op, function in {
        "atan2": np.arctan2,
        "hypot": np.hypot,
        "copysign": np.copysign,
        "log_add_exp": np.logaddexp,
    }.items():
        yield from one(op, function, x=normal(3, 5), y=normal(2, 1, 5, seed=1), dtypes=EVERY_FLOAT, core_ml=False)
        yield from one(op, function, "special", x=special.reshape(-1, 1), y=special, dtypes=EVERY_FLOAT, core_ml=False)

    quotient = normal(3, 5), normal(2, 1, 5, seed=1)
    yield from one("divide", np.divide, x=quotient[0], y=quotient[1], dtypes=EVERY_FLOAT, core_ml=False)

    for dtype, numpy in {"fp32": np.float32, "fp64": np.float64}.items():
        yield from one(
            "next_after",
            lambda x, y, t=numpy: np.nextafter(x.astype(t), y.astype(t)),
            x=special.reshape(-1, 1),
            y=special,
            tolerance=0,
            double=0,
            dtypes=(dtype,),
            core_ml=False,
        )
    # Python's quotient and remainder: 1 // 0.1 is 9, for 0.1 is a little more than a tenth.
    x = np.float32([7.5, -7.5, 1, -1, 0.0, -0.0, 5, -5, np.inf, 1e-3])
    y = np.float32([2, -2, 0.1, np.inf, -np.inf, 0.5, np.nan])
    for op in ("floor_div", "mod"):
        for dtype, numpy in {"fp32": np.float32, "fp64": np.float64}.items():
            yield from one(
                op,
                lambda x, y, f=ARITHMETIC[op], t=numpy: f(x.astype(t), y.astype(t)),
                "python",
                x=x.reshape(-1, 1),
                y=y,
                dtypes=(dtype,),
            )


def scaled(op, function, x):
    """The digits of small results: the op in fp32, seen through a magnifying glass."""
    return program(
        f"{op}-magnified",
        f"r = {op}(x = x); y = mul(x = r, y = 10000.0);",
        lambda x: function(x) * 10000,
        x=x,
        dtypes=("fp32",),
        tolerance=2e-6,
        core_ml=False,
    )


def signs_of_zero():
    """A zero keeps the sign that follows; comparing numbers does not see it."""
    minus = np.float32([-0.0, 0.0])
    table = {
        **{
            op: (function, minus)
            for op, function in {
                "sqrt": np.sqrt,
                "sin": np.sin,
                "tan": np.tan,
                "asin": np.arcsin,
                "atan": np.arctan,
                "sinh": np.sinh,
                "tanh": np.tanh,
                "asinh": np.arcsinh,
                "atanh": np.arctanh,
                "expm1": np.expm1,
                "log1p": np.log1p,
                "negative": np.negative,
                "sign": np.sign,
            }.items()
        },
        "round": (np.rint, np.float32([-0.4, -0.5, 0.4])),
        "ceil": (np.ceil, np.float32([-0.4, 0])),
        "trunc": (np.trunc, np.float32([-0.4, 0.4])),
    }
    for op, (function, x) in table.items():
        yield from program(
            f"{op}-sign_of_zero",
            f"r = {op}(x = x); y = sign_bit(x = r);",
            lambda x, function=function: np.signbit(function(x)),
            x=x,
            dtypes=EVERY_FLOAT,
            core_ml=False,
        )
    yield from program(
        "floor_div-sign_of_zero",
        "r = floor_div(x = a, y = b); y = sign_bit(x = r);",
        lambda a, b: np.signbit(floor_div(a, b)),
        a=np.float32([2, -2, 2, -2, 0, -0.0]),
        b=np.float32([np.inf, np.inf, -np.inf, -np.inf, 3, 3]),
        dtypes=EVERY_FLOAT,
        core_ml=False,
    )
    yield from one(
        "inverse", lambda x, epsilon: 1 / x, "zeros", x=np.float32([-0.0, 0, 2]), epsilon=0.0, dtypes=EVERY_FLOAT
    )
    yield from one(
        "log", lambda x, epsilon: np.log(x), "zeros", x=np.float32([-0.0, 0, 1]), epsilon=0.0, dtypes=EVERY_FLOAT
    )


@np.errstate(all="ignore")
def cut(x, dtype):
    """A cast. Floats that become integers are truncated and clamped to the range, NaN to 0; integers wrap around."""
    dtype = np.dtype(dtype)
    if x.dtype.kind != "f" or dtype.kind not in "iu":
        return x.astype(dtype)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    numbers = [
        0 if each != each else low if each <= low else high if each >= high else int(each) for each in x.tolist()
    ]
    return np.array(numbers, dtype)


def casts():
    edges = [0, -0.0, 0.5, -0.9, 1.5, -7.9, 127.6, 128, -129, 255.5, 256, 65504, 2.0**31, -(2.0**31), 2.0**32]
    edges += [2.0**63, -(2.0**63), 2.0**64, 1e30, np.inf, -np.inf, np.nan]
    # Halfway between two numbers of fp16, and a little off: rounding through fp32 would lose which.
    double = np.array([*edges, 2049, 2049.0000001, 2048.9999999, 65519.999999, 65520, 2.98e-8, 1e-310, 1 + 2.0**-40])
    for source, numpy in CASTS.items():
        if source == "bool":
            x = truth(7)
        elif np.dtype(numpy).kind in "iu":
            x = ends(source)
        elif np.dtype(numpy).kind == "f":
            x = cut(double if source == "fp64" else np.array(edges), numpy)
        else:
            x = np.array([0, 1.5 - 2j, 1e10j, complex(np.inf, np.nan)], numpy)
        for target, type_ in CASTS.items():
            if np.dtype(numpy).kind == "c" and np.dtype(type_).kind not in "cb":
                continue
            answer = cut(x, type_)
            yield Case(
                f"cast-{source}-to-{target}",
                written(f'result = cast(x = x, dtype = "{target}");', {"x": x}, ["x"], ("result",)),
                {"x": x},
                {"result": answer},
                0,
                core_ml=False,
            )


CASES = [
    *unary(),
    *binary(),
    *integer_types(),
    *floats(),
    *signs_of_zero(),
    *casts(),
    # Division.
    *one("real_div", np.divide, x=normal(2, 3, 5), y=away_from_zero(3, 1)),
    *one("real_div", np.divide, x=normal(2, 3), y=constant(np.array([0.5, -3, 7]))),
    *one("real_div", np.divide, "corners", x=CORNERS.reshape(-1, 1), y=CORNERS, dtypes=EVERY_FLOAT),
    *(
        case
        for op in ("maximum", "minimum", "pow")
        for case in one(
            op, ARITHMETIC.get(op, np.power), "all_corners", x=CORNERS.reshape(-1, 1), y=CORNERS, dtypes=EVERY_FLOAT
        )
    ),
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
    # Integers.
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
    # Select takes floats, integers and booleans, broadcast from any side.
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
            dtypes=EVERY_FLOAT,
        )
    ),
    *one("select", lambda cond, a, b: np.where(cond, a, b), cond=truth(3, 5), a=whole(3, 5), b=whole(5, seed=1)),
    *one(
        "select", lambda cond, a, b: np.where(cond, a, b), cond=truth(3, 5), a=truth(3, 5, seed=2), b=truth(5, seed=1)
    ),
    *one("select", lambda cond, a, b: np.where(cond, a, b), "infinite", cond=truth(9), a=-np.inf, b=normal(9)),
    # Casts: towards zero, and of booleans.
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
        "through_integers",
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
    # Wide types between narrow ones.
    *program(
        "through_fp64",
        'd = cast(x = x, dtype = "fp64"); e = exp(x = d); s = add(x = e, y = d); y = cast(x = s, dtype = "fp32");',
        lambda x: (np.exp(x) + x).astype(np.float32),
        x=normal(3, 5),
        core_ml=False,
    ),
    *program(
        "through_int64",
        'i = cast(x = x, dtype = "int64"); q = mul(x = i, y = i); m = mod(x = q, y = k); c = greater(x = m, y = i);'
        " y = select(cond = c, a = m, b = q);",
        lambda x, k: np.where(
            x.astype(np.int64) ** 2 % k > x.astype(np.int64), x.astype(np.int64) ** 2 % k, x.astype(np.int64) ** 2
        ),
        x=whole(3, 5, low=-(2**31), high=2**31 - 1),
        k=np.array([10**6 + 3, 7, -9, 2**40, 1], np.int64),
        core_ml=False,
    ),
    *program(
        "turned_wide",
        "t = transpose(x = x, perm = [2, 0, 1]); u = reverse(x = t, axes = [1]); y = sub(x = u, y = z);",
        lambda x, z: x.transpose(2, 0, 1)[:, ::-1] - z,
        x=normal(3, 5, 7),
        z=normal(7, 3, 1),
        dtypes=("fp64",),
    ),
    *program(
        "wide_constants_only",
        "e = exp(x = c); y = add(x = e, y = 1.0); z = identity(x = x);",
        lambda c, x: (np.exp(c) + 1, x),
        ("y", "z"),
        c=constant(normal(3, 5)),
        x=normal(2),
        dtypes=("fp64",),
    ),
    # Two views of one value: the result must not take its memory while the other is still read.
    *program(
        "in_place_and_turned",
        "e = exp(x = x); t = transpose(x = e, perm = [1, 0]); s = sub(x = e, y = t); y = cumsum(x = s, axis = 0);",
        lambda x: np.cumsum(np.exp(x) - np.exp(x).T, 0),
        x=normal(37, 37),
        half=0.1,
    ),
    *program(
        "in_place_and_turned_wide",
        "e = exp(x = x); t = transpose(x = e, perm = [1, 0]); s = sub(x = e, y = t); y = square(x = s);",
        lambda x: np.square(np.exp(x) - np.exp(x).T),
        x=normal(37, 37),
        dtypes=("fp64",),
    ),
    # Short rows are run several at once, long ones in pieces.
    *(
        case
        for x, y in [
            ((1000, 3), (3,)),
            ((1000, 3), (1000, 1)),
            ((7, 100, 5), (7, 1, 5)),
            ((3, 2, 64), (2, 1)),
            ((3, 2, 65), (2, 1)),
            ((2, 20000), (2, 1)),
            ((1, 2, 1, 2, 3, 1, 2, 2, 3, 2), (2, 1, 2, 1, 1, 2, 1, 3, 1)),
        ]
        for case in one("sub", np.subtract, x=normal(*x), y=normal(*y, seed=1), dtypes=("fp64",))
    ),
    *one("sub", np.subtract, "rank_10", x=normal(1, 2, 1, 2, 3, 1, 2, 2, 3, 2), y=normal(2, 1, 2, 1, 1, 2, 1, 3, 1)),
    *one("logical_or", np.logical_or, "rank_9", x=truth(*[2, 1] * 4, 3), y=truth(2, 1, 1, seed=1), core_ml=False),
    *program(
        "short_rows_turned",
        "t = transpose(x = x, perm = [1, 0]); s = sub(x = t, y = z); y = transpose(x = s, perm = [1, 0]);",
        lambda x, z: (x.T - z).T,
        x=normal(3, 700),
        z=normal(700, 3, seed=1),
        dtypes=("fp64",),
    ),
    *one("add", np.add, "threads", x=normal(300, 301), y=normal(301, seed=1), dtypes=("fp64",)),
    *one("pow", np.power, x=positive(2, 3, 5), y=normal(3, 1), dtypes=("fp64",)),
]
