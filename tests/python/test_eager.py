"""Eager work for long and by many: memory stays flat, threads get right answers."""

from __future__ import annotations

import copy
import os
import pickle
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import martlet
from martlet import Tensor

X = np.random.default_rng(0).standard_normal((8, 8)).astype(np.float32)

# Memory


def resident():
    """Bytes of memory this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def growth(work, warmup, count):
    for _ in range(warmup):
        work()
    before = resident()
    for _ in range(count):
        work()
    return resident() - before


needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@needs_proc
def test_a_million_small_calls():
    x, y = Tensor([1.0, 2.0]), Tensor([3.0, 4.0])

    def work():
        return (x + y) * 2.0 - x.relu() + y.tanh()  # five calls

    assert growth(work, 10_000, 200_000) < 2_000_000
    np.testing.assert_allclose(work().numpy(), 2 * np.array([4.0, 6.0]) - [1.0, 2.0] + np.tanh([3.0, 4.0]), rtol=1e-6)


@needs_proc
@pytest.mark.parametrize(
    "work",
    [
        lambda: Tensor(X) @ X,
        lambda: Tensor(X).numpy(),
        lambda: np.asarray(Tensor(X)[::2, 1:] + 1),
        lambda: martlet.functional.reduce_sum(Tensor(X), axes=[1]),
        lambda: Tensor(X).sum(axis=0).astype("float64").tolist(),
    ],
    ids=["matmul", "numpy", "indexing", "functional", "reductions"],
)
def test_ways_in_and_out(work):
    assert growth(work, 3000, 20_000) < 2_000_000


@needs_proc
def test_large_results_are_given_back():
    x = Tensor(np.ones((512, 512), np.float32))
    assert growth(lambda: (x + x) @ x, 20, 200) < 8_000_000


@needs_proc
def test_refused_calls():
    x, y = Tensor(X), Tensor(X[:3])

    def work():
        with pytest.raises(martlet.InvalidArgumentError):
            x + y

    assert growth(work, 2000, 10_000) < 2_000_000


@needs_proc
def test_results_assigned_in_place():
    x = Tensor(np.zeros((64, 64), np.float32))

    def work():
        nonlocal x
        x += 1
        x[0] = 2.0

    assert growth(work, 2000, 20_000) < 2_000_000
    assert float(x[0].sum()) == 128


# Threads


def in_threads(work):
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


def test_eight_threads_on_shared_tensors():
    weights = np.random.default_rng(1).standard_normal((64, 64)).astype(np.float32)
    shared = Tensor(weights)

    def work(index):
        x = np.random.default_rng(index).standard_normal((index + 1, 64)).astype(np.float32)
        expected = np.maximum(x.astype(np.float64) @ weights, 0).sum(1)
        for _ in range(200):
            np.testing.assert_allclose((Tensor(x) @ shared).relu().sum(axis=1).numpy(), expected, rtol=1e-3, atol=1e-3)
        return True

    in_threads(work)


def test_eight_threads_with_ops_seen_first_together():
    """The first thread compiles each op, type and shape, while other threads ask for the same."""
    generator = np.random.default_rng(2)
    inputs = [generator.uniform(1, 2, (size, 3)).astype(dtype) for size in range(1, 9) for dtype in ("f4", "f8", "f2")]
    functions = {"exp2": np.exp2, "sinh": np.sinh, "log1p": np.log1p, "cosh": np.cosh}

    def work(index):
        for turn in range(len(inputs)):
            x = inputs[(turn + index) % len(inputs)]
            for name, function in functions.items():
                found = getattr(martlet.functional, name)(x).numpy()
                assert found.dtype == x.dtype
                np.testing.assert_allclose(
                    found, function(x.astype(np.float64)), rtol=4e-3 if x.itemsize == 2 else 1e-5
                )
        return True

    in_threads(work)


def test_eight_threads_pass_tensors_on():
    def work(index):
        x = Tensor([float(index)])
        for _ in range(2000):
            x = x + 1.0
        return x.item() == index + 2000

    in_threads(work)


# Fork


# Element types


@pytest.mark.parametrize(
    ("left", "right", "result"),
    [
        ("float32", "float64", "float64"),
        ("float16", "float32", "float32"),
        ("int8", "int16", "int16"),
        ("uint8", "int8", "int16"),
        ("uint32", "int32", "int64"),
        ("float32", "complex64", "complex64"),
        ("float64", "complex64", "complex128"),
    ],
)
def test_promotion_is_the_array_apis(left, right, result):
    x, y = np.array([1, 2], left), np.array([3, 4], right)
    for first, second in ((x, y), (y, x)):
        found = Tensor(first) + Tensor(second)
        assert found.dtype == result
        np.testing.assert_array_equal(found.numpy(), first.astype(result) + second.astype(result))


@pytest.mark.parametrize(
    ("dtype", "number", "result"),
    [
        ("float16", 2.5, "float16"),
        ("int8", 2, "int8"),
        ("float64", 2, "float64"),
        ("complex64", 2.5, "complex64"),
        ("float32", 2j, "complex64"),
        ("float64", 2j, "complex128"),
    ],
)
def test_python_numbers_take_the_type_beside_them(dtype, number, result):
    x = np.array([1, 2], dtype)
    for found in (Tensor(x) * number, number * Tensor(x)):
        assert found.dtype == result
        np.testing.assert_array_equal(found.numpy(), x * np.array(number, result))


def test_numbers_by_default():
    found = {value: Tensor([value]).dtype.name for value in (1, 2**40, 1.5, True, 1j)}
    assert list(found.values()) == ["bool", "int64", "float32", "complex64"]  # 1 and True are one key


def test_numpy_arrays_combine_both_ways():
    x = Tensor(X)
    for found in (x + X, X + x, x - 0 * X + X):
        assert isinstance(found, Tensor)
        np.testing.assert_array_equal(found.numpy(), X + X)


# Traces


def block(x, weight):
    hidden = (x @ weight).relu() + 1
    scores = hidden / hidden.sum(axis=-1, keepdims=True)
    return {"scores": scores, "best": scores.max(axis=-1)}


def test_a_trace_computes_what_eager_calls_do():
    weight = Tensor(X)
    model = martlet.trace(block, X, weight)
    found, eager = model.predict({"x": X, "weight": X}), block(Tensor(X), weight)
    hidden = np.maximum(X.astype(np.float64) @ X, 0) + 1
    expected = hidden / hidden.sum(-1, keepdims=True)
    assert list(found) == list(eager) == ["scores", "best"]
    for each in (found["scores"], eager["scores"].numpy()):
        np.testing.assert_allclose(each, expected, rtol=1e-5)
    for each in (found["best"], eager["best"].numpy()):
        np.testing.assert_allclose(each, expected.max(-1), rtol=1e-5)


def test_a_trace_keeps_tensors_from_outside_and_can_be_saved(tmp_path):
    weight = Tensor(X)
    model = martlet.trace(lambda x: block(x, weight), martlet.TensorSpec((5, 8)))
    path = tmp_path / "block.mlpackage"
    model.save(path)
    x = np.random.default_rng(5).standard_normal((5, 8)).astype(np.float32)
    hidden = np.maximum(x.astype(np.float64) @ X, 0) + 1
    expected = (hidden / hidden.sum(-1, keepdims=True)).max(-1)
    np.testing.assert_allclose(martlet.load(path).predict({"x": x})["best"], expected, rtol=1e-5)


def test_outputs_within_outputs_have_names_that_say_the_way_there():
    layer = martlet.nn.LSTM(3, 4, num_layers=2)
    x = np.random.default_rng(9).standard_normal((5, 2, 3)).astype(np.float32)
    y, (h, c) = layer(Tensor(x))
    by_place = martlet.trace(layer, martlet.TensorSpec(x.shape))(x=x)
    assert list(by_place) == ["output_0", "output_1_0", "output_1_1"]
    by_name = martlet.trace(
        lambda x: dict(zip(("y", "state"), layer(x), strict=True)), martlet.TensorSpec(x.shape)
    )(x=x)  # fmt: skip
    assert list(by_name) == ["y", "state_0", "state_1"]
    for found in (by_place, by_name):
        for actual, expected in zip(found.values(), (y, h, c), strict=True):
            np.testing.assert_allclose(actual, expected.numpy(), rtol=1e-5, atol=1e-6)
    deep = martlet.trace(lambda x: [x + 1, {"a": (x + 2, [x + 3])}], martlet.TensorSpec((2,)))
    assert [port.name for port in deep.outputs] == ["output_0", "output_1_a_0", "output_1_a_1_0"]


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (lambda x: {"a": (x, x), "a_0": x}, martlet.InvalidArgumentError, "Two outputs are named 'a_0'"),
        (lambda x: (x, (x, 3)), martlet.WrongTypeError, "'output_1_1' is a int"),
        (lambda x: {3: x}, martlet.WrongTypeError, "named 3"),
    ],
)
def test_answers_that_are_no_outputs(answer, error, words):
    with pytest.raises(error, match=words):
        martlet.trace(answer, martlet.TensorSpec((2,)))


SAVED = {
    "var": (lambda x: martlet.var(x, axis=1), lambda x: np.var(x, axis=1)),
    "var of a sample": (
        lambda x: martlet.var(x, axis=(0, 2), correction=1, keepdims=True),
        lambda x: np.var(x, axis=(0, 2), ddof=1, keepdims=True),
    ),
    "std of all": (lambda x: martlet.std(x, correction=0.5), lambda x: np.reshape(np.std(x, ddof=0.5), (1,))),
    "std where nothing is left": (
        lambda x: martlet.std(x[:1], axis=0, correction=1),
        lambda x: np.full(x.shape[1:], np.nan),
    ),
    "sort": (lambda x: martlet.sort(x, axis=1), lambda x: np.sort(x, axis=1)),
    "falling": (lambda x: martlet.sort(x, descending=True), lambda x: -np.sort(-x)),
    "sort of one number": (lambda x: martlet.sort(x[0, 0, :1]), lambda x: x[0, 0, :1]),
}


@pytest.mark.parametrize("name", SAVED)
def test_what_core_ml_has_no_op_for_is_saved_as_ops_it_has(name, tmp_path):
    function, reference = SAVED[name]
    path = tmp_path / "saved.mlpackage"
    model = martlet.trace(function, martlet.TensorSpec((4, 5, 6)))
    model.save(path)
    x = np.random.default_rng(8).standard_normal((4, 5, 6)).astype(np.float32) + 3
    loaded = martlet.load(path)
    assert not any(op in loaded.text() for op in ("reduce_variance(", " sort("))
    for each in (model, loaded):
        np.testing.assert_allclose(each(x=x)["output"], reference(x.astype(np.float64)), rtol=1e-5)


def test_a_trace_needs_every_size():
    with pytest.raises(martlet.InvalidArgumentError, match=r"\(-1, 8\) has a size that is not known"):
        martlet.TensorSpec((-1, 8))


# What is kept


def test_kept_ops_stay_within_their_bytes():
    from martlet._call import OpCache

    class Weight:
        _handle, nbytes = 1, 40

    cache = OpCache(limit=10, byte_limit=100)
    for key in range(5):
        cache.keep(key, "op", (("weight", Weight()),))
        assert cache.bytes <= 100
    assert list(cache.entries) == [3, 4]
    cache.keep(4, "op", ())
    assert cache.bytes == 40
    Weight.nbytes = 1000
    assert cache.keep("large", "op", (("weight", Weight()),)) == "op"
    assert "large" not in cache.entries
    assert cache.bytes <= 100


# Copies


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint64", "float16", "float32", "float64", "complex64", "complex128"]
)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 2)])
def test_pickle_and_copies(dtype, shape):
    array = (np.random.default_rng(0).standard_normal(shape) * 9).astype(dtype)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(Tensor(array), protocol))
        assert isinstance(again, Tensor)
        assert again.dtype == dtype
        np.testing.assert_array_equal(again.numpy(), array)
    for each in (copy.copy(Tensor(array)), copy.deepcopy(Tensor(array))):
        np.testing.assert_array_equal(each.numpy(), array)


def test_a_copy_is_a_tensor_of_its_own():
    first = Tensor([1, 2, 3])
    for second in (copy.copy(first), copy.deepcopy(first), pickle.loads(pickle.dumps(first))):
        second[0] = 9
        assert (first.tolist(), second.tolist()) == ([1, 2, 3], [9, 2, 3])


# What users do wrong


def test_bytes_in_another_order_are_read_as_numbers():
    swapped = np.arange(3).astype(">i8")
    np.testing.assert_array_equal(martlet.Tensor(swapped).numpy(), [0, 1, 2])
    np.testing.assert_array_equal((martlet.ones(3) + swapped.astype(">f4")).numpy(), [1, 2, 3])


@pytest.mark.parametrize("data", ["abc", [1, "a"], np.array(["a"]), np.zeros(2, "M8[s]"), [None]])
def test_what_is_no_number_is_refused(data):
    with pytest.raises(martlet.WrongTypeError, match=r"tensors hold|no element type|There are no tensors"):
        martlet.Tensor(data)


def test_complex_numbers_do_not_become_real_ones():
    with pytest.raises(martlet.WrongTypeError, match="complex128, which float32 cannot hold"):
        martlet.Tensor([1j], dtype="float32")


def test_constants_beyond_their_type_are_refused():
    for call in (
        lambda: martlet.tile(martlet.ones(1), (2**32 + 2,)),
        lambda: martlet.functional.one_hot(martlet.arange(3), one_hot_vector_size=2**32 + 3),
        lambda: martlet.functional.topk(martlet.arange(5), k=2**32 + 1),
        lambda: martlet.fft.fft(martlet.ones(4), n=2**32 + 2),
        lambda: martlet.ones((2, 3)).transpose(2**32, 1),
    ):
        with pytest.raises((IndexError, ValueError)):
            call()


def test_power_takes_no_modulus():
    with pytest.raises(TypeError):
        pow(martlet.arange(3), 2, 3)


def test_a_traced_tensor_can_be_printed():
    seen = []
    martlet.trace(lambda x: seen.append((repr(x), str(x))) or x + 1, martlet.TensorSpec((2, 3)))
    assert seen == [("Tensor(traced, shape=(2, 3), dtype=float32)",) * 2]


def test_threads_may_change_one_tensor():
    shared, errors = martlet.zeros(4), []

    def work():
        nonlocal shared
        try:
            for _ in range(2000):
                shared += 1
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert shared.shape == (4,)
