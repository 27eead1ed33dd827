"""The door to the library: what the header promises is there, and its failures become Python's."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

import martlet
from martlet import _native
from martlet._native import check, ffi, lib

HEADER = (ROOT / "Sources/CHeader/include/martlet.h").read_text()

PYTHONS_OWN = {
    "InvalidArgumentError": ValueError,
    "WrongTypeError": TypeError,
    "NotFoundError": FileNotFoundError,
    "MalformedError": ValueError,
    "UnsupportedError": NotImplementedError,
    "OutOfMemoryError": MemoryError,
    "BadHandleError": RuntimeError,
    "OutOfRangeError": IndexError,
    "BugError": RuntimeError,
    "CallbackError": RuntimeError,
}


@pytest.mark.parametrize("name", re.findall(r"\b(mlt_\w+)\(", HEADER))
def test_every_function_of_the_header_is_in_the_library(name):
    assert getattr(lib, name) != ffi.NULL


def test_every_status_has_its_class():
    statuses = {int(number): name for name, number in re.findall(r"MLT_(\w+) = ([1-9]\d*)", HEADER)}
    expected = {number: name.title().replace("_", "") + "Error" for number, name in statuses.items()}
    assert {number: each.__name__ for number, each in _native.ERRORS.items()} == expected


@pytest.mark.parametrize(("name", "own"), PYTHONS_OWN.items())
def test_errors_are_pythons_own_too(name, own):
    assert issubclass(getattr(martlet, name), own)
    assert issubclass(getattr(martlet, name), martlet.Error)


def test_null_handle():
    with pytest.raises(martlet.BadHandleError, match="NULL"):
        check(lib.mlt_release(ffi.NULL))


def test_released_handle():
    out = ffi.new("mlt_text **")
    check(lib.mlt_info(out))
    check(lib.mlt_release(out[0]))
    with pytest.raises(martlet.BadHandleError):
        check(lib.mlt_release(out[0]))


def test_handle_of_another_kind():
    out = ffi.new("mlt_text **")
    check(lib.mlt_info(out))
    text = _native.own(out[0])
    with pytest.raises(martlet.BadHandleError):
        _native.text(lib.mlt_model_info, ffi.cast("mlt_model *", text))


def test_version():
    assert martlet.__version__ == ffi.string(lib.mlt_version()).decode() == martlet.info()["version"]


def test_public_names_exist():
    for name in martlet.__all__:
        assert hasattr(martlet, name)


def test_devices_say_why_they_are_missing():
    devices = {each["name"]: each for each in martlet.devices()}
    assert devices["cpu"]["available"]
    assert all(each["reason"] for each in devices.values() if not each["available"])


def test_ops_name_their_parameters():
    ops = {each["name"]: each for each in martlet.ops()}
    assert [each["name"] for each in ops["add"]["parameters"]] == ["x", "y"]
    assert all(each["words"] for each in ops.values())


def test_threads():
    before = martlet.get_num_threads()
    try:
        martlet.set_num_threads(1)
        assert martlet.get_num_threads() == 1
        martlet.set_num_threads(0)
        assert martlet.get_num_threads() >= 1
        with pytest.raises(martlet.InvalidArgumentError):
            martlet.set_num_threads(-1)
    finally:
        martlet.set_num_threads(before)


def imported(**environment):
    environment = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, "-c", "import martlet"], capture_output=True, text=True, env=environment, check=False
    )


def test_missing_library_is_one_clear_error():
    finished = imported(MARTLET_LIBRARY="/nowhere/libmartlet.so")
    last = finished.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: MARTLET_LIBRARY names /nowhere/libmartlet.so")


def test_broken_library_is_one_clear_error(tmp_path):
    (tmp_path / "libmartlet.so").write_text("no library")
    finished = imported(MARTLET_LIBRARY=str(tmp_path / "libmartlet.so"))
    assert "cannot be loaded" in finished.stderr.strip().splitlines()[-1]


def test_the_type_in_c_answers_as_the_library_does():
    """Shape, rank and element type come from C; what the library refuses is raised as from Python."""
    for dtype in ("bool", "uint64", "float16", "complex128"):
        for shape in ((), (0,), (2, 3, 4)):
            tensor = martlet.zeros(shape, dtype=dtype)
            assert tensor.shape == shape
            assert tensor.ndim == len(shape)
            assert tensor.dtype is np.dtype(dtype)
            assert tensor.is_traced is False
    for name in ("shape", "ndim", "dtype", "is_traced"):
        assert vars(martlet.Tensor)[name].__doc__
        with pytest.raises(AttributeError):
            setattr(tensor, name, None)
        with pytest.raises(martlet.BadHandleError):
            getattr(object.__new__(martlet.Tensor), name)


def test_a_traced_tensor_says_so():
    seen = []
    martlet.trace(lambda x: seen.append((x.shape, x.ndim, x.dtype, x.is_traced)) or x + x, martlet.TensorSpec((2, 3)))
    assert seen == [((2, 3), 2, np.dtype("float32"), True)]
