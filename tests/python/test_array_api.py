"""The Python array API standard 2024.12: names and signatures from its text, values and special cases from NumPy.

The public suite (tests/array_api/run.sh) asks far more; this file is what every run of the tests asks.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import math
import warnings

import numpy as np
import pytest

import martlet

# Every function of the standard with its parameters; those behind "fft" and "linalg" are of those extensions.
STANDARD = """
# creation
arange(start, /, stop=None, step=1, *, dtype=None, device=None)
asarray(obj, /, *, dtype=None, device=None, copy=None)
empty(shape, *, dtype=None, device=None)
empty_like(x, /, *, dtype=None, device=None)
eye(n_rows, n_cols=None, /, *, k=0, dtype=None, device=None)
from_dlpack(x, /, *, device=None, copy=None)
full(shape, fill_value, *, dtype=None, device=None)
full_like(x, /, fill_value, *, dtype=None, device=None)
linspace(start, stop, /, num, *, dtype=None, device=None, endpoint=True)
meshgrid(*arrays, indexing='xy')
ones(shape, *, dtype=None, device=None)
ones_like(x, /, *, dtype=None, device=None)
tril(x, /, *, k=0)
triu(x, /, *, k=0)
zeros(shape, *, dtype=None, device=None)
zeros_like(x, /, *, dtype=None, device=None)
# data type
astype(x, dtype, /, *, copy=True, device=None)
can_cast(from_, to, /)
finfo(type, /)
iinfo(type, /)
isdtype(dtype, kind)
result_type(*arrays_and_dtypes)
# elementwise
abs(x, /)
acos(x, /)
acosh(x, /)
add(x1, x2, /)
asin(x, /)
asinh(x, /)
atan(x, /)
atan2(x1, x2, /)
atanh(x, /)
bitwise_and(x1, x2, /)
bitwise_left_shift(x1, x2, /)
bitwise_invert(x, /)
bitwise_or(x1, x2, /)
bitwise_right_shift(x1, x2, /)
bitwise_xor(x1, x2, /)
ceil(x, /)
clip(x, /, min=None, max=None)
conj(x, /)
copysign(x1, x2, /)
cos(x, /)
cosh(x, /)
divide(x1, x2, /)
equal(x1, x2, /)
exp(x, /)
expm1(x, /)
floor(x, /)
floor_divide(x1, x2, /)
greater(x1, x2, /)
greater_equal(x1, x2, /)
hypot(x1, x2, /)
imag(x, /)
isfinite(x, /)
isinf(x, /)
isnan(x, /)
less(x1, x2, /)
less_equal(x1, x2, /)
log(x, /)
log1p(x, /)
log2(x, /)
log10(x, /)
logaddexp(x1, x2, /)
logical_and(x1, x2, /)
logical_not(x, /)
logical_or(x1, x2, /)
logical_xor(x1, x2, /)
maximum(x1, x2, /)
minimum(x1, x2, /)
multiply(x1, x2, /)
negative(x, /)
nextafter(x1, x2, /)
not_equal(x1, x2, /)
positive(x, /)
pow(x1, x2, /)
real(x, /)
reciprocal(x, /)
remainder(x1, x2, /)
round(x, /)
sign(x, /)
signbit(x, /)
sin(x, /)
sinh(x, /)
square(x, /)
sqrt(x, /)
subtract(x1, x2, /)
tan(x, /)
tanh(x, /)
trunc(x, /)
# indexing
take(x, indices, /, *, axis=None)
take_along_axis(x, indices, /, *, axis=-1)
# info
__array_namespace_info__()
# linear algebra
matmul(x1, x2, /)
matrix_transpose(x, /)
tensordot(x1, x2, /, *, axes=2)
vecdot(x1, x2, /, *, axis=-1)
# manipulation
broadcast_arrays(*arrays)
broadcast_to(x, /, shape)
concat(arrays, /, *, axis=0)
expand_dims(x, /, axis)
flip(x, /, *, axis=None)
moveaxis(x, source, destination, /)
permute_dims(x, /, axes)
repeat(x, repeats, /, *, axis=None)
reshape(x, /, shape, *, copy=None)
roll(x, /, shift, *, axis=None)
squeeze(x, /, axis)
stack(arrays, /, *, axis=0)
tile(x, repetitions, /)
unstack(x, /, *, axis=0)
# searching
argmax(x, /, *, axis=None, keepdims=False)
argmin(x, /, *, axis=None, keepdims=False)
count_nonzero(x, /, *, axis=None, keepdims=False)
nonzero(x, /)
searchsorted(x1, x2, /, *, side='left', sorter=None)
where(condition, x1, x2, /)
# set
unique_all(x, /)
unique_counts(x, /)
unique_inverse(x, /)
unique_values(x, /)
# sorting
argsort(x, /, *, axis=-1, descending=False, stable=True)
sort(x, /, *, axis=-1, descending=False, stable=True)
# statistical
cumulative_prod(x, /, *, axis=None, dtype=None, include_initial=False)
cumulative_sum(x, /, *, axis=None, dtype=None, include_initial=False)
max(x, /, *, axis=None, keepdims=False)
mean(x, /, *, axis=None, keepdims=False)
min(x, /, *, axis=None, keepdims=False)
prod(x, /, *, axis=None, dtype=None, keepdims=False)
std(x, /, *, axis=None, correction=0.0, keepdims=False)
sum(x, /, *, axis=None, dtype=None, keepdims=False)
var(x, /, *, axis=None, correction=0.0, keepdims=False)
# utility
all(x, /, *, axis=None, keepdims=False)
any(x, /, *, axis=None, keepdims=False)
diff(x, /, *, axis=-1, n=1, prepend=None, append=None)
# fft
fft(x, /, *, n=None, axis=-1, norm='backward')
ifft(x, /, *, n=None, axis=-1, norm='backward')
fftn(x, /, *, s=None, axes=None, norm='backward')
ifftn(x, /, *, s=None, axes=None, norm='backward')
rfft(x, /, *, n=None, axis=-1, norm='backward')
irfft(x, /, *, n=None, axis=-1, norm='backward')
rfftn(x, /, *, s=None, axes=None, norm='backward')
irfftn(x, /, *, s=None, axes=None, norm='backward')
hfft(x, /, *, n=None, axis=-1, norm='backward')
ihfft(x, /, *, n=None, axis=-1, norm='backward')
fftfreq(n, /, *, d=1.0, dtype=None, device=None)
rfftfreq(n, /, *, d=1.0, dtype=None, device=None)
fftshift(x, /, *, axes=None)
ifftshift(x, /, *, axes=None)
# linalg
cholesky(x, /, *, upper=False)
cross(x1, x2, /, *, axis=-1)
det(x, /)
diagonal(x, /, *, offset=0)
eigh(x, /)
eigvalsh(x, /)
inv(x, /)
matmul(x1, x2, /)
matrix_norm(x, /, *, keepdims=False, ord='fro')
matrix_power(x, n, /)
matrix_rank(x, /, *, rtol=None)
matrix_transpose(x, /)
outer(x1, x2, /)
pinv(x, /, *, rtol=None)
qr(x, /, *, mode='reduced')
slogdet(x, /)
solve(x1, x2, /)
svd(x, /, *, full_matrices=True)
svdvals(x, /)
tensordot(x1, x2, /, *, axes=2)
trace(x, /, *, offset=0, dtype=None)
vecdot(x1, x2, /, *, axis=-1)
vector_norm(x, /, *, axis=None, keepdims=False, ord=2)
"""

METHODS = """
T device dtype mT ndim shape size __abs__ __add__ __and__ __array_namespace__ __bool__ __complex__ __dlpack__
__dlpack_device__ __eq__ __float__ __floordiv__ __ge__ __getitem__ __gt__ __index__ __int__ __invert__ __le__ __lshift__
__lt__ __matmul__ __mod__ __mul__ __ne__ __neg__ __or__ __pos__ __pow__ __rshift__ __setitem__ __sub__ __truediv__
__xor__ to_device __iadd__ __isub__ __imul__ __itruediv__ __ifloordiv__ __ipow__ __imod__ __imatmul__ __iand__ __ior__
__ixor__ __ilshift__ __irshift__ __radd__ __rsub__ __rmul__ __rtruediv__ __rfloordiv__ __rpow__ __rmod__ __rmatmul__
__rand__ __ror__ __rxor__ __rlshift__ __rrshift__
"""


def standard() -> list:
    """Each function: where it stands, its name, its line."""
    chapter, found = "", []
    for line in STANDARD.split("\n"):
        if line.startswith("#"):
            chapter = line[2:]
        elif line:
            home = {"fft": martlet.fft, "linalg": martlet.linalg}.get(chapter, martlet)
            found.append(pytest.param(home, line, id=line.split("(")[0]))
    return found


@pytest.mark.parametrize(("home", "line"), standard())
def test_signatures(home, line):
    name, parameters = line.split("(", 1)
    found = inspect.signature(getattr(home, name))
    arguments = ast.parse(f"def f({parameters}: ...").body[0].args
    wanted = [(one.arg, "positional only") for one in arguments.posonlyargs]
    wanted += [(one.arg, "positional or keyword") for one in arguments.args]
    wanted += [(arguments.vararg.arg, "variadic positional")] if arguments.vararg else []
    wanted += [(one.arg, "keyword-only") for one in arguments.kwonlyargs]
    assert [(one.name, one.kind.description.replace("-", " ")) for one in found.parameters.values()] == [
        (name, kind.replace("-", " ")) for name, kind in wanted
    ]
    given = [*arguments.defaults, *(one for one in arguments.kw_defaults if one is not None)]
    defaults = [one.default for one in found.parameters.values() if one.default is not inspect.Parameter.empty]
    assert defaults[: len(given)] == [ast.literal_eval(one) for one in given]
    assert inspect.getdoc(getattr(home, name))


def test_names():
    for name in METHODS.split():
        assert hasattr(martlet.Tensor, name), name
    for name in ["e", "inf", "nan", "newaxis", "pi", "bool", "int8", "uint64", "float32", "complex128"]:
        assert hasattr(martlet, name), name
    assert martlet.newaxis is None
    assert math.isnan(martlet.nan)
    assert martlet.__array_api_version__ == "2024.12"


def test_inspection():
    info = martlet.__array_namespace_info__()
    assert info.capabilities()["boolean indexing"] is True
    assert info.default_device() in info.devices()
    defaults = info.default_dtypes()
    assert martlet.asarray(1).dtype == defaults["integral"]
    assert martlet.asarray(1.0).dtype == defaults["real floating"]
    assert martlet.asarray(1j).dtype == defaults["complex floating"]
    assert martlet.argmax(martlet.ones(2)).dtype == defaults["indexing"]
    assert set(info.dtypes(kind="real floating")) == {"float32", "float64"}
    assert len(info.dtypes()) == 13
    with pytest.raises(ValueError, match="moon"):
        info.dtypes(device="moon")


SIGNED = ["int8", "int16", "int32", "int64"]
UNSIGNED = ["uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float16", "float32", "float64"]
COMPLEX = ["complex64", "complex128"]
NUMBERS = [*SIGNED, *UNSIGNED, *FLOATS, *COMPLEX]


def together(one: str, other: str) -> str:
    """The common type: NumPy's within a kind; beside integers the floating-point or complex type."""
    kinds = [np.dtype(name).kind for name in (one, other)]
    if any(kind in "iu" for kind in kinds) and any(kind in "fc" for kind in kinds):
        return one if kinds[0] in "fc" else other
    return np.promote_types(one, other).name


