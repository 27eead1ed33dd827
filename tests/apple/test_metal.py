"""The Metal engine on stand-ins for Apple's frameworks: memory, order, errors.

Run with MARTLET_LIBRARY = the library built with them, plain and with MARTLET_SHIMS_HOSTILE=1."""

from __future__ import annotations

import ctypes
import mmap
import os
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import martlet
from martlet import CoreMLBackend, CoreMLBackendConfig

SHIMS = ctypes.CDLL(os.environ["MARTLET_LIBRARY"])
SHIMS.shim_control.argtypes = [ctypes.c_char_p, ctypes.c_long]
SHIMS.shim_value.argtypes = [ctypes.c_char_p]
SHIMS.shim_value.restype = ctypes.c_long

# Enough bytes for several pages, and a type of which the two operands cannot be exchanged.
SHAPE = (64, 256)
A = (np.arange(64 * 256, dtype=np.float32).reshape(SHAPE) % 17) - 8
B = np.flip(A) * 2 + 1


def control(name: str, value: int) -> None:
    SHIMS.shim_control(name.encode(), value)


def value(name: str) -> int:
    return SHIMS.shim_value(name.encode())


@pytest.fixture(autouse=True)
def no_faults_left() -> Iterator[None]:
    yield
    for name in ("gpu", "gpu_memory", "gpu_absent", "nocopy", "buffer", "queue", "command_buffer", "encoder"):
        control(name, -1)
    for name in ("max_buffer_length", "max_threads", "working_set", "hostile"):
        control(name, -1)
    martlet.DeviceCache.global_().update("metal")


@pytest.fixture(params=["plain", "hostile"])
def manners(request: pytest.FixtureRequest) -> str:
    """Both ways in which the stand-ins behave."""
    control("hostile", int(request.param == "hostile"))
    return request.param


def program(lines: str, results: str, shape: tuple[int, ...] = SHAPE, dtype: str = "fp32") -> str:
    """A program of the inputs a and b."""
    tensor = f"tensor<{dtype}, {list(shape)}>"
    return f"program(1.3) {{ func main<ios18>({tensor} a, {tensor} b) {{ {lines} }} -> ({results}); }}"


def lines(*assignments: str, shape: tuple[int, ...] = SHAPE, dtype: str = "fp32") -> str:
    """Lines such as `y = relu(x = a)` with the type of every result in front."""
    tensor = f"tensor<{dtype}, {list(shape)}>"
    return " ".join(f'{tensor} {each}[name = string("{each.split()[0]}")];' for each in assignments)


def grown(name: str, work: Callable[[], object]) -> int:
    """By how much a counter of the stand-ins grows while something is done."""
    before = value(name)
    work()
    return value(name) - before


SUM = program(lines("s = add(x = a, y = b)", "y = relu(x = s)"), "s, y")


# What runs


def test_metal_is_there():
    metal = next(each for each in martlet.devices() if each["name"] == "metal")
    assert metal["available"]
    assert "Stand-in GPU" in metal["summary"]
    assert "memory shared" in metal["summary"]


@pytest.mark.usefixtures("manners")
def test_a_program_is_one_graph():
    model = martlet.parse(SUM, device="metal")
    assert grown("graph_run", lambda: model(a=A, b=B)) == 1
    got = model(a=A, b=B)
    np.testing.assert_array_equal(got["s"], A + B)
    np.testing.assert_array_equal(got["y"], np.maximum(A + B, 0))
    (step,) = model.plan().steps
    assert list(step.ops) == ["add", "relu"]
    assert model.plan().device == "metal"


