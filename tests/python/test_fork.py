"""Forked children: they predict and compute, whatever the parent did with the library before, or does meanwhile."""

import asyncio
import multiprocessing
import os
import signal
import threading
import time

import numpy as np
import pytest
from conftest import HEAVY

import martlet

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]

X = (np.random.default_rng(0).standard_normal((1536, 1536)) / 40).astype(np.float32)
PATIENCE = 60


def in_child(work):
    """The exit status of a forked child that runs `work`; one that hangs is killed."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError("the child hangs")


@pytest.fixture
def heavy(load):
    """A model whose work several threads share, and what it gives for X: the same bits each time."""
    model = load(HEAVY)
    expected = model(x=X)["y"].copy()
    np.testing.assert_allclose(expected, X @ X @ X @ X @ X, rtol=0, atol=1e-4)
    return model, expected


def test_a_child_predicts_as_its_parent_did(heavy):
    model, expected = heavy
    assert in_child(lambda: np.testing.assert_array_equal(model(x=X)["y"], expected)) == 0
    np.testing.assert_array_equal(model(x=X)["y"], expected)


def test_a_child_loads_and_predicts(heavy, tmp_path):
    model, expected = heavy
    model.save(tmp_path / "heavy.mlpackage")

    def work():
        np.testing.assert_array_equal(martlet.load(tmp_path / "heavy.mlpackage")(x=X)["y"], expected)

    assert in_child(work) == 0


def test_children_of_a_parent_that_predicts_meanwhile(heavy):
    model, expected = heavy
    done = threading.Event()

    def predict():
        while not done.is_set():
            model(x=X)

    threads = [threading.Thread(target=predict) for _ in range(3)]
    for each in threads:
        each.start()
    try:
        for _ in range(5):
            assert in_child(lambda: np.testing.assert_array_equal(model(x=X)["y"], expected)) == 0
    finally:
        done.set()
        for each in threads:
            each.join()


def test_a_child_computes_with_tensors_of_its_parent():
    x = martlet.asarray(X[:64, :64])

    def work():
        np.testing.assert_allclose(np.asarray(x @ x + 1), X[:64, :64] @ X[:64, :64] + 1, rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(np.asarray(x.relu()), np.maximum(X[:64, :64], 0))

    work()
    assert in_child(work) == 0


def test_a_child_predicts_asynchronously(heavy):
    model, expected = heavy
    inputs = {"x": X}
    asyncio.run(model.predict_async(inputs))

    def work():
        np.testing.assert_array_equal(asyncio.run(model.predict_async(inputs))["y"], expected)

    assert in_child(work) == 0


def doubled(number):
    return float(np.asarray(martlet.asarray(np.full((256, 256), number, np.float32)) * 2)[0, 0])


def test_a_pool_of_forked_processes():
    assert doubled(1) == 2
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(doubled, range(8)) == [2.0 * number for number in range(8)]
