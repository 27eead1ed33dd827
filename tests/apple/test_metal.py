"""The Metal engine on stand-ins for Apple's frameworks: memory, order, errors.

Run with MARTLET_LIBRARY = the library built with them, plain and with MARTLET_SHIMS_HOSTILE=1."""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import martlet
from martlet import CoreMLBackend, CoreMLBackendConfig
from martlet._native import check, ffi, lib

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


def test_large_tensors_are_not_copied():
    shape = (201, 303)  # whole pages and a part of one
    a, b = (martlet.Tensor(np.full(shape, value, np.float32)).to("metal") for value in (2, 3))
    found = []
    assert grown("nocopy_buffer", lambda: found.append(a + b)) == 2
    np.testing.assert_array_equal(np.asarray(found[0]), np.full(shape, 5, np.float32))


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


def test_when_memory_is_short_what_waits_is_given_back():
    model = martlet.parse(
        program(lines("s = add(x = a, y = b)", shape=(77, 777)), "s", shape=(77, 777)), device="metal"
    )
    a = np.ones((77, 777), np.float32)
    control("buffer", 1)
    np.testing.assert_array_equal(model(a=a, b=a)["s"], 2 * a)


def test_when_there_is_no_memory():
    model = martlet.parse(
        program(lines("s = add(x = a, y = b)", shape=(301, 777)), "s", shape=(301, 777)), device="metal"
    )
    control("buffer", 2)
    with pytest.raises(martlet.OutOfMemoryError, match="Metal has no"):
        model(a=np.ones((301, 777), np.float32), b=np.ones((301, 777), np.float32))


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
    assert not martlet.is_metal_available()
    with pytest.raises(martlet.UnsupportedError, match="no GPU"):
        martlet.parse(SUM, device="metal")


