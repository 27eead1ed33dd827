"""Element types that a device lacks, and results of data-dependent size."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import martlet


def model(inputs: str, body: str, outputs: str = "y") -> martlet.Model:
    return martlet.parse(f"program(1.3) {{ func main<ios18>({inputs}) {{ {body} }} -> ({outputs}); }}")


def test_a_type_without_kernel_is_refused_with_the_types_there_are() -> None:
    with pytest.raises(martlet.UnsupportedError, match=r"'x' is fp64; the CPU engine computes this in .*fp32"):
        model("tensor<fp64, [1, 1, 4]> x, tensor<fp64, [1, 1, 2]> w", "y = conv(x = x, weight = w);")


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        ("y = reduce_max(x = x);", martlet.InvalidArgumentError, "hold no elements"),
        ("y = reduce_argmin(x = x, axis = 0);", martlet.InvalidArgumentError, "hold no elements"),
        ("y = rfft(x = x);", martlet.InvalidArgumentError, "makes a transform of 0 elements"),
        ('y = rfft(x = x, norm = "none");', martlet.InvalidArgumentError, "makes a transform|must be one of"),
        ("y = fft(x = x);", martlet.WrongTypeError, "complex64"),
        ("y = rfft(x = x, n = -1);", martlet.OutOfRangeError, "at least 1"),
    ],
)
def test_what_has_no_meaning_is_refused(body: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        model("tensor<fp64, [0]> x", body)


def test_complex_numbers_have_no_order() -> None:
    for body in ("y = reduce_max(x = x);", "y = sort(x = x);", "y = reduce_argmax(x = x);"):
        with pytest.raises(martlet.WrongTypeError, match="complex64"):
            model("tensor<complex64, [3]> x", body)
    with pytest.raises(martlet.UnsupportedError, match="'max' has no meaning for complex64"):
        model(
            "tensor<complex64, [3]> x, tensor<int32, [3]> i",
            'y = scatter(data = x, indices = i, updates = x, mode = "max");',
        )


def test_an_open_result_is_an_output_and_no_operand() -> None:
    selecting = "s = masked_select(x = x, mask = m);"
    inputs = "tensor<fp32, [2, 3]> x, tensor<bool, [2, 3]> m"
    assert [port.shape for port in model(inputs, selecting, "s").outputs] == [(-1,)]
    with pytest.raises(martlet.UnsupportedError, match=r"'s'.*not known before the run"):
        model(inputs, selecting + " y = relu(x = s);")


def test_open_results_of_many_runs_at_once() -> None:
    """Each run has a count of its own, whatever ran in the same frame before."""
    count = 5000
    select = model(f"tensor<int64, [{count}]> x, tensor<bool, [{count}]> m", "y = masked_select(x = x, mask = m);")
    x = np.arange(count)

    def right(seed: int) -> bool:
        mask = np.random.default_rng(seed).random(count) < seed / 64
        return np.array_equal(select.predict({"x": x, "m": mask})["y"], x[mask])

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(right, range(65)))


def test_open_results_outlive_another_number_of_threads() -> None:
    find = model("tensor<fp32, [3, 4]> x", "y = non_zero(x = x);")
    x = np.eye(3, 4, dtype=np.float32)
    before = martlet.get_num_threads()
    try:
        for threads in (1, 2, 3):
            martlet.set_num_threads(threads)
            np.testing.assert_array_equal(find.predict({"x": x})["y"], np.argwhere(x))
    finally:
        martlet.set_num_threads(before)
