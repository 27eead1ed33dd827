"""Threads: many may predict with one model, and Python goes on meanwhile; how many a prediction takes."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import HEAVY, OPEN, WEIGHTS

import martlet


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


CHANGES = """
import sys, threading, time
import numpy as np
import martlet

generator = np.random.default_rng(0)
weights = (generator.normal(size=(2, 256, 256)) / 16).astype(np.float32)
text = "program(1.3) { func main<ios18>(tensor<fp32, [200, 256]> x) {"
for index in range(2):
    text += f"w{index} = const()[val = tensor<fp32, [256, 256]>({weights[index].ravel().tolist()})];"
text += "h = matmul(x = x, y = w0); r = relu(x = h); y = matmul(x = r, y = w1);"
text += "z = softmax(x = y, axis = -1); } -> (z); }"
x = generator.normal(size=(200, 256)).astype(np.float32)
exact = np.maximum(x.astype(np.float64) @ weights[0], 0) @ weights[1]
exact = np.exp(exact - exact.max(-1, keepdims=True))
exact /= exact.sum(-1, keepdims=True)
model = martlet.parse(text, device=sys.argv[1])
stop, wrong = threading.Event(), []

def work():
    while not stop.is_set():
        if np.abs(model(x=x)["z"] - exact).max() > 1e-5:
            wrong.append(1)

workers = [threading.Thread(target=work) for _ in range(4)]
for worker in workers:
    worker.start()
for turn in range(1500):
    martlet.set_num_threads((1, 8)[turn % 2])
    time.sleep(0.001)
stop.set()
for worker in workers:
    worker.join()
assert not wrong
"""


@pytest.mark.parametrize("device", ["cpu", "cpu:portable"])
def test_the_number_of_threads_may_change_during_predictions(device):
    done = subprocess.run([sys.executable, "-c", CHANGES, device], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("count", [-1, 257, 10**6, 2**31, 10**20])
def test_impossible_numbers_of_threads_are_refused(count):
    before = martlet.get_num_threads()
    with pytest.raises(martlet.InvalidArgumentError, match="threads are not possible"):
        martlet.set_num_threads(count)
    assert martlet.get_num_threads() == before


def test_a_number_of_threads_is_whole():
    with pytest.raises(martlet.WrongTypeError, match="must be an integer"):
        martlet.set_num_threads(1.5)
    with pytest.raises(martlet.WrongTypeError, match="must be an integer"):
        martlet.parse(PRODUCT, threads="2")


PRODUCT = "program(1.3) { func main<ios18>(tensor<fp32, [512, 512]> x) { y = matmul(x = x, y = x); } -> (y); }"

# A caller that had to wait for a worker goes on alone for some milliseconds: the most of a hundred predictions counts.
COUNT = """
import os, sys
import numpy as np
import martlet

def workers():
    names = [open(f"/proc/self/task/{each}/comm").read() for each in os.listdir("/proc/self/task")]
    return sum(name.startswith("martlet-") for name in names)

x = np.full((512, 512), 0.25, np.float32)
def predict(model):
    for _ in range(100):
        np.testing.assert_array_equal(model(x=x)["y"], np.full((512, 512), 32, np.float32))
    return workers()
"""


def counted(script, **environment):
    """What a script prints that begins with COUNT, in a process with this environment alone about threads."""
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", COUNT + f"text = {PRODUCT!r}\n" + script],
        capture_output=True,
        text=True,
        timeout=300,
        env=kept | environment,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split(), done.stderr


needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are counted in Linux's /proc")


@needs_proc
@pytest.mark.parametrize("device", ["cpu", "cpu:portable"])
def test_a_model_has_a_number_of_threads(device):
    script = f"""
for threads in (1, 3, 2, 5):
    print(predict(martlet.parse(text, {device!r}, threads=threads)))
martlet.set_num_threads(7)
print(predict(martlet.parse(text, {device!r}, threads=1)), predict(martlet.parse(text, {device!r})))
"""
    assert counted(script)[0] == ["0", "2", "2", "4", "4", "6"]


@needs_proc
def test_a_model_keeps_its_number_of_threads(tmp_path):
    script = f"""
model = martlet.parse(text, threads=1)
model.save({str(tmp_path / "product.mlpackage")!r})
print(predict(model), predict(model.select("main")))
print(predict(martlet.load({str(tmp_path / "product.mlpackage")!r}, threads=1)))
print(predict(martlet.parse(text, "cpu:single", threads=4)))
print(predict(martlet.load({str(tmp_path / "product.mlpackage")!r}, threads=4)))
"""
    assert counted(script)[0] == ["0", "0", "0", "0", "3"]


@needs_proc
@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"MARTLET_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "4"}, 4),
        ({"OMP_NUM_THREADS": "5,2"}, 5),
        ({"MARTLET_NUM_THREADS": "2", "OMP_NUM_THREADS": "4"}, 2),
        ({"MARTLET_NUM_THREADS": "1"}, 1),
    ],
)
def test_the_environment_sets_the_number_of_threads(environment, expected):
    script = "print(martlet.get_num_threads(), predict(martlet.parse(text, 'cpu')))"
    assert counted(script, **environment)[0] == [str(expected), str(expected - 1)]


@pytest.mark.parametrize("value", ["0", "-1", "257", "two", ""])
def test_an_impossible_number_of_the_environment_is_reported(value):
    printed, logged = counted("print(martlet.get_num_threads())", MARTLET_NUM_THREADS=value, OMP_NUM_THREADS="3")
    assert printed == ["3"]
    assert not value or f"MARTLET_NUM_THREADS is '{value}', which is ignored" in logged


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity to set")
def test_affinity_bounds_the_number_of_threads():
    script = """
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
print(martlet.get_num_threads(), predict(martlet.parse(text, "cpu")))
"""
    assert counted(script)[0] == ["1", "0"]


@pytest.mark.parametrize("threads", [-1, 257, 2**31, 10**20])
def test_impossible_numbers_of_threads_of_a_model_are_refused(threads):
    with pytest.raises(martlet.InvalidArgumentError, match="threads are not possible"):
        martlet.parse(PRODUCT, threads=threads)