@pytest.mark.parametrize("one", NUMBERS)
def test_promotion(one):
    for other in NUMBERS:
        wanted = together(one, other)
        assert martlet.result_type(np.dtype(one), np.dtype(other)) == wanted
        x, y = martlet.ones(2, dtype=one), martlet.ones((1, 2), dtype=other)
        assert martlet.add(x, y).dtype == wanted
        assert (x * y).dtype == wanted
        assert martlet.concat([x, y[0]]).dtype == wanted
        assert martlet.where(x == 1, x, y).dtype == wanted
        assert martlet.equal(x, y).dtype == "bool"


@pytest.mark.parametrize("dtype", NUMBERS)
def test_python_numbers_are_weak(dtype):
    x = martlet.ones((2, 3), dtype=dtype)
    assert (x + 1).dtype == martlet.add(1, x).dtype == (1 - x).dtype == dtype
    kind = np.dtype(dtype).kind
    real = dtype if kind in "fc" else "float32"
    assert (x + 1.5).dtype == martlet.multiply(x, 1.5).dtype == real
    wide = dtype if kind == "c" else "complex128" if dtype == "float64" else "complex64"
    assert (x + 1j).dtype == wide
    assert martlet.result_type(x, 1j) == wide
    if kind != "c":
        assert martlet.where(x > 0, x, 0).dtype == dtype


