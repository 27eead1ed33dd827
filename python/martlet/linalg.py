"""The extension `linalg` of the Python array API: norms, products, decompositions and equations of matrices.

A matrix is what the last two axes hold; the axes before them are a stack, and every function goes through it matrix by
matrix. Products, diagonals and most norms are ops of the table, so they can be traced and run on any device. The
decompositions are LAPACK's: NumPy calls it on the memory of the tensor. Their results have the element type of their
operands; float16 is computed in float32, and integers become float32. They cannot be traced.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from martlet import elementwise, reduction
from martlet._arguments import (
    Axis,
    alias,
    axes_of,
    cast,
    filled,
    one_axis,
    owned,
    reshaped,
    tensor,
    whole,
)
from martlet.data_types import DType, broadcast_shapes, broadcast_to
from martlet.elementwise import greater, multiply, not_equal, subtract
from martlet.errors import InvalidArgumentError, OutOfRangeError, UnsupportedError
from martlet.linear_algebra import matmul, matrix_transpose, outer, tensordot, tensors, vecdot
from martlet.manipulation import expand_dims, roll
from martlet.reduction import count_nonzero, floating, reduced
from martlet.tensor import Tensor

__all__ = [
    "cholesky",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
]

MatrixNorm: TypeAlias = "float | Literal['fro', 'nuc'] | None"


class EighResult(NamedTuple):
    """Eigenvalues `[…, M]`, ascending and real, and eigenvectors `[…, M, M]`, one a column."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class QRResult(NamedTuple):
    """Q with orthonormal columns and R upper triangular; their product is the matrix."""

    Q: Tensor
    R: Tensor


class SlogdetResult(NamedTuple):
    """The sign of the determinant (a number of size 1 where complex, or 0), and the logarithm of its size."""

    sign: Tensor
    logabsdet: Tensor


class SVDResult(NamedTuple):
    """U `[…, M, M or K]`, the singular values S `[…, K]`, largest first, and Vh `[…, N or K, N]`; K = min(M, N)."""

    U: Tensor
    S: Tensor
    Vh: Tensor


# Operands


def matrices(x: Any) -> Tensor:
    """A tensor that holds matrices.

    Raises:
        InvalidArgumentError: there are fewer than two axes.
    """
    found: Tensor = tensor(x)
    if found.ndim < 2:
        raise InvalidArgumentError(f"Shape {found.shape} is no matrix; it needs two axes.")
    return found


def squares(x: Any) -> Tensor:
    """A tensor that holds square matrices.

    Raises:
        InvalidArgumentError: they are not square.
    """
    found = matrices(x)
    if found.shape[-1] != found.shape[-2]:
        raise InvalidArgumentError(f"The matrices of shape {found.shape} are not square; both axes must be equal.")
    return found


# LAPACK


def lapack(name: str, function: Callable[..., Any], *operands: Tensor) -> tuple[Tensor, ...]:
    """What a function of NumPy's makes of the elements as they lie, bound to the first operand's device.

    Raises:
        InvalidArgumentError: a matrix has no such result: it is singular, say, or no iteration converged.
        UnsupportedError: an operand is being traced.
    """
    arrays = [elements(name, x) for x in operands]
    try:
        with np.errstate(all="ignore"):
            results = function(*arrays)
    except np.linalg.LinAlgError as error:
        shapes = " and ".join(str(x.shape) for x in operands)
        raise InvalidArgumentError(f"{name} of shape {shapes} has no result: {error}.") from error
    listed = results if isinstance(results, tuple) else (results,)
    return tuple(like(operands[0], np.asarray(each)) for each in listed)


def elements(name: str, x: Tensor) -> NDArray[Any]:
    """The elements as LAPACK takes them, without a copy but for float16."""
    if x.is_traced:
        raise UnsupportedError(f"{name} is computed by LAPACK and is no op of the table; it cannot be traced.")
    array = x.numpy()
    return array.astype(np.float32) if array.dtype == np.float16 else array


def like(x: Tensor, array: NDArray[Any]) -> Tensor:
    """An array as a tensor on the device of x; float16 where x is."""
    device = x.device
    if x.dtype == np.float16 and array.dtype == np.float32:
        with np.errstate(over="ignore"):
            array = array.astype(np.float16)
    return owned(array, None if device == "auto" else device)


