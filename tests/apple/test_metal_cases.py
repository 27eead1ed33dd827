"""What the Metal engine runs of the cases, and what it refuses: no more than MPSGraph lacks.

Run with MARTLET_LIBRARY = the library built with the stand-ins. The answers are compared in `test_cases.py`."""

from __future__ import annotations

import importlib
import re

import numpy as np
import pytest

import martlet
from tests.cases import Case

FAMILIES = ["activation", "complex", "elementwise", "fourier", "graphs", "random", "reduction", "sequence"]
WIDE = re.compile(r"\b(fp64|complex128)\b")
# Of a graph all runs are the same.
ANY_SEED = re.compile(r"random_\w+\((?!.*seed)")


def is_beyond(case: Case) -> bool:
    """Whether it needs what MPSGraph lacks: fp64, complex128, empty tensors, or a seed that changes from run to run."""
    arrays: list[np.ndarray] = [*case.inputs.values(), *case.expected.values()]
    is_empty = any(0 in array.shape for array in arrays)
    return is_empty or bool(WIDE.search(case.text)) or any(map(ANY_SEED.search, case.text.splitlines()))


def is_refused(case: Case) -> bool:
    try:
        martlet.parse(case.text, "metal")
    except martlet.UnsupportedError:
        return True
    return False


@pytest.mark.parametrize("family", FAMILIES)
def test_only_what_mpsgraph_lacks_is_refused(family: str) -> None:
    cases: list[Case] = importlib.import_module(f"tests.cases.{family}").CASES
    refused = {case.name for case in cases if is_refused(case)}
    assert refused == {case.name for case in cases if is_beyond(case)}
    assert len(refused) < len(cases)


def metal(body: str, **inputs: np.ndarray) -> np.ndarray:
    """The result y of a program on Metal."""
    names = {"float32": "fp32", "float16": "fp16"}
    declared = ", ".join(
        f"tensor<{names.get(array.dtype.name, array.dtype.name)}, {list(array.shape)}> {name}"
        for name, array in inputs.items()
    )
    text = f"program(1.3) {{ func main<ios18>({declared}) {{ {body} }} -> (y); }}"
    return martlet.parse(text, "metal").predict(inputs)["y"]


def test_a_seed_gives_the_numbers_of_the_cpu() -> None:
    """The generator's own numbers are equal; those with a logarithm or a sine differ in their last digits."""
    x = np.zeros(1, np.float32)
    for body, tolerance in {
        "y = random_uniform(shape = [40, 7], low = -2.0, high = 3.0, seed = 11);": 0,
        "y = random_bernoulli(shape = [301], prob = 0.3, seed = -2);": 0,
        "y = random_normal(shape = [301], mean = 1.0, stddev = 2.0, seed = 5);": 1e-5,
    }.items():
        text = f"program(1.3) {{ func main<ios18>(tensor<fp32, [1]> x) {{ {body} z = exp(x = x); }} -> (y, z); }}"
        ours, theirs = (martlet.parse(text, device).predict({"x": x})["y"] for device in ("metal", "cpu"))
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def test_categories_of_a_seed_are_those_of_the_cpu() -> None:
    weights = np.random.default_rng(0).random((3, 5)).astype(np.float32)
    text = (
        "program(1.3) { func main<ios18>(tensor<fp32, [3, 5]> x) {"
        ' y = random_categorical(x = x, mode = "probs", size = 200, seed = 3); } -> (y); }'
    )
    ours, theirs = (martlet.parse(text, device).predict({"x": weights})["y"] for device in ("metal", "cpu"))
    # A number that lies on the border of two categories may fall to the other side.
    assert np.count_nonzero(ours != theirs) <= 1


def test_integers_divide_exactly() -> None:
    x = np.array([2**31 - 1, -(2**31), -(2**31), 7, -7, 5], np.int32)
    y = np.array([3, -1, 7, 0, 2, -3], np.int32)
    np.testing.assert_array_equal(
        metal("y = floor_div(x = a, y = b);", a=x, b=y), [715827882, -(2**31), -306783379, 0, -4, -2]
    )