def test_types_beyond_numbers():
    assert martlet.result_type(np.dtype("bool"), np.dtype("int8")) == "int8"
    assert martlet.can_cast(np.dtype("int8"), np.dtype("int16"))
    assert not martlet.can_cast(np.dtype("int16"), np.dtype("uint16"))
    assert martlet.isdtype(np.dtype("int8"), ("real floating", "signed integer"))
    assert martlet.finfo(np.dtype("complex64")).bits == 32
    assert martlet.iinfo(martlet.ones(1, dtype="uint16")).max == 65535
    for wrong in (
        lambda: martlet.finfo(np.dtype("int8")),
        lambda: martlet.iinfo(np.dtype("float32")),
        lambda: martlet.isdtype(np.dtype("int8"), "round"),
        lambda: martlet.result_type(),
    ):
        with pytest.raises(martlet.Error):
            wrong()
    with pytest.raises(TypeError, match="real"):
        martlet.astype(martlet.ones(1, dtype="complex64"), np.dtype("float32"))


# Elementwise functions: NumPy's name and the kinds of elements they take.
RENAMED = {
    "bitwise_invert": "invert", "bitwise_left_shift": "left_shift", "bitwise_right_shift": "right_shift",
    "acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan", "atan2": "arctan2",
    "atanh": "arctanh", "pow": "power", "concat": "concatenate",
}  # fmt: skip
UNARY_FLOAT = [
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "cos",
    "cosh",
    "exp",
    "expm1",
    "log",
    "log10",
    "log1p",
    "log2",
    "reciprocal",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "signbit",
]
UNARY = [
    "abs",
    "ceil",
    "floor",
    "round",
    "sign",
    "square",
    "trunc",
    "negative",
    "positive",
    "isfinite",
    "isinf",
    "isnan",
    "conj",
    "real",
    "imag",
    "logical_not",
]
BINARY_FLOAT = ["atan2", "copysign", "hypot", "logaddexp", "nextafter"]
BINARY = [
    "add",
    "subtract",
    "multiply",
    "maximum",
    "minimum",
    "remainder",
    "floor_divide",
    "equal",
    "not_equal",
    "less",
    "less_equal",
    "greater",
    "greater_equal",
    "logical_and",
    "logical_or",
    "logical_xor",
    "divide",
    "pow",
]
BITS = ["bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift"]
SPECIAL = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    1.5,
    2.5,
    -2.5,
    3.0,
    1e-8,
    -1e-8,
    88.0,
    -104.0,
    1e30,
    math.inf,
    -math.inf,
    math.nan,
]
COMPLEXES = [
    "abs",
    "exp",
    "sqrt",
    "log",
    "sin",
    "cos",
    "sinh",
    "cosh",
    "tanh",
    "tan",
    "asinh",
    "atan",
    "square",
    "sign",
    "conj",
    "real",
    "imag",
    "negative",
    "isnan",
    "log1p",
    "expm1",
]


