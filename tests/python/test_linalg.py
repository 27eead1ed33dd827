"""The extension `linalg`: values from NumPy or from what defines them, element types and shapes from the standard."""

import math

import numpy as np
import pytest

import martlet
from martlet import linalg

FLOATS = ["float32", "float64", "complex64", "complex128"]
STACKS = [(), (2,), (3, 1), (0,)]
DIGITS = {"float16": 2e-2, "float32": 2e-4, "float64": 1e-11, "complex64": 2e-4, "complex128": 1e-11}


def numbers(dtype: str, *shape: int, seed: int = 1) -> np.ndarray:
    chance = np.random.default_rng(seed)
    values = chance.standard_normal(shape)
    return (values + 1j * chance.standard_normal(shape) if dtype.startswith("complex") else values).astype(dtype)


def regular(dtype: str, *stack: int) -> np.ndarray:
    """Square matrices far from singular ones."""
    return (numbers(dtype, *stack, 4, 4) + 6 * np.eye(4)).astype(dtype)


def hermitian(dtype: str, *stack: int) -> np.ndarray:
    """Hermitian matrices with positive eigenvalues."""
    x = regular(dtype, *stack)
    return x @ adjoint(x)


def adjoint(x: np.ndarray) -> np.ndarray:
    return np.swapaxes(x, -1, -2).conj()


def real(dtype: str) -> np.dtype:
    return np.empty(0, dtype).real.dtype


def close(found: martlet.Tensor, expected: np.ndarray, dtype: object = None) -> None:
    assert isinstance(found, martlet.Tensor)
    expected = np.asarray(expected)
    assert found.dtype == (expected.dtype if dtype is None else dtype)
    assert found.shape == expected.shape
    digits = DIGITS[found.dtype.name]
    np.testing.assert_allclose(np.asarray(found), expected, rtol=digits, atol=digits)


def tensor(x: np.ndarray) -> martlet.Tensor:
    return martlet.asarray(x)


every_float = pytest.mark.parametrize("dtype", FLOATS)
every_stack = pytest.mark.parametrize("stack", STACKS)


# LAPACK


@every_float
@every_stack
@pytest.mark.parametrize("upper", [False, True])
def test_cholesky(dtype, stack, upper):
    x = hermitian(dtype, *stack)
    found = linalg.cholesky(tensor(x), upper=upper)
    factor = np.asarray(found)
    close(found, factor, x.dtype)
    assert np.array_equal(factor, np.triu(factor) if upper else np.tril(factor))
    np.testing.assert_allclose(
        adjoint(factor) @ factor if upper else factor @ adjoint(factor), x, rtol=DIGITS[dtype], atol=100 * DIGITS[dtype]
    )


@every_float
@every_stack
def test_determinants(dtype, stack):
    x = regular(dtype, *stack)
    close(linalg.det(tensor(x)), np.linalg.det(x))
    found, expected = linalg.slogdet(tensor(x)), np.linalg.slogdet(x)
    close(found.sign, np.asarray(expected[0]), x.dtype)
    close(found.logabsdet, np.asarray(expected[1]), real(dtype))


@every_float
def test_determinant_of_a_singular_matrix(dtype):
    sign, size = linalg.slogdet(martlet.zeros((2, 2), dtype=dtype))
    assert complex(sign) == 0
    assert float(size) == -math.inf
    assert complex(linalg.det(martlet.zeros((0, 0), dtype=dtype))) == 1


@every_float
@every_stack
def test_eigenvalues(dtype, stack):
    x = hermitian(dtype, *stack)
    values, vectors = linalg.eigh(tensor(x))
    assert vectors.dtype == x.dtype
    assert vectors.shape == x.shape
    close(values, np.linalg.eigvalsh(x), real(dtype))
    close(linalg.eigvalsh(tensor(x)), np.linalg.eigvalsh(x), real(dtype))
    q = np.asarray(vectors)
    again = q @ (np.asarray(values)[..., None] * adjoint(q))
    np.testing.assert_allclose(again, x, rtol=DIGITS[dtype], atol=100 * DIGITS[dtype])


@every_float
@every_stack
def test_inverses(dtype, stack):
    x = regular(dtype, *stack)
    found = linalg.inv(tensor(x))
    assert found.dtype == x.dtype
    close(found @ tensor(x), np.broadcast_to(np.eye(4), x.shape), x.dtype)


