"""Many predictions at once: batches, and predictions that an event loop waits for."""

import asyncio
import gc
import threading
import time

import numpy as np
import pytest
from conftest import HEAVY, OPEN, RESHAPED, SUM

import martlet

COUNTING = """
program(1.3) { func main<ios18>(state<tensor<fp32, [1]>> count, tensor<fp32, [1]> x) {
    tensor<fp32, [1]> before = read_state(input = count)[name = string("before")];
    tensor<fp32, [1]> y = add(x = before, y = x)[name = string("y")];
    write_state(input = count, data = y);
} -> (y); }
"""


def elements(count):
    return [
        {"a": np.full((2, 3), index, np.float32), "b": np.arange(6, dtype=np.float32).reshape(2, 3)}
        for index in range(count)
    ]


@pytest.mark.parametrize("count", [0, 1, 2, 33])
def test_a_batch_gives_what_single_predictions_give(sum_model, count):
    batch = elements(count)
    found = sum_model.predict_batch(batch)
    assert len(found) == count
    for inputs, outputs in zip(batch, found, strict=True):
        assert list(outputs) == ["sum", "product"]
        np.testing.assert_array_equal(outputs["sum"], inputs["a"] + inputs["b"])
        np.testing.assert_array_equal(outputs["product"], inputs["a"] * (inputs["a"] + inputs["b"]))


def test_a_batch_of_an_iterator(sum_model):
    assert len(sum_model.predict_batch(each for each in elements(3))) == 3


def test_a_batch_of_different_shapes(load):
    sizes = [3, 1, 3, 2, 1]
    found = load(OPEN).predict_batch([{"x": np.linspace(-1, index, size)[None]} for index, size in enumerate(sizes)])
    for index, (size, outputs) in enumerate(zip(sizes, found, strict=True)):
        np.testing.assert_allclose(outputs["y"], np.maximum(np.linspace(-1, index, size), 0)[None], rtol=1e-6)


def test_values_of_a_batch_are_converted(load):
    found = load(OPEN).predict_batch([{"x": [[1, -2]]}, {"x": np.array([[3, -4]], np.int8)}])
    assert [each["y"].tolist() for each in found] == [[[1, 0]], [[3, 0]]]


def test_results_of_a_batch_are_not_the_callers_memory(load):
    batch = [{"x": np.full((2, 3), index, np.float32)} for index in range(3)]
    found = load(RESHAPED).predict_batch(batch)
    for inputs in batch:
        inputs["x"][:] = -1
    del batch
    gc.collect()
    assert [each["y"].tolist() for each in found] == [[index] * 6 for index in range(3)]


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"a": np.zeros((2, 3), np.float32)}, martlet.InvalidArgumentError, "Element 2: The input 'b' is missing"),
        ({"a": np.zeros(3), "b": np.zeros((2, 3))}, martlet.InvalidArgumentError, r"Element 2: .*shape \[3\]"),
        ([1, 2], martlet.WrongTypeError, "Element 2: .*list"),
        ({"a": np.array([["u"]]), "b": 0}, martlet.WrongTypeError, "Element 2: The input 'a'"),
    ],
)
def test_a_wrong_element_is_named(sum_model, wrong, error, words):
    with pytest.raises(error, match=words):
        sum_model.predict_batch([*elements(2), wrong, *elements(1)])


def test_a_batch_on_a_backend_counts_every_run(package):
    backend = martlet.CoreMLBackend()
    model = backend.load(package(SUM))
    before = backend.get_stats().total_operations
    model.predict_batch(elements(5))
    assert backend.get_stats().total_operations - before == 5


def test_a_profile_has_every_run_of_a_batch(sum_model):
    with martlet.profile() as profile:
        sum_model.predict_batch(elements(4))
    assert len(profile.runs) == 4


# Asynchronous predictions


def test_async_gives_what_predict_gives(sum_model):
    inputs = elements(3)[2]
    found = asyncio.run(sum_model.predict_async(inputs))
    np.testing.assert_array_equal(found["sum"], inputs["a"] + inputs["b"])