def numpys(name: str):
    return getattr(np, RENAMED.get(name, name))


def close(found: martlet.Tensor, expected: np.ndarray, tolerance: float = 1e-6, signs: bool = True) -> None:
    got = np.asarray(found)
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    if expected.dtype.kind not in "fc":
        assert np.array_equal(got, expected)
        return
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=np.finfo(expected.dtype).smallest_normal * 4)
    if signs and expected.dtype.kind == "f":
        zeros = expected == 0
        assert np.array_equal(np.signbit(got[zeros]), np.signbit(expected[zeros]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", UNARY_FLOAT + UNARY)
def test_special_values(name, dtype):
    x = np.array(SPECIAL, dtype)
    with np.errstate(all="ignore"):
        expected = numpys(name)(x)
    # Beyond some digits the angle decides: huge arguments of the periodic functions are left out.
    if name in ("sin", "cos", "tan"):
        x, expected = x[np.abs(x) < 1e6], expected[np.abs(x) < 1e6]
    close(getattr(martlet, name)(martlet.asarray(x)), expected, 4e-7 if dtype == "float32" else 1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", BINARY_FLOAT + BINARY)
def test_special_pairs(name, dtype):
    x, y = (np.array(one, dtype) for one in zip(*itertools.product(SPECIAL, SPECIAL)))
    with np.errstate(all="ignore"):
        expected = numpys(name)(x, y)
    keep = np.ones(len(x), bool)
    if name in ("floor_divide", "remainder"):
        # The standard and NumPy part at infinities; quotients of many digits are left out.
        keep = np.isfinite(x) & np.isfinite(y) & (y != 0) & (np.abs(x) < 1e6) & (np.abs(y) > 1e-6) & (np.abs(y) < 1e6)
    if name in ("maximum", "minimum"):
        keep = (x != 0) | (y != 0)  # which zero is larger is open
    found = getattr(martlet, name)(martlet.asarray(x[keep]), martlet.asarray(y[keep]))
    close(found, expected[keep], 1e-6 if dtype == "float32" else 1e-13)


INFINITE_QUOTIENTS = [
    (math.inf, 2, math.inf),
    (math.inf, -2, -math.inf),
    (-math.inf, 2, -math.inf),
    (-math.inf, -2, math.inf),
    (2, math.inf, 0.0),
    (2, -math.inf, -0.0),
    (-2, math.inf, -0.0),
    (-2, -math.inf, 0.0),
    (math.inf, math.inf, math.nan),
    (math.nan, math.inf, math.nan),
    (0.0, -3, -0.0),
    (-0.0, -3, 0.0),
    (2, -0.0, -math.inf),
    (0.0, 0.0, math.nan),
]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floor_divide_at_infinities(dtype):
    """The standard's own table."""
    x, y, expected = np.array(INFINITE_QUOTIENTS, dtype).T
    close(martlet.asarray(x) // martlet.asarray(y), expected)
    close(martlet.floor_divide(martlet.asarray(x), martlet.asarray(y)), expected)


@pytest.mark.parametrize("dtype", COMPLEX)
def test_zeros_of_complex_functions(dtype):
    """Parts of zero have the sign that the standard gives them."""
    zero = np.asarray(martlet.expm1(martlet.asarray(np.array([complex(-0.0, 0.0), complex(-0.0, -0.0)], dtype))))
    np.testing.assert_array_equal(np.signbit([zero.real, zero.imag]), [[False, False], [False, True]])
    one = np.asarray(martlet.tanh(martlet.asarray(np.array([complex(math.inf, 2), complex(math.inf, -2)], dtype))))
    np.testing.assert_array_equal(one.real, [1, 1])
    np.testing.assert_array_equal(np.signbit(one.imag), [False, True])


@pytest.mark.parametrize("dtype", COMPLEX)
@pytest.mark.parametrize("name", COMPLEXES)
def test_complex_values(name, dtype):
    parts = np.random.default_rng(3).standard_normal((2, 60))
    x = (parts[0] + 1j * parts[1]).astype(dtype)
    expected = numpys(name)(x)
    if name == "sign":
        expected = x / np.abs(x)
    found = np.asarray(getattr(martlet, name)(martlet.asarray(x)))
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=2e-5 if dtype == "complex64" else 1e-12)


@pytest.mark.parametrize("dtype", [*SIGNED, *UNSIGNED])
def test_integers(dtype):
    chance = np.random.default_rng(4)
    limits = np.iinfo(dtype)
    x = np.concatenate(
        [chance.integers(limits.min, limits.max, 40, dtype, True), np.array([0, 1, limits.max, limits.min], dtype)]
    )
    y = np.roll(x, 7)
    with np.errstate(all="ignore"):
        for name in [*BINARY, *BITS]:
            other = y % np.dtype(dtype).type(limits.bits) if "shift" in name else y
            if name in ("divide",):
                continue
            other = np.abs(other) % np.dtype(dtype).type(9) if name == "pow" else other
            expected = numpys(name)(x, other)
            keep = other != 0 if name in ("floor_divide", "remainder") else slice(None)
            if name == "floor_divide":
                keep = keep & ~((x == limits.min) & (other == -1 if limits.min < 0 else False))
            close(getattr(martlet, name)(martlet.asarray(x), martlet.asarray(other))[keep], expected[keep])
        for name in [*UNARY, "bitwise_invert"]:
            close(getattr(martlet, name)(martlet.asarray(x)), numpys(name)(x))
    found = martlet.divide(martlet.asarray(x), martlet.asarray(y))
    assert found.dtype == martlet.float32


def test_clip():
    x = np.linspace(-2, 2, 9, dtype="float32")
    for low, high in ((None, None), (-1, None), (None, 0.5), (-1, 0.5), (1, -1)):
        expected = x if low is high is None else np.clip(x, low, high)
        close(martlet.clip(martlet.asarray(x), low, high), expected.astype("float32"))
    bounds = martlet.asarray(np.full((2, 1), 1, "float32"))
    assert martlet.clip(martlet.asarray(x), max=bounds).shape == (2, 9)
    assert martlet.clip(martlet.asarray([1, 9], dtype="int8"), 2, 5).dtype == "int8"


REDUCTIONS = ["sum", "prod", "max", "min", "mean", "std", "var", "any", "all", "count_nonzero"]


# The kinds of elements that some reductions are for; the others take all.
REDUCED_KINDS = {"std": "f", "var": "f", "max": "iuf", "min": "iuf", "mean": "fc"}


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        (name, dtype)
        for name in REDUCTIONS
        for dtype in ["bool", *NUMBERS]
        if np.dtype(dtype).kind in REDUCED_KINDS.get(name, "biufc")
    ],
)
def test_reductions(name, dtype):
    kind = np.dtype(dtype).kind
    x = np.random.default_rng(5).integers(0, 4, (3, 4, 5)).astype(dtype)
    for axis, keepdims in itertools.product([None, 0, 1, -1, (0, 2), (2, 1), (0, 1, 2)], [False, True]):
        found = getattr(martlet, name)(martlet.asarray(x), axis=axis, keepdims=keepdims)
        words = {"ddof": 0} if name in ("std", "var") else {}
        wanted = {"any": "bool", "all": "bool", "count_nonzero": "int32"}.get(name, dtype)
        if name in ("sum", "prod") and kind in "biu" and np.dtype(dtype).itemsize < 8:
            wanted = "uint32" if kind == "u" else "int32"
        words |= {"dtype": wanted} if name in ("sum", "prod") else {}
        expected = np.asarray(getattr(np, name)(x, axis=axis, keepdims=keepdims, **words)).astype(wanted)
        if name == "prod" and kind == "f":
            continue  # zeros make it trivial; see test_products
        close(found, expected, 1e-2 if dtype == "float16" else 1e-5)


def test_products_and_corrections():
    x = np.random.default_rng(6).uniform(0.5, 1.5, (4, 6)).astype("float64")
    close(martlet.prod(martlet.asarray(x), axis=1), x.prod(1), 1e-13)
    for correction in (0, 1, 1.5):
        expected = ((x - x.mean(0)) ** 2).sum(0) / (4 - correction)
        close(martlet.var(martlet.asarray(x), axis=0, correction=correction), expected, 1e-12)
        close(martlet.std(martlet.asarray(x), axis=0, correction=correction), np.sqrt(expected), 1e-12)
    close(martlet.sum(martlet.asarray(x), axis=()), x)
    close(martlet.any(martlet.asarray(x), axis=[]), x != 0)
    close(martlet.var(martlet.asarray(x), axis=()), np.zeros_like(x))
    assert martlet.sum(martlet.asarray(x, dtype="float32"), dtype=np.dtype("float64")).dtype == "float64"


def test_reductions_of_nothing():
    nothing = martlet.zeros((0, 3))
    assert martlet.sum(nothing).item() == 0
    assert martlet.prod(nothing, axis=0).tolist() == [1, 1, 1]
    assert martlet.all(nothing).item() is True
    assert martlet.any(nothing).item() is False
    assert math.isnan(martlet.mean(nothing).item())
    for name in ("max", "min", "argmax", "argmin"):
        with pytest.raises(ValueError, match=r"0|no elements"):
            getattr(martlet, name)(nothing, axis=0)
    with pytest.raises(IndexError, match=r"2.*\(0, 3\)"):
        martlet.sum(nothing, axis=2)
    with pytest.raises(ValueError, match="twice"):
        martlet.sum(nothing, axis=(0, -2))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "float32", "float64", "complex64"])
