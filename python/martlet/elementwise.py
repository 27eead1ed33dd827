"""Elementwise functions of the Python array API: one result element for each element or broadcast pair of elements.

Two operands broadcast against each other and are brought to one element type (`martlet.result_type`); a Python number
beside a tensor takes the tensor's type. NumPy arrays are operands too. Every function raises `InvalidArgumentError` (a
`ValueError`) if the shapes do not broadcast, and `WrongTypeError` (a `TypeError`) for an element type that it is not
defined for; integers become float32 where only floating-point numbers make sense.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from martlet._arguments import Operand, alias, apply, cast, operand, pair, tensor
from martlet.tensor import Tensor

__all__ = [
    "abs",
    "acos",
    "acosh",
    "add",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "ceil",
    "clip",
    "conj",
    "copysign",
    "cos",
    "cosh",
    "divide",
    "equal",
    "exp",
    "expm1",
    "floor",
    "floor_divide",
    "greater",
    "greater_equal",
    "hypot",
    "imag",
    "isfinite",
    "isinf",
    "isnan",
    "less",
    "less_equal",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "nextafter",
    "not_equal",
    "positive",
    "pow",
    "real",
    "reciprocal",
    "remainder",
    "round",
    "sign",
    "signbit",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "subtract",
    "tan",
    "tanh",
    "trunc",
]

bool_ = np.dtype("bool")


def unary(op: str, x: Any) -> Tensor:
    """One op of one operand."""
    return apply(op, tensor(x))


def binary(op: str, x1: Any, x2: Any) -> Tensor:
    """One op of two operands, which the library brings to one type."""
    return apply(op, *pair(x1, x2))


def truth(x: Any) -> Tensor:
    """The elements as booleans: False for 0, True for all else."""
    return cast(tensor(x), bool_)


def logical(op: str, x1: Any, x2: Any) -> Tensor:
    """One op of two operands, taken as booleans."""
    x, y = pair(x1, x2)
    return apply(op, truth(x), truth(y))


def abs(x: Operand, /) -> Tensor:
    """|x|: the distance from 0. Complex numbers give real ones of half the size.

    Args:
        x: numeric elements.

    Returns:
        A tensor of the shape of x, of its element type or the real one of half the size.
    """
    return unary("abs", x)


def acos(x: Operand, /) -> Tensor:
    """The arc cosine, in radians, from 0 to π. NaN outside [-1, 1].

    Args:
        x: floating-point or complex elements.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return unary("acos", x)


def acosh(x: Operand, /) -> Tensor:
    """The inverse hyperbolic cosine, 0 or more. NaN below 1.

    Args:
        x: floating-point or complex elements.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return unary("acosh", x)


def add(x1: Operand, x2: Operand, /) -> Tensor:
    """x1 + x2. Integers wrap around.

    Args:
        x1, x2: numeric elements, whose shapes broadcast.

    Returns:
        A tensor of the broadcast shape and the common element type.
    """
    return binary("add", x1, x2)


def asin(x: Operand, /) -> Tensor:
    """The arc sine, in radians, from -π/2 to π/2. NaN outside [-1, 1].

    Args:
        x: floating-point or complex elements.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return unary("asin", x)


def asinh(x: Operand, /) -> Tensor:
    """The inverse hyperbolic sine.

    Args:
        x: floating-point or complex elements.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return unary("asinh", x)


def atan(x: Operand, /) -> Tensor:
    """The arc tangent, in radians, from -π/2 to π/2.

    Args:
        x: floating-point or complex elements.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return unary("atan", x)


def atan2(x1: Operand, x2: Operand, /) -> Tensor:
    """The angle of the point (x2, x1), in radians, from -π to π. Signed zeros and infinities tell the quadrants apart.

    Args:
        x1, x2: floating-point elements, whose shapes broadcast.

    Returns:
        A tensor of the broadcast shape and the common element type.
    """
    return binary("atan2", x1, x2)


def atanh(x: Operand, /) -> Tensor:
    """The inverse hyperbolic tangent. Infinite at -1 and 1, NaN outside.

    Args:
        x: floating-point or complex elements.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return unary("atanh", x)


def bitwise_and(x1: Operand, x2: Operand, /) -> Tensor:
    """The bits that are set in both operands.

    Args:
        x1, x2: booleans or integers, whose shapes broadcast.

    Returns:
        A tensor of the broadcast shape and the common element type.
    """
    return binary("bitwise_and", x1, x2)


def bitwise_invert(x: Operand, /) -> Tensor:
    """Inverts every bit; for booleans this is `not`.

    Args:
        x: booleans or integers.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return unary("bitwise_not", x)