@every_float
@pytest.mark.parametrize(
    ("first", "second", "shape"),
    [
        ((4, 4), (4,), (4,)),
        ((4, 4), (4, 3), (4, 3)),
        ((2, 4, 4), (4,), (2, 4)),
        ((2, 1, 4, 4), (3, 4, 2), (2, 3, 4, 2)),
        ((4, 4, 4), (4, 4), (4, 4, 4)),
        ((4, 4), (4, 0), (4, 0)),
    ],
)
def test_equations(dtype, first, second, shape):
    x, y = regular(dtype, *first[:-2]), numbers(dtype, *second, seed=2)
    found = linalg.solve(tensor(x), tensor(y))
    assert found.shape == shape
    assert found.dtype == x.dtype
    product = np.einsum("...ij,...j", x, np.asarray(found)) if y.ndim == 1 else x @ np.asarray(found)
    np.testing.assert_allclose(product, np.broadcast_to(y, product.shape), rtol=DIGITS[dtype], atol=DIGITS[dtype])


def test_equations_of_two_types():
    x, y = regular("float32"), numbers("complex128", 4)
    close(linalg.solve(tensor(x), tensor(y)), np.linalg.solve(x.astype("complex128"), y))


@every_float
@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (2, 3, 3), (0, 3), (2, 0, 4, 2)])
def test_qr(dtype, shape):
    x, (rows, columns) = numbers(dtype, *shape), shape[-2:]
    for mode, inner in {"reduced": min(rows, columns), "complete": rows}.items():
        q, r = linalg.qr(tensor(x), mode=mode)
        assert q.dtype == r.dtype == x.dtype
        assert q.shape == (*shape[:-1], inner)
        assert r.shape == (*shape[:-2], inner, columns)
        assert np.array_equal(np.triu(r), r)
        close(q @ r, x)
        close(martlet.conj(q.mT) @ q, np.broadcast_to(np.eye(inner), (*shape[:-2], inner, inner)), x.dtype)


@every_float
@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (2, 3, 3), (0, 3), (2, 0, 4, 2)])
@pytest.mark.parametrize("full", [False, True])
def test_singular_values(dtype, shape, full):
    x, (rows, columns) = numbers(dtype, *shape), shape[-2:]
    u, s, vh = linalg.svd(tensor(x), full_matrices=full)
    least = min(rows, columns)
    assert u.shape == (*shape[:-1], rows if full else least)
    assert vh.shape == (*shape[:-2], columns if full else least, columns)
    assert u.dtype == vh.dtype == x.dtype
    close(s, np.linalg.svd(x, compute_uv=False), real(dtype))
    close(linalg.svdvals(tensor(x)), np.linalg.svd(x, compute_uv=False), real(dtype))
    parts = np.asarray(u)[..., :least], np.asarray(s)[..., None], np.asarray(vh)[..., :least, :]
    np.testing.assert_allclose(parts[0] @ (parts[1] * parts[2]), x, rtol=DIGITS[dtype], atol=DIGITS[dtype])


@every_float
def test_ranks(dtype):
    x = numbers(dtype, 2, 5, 3)
    x[1, :, 2] = x[1, :, 0]
    found = linalg.matrix_rank(tensor(x))
    assert found.dtype == martlet.int32
    assert found.tolist() == [3, 2]
    assert linalg.matrix_rank(tensor(x), rtol=2.0).tolist() == [0, 0]
    limits = martlet.asarray([2.0, 1e-3], dtype=real(dtype))
    assert linalg.matrix_rank(tensor(x), rtol=limits).tolist() == [0, 2]
    assert linalg.matrix_rank(martlet.zeros((2, 0, 3))).tolist() == [0, 0]


@every_float
def test_pseudo_inverses(dtype):
    x = numbers(dtype, 2, 5, 3)
    x[1, :, 2] = x[1, :, 0]
    y = np.asarray(linalg.pinv(tensor(x)))
    assert y.dtype == x.dtype
    # Penrose's four conditions
    close(tensor(x @ y @ x), x)
    close(tensor(y @ x @ y), y)
    close(tensor(adjoint(x @ y)), x @ y)
    close(tensor(adjoint(y @ x)), y @ x)
    none = linalg.pinv(tensor(x), rtol=martlet.asarray([2.0, 2.0], dtype=real(dtype)))
    close(none, np.zeros((2, 3, 5), dtype))