def test_running_sums_and_differences(dtype):
    x = np.random.default_rng(7).integers(1, 4, (3, 5)).astype(dtype)
    wide = {"int8": "int32", "uint8": "uint32"}.get(dtype, dtype)
    for axis in (0, 1, -1):
        close(martlet.cumulative_sum(martlet.asarray(x), axis=axis), np.cumsum(x, axis, wide))
        close(martlet.cumulative_prod(martlet.asarray(x), axis=axis), np.cumprod(x, axis, wide))
        found = martlet.cumulative_sum(martlet.asarray(x), axis=axis, include_initial=True)
        assert found.shape[axis] == x.shape[axis] + 1
        for n in range(4):
            close(martlet.diff(martlet.asarray(x), axis=axis, n=n), np.diff(x, n, axis))
    close(martlet.diff(martlet.asarray(x), prepend=martlet.asarray(x[:, :1])), np.diff(x, prepend=x[:, :1]))


def test_manipulation():
    x = np.arange(24, dtype="int16").reshape(2, 3, 4)
    t = martlet.asarray(x)
    for found, expected in (
        (martlet.reshape(t, (4, -1)), x.reshape(4, -1)),
        (martlet.permute_dims(t, (2, 0, 1)), x.transpose(2, 0, 1)),
        (martlet.moveaxis(t, (0, 1), (2, 0)), np.moveaxis(x, (0, 1), (2, 0))),
        (martlet.expand_dims(t, axis=-2), np.expand_dims(x, -2)),
        (martlet.squeeze(t[:1], 0), x[0]),
        (martlet.flip(t, axis=(0, 2)), np.flip(x, (0, 2))),
        (martlet.flip(t), np.flip(x)),
        (martlet.roll(t, 5), np.roll(x, 5)),
        (martlet.roll(t, (1, -2), axis=(0, 2)), np.roll(x, (1, -2), (0, 2))),
        (martlet.tile(t, (2, 1, 3)), np.tile(x, (2, 1, 3))),
        (martlet.tile(t, (2, 1, 1, 2)), np.tile(x, (2, 1, 1, 2))),
        (martlet.repeat(t, 3, axis=1), np.repeat(x, 3, 1)),
        (martlet.repeat(t, martlet.asarray([1, 0, 2]), axis=1), np.repeat(x, [1, 0, 2], 1)),
        (martlet.repeat(t, 2), np.repeat(x, 2)),
        (martlet.concat([t, t], axis=2), np.concatenate([x, x], 2)),
        (martlet.concat([t, t], axis=None), np.concatenate([x, x], None)),
        (martlet.stack([t, t], axis=-1), np.stack([x, x], -1)),
        (martlet.unstack(t, axis=1)[2], x[:, 2]),
        (martlet.broadcast_to(t[:, :1], (5, 2, 3, 4)), np.broadcast_to(x[:, :1], (5, 2, 3, 4))),
        (martlet.broadcast_arrays(t, martlet.ones(4))[1], np.ones((2, 3, 4), "float32")),
        (martlet.matrix_transpose(t), x.swapaxes(1, 2)),
        (martlet.reshape(martlet.zeros((0, 3)), (3, 0)), np.zeros((3, 0), "float32")),
    ):
        close(found, expected)
    for wrong in (
        lambda: martlet.reshape(t, (5, 5)), lambda: martlet.permute_dims(t, (0, 1)), lambda: martlet.squeeze(t, 1),
        lambda: martlet.concat([t, martlet.ones((2, 3))]), lambda: martlet.stack([t, t[0]]), lambda: martlet.concat([]),
        lambda: martlet.broadcast_to(t, (3, 4)),
    ):  # fmt: skip
        with pytest.raises(martlet.errors.InvalidArgumentError):
            wrong()