def test_a_gpu_that_gives_no_queue():
    """The queue is made once a process."""
    script = f"""
import ctypes, os, martlet
shims = ctypes.CDLL(os.environ["MARTLET_LIBRARY"])
shims.shim_control(b"queue", 1)
try:
    martlet.parse({SUM!r}, device="metal")
except martlet.UnsupportedError as error:
    print(error)
print(martlet.parse({SUM!r}, device="metal").device)
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    first, second = found.stdout.splitlines()
    assert "no command queue" in first
    assert second == "metal"


def test_a_gpu_that_goes_away():
    """What was compiled before ends in an error that a backend falls back from."""
    ours = backend()
    control("gpu_absent", 1)
    martlet.DeviceCache.global_().update("metal")
    np.testing.assert_array_equal(ours.run("relu", x=HUGE), np.maximum(HUGE, 0))


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


# Custom ops that bring a kernel

TWICE = """
#include <metal_stdlib>
using namespace metal;
kernel void twice(device const float *x [[buffer(0)]], device float *out [[buffer(1)]],
                  uint i [[thread_position_in_grid]]) {
    out[i] = 2 * x[i];
}
"""

TENSORS = [{"name": "x", "dtypes": ["fp32"]}]
ROW_SUMS = """
#include <metal_stdlib>
using namespace metal;
kernel void row_sums(device const float *x [[buffer(0)]], device float *out [[buffer(1)]],
                     constant float &scale [[buffer(2)]], constant uint &columns [[buffer(3)]],
                     threadgroup float *parts [[threadgroup(0)]], uint t [[thread_position_in_threadgroup]],
                     uint row [[threadgroup_position_in_grid]], uint width [[threads_per_threadgroup]]) {
    float sum = 0;
    for (uint i = t; i < columns; i += width) sum += x[row * columns + i];
    parts[t] = sum;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint step = width / 2; step > 0; step /= 2) {
        if (t < step) parts[t] += parts[t + step];
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    if (t == 0) out[row] = parts[0] * scale;
}
"""


@pytest.fixture
def kernel() -> Iterator[Callable[..., None]]:
    """Registers custom ops whose one work is a Metal kernel."""
    names = []

    def register(name: str, source: str, **fields: object) -> None:
        metal = {"source": source, "grid": ["x.size"], "threadgroup": [64]} | fields.pop("metal", {})
        declared = {"name": name, "parameters": TENSORS, "outputs": [{"shape": {"like": "x"}}], "metal": metal} | fields
        check(lib.mlt_custom_op(json.dumps(declared).encode(), ffi.NULL, ffi.NULL, ffi.NULL, ffi.NULL))
        names.append(name)

    yield register
    for name in names:
        check(lib.mlt_custom_op_remove(name.encode()))


BETWEEN = program(lines("s = add(x = a, y = b)", "t = twice(x = s)", "y = add(x = t, y = a)"), "y, t")


@pytest.mark.usefixtures("manners")
def test_a_kernel_runs_between_graphs(kernel):
    kernel("twice", TWICE)
    model = martlet.parse(BETWEEN, device="metal")
    assert [step.kernel for step in model.plan()] == ["graph", "metal kernel", "graph"]
    found = []
    assert grown("kernel_run", lambda: found.append(model(a=A, b=B))) == 1
    np.testing.assert_array_equal(found[0]["t"], 2 * (A + B))
    np.testing.assert_array_equal(found[0]["y"], 2 * (A + B) + A)


def test_every_step_is_observed(kernel):
    kernel("twice", TWICE)
    model = martlet.parse(BETWEEN, device="metal")
    with martlet.profile() as profile:
        model(a=A, b=B)
    assert [step.kernel for step in profile.ops] == ["graph", "metal kernel", "graph"]


def test_a_pipeline_is_made_once(kernel):
    kernel("twice", TWICE + "// of this test alone")
    assert grown("library_made", lambda: martlet.parse(BETWEEN, device="metal")) == 1
    assert grown("library_made", lambda: martlet.parse(BETWEEN.replace("64", "32"), device="metal")) == 0


@pytest.mark.usefixtures("manners")
def test_groups_memory_and_numbers(kernel):
    kernel(
        "row_sums",
        ROW_SUMS,
        parameters=[*TENSORS, {"name": "scale", "dtypes": ["fp32"], "constant": True, "default": 0.5}],
        outputs=[{"shape": ["x.shape[0]"]}],
        metal={
            "grid": ["x.shape[0]"],
            "grid_counts": "threadgroups",
            "threadgroup": [32],
            "memory": [128],
            "buffers": ["x", "out", "scale", {"columns": "x.shape[1]"}],
        },
    )
    text = """program(1.3) { func main<ios18>(tensor<fp32, [64, 256]> a) {
        tensor<fp32, [64]> y = row_sums(x = a%s)[name = string("y")]; } -> (y); }"""
    for argument, scale in (("", 0.5), (", scale = 2.0", 2)):
        got = martlet.parse(text % argument, device="metal")(a=A)["y"]
        np.testing.assert_array_equal(got, A.sum(1) * scale)


@pytest.mark.usefixtures("manners")
def test_a_kernel_finds_zeros(kernel):
    source = TWICE.replace("out[i] = 2", "if (i % 2 == 0) out[i] += 2")
    kernel("twice", source)
    model = martlet.parse(BETWEEN, device="metal")
    wanted = np.where(np.arange(A.size).reshape(SHAPE) % 2 == 0, 2 * (A + B), 0)
    for _ in range(3):
        np.testing.assert_array_equal(model(a=A, b=B)["t"], wanted)


def test_a_grid_of_nothing_leaves_zeros(kernel):
    kernel("twice", TWICE, metal={"grid": ["x.size - x.size"]})
    np.testing.assert_array_equal(martlet.parse(BETWEEN, device="metal")(a=A, b=B)["y"], A)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (TWICE.replace("2 * x[i]", "2 * y[i]"), martlet.MalformedError, "'y'"),
        (TWICE.replace("void twice", "void thrice"), martlet.MalformedError, "there are 'thrice'"),
    ],
)
def test_a_source_that_is_wrong(kernel, source: str, error: type[Exception], message: str):
    kernel("twice", source)
    with pytest.raises(error, match=message):
        martlet.parse(BETWEEN, device="metal")


def test_threadgroups_that_the_kernel_cannot_have(kernel):
    kernel("twice", TWICE)
    control("max_threads", 32)
    with pytest.raises(martlet.InvalidArgumentError, match="may have 32 threads"):
        martlet.parse(BETWEEN, device="metal")


def test_memory_that_no_threadgroup_has(kernel):
    kernel(
        "twice",
        TWICE.replace("out[i] = ", "threadgroup float all[4096]; all[i % 4096] = 0; out[i] = "),
        metal={"memory": [20480]},
    )
    with pytest.raises(martlet.InvalidArgumentError, match="threadgroup memory"):
        martlet.parse(BETWEEN, device="metal")


@pytest.mark.parametrize("fault", ["encoder", "gpu"])
def test_a_kernel_that_fails(kernel, fault: str):
    kernel("twice", TWICE)
    model = martlet.parse(BETWEEN, device="metal")
    control(fault, 1)
    with pytest.raises(martlet.UnsupportedError):
        model(a=A, b=B)
    np.testing.assert_array_equal(model(a=A, b=B)["t"], 2 * (A + B))


def test_types_that_kernels_lack(kernel):
    kernel("twice", TWICE, parameters=[{"name": "x", "dtypes": ["fp64"]}])
    with pytest.raises(martlet.UnsupportedError, match="fp64"):
        martlet.parse(BETWEEN.replace("fp32", "fp64").replace("add(x = s", "add(x = s"), device="metal")


def test_a_callback_alone_is_refused():
    @martlet.custom_op("squared_here")
    def squared_here(x):
        return x * x

    text = program(lines("y = squared_here(x = a)"), "y")
    with pytest.raises(martlet.UnsupportedError, match="has no Metal kernel"):
        martlet.parse(text, device="metal")
    check(lib.mlt_custom_op_remove(b"squared_here"))
