"""Custom ops: Python and C functions in the language."""

import ctypes
import gc
import os
import shutil
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import ROOT
from numpy.typing import NDArray

import martlet
from martlet._call import forget
from martlet._native import check, lib
from martlet.custom import ENTRIES

NUMBERS = np.array([[-2, -1, 0], [1, 2, 3]], np.float32)


@pytest.fixture(autouse=True)
def no_custom_ops_left():
    yield
    for op in martlet.ops():
        if op["custom"]:
            check(lib.mlt_custom_op_remove(op["name"].encode()))
            forget(op["name"])


def between(line: str, dtype: str = "fp32") -> str:
    """A program with a line between additions of x: h = x + x, then the line from h to c, then y = c + x."""
    return f"""
    program(1.3) {{ func main<ios18>(tensor<{dtype}, [2, 3]> x) {{
        tensor<{dtype}, [2, 3]> h = add(x = x, y = x)[name = string("h")];
        {line}
        tensor<{dtype}, [2, 3]> y = add(x = c, y = x)[name = string("y")];
    }} -> (y); }}
    """


def alone(line: str, dtype: str = "fp32", shape: str = "[2, 3]") -> str:
    """A program of one line from x to y."""
    return f"program(1.3) {{ func main<ios18>(tensor<{dtype}, {shape}> x) {{ {line} }} -> (y); }}"


# What it computes


def test_in_the_middle_of_a_program():
    @martlet.custom_op("cubed")
    def cubed(x):
        return x**3

    model = martlet.parse(between("c = cubed(x = h);"))
    np.testing.assert_allclose(model(x=NUMBERS)["y"], (2 * NUMBERS) ** 3 + NUMBERS)
    assert repr(cubed) == "<custom op cubed(x)>"


@pytest.mark.parametrize("device", ["cpu", "cpu:declared", "cpu:portable"])
def test_fp16_arrives_as_fp16(device):
    seen = []

    @martlet.custom_op("halves")
    def halves(x, y):
        seen.append((x.dtype.name, y.dtype.name))
        return x + y

    text = between("c = halves(x = h, y = x);", "fp16")
    model = martlet.parse(text, device=device)
    x = NUMBERS.astype(np.float16)
    y = model(x=x)["y"]
    assert y.dtype == np.float16
    np.testing.assert_array_equal(y, 4 * x)
    assert seen == [("float16", "float16")]


def test_fp16_constants_and_results_as_outputs():
    @martlet.custom_op("halves")
    def halves(x, y):
        assert x.dtype == y.dtype == np.float16
        return x * y

    text = alone("y = halves(x = x, y = tensor<fp16, [3]>([1, 2, 3]));", "fp16")
    y = martlet.parse(text)(x=NUMBERS.astype(np.float16))["y"]
    assert y.dtype == np.float16
    np.testing.assert_array_equal(y, NUMBERS * [1, 2, 3])


