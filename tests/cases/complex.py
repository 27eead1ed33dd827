"""Complex numbers: arithmetic, functions with their branch cuts, and parts."""

import numpy as np

from tests.cases import Case, constant, normal, one, program, written

BOTH = {"dtypes": ("fp32", "fp64"), "core_ml": False, "double": 1e-12}
EDGES = np.float64([0.0, -0.0, 1, -2.5, np.inf, -np.inf, np.nan])
FUNCTIONS = {
    "acos": np.arccos,
    "acosh": np.arccosh,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atanh": np.arctanh,
    "cos": np.cos,
    "cosh": np.cosh,
    "exp": np.exp,
    "log1p": np.log1p,
    "log2": np.log2,
    "log10": np.log10,
    "sin": np.sin,
    "sinh": np.sinh,
    "sqrt": np.sqrt,
    "tan": np.tan,
    "tanh": np.tanh,
    "abs": np.abs,
    "angle": lambda x: np.angle(x),
    "conj": np.conj,
    "imag": lambda x: x.imag,
    "negative": np.negative,
    "real": lambda x: x.real,
    "round": lambda x: np.round(x),
    "sign": lambda x: np.where(np.isnan(x), complex(np.nan, np.nan), np.sign(x)),
    "square": np.square,
    "is_nan": np.isnan,
    "is_inf": np.isinf,
    "is_finite": np.isfinite,
}


def numbers(*shape, seed=0, scale=2):
    return normal(*shape, seed=seed, scale=scale) + 1j * normal(*shape, seed=seed + 1, scale=scale)


def parts(x, y):
    """x + iy without the arithmetic that makes NaN of infinities."""
    result = np.empty(np.broadcast_shapes(np.shape(x), np.shape(y)), np.complex128)
    result.real, result.imag = x, y
    return result


EDGE_NUMBERS = parts(EDGES.reshape(-1, 1), EDGES)


def expm1_edges():
    """What the array API says of e^z - 1; NumPy makes NaN of some."""
    inf, nan = np.inf, np.nan
    table = [
        (complex(0, 0), complex(0, 0)),
        (complex(inf, 0), complex(inf, 0)),
        (complex(-inf, 2), parts(-1, np.copysign(0, np.sin(2)))),
        (complex(inf, 2), parts(inf * np.cos(2), inf * np.sin(2))),
        (complex(-inf, inf), complex(-1, 0)),
        (complex(-inf, nan), complex(-1, 0)),
        (complex(1, inf), complex(nan, nan)),
        (complex(nan, 0), complex(nan, 0)),
        (complex(nan, 1), complex(nan, nan)),
    ]
    for name in ("complex64", "complex128"):
        x = np.array([each for each, _ in table]).astype(name)
        answer = np.array([each for _, each in table]).astype(name)
        text = written("result = expm1(x = x);", {"x": x}, ["x"], ("result",))
        yield Case(f"expm1-edges-{name}", text, {"x": x}, {"result": answer}, 1e-6, core_ml=False)


CASES = [
    *(case for op, function in FUNCTIONS.items() for case in one(op, function, x=numbers(5, 7), **BOTH)),
    *(
        case
        for op, function in FUNCTIONS.items()
        for case in one(op, function, "complex_edges", x=EDGE_NUMBERS, **BOTH)
    ),
    *one("expm1", np.expm1, x=numbers(5, 7), **BOTH),
    *expm1_edges(),
    *one("log", lambda x, epsilon: np.log(x), x=numbers(5, 7), epsilon=0.0, **BOTH),
    *one("log", lambda x, epsilon: np.log(x), "complex_edges", x=EDGE_NUMBERS, epsilon=0.0, **BOTH),
    *one("inverse", lambda x, epsilon: 1 / x, x=numbers(5, 7), epsilon=0.0, **BOTH),
    # The digits of small numbers.
    *one("expm1", np.expm1, "complex_tiny", x=numbers(7, scale=1e-9), dtypes=("fp64",), double=1e-22, core_ml=False),
    *one(
        "log1p",
        lambda x: x - x * x / 2,
        "complex_tiny",
        x=numbers(7, scale=1e-9),
        dtypes=("fp64",),
        double=1e-22,
        core_ml=False,
    ),
    *(
        case
        for op, function in {
            "add": np.add,
            "sub": np.subtract,
            "mul": np.multiply,
            "real_div": np.divide,
            "equal": np.equal,
            "not_equal": np.not_equal,
        }.items()
        for case in [
            *one(op, function, x=numbers(2, 3, 5), y=numbers(3, 1, seed=3), **BOTH),
            *one(op, function, "complex_of_constant", x=constant(numbers(5)), y=numbers(3, 5, seed=3), **BOTH),
            *one(op, function, "complex_edges", x=EDGE_NUMBERS.reshape(-1, 1), y=EDGE_NUMBERS.ravel()[:24], **BOTH),
        ]
    ),
    *one("pow", np.power, x=numbers(3, 5), y=numbers(5, seed=3), **BOTH),
    *one("pow", np.power, "complex_whole", x=numbers(5, 1), y=np.array([-3, -1, 0, 1, 2, 5], complex), **BOTH),
    *one(
        "select",
        lambda cond, a, b: np.where(cond, a, b),
        cond=normal(3, 5) > 0,
        a=numbers(3, 5),
        b=numbers(5, seed=3),
        **BOTH,
    ),
    *one("identity", lambda x: x, x=numbers(3, 5), **BOTH),
    *one("complex", parts, x=normal(3, 5), y=normal(5, seed=1), **BOTH),
    *one("complex", parts, "complex_edges", x=EDGES.reshape(-1, 1), y=EDGES, **BOTH),
    # Real numbers have parts, too.
    *one("real", lambda x: x, x=normal(3, 5), dtypes=("fp32", "fp16", "fp64"), core_ml=False),
    *one("imag", lambda x: x * 0, x=normal(3, 5), dtypes=("fp32", "fp16", "fp64"), core_ml=False),
    *one("conj", np.conj, x=normal(3, 5), dtypes=("fp32", "fp16", "fp64"), core_ml=False),
    *one(
        "angle",
        lambda x: np.angle(x),
        x=np.float32([1, -1, 0, np.inf, -np.inf, np.nan]),
        dtypes=("fp32", "fp64"),
        core_ml=False,
    ),
    *one("conj", np.conj, x=np.array([3, -2], np.int64), core_ml=False),
    # There and back.
    *program(
        "polar",
        "r = abs(x = z); a = angle(x = z); c = cos(x = a); s = sin(x = a); u = complex(x = c, y = s);"
        " v = complex(x = r, y = n); y = mul(x = u, y = v);",
        lambda z, n: z * (1 + 1j * n / abs(z)),
        z=numbers(3, 5),
        n=np.zeros((3, 5), np.float32),
        **BOTH,
    ),
]