def test_many_at_a_time(sum_model):
    batch = elements(40)

    async def all_of_them():
        return await asyncio.gather(*(sum_model.predict_async(inputs) for inputs in batch))

    for inputs, outputs in zip(batch, asyncio.run(all_of_them()), strict=True):
        np.testing.assert_array_equal(outputs["sum"], inputs["a"] + inputs["b"])


def test_the_event_loop_goes_on(load):
    model = load(HEAVY)
    model.predict({"x": np.zeros((1536, 1536), np.float32)})

    async def count():
        ticks = 0
        prediction = asyncio.ensure_future(model.predict_async({"x": np.zeros((1536, 1536), np.float32)}))
        while not prediction.done():
            await asyncio.sleep(0.001)
            ticks += 1
        await prediction
        return ticks

    assert asyncio.run(count()) > 3


def test_inputs_are_held_until_it_is_over(load):
    model = load(HEAVY)

    async def predict():
        prediction = asyncio.ensure_future(model.predict_async({"x": np.full((1536, 1536), 1 / 1536, np.float32)}))
        await asyncio.sleep(0)
        gc.collect()
        junk = [np.full((1536, 1536), np.nan, np.float32) for _ in range(4)]
        found = await prediction
        del junk
        return found

    np.testing.assert_allclose(asyncio.run(predict())["y"], 1 / 1536, rtol=1e-4)


def test_failures_arrive_where_it_is_awaited(sum_model):
    with pytest.raises(martlet.InvalidArgumentError, match="missing"):
        asyncio.run(sum_model.predict_async({"a": np.zeros((2, 3))}))


def test_cancelling_is_safe(package):
    """The call that is cancelled ends on its thread, its state is free again, and others go on."""
    model = martlet.load(package(HEAVY))
    counting = martlet.load(package(COUNTING))
    x = np.zeros((1536, 1536), np.float32)

    async def cancel():
        prediction = asyncio.ensure_future(model.predict_async({"x": x}))
        await asyncio.sleep(0.01)
        prediction.cancel()
        with pytest.raises(asyncio.CancelledError):
            await prediction
        return await model.predict_async({"x": x + 1})

    assert asyncio.run(cancel())["y"].shape == (1536, 1536)

    async def cancel_with_state():
        state = counting.make_state()
        prediction = asyncio.ensure_future(counting.predict_async({"x": [1]}, state))
        await asyncio.sleep(0)
        prediction.cancel()
        await asyncio.sleep(0.05)
        held = state["count"].item()
        assert held in (0, 1)
        found = await counting.predict_async({"x": [1]}, state)
        assert found["y"].item() == held + 1

    asyncio.run(cancel_with_state())


def test_one_state_at_a_time_each(package):
    model = martlet.load(package(COUNTING))

    async def count(steps):
        state = model.make_state()
        for _ in range(steps):
            await model.predict_async({"x": [1]}, state)
        return state["count"].item()

    async def all_of_them():
        return await asyncio.gather(*(count(steps) for steps in (5, 1, 7, 3)))

    assert asyncio.run(all_of_them()) == [5, 1, 7, 3]


def test_batches_from_several_threads(sum_model):
    wrong = []

    def work(first):
        for _ in range(20):
            batch = elements(5)
            for inputs in batch:
                inputs["a"] += first
            for inputs, outputs in zip(batch, sum_model.predict_batch(batch), strict=True):
                if not np.array_equal(outputs["sum"], inputs["a"] + inputs["b"]):
                    wrong.append(first)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_batch_costs_no_more_than_single_predictions(sum_model):
    batch = elements(200)
    sum_model.predict_batch(batch)
    start = time.perf_counter()
    sum_model.predict_batch(batch)
    together = time.perf_counter() - start
    start = time.perf_counter()
    for inputs in batch:
        sum_model.predict(inputs)
    assert together < 3 * (time.perf_counter() - start)