@pytest.mark.parametrize("dtype", ["int8", "uint32", "int64", "float32", "float64"])
def test_sorting_and_searching(dtype):
    x = np.random.default_rng(8).integers(0, 9, (5, 7)).astype(dtype)
    if np.dtype(dtype).kind == "f":
        x[1, 3] = np.nan
    t = martlet.asarray(x)
    for axis in (0, 1):
        close(martlet.sort(t, axis=axis), np.sort(x, axis))
        close(martlet.argsort(t, axis=axis), np.argsort(x, axis, kind="stable").astype("int32"))
        down = martlet.sort(t, axis=axis, descending=True)
        assert np.array_equal(
            np.asarray(martlet.flip(down, axis=axis)), np.sort(x, axis), equal_nan=x.dtype.kind == "f"
        )
        order = martlet.argsort(t, axis=axis, descending=True)
        assert np.array_equal(
            np.asarray(martlet.take_along_axis(t, order, axis=axis)), np.asarray(down), equal_nan=x.dtype.kind == "f"
        )
        close(martlet.argmax(t, axis=axis), np.argmax(x, axis).astype("int32"))
        close(martlet.argmin(t, axis=axis, keepdims=True), np.argmin(x, axis, keepdims=True).astype("int32"))
    assert martlet.argmax(t).item() == np.argmax(x)
    line = np.sort(np.nan_to_num(x).reshape(-1))
    probes = np.array([[0, 3], [8, 5]], dtype)
    for side in ("left", "right"):
        close(
            martlet.searchsorted(martlet.asarray(line), martlet.asarray(probes), side=side),
            np.searchsorted(line, probes, side).astype("int32"),
        )
    for found, expected in zip(martlet.nonzero(t), np.nonzero(x)):
        close(found, expected.astype("int32"))
    close(martlet.where(t > 3, t, martlet.zeros_like(t)), np.where(x > 3, x, np.zeros_like(x)))


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float32", "complex64"])
def test_sets(dtype):
    x = np.random.default_rng(9).integers(0, 5, (4, 5)).astype(dtype)
    found = martlet.unique_all(martlet.asarray(x))
    values, first, inverse, counts = np.unique(x, return_index=True, return_inverse=True, return_counts=True)
    assert np.array_equal(np.asarray(found.values), values)
    assert np.array_equal(np.asarray(found.indices), first)
    assert np.array_equal(np.asarray(found.inverse_indices), inverse.reshape(x.shape))
    assert np.array_equal(np.asarray(found.counts), counts)
    assert martlet.unique_values(martlet.asarray(x)).tolist() == values.tolist()