@pytest.mark.usefixtures("manners")
def test_inputs_go_where_the_executable_wants_them():
    """Apple's order of feeds is not ours: a program in which the two inputs differ in shape and use."""
    text = """
    program(1.3) { func main<ios18>(tensor<fp32, [4, 1]> a, tensor<fp32, [1, 3]> b, tensor<fp32, [4, 3]> c) {
        tensor<fp32, [4, 3]> s = add(x = a, y = b)[name = string("s")];
        tensor<fp32, [4, 3]> r = relu(x = s)[name = string("r")];
        tensor<fp32, [4, 3]> y = add(x = r, y = c)[name = string("y")];
    } -> (y); }
    """
    a, b = np.float32([[-3], [1], [2], [5]]), np.float32([[0, -4, 9]])
    c = np.arange(12, dtype=np.float32).reshape(4, 3)
    got = martlet.parse(text, device="metal")(a=a, b=b, c=c)["y"]
    np.testing.assert_array_equal(got, np.maximum(a + b, 0) + c)


@pytest.mark.usefixtures("manners")
def test_results_that_nothing_computes():
    text = program(
        lines("s = add(x = a, y = b)")
        + 'tensor<fp32, [2]> k = const()[name = string("k"), val = tensor<fp32, [2]>([3, 4])];',
        "s, a, k",
    )
    given = A.copy()
    got = martlet.parse(text, device="metal")(a=given, b=B)
    given[:] = 0  # results are not the caller's memory
    np.testing.assert_array_equal(got["s"], A + B)
    np.testing.assert_array_equal(got["a"], A)
    np.testing.assert_array_equal(got["k"], [3, 4])


@pytest.mark.usefixtures("manners")
def test_scalars_and_fp16():
    text = program(lines("s = add(x = a, y = b)", shape=(), dtype="fp16"), "s", shape=(), dtype="fp16")
    got = martlet.parse(text, device="metal")(a=np.float16(1.5), b=np.float16(-4))["s"]
    assert got.dtype == np.float16
    assert got.reshape(()) == np.float16(-2.5)


def test_threads_share_an_executable():
    control("hostile", 1)
    model = martlet.parse(SUM, device="metal")
    wrong = []

    def work(number: int) -> None:
        for _ in range(5):
            if not np.array_equal(model(a=A + number, b=B)["s"], A + number + B):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not wrong


def test_steps_are_recorded():
    model = martlet.parse(SUM, device="metal")
    with martlet.profile() as profile:
        model(a=A, b=B)
    (step,) = profile.ops
    assert step.device == "metal"
    assert step.kernel == "graph"
    assert step.duration_ns > 0


# Memory


@pytest.mark.usefixtures("manners")
def test_buffers_are_used_again():
    model = martlet.parse(SUM, device="metal")
    for _ in range(3):
        model(a=A, b=B)

    def work() -> None:
        for _ in range(10):
            np.testing.assert_array_equal(model(a=A, b=B)["s"], A + B)

    assert grown("buffer_made", work) == 0


def test_results_that_are_held_are_not_written_again():
    model = martlet.parse(SUM, device="metal")
    held = [model(a=A + number, b=B)["s"] for number in range(6)]
    for number, array in enumerate(held):
        np.testing.assert_array_equal(array, A + number + B)