# Ops


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64", *FLOATS])
@pytest.mark.parametrize(
    ("first", "second", "axis"), [((3,), (3,), -1), ((2, 3), (3,), -1), ((3, 1), (4, 3, 5), -2), ((0, 3), (1, 3), -1)]
)
def test_cross(dtype, first, second, axis):
    x, y = (10 * numbers(dtype if dtype in FLOATS else "float64", *shape) for shape in (first, second))
    x, y = (np.abs(each).astype(dtype) if dtype not in FLOATS else each for each in (x, y))
    found = linalg.cross(tensor(x), tensor(y), axis=axis)
    a, b = np.moveaxis(x, axis, -1), np.moveaxis(y, axis, -1)
    parts = [a[..., i] * b[..., j] - a[..., j] * b[..., i] for i, j in ((1, 2), (2, 0), (0, 1))]
    expected = np.stack(parts, axis)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(np.asarray(found), expected, rtol=DIGITS.get(dtype, 0), atol=DIGITS.get(dtype, 0))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "complex64"])
@pytest.mark.parametrize("shape", [(3, 4), (2, 4, 3), (1, 1), (0, 3), (2, 3, 0)])
@pytest.mark.parametrize("offset", [-7, -2, -1, 0, 1, 3, 9])
def test_diagonals(dtype, shape, offset):
    x = np.arange(math.prod(shape)).reshape(shape).astype(dtype)
    found = linalg.diagonal(tensor(x), offset=offset)
    expected = np.diagonal(x, offset, -2, -1)
    assert found.dtype == x.dtype
    assert np.array_equal(np.asarray(found), expected)
    if dtype != "bool":
        total = linalg.trace(tensor(x), offset=offset)
        assert total.dtype == {"uint8": "uint32"}.get(dtype, dtype)
        np.testing.assert_allclose(np.asarray(total), expected.sum(-1), rtol=1e-3)


def test_trace_in_another_type():
    assert linalg.trace(martlet.full((2, 2), 200, dtype="uint8"), dtype="float64").dtype == martlet.float64


@every_float
@pytest.mark.parametrize("order", ["fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf])
@pytest.mark.parametrize("shape", [(3, 5), (2, 4, 3), (0, 2, 2)])
def test_norms_of_matrices(dtype, order, shape):
    x = numbers(dtype, *shape)
    expected = np.linalg.norm(x, order, (-2, -1)) if x.size else np.zeros(0)
    close(linalg.matrix_norm(tensor(x), ord=order), expected, real(dtype))
    kept = linalg.matrix_norm(tensor(x), ord=order, keepdims=True)
    close(kept, np.asarray(expected)[..., None, None], real(dtype))
    assert linalg.matrix_norm(martlet.zeros((2, 0, 3), dtype=dtype), ord=order).tolist() == [0, 0]


@every_float
@pytest.mark.parametrize("order", [0, 1, 2, 3, 0.5, -1, -2, -0.5, math.inf, -math.inf])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (1,)])
def test_norms_of_vectors(dtype, order, axis):
    x = numbers(dtype, 2, 3, 4)
    axes = tuple(range(3)) if axis is None else (axis,) if isinstance(axis, int) else axis
    rows = np.moveaxis(x, axes, range(3 - len(axes), 3))
    rows = rows.reshape(*rows.shape[: 3 - len(axes)], -1)
    expected = np.linalg.norm(rows, order, -1)
    close(linalg.vector_norm(tensor(x), axis=axis, ord=order), expected, real(dtype))
    kept = linalg.vector_norm(tensor(x), axis=axis, ord=order, keepdims=True)
    assert kept.shape == tuple(1 if place in {each % 3 for each in axes} else x.shape[place] for place in range(3))


def test_norms_of_nothing():
    x = martlet.zeros((2, 0))
    for order, expected in ((0, 0), (1, 0), (2, 0), (3, 0), (math.inf, 0), (-1, math.inf), (-math.inf, math.inf)):
        assert linalg.vector_norm(x, axis=1, ord=order).tolist() == [expected] * 2
        assert linalg.vector_norm(x, axis=1, ord=order, keepdims=True).shape == (2, 1)
    assert linalg.vector_norm(martlet.asarray([[0, 3], [0, 0]]), axis=1, ord=0).tolist() == [1, 0]
    assert linalg.vector_norm(martlet.asarray([-3.0, 4.0]), axis=()).tolist() == [3, 4]


@every_float
@every_stack
@pytest.mark.parametrize("n", [-3, -1, 0, 1, 2, 7])
def test_powers(dtype, stack, n):
    x = (regular(dtype, *stack) / 6).astype(dtype)
    expected = np.linalg.matrix_power(x, n)
    found = linalg.matrix_power(tensor(x), n)
    close(found, expected, x.dtype)


def test_a_power_is_a_tensor_of_its_own():
    x = martlet.eye(2)
    for n in (0, 1):
        linalg.matrix_power(x, n)[0, 0] = 5
    assert x.tolist() == [[1, 0], [0, 1]]