def test_nans_are_all_different():
    found = martlet.unique_counts(martlet.asarray([math.nan, 1.0, math.nan, -0.0, 0.0]))
    assert found.counts.tolist() == [2, 1, 1, 1]


@pytest.mark.parametrize("dtype", ["int32", "int64", "float32", "float64", "complex64"])
def test_linear_algebra(dtype):
    chance = np.random.default_rng(10)
    x, y = chance.integers(-3, 4, (2, 3, 4)).astype(dtype), chance.integers(-3, 4, (4, 5)).astype(dtype)
    v, w = y[:, 0], chance.integers(-3, 4, (2, 4)).astype(dtype)
    one = martlet.asarray
    for found, expected in (
        (martlet.matmul(one(x), one(y)), x @ y),
        (one(v) @ one(y), v @ y),
        (one(x) @ one(v), x @ v),
        (one(v) @ one(v), np.asarray(v @ v)),
        (martlet.tensordot(one(x), one(y), axes=1), np.tensordot(x, y, 1)),
        (martlet.tensordot(one(x), one(y), axes=((2,), (0,))), np.tensordot(x, y, ((2,), (0,)))),
        (martlet.tensordot(one(v), one(w), axes=0), np.tensordot(v, w, 0)),
        (martlet.vecdot(one(w), one(v)), (w.conj() * v).sum(-1).astype(dtype)),
        (martlet.outer(one(v), one(w[0])), np.outer(v, w[0])),
        (martlet.ones((2, 0)) @ martlet.ones((0, 3)), np.zeros((2, 3), "float32")),
    ):
        close(found, np.asarray(expected), 1e-5)
    with pytest.raises(ValueError, match=r"\(2, 3, 4\).*\(2, 4\)"):
        martlet.matmul(one(x), one(w))
    with pytest.raises((ValueError, TypeError)):
        martlet.matmul(one(x), 3)