def bitwise_left_shift(x1: Operand, x2: Operand, /) -> Tensor:
    """The bits of x1 shifted left by x2 positions, filled with zeros.

    Args:
        x1, x2: integers, whose shapes broadcast.

    Returns:
        A tensor of the broadcast shape and the common element type.
    """
    return binary("shift_left", x1, x2)


def bitwise_or(x1: Operand, x2: Operand, /) -> Tensor:
    """The bits that are set in either operand, or in both.

    Args:
        x1, x2: booleans or integers, whose shapes broadcast.

    Returns:
        A tensor of the broadcast shape and the common element type.
    """
    return binary("bitwise_or", x1, x2)


def bitwise_right_shift(x1: Operand, x2: Operand, /) -> Tensor:
    """The bits of x1 shifted right by x2 positions, filled with its sign bit (with zeros if unsigned).

    Args:
        x1, x2: integers, whose shapes broadcast.

    Returns:
        A tensor of the broadcast shape and the common element type.
    """
    return binary("shift_right", x1, x2)


def bitwise_xor(x1: Operand, x2: Operand, /) -> Tensor:
    """The bits that are set in exactly one of the operands.

    Args:
        x1, x2: booleans or integers, whose shapes broadcast.

    Returns:
        A tensor of the broadcast shape and the common element type.
    """
    return binary("bitwise_xor", x1, x2)


def ceil(x: Operand, /) -> Tensor:
    """⌈x⌉: the smallest integer that is not less than x.

    Args:
        x: real elements.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return unary("ceil", x)


def clip(x: Operand, /, min: Operand | None = None, max: Operand | None = None) -> Tensor:
    """x held between two bounds, each of which may be left out. Where `min` lies above `max` the result is `max`.

    Args:
        x: real elements.
        min, max: numbers or tensors that broadcast against x.

    Returns:
        A tensor of the broadcast shape, with the element type of x.

    Raises:
        InvalidArgumentError: the shapes do not broadcast.
        WrongTypeError: the elements are complex or boolean.
    """
    x = tensor(x)
    dtype, result = x.dtype, alias(x)
    for op, bound in (("maximum", min), ("minimum", max)):
        if bound is not None:
            result = apply(op, result, operand(bound, x))
    return cast(result, dtype)


def conj(x: Operand, /) -> Tensor:
    """The complex conjugate: the imaginary part with the other sign. Real numbers stay.

    Args:
        x: numeric elements.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return unary("conj", x)


def copysign(x1: Operand, x2: Operand, /) -> Tensor:
    """|x1| with the sign of x2, that of its zeros and NaNs too.

    Args:
        x1, x2: floating-point elements, whose shapes broadcast.

    Returns:
        A tensor of the broadcast shape and the common element type.
    """
    return binary("copysign", x1, x2)


def cos(x: Operand, /) -> Tensor:
    """The cosine of x radians.

    Args:
        x: floating-point or complex elements.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return unary("cos", x)


def cosh(x: Operand, /) -> Tensor:
    """The hyperbolic cosine.

    Args:
        x: floating-point or complex elements.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return unary("cosh", x)


def divide(x1: Operand, x2: Operand, /) -> Tensor:
    """x1 / x2. Integers are divided as float32.

    Args:
        x1, x2: numeric elements, whose shapes broadcast.

    Returns:
        A tensor of the broadcast shape and the common element type.
    """
    return binary("divide", x1, x2)


def equal(x1: Operand, x2: Operand, /) -> Tensor:
    """Whether x1 = x2; NaN equals nothing.

    Args:
        x1, x2: elements of any type, whose shapes broadcast.

    Returns:
        A boolean tensor of the broadcast shape.
    """
    return binary("equal", x1, x2)


def exp(x: Operand, /) -> Tensor:
    """e to the power x.

    Args:
        x: floating-point or complex elements.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return unary("exp", x)


def expm1(x: Operand, /) -> Tensor:
    """e^x - 1, exact near 0 too.

    Args:
        x: floating-point or complex elements.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return unary("expm1", x)