def paged(array: np.ndarray) -> np.ndarray:
    """The same elements in whole pages of their own."""
    size = -(-array.nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
    result = np.frombuffer(mmap.mmap(-1, size), array.dtype, array.size).reshape(array.shape)
    result[:] = array
    return result


@pytest.mark.usefixtures("manners")
def test_whole_pages_are_not_copied():
    model = martlet.parse(SUM, device="metal")
    a, b = paged(A), paged(B)
    found = []
    assert grown("nocopy_buffer", lambda: found.append(model(a=a, b=b)["s"])) == 2
    np.testing.assert_array_equal(found[0], A + B)


def test_memory_that_metal_declines_is_copied():
    model = martlet.parse(SUM, device="metal")
    a, b = paged(A), paged(B)
    control("nocopy", 1)
    found = []
    assert grown("nocopy_buffer", lambda: found.append(model(a=a, b=b)["s"])) == 1
    np.testing.assert_array_equal(found[0], A + B)


def test_results_come_back_as_inputs_without_a_copy():
    model = martlet.parse(SUM, device="metal")
    first = model(a=A, b=B)["s"]
    second = model(a=first, b=first)["s"]
    del second
    assert grown("buffer_made", lambda: model(a=first, b=first)) == 0
    np.testing.assert_array_equal(model(a=first, b=first)["s"], 2 * (A + B))


def test_what_no_buffer_holds_is_refused():
    model = martlet.parse(SUM, device="metal")
    control("max_buffer_length", 4096)
    with pytest.raises(martlet.OutOfMemoryError, match="buffer"):
        model(a=A, b=B)
    control("max_buffer_length", -1)
    np.testing.assert_array_equal(model(a=A, b=B)["s"], A + B)


def test_what_the_gpu_cannot_work_with_is_refused():
    control("working_set", A.nbytes * 2)
    with pytest.raises(martlet.OutOfMemoryError, match="the GPU works with"):
        martlet.parse(SUM, device="metal")


# What is refused


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (program(lines("s = add(x = a, y = b)", dtype="fp64"), "s", dtype="fp64"), "fp64"),
        (program(lines("s = add(x = a, y = b)", shape=(0, 3)), "s", shape=(0, 3)), "no empty tensors"),
        (program(lines("s = add(x = a, y = b)", shape=(1,) * 17), "s", shape=(1,) * 17), "rank 17"),
    ],
)
def test_what_the_graph_cannot_hold(text: str, reason: str):
    with pytest.raises(martlet.UnsupportedError, match=reason):
        martlet.parse(text, device="metal")


def test_without_a_gpu():
    control("gpu_absent", 1)
    martlet.DeviceCache.global_().update("metal")
    with pytest.raises(martlet.UnsupportedError, match="no GPU"):
        martlet.parse(SUM, device="metal")


# Errors


@pytest.mark.usefixtures("manners")
@pytest.mark.parametrize("fault", ["gpu", "command_buffer"])
def test_an_error_names_the_gpu_and_the_next_run_is_right(fault: str):
    model = martlet.parse(SUM, device="metal")
    control(fault, 1)
    with pytest.raises(martlet.UnsupportedError):
        model(a=A, b=B)
    np.testing.assert_array_equal(model(a=A, b=B)["s"], A + B)


def test_memory_that_the_gpu_lacks():
    model = martlet.parse(SUM, device="metal")
    control("gpu_memory", 1)
    with pytest.raises(martlet.OutOfMemoryError):
        model(a=A, b=B)


def backend(**config: object) -> CoreMLBackend:
    martlet.DeviceCache.global_().update("metal")
    return CoreMLBackend(CoreMLBackendConfig(**config))


# What is larger than this goes to the GPU, and not to Core ML, before anything is measured.
HUGE = np.linspace(-1, 1, 1030 * 1030, dtype=np.float32).reshape(1030, 1030)


@pytest.mark.usefixtures("manners")
def test_a_backend_falls_back_and_counts():
    ours = backend()
    assert grown("graph_run", lambda: ours.run("relu", x=HUGE)) >= 1
    control("gpu", 1)
    np.testing.assert_array_equal(ours.run("relu", x=HUGE), np.maximum(HUGE, 0))
    stats = ours.get_stats()
    assert stats.fallback_operations == 1
    (reason,) = stats.fallbacks["metal"]
    assert "GPU did not finish" in reason


def test_a_backend_without_fallback_says_why():
    ours = backend(auto_fallback=False)
    control("gpu", 1)
    with pytest.raises(martlet.UnsupportedError, match="GPU did not finish"):
        ours.run("relu", x=HUGE)


def test_executables_are_kept_per_shape_up_to_a_number():
    ours = backend(max_cache_size=2)
    shapes = [HUGE[:, :count].copy() for count in (1028, 1029, 1030)]

    def work() -> None:
        for each in shapes:
            ours.run("relu", x=each)

    assert grown("graph_compiled", work) == 3
    assert grown("graph_compiled", lambda: ours.run("relu", x=shapes[2])) == 0
    assert grown("graph_compiled", lambda: ours.run("relu", x=shapes[0])) == 1
    assert ours.get_stats().cache_entries == 2