def test_names_of_the_namespace():
    for name in ("matmul", "matrix_transpose", "outer", "tensordot", "vecdot"):
        assert getattr(linalg, name) is getattr(martlet, name)
    assert linalg.eigh(martlet.eye(2)).eigenvectors.shape == (2, 2)
    assert linalg.eigh(martlet.eye(2))._fields == ("eigenvalues", "eigenvectors")
    assert linalg.qr(martlet.eye(2))._fields == ("Q", "R")
    assert linalg.slogdet(martlet.eye(2))._fields == ("sign", "logabsdet")
    assert linalg.svd(martlet.eye(2))._fields == ("U", "S", "Vh")


# Types, devices, errors


def test_half_precision_and_integers():
    x = regular("float32") / 8
    x = (x + x.T) / 2
    for name in ("cholesky", "det", "eigvalsh", "inv", "svdvals", "pinv", "matrix_norm"):
        half = getattr(linalg, name)(tensor(x.astype("float16")))
        assert half.dtype == martlet.float16, name
        expected = np.asarray(getattr(linalg, name)(tensor(x.astype("float16").astype("float32"))))
        np.testing.assert_allclose(np.asarray(half), expected.astype("float16"), rtol=3e-3, err_msg=name)
        assert getattr(linalg, name)(martlet.asarray([[3, 1], [1, 2]])).dtype == martlet.float32, name


def test_results_stay_on_the_device():
    x = martlet.eye(3).to("cpu")
    assert linalg.inv(x).device == "cpu"
    assert linalg.svd(x).S.device == "cpu"
    assert linalg.inv(martlet.eye(3)).device == "auto"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: linalg.inv(martlet.zeros((3, 3))), r"inv of shape \(3, 3\) has no result: Singular"),
        (lambda: linalg.solve(martlet.zeros((3, 3)), martlet.ones(3)), r"solve of shape \(3, 3\) and \(3, 1\)"),
        (lambda: linalg.cholesky(-martlet.eye(2)), r"cholesky of shape \(2, 2\).*positive definite"),
        (lambda: linalg.svdvals(martlet.full((2, 2), math.nan)), r"svdvals of shape \(2, 2\)"),
        (lambda: linalg.matrix_power(martlet.zeros((2, 2)), -1), r"matrix_power of shape \(2, 2\)"),
        (lambda: linalg.det(martlet.ones((2, 3))), r"\(2, 3\) are not square"),
        (lambda: linalg.svd(martlet.ones(3)), r"\(3,\) is no matrix"),
        (lambda: linalg.qr(martlet.eye(2), mode="raw"), "'raw'.*'reduced' or 'complete'"),
        (lambda: linalg.solve(martlet.eye(3), martlet.ones(2)), "3 unknowns"),
        (lambda: linalg.solve(martlet.ones((2, 3, 3)), martlet.ones((3, 3, 1))), "do not broadcast"),
        (lambda: linalg.cross(martlet.ones(2), martlet.ones(3)), "no vectors of 3 elements"),
        (lambda: linalg.matrix_norm(martlet.eye(2), ord=3), "no norm 3"),
        (lambda: linalg.vector_norm(martlet.ones(2), ord="fro"), "no norm 'fro'"),
    ],
)
def test_what_has_no_result(make, words):
    with pytest.raises(martlet.InvalidArgumentError, match=words):
        make()


def test_axes_of_cross():
    for axis in (0, 1, -2):
        with pytest.raises(martlet.OutOfRangeError, match="axis"):
            linalg.cross(martlet.ones(3), martlet.ones(3), axis=axis)


@pytest.mark.parametrize(
    "name", ["cholesky", "det", "eigh", "eigvalsh", "inv", "pinv", "qr", "slogdet", "svd", "svdvals", "matrix_rank"]
)
def test_what_cannot_be_traced(name):
    with pytest.raises(martlet.UnsupportedError, match=f"{name} is computed by LAPACK"):
        martlet.trace(getattr(linalg, name), martlet.TensorSpec((3, 3)))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: linalg.matrix_norm(x),
        lambda x: linalg.matrix_norm(x, ord=1),
        lambda x: linalg.vector_norm(x, axis=0, ord=3),
        lambda x: linalg.matrix_power(x, 3),
        lambda x: linalg.cross(x, x[0]),
        lambda x: linalg.trace(x),
        lambda x: linalg.outer(x[0], x[1]),
        lambda x: linalg.matmul(x[0], x[1]),
    ],
)
def test_what_can_be_traced(function):
    x = numbers("float32", 3, 3)
    model = martlet.trace(function, martlet.TensorSpec((3, 3)))
    expected = np.asarray(function(tensor(x)))
    (found,) = model.predict({model.inputs[0].name: x}).values()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