def floor(x: Operand, /) -> Tensor:
    """⌊x⌋: the largest integer that is not greater than x.

    Args:
        x: real elements.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return unary("floor", x)


def floor_divide(x1: Operand, x2: Operand, /) -> Tensor:
    """⌊x1 / x2⌋. Integers divided by 0 give 0.

    Args:
        x1, x2: real elements, whose shapes broadcast.

    Returns:
        A tensor of the broadcast shape and the common element type.
    """
    return binary("floor_div", x1, x2)


def greater(x1: Operand, x2: Operand, /) -> Tensor:
    """Whether x1 > x2.

    Args:
        x1, x2: real elements, whose shapes broadcast.

    Returns:
        A boolean tensor of the broadcast shape.
    """
    return binary("greater", x1, x2)


def greater_equal(x1: Operand, x2: Operand, /) -> Tensor:
    """Whether x1 ≥ x2.

    Args:
        x1, x2: real elements, whose shapes broadcast.

    Returns:
        A boolean tensor of the broadcast shape.
    """
    return binary("greater_equal", x1, x2)


def hypot(x1: Operand, x2: Operand, /) -> Tensor:
    """√(x1² + x2²), without overflow in between.

    Args:
        x1, x2: floating-point elements, whose shapes broadcast.

    Returns:
        A tensor of the broadcast shape and the common element type.
    """
    return binary("hypot", x1, x2)


def imag(x: Operand, /) -> Tensor:
    """The imaginary part; 0 for real numbers.

    Args:
        x: numeric elements.

    Returns:
        A tensor of the shape of x, of its element type or the real one of half the size.
    """
    return unary("imag", x)


def isfinite(x: Operand, /) -> Tensor:
    """Whether x is neither infinite nor NaN.

    Args:
        x: numeric elements.

    Returns:
        A boolean tensor of the shape of x.
    """
    return unary("is_finite", x)


def isinf(x: Operand, /) -> Tensor:
    """Whether x, or a part of it, is infinite.

    Args:
        x: numeric elements.

    Returns:
        A boolean tensor of the shape of x.
    """
    return unary("is_inf", x)


def isnan(x: Operand, /) -> Tensor:
    """Whether x, or a part of it, is NaN.

    Args:
        x: numeric elements.

    Returns:
        A boolean tensor of the shape of x.
    """
    return unary("is_nan", x)


def less(x1: Operand, x2: Operand, /) -> Tensor:
    """Whether x1 < x2.

    Args:
        x1, x2: real elements, whose shapes broadcast.

    Returns:
        A boolean tensor of the broadcast shape.
    """
    return binary("less", x1, x2)


def less_equal(x1: Operand, x2: Operand, /) -> Tensor:
    """Whether x1 ≤ x2.

    Args:
        x1, x2: real elements, whose shapes broadcast.

    Returns:
        A boolean tensor of the broadcast shape.
    """
    return binary("less_equal", x1, x2)


def log(x: Operand, /) -> Tensor:
    """The natural logarithm. -inf at 0, NaN below; complex numbers are cut along the negative real axis.

    Args:
        x: floating-point or complex elements.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return apply("log", tensor(x), epsilon=0.0)


def log10(x: Operand, /) -> Tensor:
    """The logarithm to base 10. -inf at 0, NaN below.

    Args:
        x: floating-point or complex elements.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return unary("log10", x)


def log1p(x: Operand, /) -> Tensor:
    """ln(1 + x), exact near 0 too. -inf at -1, NaN below.

    Args:
        x: floating-point or complex elements.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return unary("log1p", x)


def log2(x: Operand, /) -> Tensor:
    """The logarithm to base 2. -inf at 0, NaN below.

    Args:
        x: floating-point or complex elements.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return unary("log2", x)


def logaddexp(x1: Operand, x2: Operand, /) -> Tensor:
    """ln(e^x1 + e^x2), without overflow in between.

    Args:
        x1, x2: floating-point elements, whose shapes broadcast.

    Returns:
        A tensor of the broadcast shape and the common element type.
    """
    return binary("log_add_exp", x1, x2)


def logical_and(x1: Operand, x2: Operand, /) -> Tensor:
    """Whether both are true; numbers are true where they are not 0.

    Args:
        x1, x2: elements of any type, whose shapes broadcast.

    Returns:
        A boolean tensor of the broadcast shape.
    """
    return logical("logical_and", x1, x2)


def logical_not(x: Operand, /) -> Tensor:
    """Whether x is false; numbers are false where they are 0.

    Args:
        x: elements of any type.

    Returns:
        A boolean tensor of the shape of x.
    """
    return apply("logical_not", truth(x))


def logical_or(x1: Operand, x2: Operand, /) -> Tensor:
    """Whether either is true; numbers are true where they are not 0.

    Args:
        x1, x2: elements of any type, whose shapes broadcast.

    Returns:
        A boolean tensor of the broadcast shape.
    """
    return logical("logical_or", x1, x2)


def logical_xor(x1: Operand, x2: Operand, /) -> Tensor:
    """Whether one is true and the other not; numbers are true where they are not 0.

    Args:
        x1, x2: elements of any type, whose shapes broadcast.

    Returns:
        A boolean tensor of the broadcast shape.
    """
    return logical("logical_xor", x1, x2)


def maximum(x1: Operand, x2: Operand, /) -> Tensor:
    """The larger of x1 and x2; NaN where one is NaN.

    Args:
        x1, x2: real elements, whose shapes broadcast.

    Returns:
        A tensor of the broadcast shape and the common element type.
    """
    return binary("maximum", x1, x2)


def minimum(x1: Operand, x2: Operand, /) -> Tensor:
    """The smaller of x1 and x2; NaN where one is NaN.

    Args:
        x1, x2: real elements, whose shapes broadcast.

    Returns:
        A tensor of the broadcast shape and the common element type.
    """
    return binary("minimum", x1, x2)


def multiply(x1: Operand, x2: Operand, /) -> Tensor:
    """x1 · x2. Integers wrap around.

    Args:
        x1, x2: numeric elements, whose shapes broadcast.

    Returns:
        A tensor of the broadcast shape and the common element type.
    """
    return binary("mul", x1, x2)


def negative(x: Operand, /) -> Tensor:
    """-x. Integers wrap around.

    Args:
        x: numeric elements.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return unary("negative", x)