TRANSFORMS = ["fft", "ifft", "fftn", "ifftn", "rfftn", "hfft", "ihfft", "rfft", "irfft", "irfftn"]


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_fourier(name, double):
    chance = np.random.default_rng(11)
    is_real = name in ("rfft", "rfftn", "ihfft")
    x = chance.standard_normal((4, 6, 5))
    x = x if is_real else x + 1j * chance.standard_normal(x.shape)
    x = x.astype(
        {(True, True): "float64", (True, False): "float32", (False, True): "complex128"}.get(
            (is_real, double), "complex64"
        )
    )
    several = name.endswith("n")
    arguments = (
        [{"axes": (0, 2)}, {"s": (8, 3), "axes": (1, 0)}, {}]
        if several
        else [{"axis": 1}, {"n": 9}, {"n": 3, "axis": 0}]
    )
    for words, norm in itertools.product(arguments, ["backward", "ortho", "forward"]):
        found = np.asarray(getattr(martlet.fft, name)(martlet.asarray(x), norm=norm, **words))
        expected = getattr(np.fft, name)(x.astype("complex128" if not is_real else "float64"), norm=norm, **words)
        assert found.shape == expected.shape
        assert found.dtype.kind == expected.dtype.kind
        np.testing.assert_allclose(found, expected, rtol=1e-9 if double else 1e-3, atol=1e-9 if double else 1e-4)


def test_frequencies():
    for n in (1, 4, 7):
        close(martlet.fft.fftfreq(n, d=0.5), np.fft.fftfreq(n, 0.5).astype("float32"))
        close(martlet.fft.rfftfreq(n), np.fft.rfftfreq(n).astype("float32"))
        x = np.arange(n * 3).reshape(3, n)
        close(martlet.fft.fftshift(martlet.asarray(x)), np.fft.fftshift(x))
        close(martlet.fft.ifftshift(martlet.asarray(x), axes=1), np.fft.ifftshift(x, 1))
    for wrong in ({"norm": "loud"}, {"n": 0}):
        with pytest.raises(ValueError, match=r"norm|length"):
            martlet.fft.fft(martlet.ones(3), **wrong)
    with pytest.raises(TypeError, match="complex64"):
        martlet.fft.rfft(martlet.ones(3, dtype="complex64"))


def test_in_place_operators_keep_type_and_others():
    x = martlet.asarray([1, 2, 3])
    other = x
    alias = +x
    x += 1
    assert x is other
    assert x.tolist() == [2, 3, 4]
    assert alias.tolist() == [1, 2, 3]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x <<= 1
    assert x.dtype == "int32"
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(3,\)"):
        x += martlet.ones((2, 3), dtype="int32")
    with pytest.raises(TypeError, match=r"float32.*int32"):
        x += 1.5
    assert x.tolist() == [4, 6, 8]


def test_what_docs_array_api_says_of_choices():
    mask = martlet.asarray([True, False, True])
    for name in ("add", "subtract", "multiply", "divide", "floor_divide", "remainder", "pow", "maximum", "matmul"):
        assert getattr(martlet, name)(mask, mask).dtype == martlet.float32, name
    for name in ("abs", "negative", "square", "sign", "max", "mean", "sqrt"):
        assert getattr(martlet, name)(mask).dtype == martlet.float32, name
    for name in ("sum", "prod", "cumulative_sum", "cumulative_prod"):
        assert getattr(martlet, name)(mask).dtype == martlet.int32, name
    for name in ("positive", "clip", "sort", "diff"):
        assert getattr(martlet, name)(mask).dtype == martlet.bool, name
    assert (mask + 1).dtype == martlet.int32
    assert (mask + mask).tolist() == [2.0, 0.0, 2.0]
    powers = martlet.asarray([2, 0, 1, -1, -1]) ** martlet.asarray([-1, -1, -5, -3, -2])
    assert powers.tolist() == [0, 0, 1, -1, 1]
    model = martlet.trace(
        lambda x: {"noise": x * 0 + martlet.randn(3), "sum": martlet.sum(x)}, martlet.TensorSpec((3,))
    )
    first, second = (model(x=np.ones(3, "float32")) for _ in range(2))
    assert np.array_equal(first["noise"], second["noise"])
    assert np.any(first["noise"])
    assert first["sum"].shape == (1,)