DTYPES = [
    *("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_goes_in_and_out(dtype):
    @martlet.custom_op("flipped", outputs="x")
    def flipped(x):
        assert x.dtype == dtype
        return x[::-1]

    name = {"float16": "fp16", "float32": "fp32", "float64": "fp64"}.get(dtype, dtype)
    x = np.array([3, 0, 1, 7]).astype(dtype)
    y = martlet.parse(alone("y = flipped(x = x);", name, "[4]"))(x=x)["y"]
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, x[::-1])


def test_views_arrive_dense():
    @martlet.custom_op("copied")
    def copied(x):
        assert x.flags.c_contiguous
        return x

    text = alone("t = transpose(x = x, perm = [1, 0]); y = copied(x = t);")
    np.testing.assert_array_equal(martlet.parse(text)(x=NUMBERS)["y"], NUMBERS.T)


def test_constants_and_their_defaults():
    @martlet.custom_op("rescaled")
    def rescaled(
        x, scale: float = 2.0, shift: int = 1, mode: str = "plain", negate: bool = False, offsets=(1.0, 2.0, 3.0)
    ):
        assert (type(scale), type(shift), type(mode), type(negate)) == (float, int, str, bool)
        assert mode in ("plain", "doubled")
        y = x * scale + shift + offsets
        return (-y if negate else y) * (2 if mode == "doubled" else 1)

    offsets = np.array([1, 2, 3], np.float32)
    plain = martlet.parse(alone("y = rescaled(x = x);"))(x=NUMBERS)["y"]
    np.testing.assert_array_equal(plain, NUMBERS * 2 + 1 + offsets)
    text = 'y = rescaled(x = x, scale = 0.5, shift = 3, mode = "doubled", negate = true, offsets = [0.0, 0.0, 0.0]);'
    np.testing.assert_array_equal(martlet.parse(alone(text))(x=NUMBERS)["y"], -(NUMBERS * 0.5 + 3) * 2)


def test_several_outputs_written_in_place():
    @martlet.custom_op("parts", outputs=("x", martlet.Result("int32", (2,)), martlet.Result("bool", "x")))
    def parts(x, out):
        squares, counts, signs = out
        np.square(x, out=squares)
        counts[:] = (x > 0).sum(axis=1)
        np.less(x, 0, out=signs)

    text = (
        "program(1.3) { func main<ios18>(tensor<fp32, [2, 3]> x) "
        "{ a, b, c = parts(x = x); z = relu(x = a); } -> (z, b, c); }"
    )
    result = martlet.parse(text)(x=NUMBERS)
    np.testing.assert_array_equal(result["z"], NUMBERS**2)
    np.testing.assert_array_equal(result["b"], [0, 3])
    np.testing.assert_array_equal(result["c"], NUMBERS < 0)


def test_shapes_broadcast():
    martlet.custom_op("hypotenuse", np.hypot)
    text = (
        "program(1.3) { func main<ios18>(tensor<fp32, [2, 1]> x, tensor<fp32, [3]> y) "
        "{ z = hypotenuse(x = x, y = y); } -> (z); }"
    )
    x, y = np.array([[3], [5]], np.float32), np.array([4, 12, 0], np.float32)
    np.testing.assert_allclose(martlet.parse(text)(x=x, y=y)["z"], np.sqrt(x * x + y * y), rtol=1e-6)


def test_types_by_a_function():
    def infer(x, times):
        return martlet.Result(x.dtype, (x.shape[0] * times, *x.shape[1:]))

    @martlet.custom_op("repeated", infer=infer)
    def repeated(x, times: int):
        return np.tile(x, (times, 1))

    model = martlet.parse(alone("y = repeated(x = x, times = 3);"))
    assert model.outputs[0].shape == (6, 3)
    np.testing.assert_array_equal(model(x=NUMBERS)["y"], np.concatenate([NUMBERS] * 3))


def test_open_shapes():
    shapes = []

    @martlet.custom_op("seen")
    def seen(x):
        shapes.append(x.shape)
        return x + 1

    model = martlet.parse(alone("tensor<fp32, [?]> y = seen(x = x);", shape="[?]"))
    for size in (1, 4, 2):
        np.testing.assert_array_equal(model(x=np.zeros(size, np.float32))["y"], np.ones(size))
    assert shapes == [(1,), (4,), (2,)]


def test_a_model_file_cannot_hold_it(tmp_path):
    martlet.custom_op("cubed", lambda x: x**3)
    with pytest.raises(martlet.UnsupportedError, match="no op 'cubed'"):
        martlet.parse(between("c = cubed(x = h);")).save(tmp_path / "cubed.mlpackage")


def test_only_pure_ops_are_computed_before_the_run():
    calls = []
    text = alone("c = counted(x = tensor<fp32, [3]>([1, 2, 3])); y = add(x = x, y = c);")
    for pure, expected in ((False, 3), (True, 0)):
        martlet.custom_op("counted", lambda x: (calls.append(1), x * 2)[1], pure=pure)
        model = martlet.parse(text)
        calls.clear()
        for _ in range(3):
            np.testing.assert_array_equal(model(x=NUMBERS)["y"], np.add(NUMBERS, [2, 4, 6]))
        assert len(calls) == expected


# Failures


def test_an_exception_arrives_with_its_cause():
    class OwnError(Exception):
        pass

    @martlet.custom_op("fails")
    def fails(x):
        raise OwnError("it does not like this")

    model = martlet.parse(between("c = fails(x = h);"))
    with pytest.raises(martlet.CallbackError, match=r"op 'fails' \(c\): OwnError: it does not like this") as caught:
        model(x=NUMBERS)
    assert type(caught.value.__cause__) is OwnError
    frames = []
    trace = caught.value.__cause__.__traceback__
    while trace:
        frames.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    assert frames[-1] == "fails"


def test_the_next_run_is_not_hurt():
    @martlet.custom_op("picky")
    def picky(x):
        if x[0, 0] > 0:
            raise ValueError("too large")
        return x

    model = martlet.parse(alone("y = picky(x = x);"))
    for _ in range(3):
        with pytest.raises(martlet.CallbackError):
            model(x=NUMBERS + 10)
        np.testing.assert_array_equal(model(x=NUMBERS)["y"], NUMBERS)


def test_an_interrupt_goes_on_as_it_is():
    @martlet.custom_op("interrupted")
    def interrupted(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        martlet.parse(alone("y = interrupted(x = x);"))(x=NUMBERS)


@pytest.mark.parametrize(
    ("result", "cause", "message"),
    [
        (np.zeros(3, np.float32), ValueError, r"returned shape \[3\]; it must return \[2, 3\]"),
        (np.zeros((2, 3), np.complex64), TypeError, "returned complex64; it must return float32"),
        (None, ValueError, r"returned shape \[\]"),
    ],
)
def test_a_wrong_result_is_refused(result, cause, message):
    martlet.custom_op("wrong", lambda x: result, outputs="x")
    with pytest.raises(martlet.CallbackError, match=message) as caught:
        martlet.parse(alone("y = wrong(x = x);"))(x=NUMBERS)
    assert isinstance(caught.value.__cause__, cause)


def test_inputs_cannot_be_written():
    @martlet.custom_op("writes")
    def writes(x):
        x[0] = 1
        return x

    with pytest.raises(martlet.CallbackError, match="read-only"):
        martlet.parse(alone("y = writes(x = x);"))(x=NUMBERS)


def owns(array: np.ndarray) -> bool:
    """Whether NumPy owns the memory that an array is over."""
    return array.flags.owndata if array.base is None else owns(array.base)


def test_what_a_function_kept_stays():
    kept = []

    @martlet.custom_op("keeps")
    def keeps(x, out):
        kept.extend([x, x[1:], out])
        out[:] = x + 1

    @martlet.custom_op("keeps_and_fails")
    def keeps_and_fails(x):
        kept.append(x)
        raise ValueError

    tensor = martlet.ones(10_000_000)
    result = keeps(tensor)
    with pytest.raises(martlet.CallbackError):
        keeps_and_fails(tensor)
    assert all(isinstance(each, np.ndarray) and owns(each) for each in kept)
    result += 5
    del tensor, result
    gc.collect()
    assert [each.sum() for each in kept] == [10_000_000, 9_999_999, 20_000_000, 10_000_000]


def test_no_traceback_holds_the_memory_of_the_library():
    martlet.custom_op("wrong_shape", lambda x: x[0], outputs="x")
    with pytest.raises(martlet.CallbackError) as caught:
        martlet.parse(alone("y = wrong_shape(x = x);"))(x=NUMBERS)
    trace, seen = caught.value.__cause__.__traceback__, []
    while trace is not None:
        seen += trace.tb_frame.f_locals.values()
        trace = trace.tb_next
    arrays = [each for each in seen if isinstance(each, np.ndarray)]
    assert arrays
    assert all(map(owns, arrays))


def test_an_exception_in_infer():
    martlet.custom_op("odd", lambda x: x, infer=lambda x: 1 / 0)
    with pytest.raises(martlet.CallbackError, match="ZeroDivisionError") as caught:
        martlet.parse(alone("y = odd(x = x);"))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("name", ["relu", "const", "two words", "", "1st", "a(b)", 'é"', "true"])
def test_names_that_cannot_be(name):
    before = set(ENTRIES)
    with pytest.raises(martlet.InvalidArgumentError):
        martlet.custom_op(name, lambda x: x)
    assert set(ENTRIES) <= before


@pytest.mark.parametrize(
    ("function", "options", "error"),
    [
        (lambda x: x, {"outputs": "y"}, martlet.InvalidArgumentError),
        (lambda x: x, {"outputs": ()}, martlet.InvalidArgumentError),
        (lambda x: x, {"outputs": martlet.Result("float32", (-1,))}, martlet.InvalidArgumentError),
        (lambda x: x, {"outputs": martlet.Result("float32", (2**40, 2**40))}, martlet.OutOfMemoryError),
        (lambda x: x, {"outputs": martlet.Result("nothing")}, martlet.WrongTypeError),
        (lambda x: x, {"outputs": 2}, martlet.InvalidArgumentError),
        (lambda *x: x, {}, martlet.InvalidArgumentError),
        (lambda x, name=1: x, {}, martlet.InvalidArgumentError),
        (lambda x, y=NUMBERS: x, {}, martlet.WrongTypeError),
        (lambda x: x, {"inputs": {"x": "datetime64[s]"}}, martlet.WrongTypeError),
        (7, {}, martlet.WrongTypeError),
        (("/nowhere/lib.so", "f"), {"inputs": ["x"]}, martlet.NotFoundError),
        (("/nowhere/lib.so", "f"), {}, martlet.InvalidArgumentError),
    ],
)
def test_declarations_that_cannot_be(function, options, error):
    before = set(ENTRIES)
    with pytest.raises(error):
        martlet.custom_op("impossible", function, **options)
    assert set(ENTRIES) <= before


@pytest.mark.parametrize(
    ("argument", "error"),
    [("x = x, y = x", martlet.MalformedError), ("", martlet.Error), ("x = tensor<int32, []>(1)", martlet.Error)],
)
def test_programs_that_use_it_wrongly(argument, error):
    @martlet.custom_op("typed")
    def typed(x: NDArray[np.float32]):
        return x

    with pytest.raises(error):
        martlet.parse(alone(f"y = typed({argument});"))


# Eager calls and traces


def test_called_at_once():
    @martlet.custom_op("rescaled")
    def rescaled(x, factor: float = 2.0):
        return x * factor

    x = martlet.Tensor(NUMBERS)
    np.testing.assert_array_equal(rescaled(x).numpy(), NUMBERS * 2)
    np.testing.assert_array_equal(rescaled(x, 3).numpy(), NUMBERS * 3)
    np.testing.assert_array_equal(rescaled(x=NUMBERS, factor=0.5).numpy(), NUMBERS / 2)
    for wrong in (lambda: rescaled(x, 1, 2), lambda: rescaled(x, x=x), lambda: rescaled(), lambda: rescaled(x, odd=1)):
        with pytest.raises((martlet.InvalidArgumentError, martlet.UnsupportedError)):
            wrong()


def test_arguments_of_different_types_arrive_as_they_are():
    @martlet.custom_op("picked", outputs="x")
    def picked(x, y):
        assert (x.dtype, y.dtype) == (np.float32, np.int64)
        return x[y]

    x, y = np.array([5, 6, 7], np.float32), np.array([2, 0, 1], np.int64)
    np.testing.assert_array_equal(picked(x, y).numpy(), [7, 5, 6])


def test_an_exception_at_once():
    @martlet.custom_op("fails")
    def fails(x):
        raise LookupError("nothing there")

    for _ in range(2):
        with pytest.raises(martlet.CallbackError, match="nothing there") as caught:
            fails(NUMBERS)
        assert isinstance(caught.value.__cause__, LookupError)


def test_a_replaced_op_called_at_once():
    first = martlet.custom_op("versioned", lambda x: x + 1)
    np.testing.assert_array_equal(first(NUMBERS).numpy(), NUMBERS + 1)
    second = martlet.custom_op("versioned", lambda x: x + 2)
    np.testing.assert_array_equal(second(NUMBERS).numpy(), NUMBERS + 2)
    second.remove()
    with pytest.raises(martlet.UnsupportedError, match="versioned"):
        second(NUMBERS)


def test_in_a_traced_function():
    @martlet.custom_op("cubed")
    def cubed(x):
        return x**3

    model = martlet.trace(lambda x: cubed(x + x) + x, martlet.TensorSpec((2, 3)))
    assert "cubed(" in model.text()
    np.testing.assert_allclose(model(x=NUMBERS)["output"], (2 * NUMBERS) ** 3 + NUMBERS)


# Names


def test_a_replaced_op_serves_what_was_compiled_before():
    before = martlet.get_num_threads()
    martlet.custom_op("versioned", lambda x: x + 1)
    old = martlet.parse(alone("y = versioned(x = x);"))
    op = martlet.custom_op("versioned", lambda x: x + 2)
    new = martlet.parse(alone("y = versioned(x = x);"))
    try:
        for threads in (1, 2, before):  # a change of the number prepares the steps again
            martlet.set_num_threads(threads)
            np.testing.assert_array_equal(old(x=NUMBERS)["y"], NUMBERS + 1)
            np.testing.assert_array_equal(new(x=NUMBERS)["y"], NUMBERS + 2)
            if threads == 1:
                op.remove()
    finally:
        martlet.set_num_threads(before)
    with pytest.raises(martlet.UnsupportedError, match="versioned"):
        martlet.parse(alone("y = versioned(x = x);"))
    with pytest.raises(martlet.InvalidArgumentError, match="no custom op 'versioned'"):
        op.remove()


def test_a_function_is_let_go_when_nothing_needs_it():
    def plus(x):
        return x + 1

    alive = weakref.ref(plus)
    op = martlet.custom_op("plus", plus)
    model = martlet.parse(alone("y = plus(x = x);"))
    op.remove()
    del plus, op
    np.testing.assert_array_equal(model(x=NUMBERS)["y"], NUMBERS + 1)
    assert alive() is not None
    del model
    gc.collect()
    assert alive() is None


def test_it_is_reported():
    kernel = martlet.MetalKernel("kernel void twice() {}", grid="x.size", threadgroup=64)

    @martlet.custom_op("twice", metal=kernel, pure=True)
    def twice(x: NDArray[np.float32], factor: float = 2.0):
        """x times a factor."""
        return x * factor

    assert twice.metal == kernel
    found = next(each for each in martlet.ops() if each["name"] == "twice")
    assert found["custom"].keys() == {"cpu", "pure", "metal"}
    assert found["custom"]["cpu"]
    assert found["custom"]["pure"]
    assert found["custom"]["metal"]["source"] == kernel.source
    assert (found["family"], found["words"]) == ("custom", "x times a factor.")
    assert [(each["name"], each["dtypes"], each["constant"]) for each in found["parameters"]] == [
        ("x", ["fp32"], False),
        ("factor", ["fp16", "fp32"], True),  # Metal has no fp64
    ]
    assert all(each["custom"] is None for each in martlet.ops() if each["name"] != "twice")
    plan = martlet.parse(alone("y = twice(x = x);")).plan()
    assert [step.kernel for step in plan.steps] == ["custom"]


# Threads


def test_eight_threads():
    @martlet.custom_op("tagged")
    def tagged(x):
        if x[0, 0] == 5:
            raise ValueError(f"thread {threading.get_ident()}")
        return x + 1

    model = martlet.parse(between("c = tagged(x = h);"))

    def work(index):
        for _ in range(100):
            x = np.full((2, 3), index / 2, np.float32)
            if index == 5:
                with pytest.raises(martlet.CallbackError) as caught:
                    model(x=x)
                assert str(threading.get_ident()) in str(caught.value.__cause__)
            else:
                np.testing.assert_array_equal(model(x=x)["y"], x * 3 + 1)
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


def test_threads_that_replace_and_use_an_op():
    stop = threading.Event()

    def replace():
        while not stop.wait(0.0002):
            martlet.custom_op("moving", lambda x: x)

    martlet.custom_op("moving", lambda x: x)
    worker = threading.Thread(target=replace)
    worker.start()
    try:
        for _ in range(100):
            model = martlet.parse(alone("y = moving(x = x);"))
            np.testing.assert_array_equal(model(x=NUMBERS)["y"], NUMBERS)
    finally:
        stop.set()
        worker.join()


def test_a_program_within_a_program():
    inner = martlet.parse(alone("y = relu(x = x);"))
    martlet.custom_op("nested", lambda x: inner(x=x)["y"])
    np.testing.assert_array_equal(martlet.parse(alone("y = nested(x = x);"))(x=NUMBERS)["y"], np.maximum(NUMBERS, 0))


ENDING = """
import threading, time
import numpy as np
import martlet

martlet.custom_op("slow", lambda x: (time.sleep(0.001), x)[1])
model = martlet.parse("program(1.3) { func main<ios18>(tensor<fp32, [2]> x) { y = slow(x = x); } -> (y); }")

def work():
    while True:
        try:
            model(x=np.zeros(2, np.float32))
        except martlet.Error:
            pass

for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.2)
"""


HELD = """
import numpy as np
import martlet

@martlet.custom_op("kept")
def kept(x):
    return x + 1

array = np.zeros(3, np.float32)
result = kept(array)
model = martlet.trace(lambda x: kept(x), martlet.TensorSpec((3,)))
model(x=array)
"""


@pytest.mark.parametrize("program", [ENDING, HELD], ids=["running", "held"])
def test_python_may_end_with_ops_in_use(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


# C

SOURCE = """
#include "martlet.h"
#include <stdio.h>

int32_t twice(void *context, mlt_view *outputs, int32_t output_count, const mlt_view *inputs, int32_t input_count,
              char *message, size_t message_bytes) {
    (void)context;
    if (output_count != 1 || input_count != 1 || inputs[0].dtype != MLT_FLOAT32 || outputs[0].rank != inputs[0].rank) {
        snprintf(message, message_bytes, "%d inputs are odd", (int)input_count);
        return 1;
    }
    const float *x = (const float *)inputs[0].data;
    float *y = (float *)outputs[0].data;
    for (size_t i = 0; i < inputs[0].bytes / sizeof(float); i++) y[i] = 2 * x[i];
    return 0;
}

int32_t refuse(void *context, mlt_view *outputs, int32_t output_count, const mlt_view *inputs, int32_t input_count,
               char *message, size_t message_bytes) {
    (void)context, (void)outputs, (void)output_count, (void)inputs, (void)input_count;
    if (message_bytes > 8) snprintf(message, message_bytes, "C says no");
    return 7;
}
"""
COMPILER = shutil.which("cc") or shutil.which("clang") or shutil.which("gcc")


@pytest.fixture(scope="module")
def c_library(tmp_path_factory):
    if not COMPILER:
        pytest.skip("there is no C compiler")
    folder = tmp_path_factory.mktemp("custom")
    (folder / "twice.c").write_text(SOURCE)
    command = [COMPILER, "-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-I"]
    command += [str(ROOT / "Sources/CHeader/include"), str(folder / "twice.c"), "-o", str(folder / "libtwice.so")]
    subprocess.run(command, check=True)
    return folder / "libtwice.so"


@pytest.mark.parametrize("form", ["path", "ctypes", "cffi"])
def test_a_c_function(c_library, form):
    import cffi

    function = {
        "path": lambda: (c_library, "twice"),
        "ctypes": lambda: ctypes.CDLL(os.fspath(c_library)).twice,
        "cffi": lambda: in_cffi(cffi.FFI(), c_library),
    }[form]()
    martlet.custom_op("twice", function, inputs={"x": "float32"}, outputs="x")
    y = martlet.parse(between("c = twice(x = h);"))(x=NUMBERS)["y"]
    np.testing.assert_array_equal(y, NUMBERS * 5)


def in_cffi(ffi, path):
    ffi.cdef("int32_t twice(void *, void *, int32_t, const void *, int32_t, char *, size_t);")
    library = ffi.dlopen(os.fspath(path))
    KEPT.append(library)
    return library.twice


KEPT: list[object] = []


def test_a_c_function_that_fails(c_library):
    martlet.custom_op("refuse", (c_library, "refuse"), inputs=["x"])
    with pytest.raises(martlet.CallbackError, match="C says no") as caught:
        martlet.parse(alone("y = refuse(x = x);"))(x=NUMBERS)
    assert caught.value.__cause__ is None
    with pytest.raises(martlet.NotFoundError, match="nothing_here"):
        martlet.custom_op("refuse", (c_library, "nothing_here"), inputs=["x"])