def nextafter(x1: Operand, x2: Operand, /) -> Tensor:
    """The number next to x1 in the direction of x2.

    Args:
        x1, x2: floating-point elements, whose shapes broadcast.

    Returns:
        A tensor of the broadcast shape and the common element type.
    """
    return binary("next_after", x1, x2)


def not_equal(x1: Operand, x2: Operand, /) -> Tensor:
    """Whether x1 ≠ x2; NaN differs from everything.

    Args:
        x1, x2: elements of any type, whose shapes broadcast.

    Returns:
        A boolean tensor of the broadcast shape.
    """
    return binary("not_equal", x1, x2)


def positive(x: Operand, /) -> Tensor:
    """+x: the same elements.

    Args:
        x: numeric elements.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return alias(tensor(x))


def pow(x1: Operand, x2: Operand, /) -> Tensor:
    """x1 to the power x2. Integers wrap around; a negative power of an integer other than 1 and -1 is 0.

    Args:
        x1, x2: numeric elements, whose shapes broadcast.

    Returns:
        A tensor of the broadcast shape and the common element type.
    """
    return binary("pow", x1, x2)


def real(x: Operand, /) -> Tensor:
    """The real part; real numbers are their own.

    Args:
        x: numeric elements.

    Returns:
        A tensor of the shape of x, of its element type or the real one of half the size.
    """
    return unary("real", x)


def reciprocal(x: Operand, /) -> Tensor:
    """1 / x.

    Args:
        x: floating-point or complex elements.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return apply("inverse", tensor(x), epsilon=0.0)


def remainder(x1: Operand, x2: Operand, /) -> Tensor:
    """The remainder of floor division of x1 by x2, with the sign of x2. Integers divided by 0 leave 0.

    Args:
        x1, x2: real elements, whose shapes broadcast.

    Returns:
        A tensor of the broadcast shape and the common element type.
    """
    return binary("mod", x1, x2)


def round(x: Operand, /) -> Tensor:
    """The nearest integer; of two equally near ones the even one. Complex numbers are rounded in each part.

    Args:
        x: numeric elements.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return unary("round", x)


def sign(x: Operand, /) -> Tensor:
    """-1, 0 or 1; NaN stays NaN. Complex numbers give z / |z|.

    Args:
        x: numeric elements.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return unary("sign", x)


def signbit(x: Operand, /) -> Tensor:
    """Whether the sign bit is set: negative numbers, -0.0, and some NaNs.

    Args:
        x: floating-point elements.

    Returns:
        A boolean tensor of the shape of x.
    """
    return unary("sign_bit", x)


def sin(x: Operand, /) -> Tensor:
    """The sine of x radians.

    Args:
        x: floating-point or complex elements.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return unary("sin", x)


def sinh(x: Operand, /) -> Tensor:
    """The hyperbolic sine.

    Args:
        x: floating-point or complex elements.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return unary("sinh", x)


def sqrt(x: Operand, /) -> Tensor:
    """The square root. NaN below 0; complex numbers are cut along the negative real axis.

    Args:
        x: floating-point or complex elements.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return unary("sqrt", x)


def square(x: Operand, /) -> Tensor:
    """x². Integers wrap around.

    Args:
        x: numeric elements.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return unary("square", x)


def subtract(x1: Operand, x2: Operand, /) -> Tensor:
    """x1 - x2. Integers wrap around.

    Args:
        x1, x2: numeric elements, whose shapes broadcast.

    Returns:
        A tensor of the broadcast shape and the common element type.
    """
    return binary("sub", x1, x2)


def tan(x: Operand, /) -> Tensor:
    """The tangent of x radians.

    Args:
        x: floating-point or complex elements.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return unary("tan", x)


def tanh(x: Operand, /) -> Tensor:
    """The hyperbolic tangent.

    Args:
        x: floating-point or complex elements.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return unary("tanh", x)


def trunc(x: Operand, /) -> Tensor:
    """x cut towards 0.

    Args:
        x: real elements.

    Returns:
        A tensor of the shape of x and its element type.
    """
    return unary("trunc", x)