def cholesky(x: Tensor, /, *, upper: bool = False) -> Tensor:
    """The triangular factor of Hermitian positive-definite matrices: x = L Lᴴ, or x = Uᴴ U.

    Args:
        x: `[…, M, M]`; only its lower triangle is read.
        upper: answers U instead of L.

    Raises:
        InvalidArgumentError: a matrix is not positive definite, or not square.
    """
    (factor,) = lapack("cholesky", np.linalg.cholesky, floating(squares(x)))
    return elementwise.conj(matrix_transpose(factor)) if upper else factor


def det(x: Tensor, /) -> Tensor:
    """The determinants of square matrices, `[…, M, M]` to `[…]`."""
    return lapack("det", np.linalg.det, floating(squares(x)))[0]


def slogdet(x: Tensor, /) -> SlogdetResult:
    """The sign of the determinants and the logarithm of their size, which cannot overflow; 0 and -inf if singular."""
    return SlogdetResult(*lapack("slogdet", np.linalg.slogdet, floating(squares(x))))


def eigh(x: Tensor, /) -> EighResult:
    """The eigenvalues and eigenvectors of Hermitian matrices.

    Args:
        x: `[…, M, M]`; only its lower triangle is read.

    Raises:
        InvalidArgumentError: the iteration does not converge, or a matrix is not square.
    """
    return EighResult(*lapack("eigh", np.linalg.eigh, floating(squares(x))))


def eigvalsh(x: Tensor, /) -> Tensor:
    """The eigenvalues of Hermitian matrices, ascending: `[…, M, M]` to real `[…, M]`. Errors are those of `eigh`."""
    return lapack("eigvalsh", np.linalg.eigvalsh, floating(squares(x)))[0]


def inv(x: Tensor, /) -> Tensor:
    """The inverses of square matrices.

    Raises:
        InvalidArgumentError: a matrix is singular, or not square.
    """
    return inverses("inv", squares(x))


def inverses(name: str, x: Tensor) -> Tensor:
    """The inverses, for the function of that name."""
    return lapack(name, np.linalg.inv, floating(x))[0]


def qr(x: Tensor, /, *, mode: Literal["reduced", "complete"] = "reduced") -> QRResult:
    """Q with orthonormal columns and R upper triangular, whose product is x.

    Args:
        x: `[…, M, N]`.
        mode: `reduced` for Q `[…, M, K]` and R `[…, K, N]` with K = min(M, N); `complete` for `[…, M, M]`, `[…, M, N]`.

    Raises:
        InvalidArgumentError: there is no such mode.
    """
    if mode not in ("reduced", "complete"):
        raise InvalidArgumentError(f"The mode is {mode!r}; it must be 'reduced' or 'complete'.")
    return QRResult(*lapack("qr", partial(np.linalg.qr, mode=mode), floating(matrices(x))))


