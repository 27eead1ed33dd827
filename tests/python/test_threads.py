"""Threads: many may predict with one model, and Python goes on meanwhile."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from conftest import HEAVY, OPEN, WEIGHTS


def test_eight_threads_on_one_model(load):
    model = load(WEIGHTS)
    generator = np.random.default_rng(0)
    inputs = generator.standard_normal((8, 1, 4)).astype(np.float32)
    expected = [model(x=each)["y"].copy() for each in inputs]

    def work(index):
        for _ in range(200):
            np.testing.assert_array_equal(model(x=inputs[index])["y"], expected[index])
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


def test_eight_threads_with_shapes_of_their_own(load):
    model = load(OPEN)

    def work(index):
        for turn in range(100):
            x = np.full((1, (index + turn) % 5 + 1), index - 3.0, np.float32)
            np.testing.assert_array_equal(model(x=x)["y"], np.maximum(x, 0))
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


def test_eight_threads_load_at_once(package):
    import martlet

    path = package(WEIGHTS)
    x = np.ones((1, 4), np.float32)
    expected = martlet.load(path)(x=x)["y"]
    with ThreadPoolExecutor(8) as pool:
        for model in pool.map(lambda _: martlet.load(path), range(32)):
            np.testing.assert_array_equal(model(x=x)["y"], expected)


def test_python_goes_on_during_a_prediction(load):
    model = load(HEAVY)
    x = np.full((1536, 1536), 1e-3, np.float32)
    model(x=x)
    seen = []
    done = threading.Event()

    def watch():
        while not done.is_set():
            seen.append(time.perf_counter())
            time.sleep(0.001)

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.perf_counter()
    for _ in range(3):
        model(x=x)
    ended = time.perf_counter()
    done.set()
    watcher.join()
    during = sum(began < moment < ended for moment in seen)
    # A prediction that held Python's lock would let the watcher look between predictions only.
    assert during >= 10, f"the other thread ran {during} times in {ended - began:.2f} s"