def test_the_largest_integers_divide_exactly() -> None:
    for dtype in (np.int64, np.uint64, np.uint32):
        limits = np.iinfo(dtype)
        x = np.array([limits.max, limits.max - 1, limits.max // 3, 10**9 + 7], dtype)
        y = np.array([1, 3, limits.max // 2, limits.max, 1000003], dtype).reshape(-1, 1)
        np.testing.assert_array_equal(metal("y = floor_div(x = a, y = b);", a=x, b=y), x // y)
        np.testing.assert_array_equal(metal("y = mod(x = a, y = b);", a=x, b=y), x % y)


@pytest.mark.parametrize("exponent", [2, 3, 0.5])
def test_powers_of_a_known_exponent(exponent: float) -> None:
    x = np.linspace(0, 3, 7, dtype=np.float32)
    np.testing.assert_allclose(metal(f"y = pow(x = x, y = {float(exponent)});", x=x), x**exponent, rtol=1e-6)


def test_whole_powers_of_known_exponents() -> None:
    x = np.array([-3, -1, 0, 1, 2, 46341], np.int32)
    result = metal("c = const()[val = tensor<int32, [3, 1]>([0, 1, 5])]; y = pow(x = x, y = c);", x=x)
    np.testing.assert_array_equal(result, x ** np.array([[0], [1], [5]], np.int32))
    ones = metal("c = const()[val = uint8(0)]; y = pow(x = x, y = c);", x=x.astype(np.uint8))
    np.testing.assert_array_equal(ones, np.ones(6, np.uint8))


def test_attention_over_many_rows() -> None:
    """More than MPSGraph is trusted with at once, with a mask that has a row for each target and one for all."""
    generator = np.random.default_rng(0)
    query, key, value = (generator.standard_normal((2, rows, 4), np.float32) for rows in (9000, 5, 5))
    for shape in ((9000, 5), (2, 1, 5)):
        mask = generator.standard_normal(shape, np.float32)
        scores = query @ key.transpose(0, 2, 1) / 2 + mask
        powers = np.exp(scores - scores.max(-1, keepdims=True))
        wanted = powers / powers.sum(-1, keepdims=True) @ value
        body = "y = scaled_dot_product_attention(query = q, key = k, value = v, attn_mask = m);"
        np.testing.assert_allclose(metal(body, q=query, k=key, v=value, m=mask), wanted, rtol=1e-5, atol=1e-5)


def test_large_tensors_are_refused() -> None:
    text = "program(1.3) { func main<ios18>(tensor<fp32, [1024, 1024, 1024]> x) { y = exp(x = x); } -> (y); }"
    with pytest.raises(martlet.UnsupportedError, match="larger than 4 GiB"):
        martlet.parse(text, "metal")


def test_reductions_along_far_axes() -> None:
    """Beyond the last four, which are all that MPSGraph sees."""
    x = np.arange(2 * 3 * 2 * 2 * 3 * 2, dtype=np.float32).reshape(2, 3, 2, 2, 3, 2)
    for op, function in {"reduce_sum": np.sum, "reduce_max": np.max}.items():
        for axes in ([0], [0, 5], [1, 3]):
            y = metal(f"y = {op}(x = x, axes = {axes});", x=x)
            np.testing.assert_allclose(y, function(x, axis=tuple(axes)))
    np.testing.assert_allclose(metal("y = cumsum(x = x, axis = 1);", x=x), np.cumsum(x, 1))
    np.testing.assert_array_equal(metal("y = reduce_argmin(x = x, axis = 0);", x=x), np.argmin(x, 0))
    z = x[:1] + 1j * x[1:]
    result = metal("y = fft(x = z, axis = 1);", z=z.astype(np.complex64))
    np.testing.assert_allclose(result, np.fft.fft(z, axis=1), rtol=1e-5, atol=1e-3)


def test_not_a_number_goes_through() -> None:
    """Where MPSGraph's plain operations drop it."""
    x = np.array([[np.nan, 1, -1], [2, 0, 5]], np.float32)
    for body in (
        "relu(x = x)",
        "relu6(x = x)",
        "clip(x = x, alpha = -2.0, beta = 2.0)",
        "threshold(x = x, alpha = 0.5)",
    ):
        assert np.isnan(metal(f"y = {body};", x=x)[0, 0]), body
    infinite = np.array([[-np.inf, -np.inf], [np.inf, 1]], np.float32)
    np.testing.assert_array_equal(metal("y = reduce_log_sum_exp(x = x, axes = [1]);", x=infinite), [-np.inf, np.inf])
    for op in ("reduce_max", "reduce_min"):
        np.testing.assert_array_equal(np.isnan(metal(f"y = {op}(x = x, axes = [1]);", x=x)), [True, False])
    np.testing.assert_array_equal(metal("y = reduce_argmax(x = x, axis = 1);", x=x), [0, 2])