def solve(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The X of x1 X = x2.

    Args:
        x1: square matrices `[…, M, M]`.
        x2: `[M]` for one vector, else `[…, M, K]`; the stacks broadcast.

    Returns:
        `[…, M]` or `[…, M, K]`, of the common element type.

    Raises:
        InvalidArgumentError: a matrix is singular or not square, or the shapes do not fit.
    """
    first, second = tensors(x1, x2)
    x, y = squares(floating(first)), floating(second)
    right = expand_dims(y, -1) if y.ndim == 1 else matrices(y)
    if right.shape[-2] != x.shape[-1]:
        raise InvalidArgumentError(
            f"Shapes {x.shape} and {y.shape} make no equations; {x.shape[-1]} unknowns need as many rows."
        )
    broadcast_shapes(x.shape[:-2], right.shape[:-2])
    # NumPy 1 takes an operand with one axis less for a stack of vectors.
    right = reshaped(right, (1,) * (x.ndim - right.ndim) + right.shape)
    (result,) = lapack("solve", np.linalg.solve, x, right)
    return reshaped(result, result.shape[:-1]) if y.ndim == 1 else result


def svd(x: Tensor, /, *, full_matrices: bool = True) -> SVDResult:
    """The singular value decomposition x = U diag(S) Vh.

    Args:
        x: `[…, M, N]`.
        full_matrices: whether U and Vh are square; else they have the K = min(M, N) columns and rows that S needs.

    Raises:
        InvalidArgumentError: the iteration does not converge, as with NaN.
    """
    function = partial(np.linalg.svd, full_matrices=full_matrices)
    return SVDResult(*lapack("svd", function, floating(matrices(x))))


def svdvals(x: Tensor, /) -> Tensor:
    """The singular values, largest first: `[…, M, N]` to real `[…, min(M, N)]`. Errors are those of `svd`."""
    return singular_values("svdvals", matrices(x))


def singular_values(name: str, x: Tensor) -> Tensor:
    """The singular values, for the function of that name."""
    return lapack(name, partial(np.linalg.svd, compute_uv=False), floating(x))[0]


def matrix_rank(x: Tensor, /, *, rtol: float | Tensor | None = None) -> Tensor:
    """How many singular values are larger than `rtol` times the largest: `[…, M, N]` to int32 `[…]`.

    Args:
        rtol: a number, or one for each matrix; max(M, N) · ε where left out.
    """
    x = matrices(x)
    values = singular_values("matrix_rank", x)
    if values.size == 0:
        return filled(values.shape[:-1], 0, np.dtype("int32"))
    limits = multiply(reduction.max(values, axis=-1), smallness(x) if rtol is None else rtol)
    return count_nonzero(greater(values, expand_dims(limits, -1)), axis=-1)


def smallness(x: Tensor) -> float:
    """The part of the largest singular value that rounding leaves of a 0."""
    return float(max(x.shape[-2:]) * np.finfo(floating(x).dtype).eps)


def pinv(x: Tensor, /, *, rtol: float | Tensor | None = None) -> Tensor:
    """The Moore-Penrose pseudo-inverses, `[…, M, N]` to `[…, N, M]`.

    Args:
        rtol: singular values up to this part of the largest count as 0; max(M, N) · ε where left out.
    """
    x = matrices(x)
    limits = np.asarray(smallness(x) if rtol is None else rtol)
    return lapack("pinv", partial(np.linalg.pinv, rcond=limits), floating(x))[0]


# Ops of the table


def matrix_power(x: Tensor, n: int, /) -> Tensor:
    """Square matrices multiplied with themselves n times; their inverses where n is negative, 1 where it is 0.

    Raises:
        InvalidArgumentError: a matrix is not square, or singular where n is negative.
    """
    x, n = floating(squares(x)), whole(n, "The exponent")
    if n == 0:
        return alias(broadcast_to(owned(np.eye(x.shape[-1], dtype=x.dtype)), x.shape))
    square, left = inverses("matrix_power", x) if n < 0 else x, abs(n)
    power: Tensor | None = None
    while left:
        if left & 1:
            power = square if power is None else matmul(power, square)
        left >>= 1
        square = matmul(square, square) if left else square
    return alias(square if power is None else power)


def cross(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    """The cross products of vectors of three elements; the other axes broadcast.

    Args:
        axis: the axis of the vectors, counted from the end: negative.

    Raises:
        InvalidArgumentError: the vectors have not three elements, or the other axes do not broadcast.
        OutOfRangeError: the axis is not negative, or not there.
    """
    x, y = tensors(x1, x2)
    if whole(axis, "The axis") >= 0:
        raise OutOfRangeError(f"The axis {axis} is not counted from the end; it must be negative.")
    if {each.shape[one_axis(axis, each.ndim, each.shape)] for each in (x, y)} != {3}:
        raise InvalidArgumentError(f"Shapes {x.shape} and {y.shape} hold no vectors of 3 elements along axis {axis}.")
    return subtract(
        multiply(roll(x, -1, axis=axis), roll(y, -2, axis=axis)),
        multiply(roll(x, -2, axis=axis), roll(y, -1, axis=axis)),
    )


def diagonal(x: Tensor, /, *, offset: int = 0) -> Tensor:
    """A diagonal of each matrix, `[…, M, N]` to `[…, K]`; empty where it lies outside.

    Args:
        x: elements of any type.
        offset: 0 for the main one; positive ones lie above it, negative ones below.
    """
    x, offset = matrices(x), whole(offset, "The offset")
    rows, columns = x.shape[-2:]
    length = max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)
    if length == 0 or x.size == 0:
        return filled((*x.shape[:-2], length), 0, x.dtype)
    start, step = max(offset, -offset * columns), columns + 1
    lines = reshaped(x, (*x.shape[:-2], rows * columns))
    return lines[..., start : start + (length - 1) * step + 1 : step]


def trace(x: Tensor, /, *, offset: int = 0, dtype: DType | None = None) -> Tensor:
    """The sum along a diagonal, `[…, M, N]` to `[…]`. `offset` is that of `diagonal`, `dtype` that of `sum`."""
    return reduction.sum(diagonal(x, offset=offset), axis=-1, dtype=dtype)


def matrix_norm(x: Tensor, /, *, keepdims: bool = False, ord: MatrixNorm = "fro") -> Tensor:
    """A norm of each matrix.

    Args:
        x: `[…, M, N]`; integers are taken as float32.
        keepdims: whether the last two axes stay, with length 1.
        ord: `fro` for the root of the sum of squares; `nuc`, 2 and -2 for the sum, the largest and the smallest of the
            singular values; 1 and -1 for the largest and smallest sum of a column's sizes, inf and -inf of a row's.

    Returns:
        Real numbers of the precision of x; 0 for a matrix without elements.

    Raises:
        InvalidArgumentError: there is no such norm.
    """
    x = floating(matrices(x))
    chosen = "fro" if ord is None else ord
    if chosen not in MATRIX_NORMS:
        raise InvalidArgumentError(f"There is no norm {ord!r} of matrices; take 'fro', 'nuc', ±1, ±2 or ±inf.")
    result = filled((*x.shape[:-2], 1, 1), 0, real_type(x)) if 0 in x.shape[-2:] else MATRIX_NORMS[chosen](x)
    return result if keepdims else reshaped(result, result.shape[:-2])


def root_of_squares(x: Tensor) -> Tensor:
    return reduced("reduce_l2_norm", elementwise.abs(x), (-2, -1), True)


def of_sums(axis: int, choose: Callable[..., Tensor]) -> Callable[[Tensor], Tensor]:
    """The largest or smallest sum of sizes along an axis."""
    return lambda x: choose(reduction.sum(elementwise.abs(x), axis=axis, keepdims=True), axis=(-2, -1), keepdims=True)


def of_singular_values(choose: Callable[..., Tensor]) -> Callable[[Tensor], Tensor]:
    """What a reduction makes of the singular values."""
    return lambda x: expand_dims(choose(singular_values("matrix_norm", x), axis=-1, keepdims=True), -1)


MATRIX_NORMS: dict[Any, Callable[[Tensor], Tensor]] = {
    "fro": root_of_squares,
    "nuc": of_singular_values(reduction.sum),
    2: of_singular_values(reduction.max),
    -2: of_singular_values(reduction.min),
    1: of_sums(-2, reduction.max),
    -1: of_sums(-2, reduction.min),
    math.inf: of_sums(-1, reduction.max),
    -math.inf: of_sums(-1, reduction.min),
}


def real_type(x: Tensor) -> DType:
    """The element type of the sizes of numbers."""
    return np.empty(0, x.dtype).real.dtype


def vector_norm(x: Tensor, /, *, axis: Axis = None, keepdims: bool = False, ord: float = 2) -> Tensor:
    """The norm of the vectors along axes: (Σ |x|^ord)^(1/ord), with its limits at ±inf.

    Args:
        x: numeric elements; integers are taken as float32.
        axis: the axes of a vector; all where left out.
        keepdims: whether those axes stay, with length 1.
        ord: the order; 0 counts what is not 0.

    Returns:
        Real numbers of the precision of x; of no elements 0, or inf where the order is negative.

    Raises:
        InvalidArgumentError: the order is NaN.
    """
    x = floating(x)
    axes = axes_of(axis, x)
    if not isinstance(ord, (int, float)) or ord != ord:
        raise InvalidArgumentError(f"There is no norm {ord!r} of vectors; the order must be a number.")
    if 0 in [x.shape[each] for each in axes]:
        kept = tuple(1 if place in axes else size for place, size in enumerate(x.shape))
        shape = kept if keepdims else tuple(size for place, size in enumerate(x.shape) if place not in axes)
        return filled(shape, math.inf if ord < 0 else 0, real_type(x))
    words: dict[str, Any] = {"axis": axes, "keepdims": keepdims}
    sizes = elementwise.abs(x)
    if ord in (1, 2):
        return reduced(f"reduce_l{ord:.0f}_norm", sizes, **words)
    if math.isinf(ord):
        return (reduction.max if ord > 0 else reduction.min)(sizes, **words)
    if ord == 0:
        return reduction.sum(cast(not_equal(x, 0), real_type(x)), **words)
    return elementwise.pow(reduction.sum(elementwise.pow(sizes, float(ord)), **words), 1 / ord)
