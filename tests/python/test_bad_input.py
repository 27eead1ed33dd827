"""Whatever is wrong with a file or a value, the answer is one clear exception."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import OPEN, SUM, WEIGHTS, WHOLE, parse

import martlet

MODEL = "Data/com.apple.CoreML/model.mlmodel"
WEIGHT_FILE = "Data/com.apple.CoreML/weights/weight.bin"
A = np.zeros((2, 3), np.float32)


@pytest.fixture
def weighty(package):
    """A package with a weight file; sound until a test breaks it."""
    path = package(WEIGHTS)
    assert (path / WEIGHT_FILE).stat().st_size > 128
    martlet.load(path)
    return path


def change(path, old, new):
    data = path.read_bytes()
    assert data.count(old) >= 1
    assert len(old) == len(new)
    path.write_bytes(data.replace(old, new))


# Files


def test_missing_file(tmp_path):
    with pytest.raises(martlet.NotFoundError, match=r"absent\.mlpackage"):
        martlet.load(tmp_path / "absent.mlpackage")
    with pytest.raises(FileNotFoundError):
        martlet.load(tmp_path / "absent.mlpackage")


def test_empty_path():
    with pytest.raises(martlet.Error):
        martlet.load("")


def test_path_with_nul():
    with pytest.raises((martlet.Error, ValueError)):
        martlet.load("model\0.mlpackage")


def test_folder_that_is_no_package(tmp_path):
    with pytest.raises((martlet.MalformedError, martlet.NotFoundError), match=r"Manifest\.json"):
        martlet.load(tmp_path)


def test_file_that_is_no_package(tmp_path):
    (tmp_path / "notes.mlpackage").write_text("This is no model.")
    with pytest.raises(martlet.MalformedError):
        martlet.load(tmp_path / "notes.mlpackage")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"rootModelIdentifier": 3}', '{"itemInfoEntries": []}', "\0\xff"]
)
def test_broken_manifest(weighty, text):
    (weighty / "Manifest.json").write_text(text, encoding="latin-1")
    with pytest.raises(martlet.MalformedError, match=r"model1\.mlpackage"):
        martlet.load(weighty)


def test_deeply_nested_manifest(weighty):
    (weighty / "Manifest.json").write_text("[" * 200_000)
    with pytest.raises(martlet.MalformedError):
        martlet.load(weighty)


def test_manifest_without_the_model(weighty):
    manifest = json.loads((weighty / "Manifest.json").read_text())
    manifest["rootModelIdentifier"] = "another"
    (weighty / "Manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(martlet.MalformedError):
        martlet.load(weighty)


def test_missing_model_file(weighty):
    (weighty / MODEL).unlink()
    with pytest.raises((martlet.NotFoundError, martlet.MalformedError), match=r"model\.mlmodel"):
        martlet.load(weighty)


@pytest.mark.parametrize("part", [0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_cut_protobuf(weighty, part):
    data = (weighty / MODEL).read_bytes()
    (weighty / MODEL).write_bytes(data[: int(len(data) * part)])
    with pytest.raises(martlet.Error):
        martlet.load(weighty)


def test_empty_protobuf(weighty):
    (weighty / MODEL).write_bytes(b"")
    with pytest.raises(martlet.Error):
        martlet.load(weighty)


@pytest.mark.parametrize("seed", range(8))
def test_random_bytes(weighty, seed):
    generator = np.random.default_rng(seed)
    (weighty / MODEL).write_bytes(generator.bytes(4000))
    with pytest.raises(martlet.Error):
        martlet.load(weighty)


def test_flipped_bytes_never_crash(weighty):
    generator = np.random.default_rng(1)
    good = (weighty / MODEL).read_bytes()
    refused = 0
    for _ in range(300):
        data = bytearray(good)
        for place in generator.integers(0, len(data), 3):
            data[place] = generator.integers(0, 256)
        (weighty / MODEL).write_bytes(data)
        try:
            model = martlet.load(weighty)
            model.predict({port.name: port.random(generator) for port in model.inputs})
        except martlet.Error:
            refused += 1
    assert refused > 0


def test_missing_weights(weighty):
    (weighty / WEIGHT_FILE).unlink()
    with pytest.raises((martlet.NotFoundError, martlet.MalformedError), match=r"weight\.bin"):
        martlet.load(weighty)


@pytest.mark.parametrize("size", [0, 10, 64, 100, 128, 140])
def test_cut_weights(weighty, size):
    data = (weighty / WEIGHT_FILE).read_bytes()
    (weighty / WEIGHT_FILE).write_bytes(data[:size])
    with pytest.raises(martlet.MalformedError):
        martlet.load(weighty)


@pytest.mark.parametrize("offset", [0, 1, 65, 127])
def test_weight_offset_that_is_no_weight(weighty, offset):
    change(weighty / MODEL, b"weights/weight.bin\x10\x40", b"weights/weight.bin\x10" + bytes([offset]))
    with pytest.raises(martlet.MalformedError):
        martlet.load(weighty)


def test_weight_offset_outside_the_file(weighty):
    data = (weighty / MODEL).read_bytes()
    found = re.search(rb"weights/weight\.bin\x10([\x80-\xff][\x01-\x7f])", data)
    assert found, "the second weight's offset has two bytes"
    change(weighty / MODEL, found[0], found[0][:-2] + b"\xc0\x7f")
    with pytest.raises(martlet.MalformedError):
        martlet.load(weighty)


def test_weight_header_with_huge_size(weighty):
    data = bytearray((weighty / WEIGHT_FILE).read_bytes())
    data[72:80] = (2**62).to_bytes(8, "little")  # the size in the first weight's header
    (weighty / WEIGHT_FILE).write_bytes(data)
    with pytest.raises(martlet.MalformedError):
        martlet.load(weighty)


def test_weight_path_that_leaves_the_package(weighty):
    shutil.copy(weighty / WEIGHT_FILE, weighty.parent / "weights.b")
    change(weighty / MODEL, b"@model_path/weights/weight.bin", b"@model_path/../../../weights.b")
    with pytest.raises(martlet.MalformedError):
        martlet.load(weighty)


def test_model_path_that_leaves_the_package(weighty):
    shutil.copy(weighty / MODEL, weighty.parent / "model.mlmodel")
    text = (weighty / "Manifest.json").read_text()
    entries = json.loads(text)
    for item in entries["itemInfoEntries"].values():
        if item["path"].endswith("model.mlmodel"):
            item["path"] = "../../model.mlmodel"
    (weighty / "Manifest.json").write_text(json.dumps(entries))
    with pytest.raises(martlet.MalformedError):
        martlet.load(weighty)


def test_absolute_model_path(weighty):
    shutil.copy(weighty / MODEL, weighty.parent / "model.mlmodel")
    entries = json.loads((weighty / "Manifest.json").read_text())
    for item in entries["itemInfoEntries"].values():
        if item["path"].endswith("model.mlmodel"):
            item["path"] = str(weighty.parent / "model.mlmodel")
    (weighty / "Manifest.json").write_text(json.dumps(entries))
    with pytest.raises((martlet.MalformedError, martlet.NotFoundError)):
        martlet.load(weighty)


# Programs


def test_unknown_op(weighty):
    change(weighty / MODEL, b"\x04relu", b"\x04rexu")
    with pytest.raises(martlet.UnsupportedError, match="rexu"):
        martlet.load(weighty)


def test_text_that_is_no_program():
    with pytest.raises(martlet.MalformedError):
        parse("This is no program.")


def test_nan_in_a_declared_shape():
    with pytest.raises(martlet.MalformedError):
        parse(OPEN.replace("?", "nan"))


def test_nan_as_the_shape_to_reshape_to(load):
    text = """
    program(1.3) { func main<ios18>(tensor<fp32, [4]> x, tensor<fp32, [2]> sizes) {
        tensor<int32, [2]> shape = cast(x = sizes, dtype = "int32")[name = string("shape")];
        tensor<fp32, [?, ?]> y = reshape(x = x, shape = shape)[name = string("y")];
    } -> (y); }
    """
    with pytest.raises(martlet.Error):
        load(text)(x=np.zeros(4), sizes=[np.nan, 2])


def test_tensor_of_a_million_million_elements(load):
    text = """
    program(1.3) { func main<ios18>(tensor<fp32, [1]> x) {
        tensor<fp32, [1048576, 1048576]> big = fill(shape = [1048576, 1048576], value = 1.0)[name = string("big")];
        tensor<fp32, [1048576, 1048576]> y = mul(x = big, y = x)[name = string("y")];
    } -> (y); }
    """
    with pytest.raises((martlet.OutOfMemoryError, martlet.InvalidArgumentError)):
        load(text)(x=[1])


def test_shape_whose_size_overflows(load):
    text = """
    program(1.3) { func main<ios18>(tensor<fp32, [4294967296, 4294967296, 4]> x) {
        tensor<fp32, [4294967296, 4294967296, 4]> y = relu(x = x)[name = string("y")];
    } -> (y); }
    """
    with pytest.raises(martlet.Error):
        load(text)


# Names and values


def test_unknown_device(package):
    with pytest.raises(martlet.InvalidArgumentError, match="'cpu'"):
        martlet.load(package(SUM), device="tpu")


def test_unknown_function(package):
    with pytest.raises(martlet.InvalidArgumentError, match="main"):
        martlet.load(package(SUM), function="mian")


def test_wrong_input_name(sum_model):
    with pytest.raises(martlet.InvalidArgumentError, match=r"no input 'c'; there are 'a', 'b'"):
        sum_model(a=A, c=A)


def test_similar_input_name(load):
    with pytest.raises(martlet.InvalidArgumentError, match="Did you mean 'i'"):
        load(WHOLE).predict({"ii": [1, 2, 3]})


def test_one_input_too_many(sum_model):
    with pytest.raises(martlet.InvalidArgumentError, match="'extra'"):
        sum_model(a=A, b=A, extra=A)


def test_missing_input(sum_model):
    with pytest.raises(martlet.InvalidArgumentError, match="input 'b' is missing"):
        sum_model(a=A)


@pytest.mark.parametrize("given", [A, [A, A], None, 3, "ab"])
def test_inputs_that_are_no_dictionary(sum_model, given):
    with pytest.raises(martlet.WrongTypeError, match="dictionary"):
        sum_model.predict(given)


@pytest.mark.parametrize(
    "value", [A.astype(object), A.astype(str), A.astype(complex), None, A.astype("datetime64[s]")], ids=repr
)
def test_wrong_dtype(sum_model, value):
    with pytest.raises(martlet.WrongTypeError, match=r"input 'a'.*float32"):
        sum_model(a=value, b=A)


@pytest.mark.parametrize("value", [[0.5, 1, 2], [np.nan, 1, 2], [np.inf, 1, 2], [2**31, 1, 2], [1e30, 1, 2]])
def test_values_that_are_no_int32(load, value):
    with pytest.raises(martlet.WrongTypeError, match=r"input 'i'.*int32"):
        load(WHOLE)(i=value)


def test_wrong_rank(sum_model):
    with pytest.raises(martlet.InvalidArgumentError, match=r"input 'a'.*\[6\].*\[2, 3\]"):
        sum_model(a=A.reshape(6), b=A)


def test_wrong_shape(sum_model):
    with pytest.raises(martlet.InvalidArgumentError, match=r"input 'a'.*\[3, 2\].*\[2, 3\]"):
        sum_model(a=A.reshape(3, 2), b=A)


def test_empty_array(sum_model):
    with pytest.raises(martlet.InvalidArgumentError):
        sum_model(a=A[:0], b=A)


def test_ragged_list(sum_model):
    with pytest.raises(martlet.InvalidArgumentError, match="input 'a'"):
        sum_model(a=[[1, 2, 3], [4]], b=A)


def test_input_of_a_million_million_elements(load):
    x = np.broadcast_to(np.float32(1), (1, 2**40))
    with pytest.raises((martlet.OutOfMemoryError, martlet.InvalidArgumentError)):
        load(OPEN)(x=x)


def test_a_refused_value_leaves_the_model_usable(sum_model):
    with pytest.raises(martlet.Error):
        sum_model(a=A.reshape(6), b=A)
    np.testing.assert_array_equal(sum_model(a=A, b=A)["sum"], A + A)


@pytest.mark.parametrize("text", [None, b"program", 3])
def test_text_that_is_no_text(text):
    with pytest.raises(martlet.WrongTypeError, match="text"):
        martlet.parse(text)


def test_text_with_what_is_no_character():
    with pytest.raises(martlet.InvalidArgumentError, match="Unicode"):
        martlet.parse("program\udcff")


def test_nul_does_not_cut_a_path_or_a_text(tmp_path):
    path = tmp_path / "whole.mlpackage"
    text = "program(1.3) { func main<ios18>(tensor<fp32, [2]> x) { y = relu(x = x); } -> (y); }"
    martlet.parse(text).save(path)
    with pytest.raises(martlet.InvalidArgumentError, match="NUL"):
        martlet.load(f"{path}\0more")
    with pytest.raises(martlet.InvalidArgumentError, match="NUL"):
        martlet.parse(f"{text}\0more")


def test_device_that_is_no_name(tmp_path):
    with pytest.raises(martlet.WrongTypeError, match="device"):
        martlet.parse("program(1.3) { func main<ios18>(tensor<fp32, [2]> x) { y = relu(x = x); } -> (y); }", device=3)


SCARCE = """
import resource
import numpy as np
import martlet

text = "program(1.3) { func main<ios18>(tensor<fp32, [1, 134217728]> x) { y = relu(x = x); } -> (y); }"
model = martlet.parse(text)
x = np.zeros((1, 134217728), np.float32)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), resource.RLIM_INFINITY))
try:
    model(x=x)
except MemoryError as error:
    print("refused:", error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_memory_that_the_system_does_not_give():
    done = subprocess.run([sys.executable, "-c", SCARCE], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "refused: The system has no 512 MiB" in done.stdout


@pytest.mark.parametrize(
    ("line", "shapes", "bad"),
    [
        ("gather(x = x, indices = i, axis = 1, {})", [(2,)], [0, -1]),
        ("gather_along_axis(x = x, indices = i, axis = 0, {})", [(1, 3)], [[0, 1, 2]]),
        ("gather_nd(x = x, indices = i, {})", [(1, 2)], [[0, 3]]),
        ("scatter(data = x, indices = i, updates = u, axis = 0, {})", [(2,), (2, 3)], [-1, 0]),
        ("scatter_along_axis(data = x, indices = i, updates = u, axis = 1, {})", [(2, 1)] * 2, [[3], [0]]),
        ("scatter_nd(data = x, indices = i, updates = u, {})", [(2, 2), (2,)], [[1, 0], [0, -1]]),
    ],
)
def test_indices_that_are_validated(line, shapes, bad):
    """coremltools documents that negative ones are outside, too; without `validate_indices` they count from the end."""
    bad = np.array(bad, np.int32)
    updates = f", tensor<fp32, {list(shapes[1])}> u" if len(shapes) > 1 else ""
    given = {"x": A, "i": bad} | ({"u": np.ones(shapes[1], np.float32)} if updates else {})

    def model(flag, indices=f"tensor<int32, {list(bad.shape)}> i", constant=""):
        inputs = ", ".join(filter(None, ["tensor<fp32, [2, 3]> x", indices])) + updates
        body = line.format(f"validate_indices = {flag}")
        return martlet.parse(f"program(1.3) {{ func main<ios18>({inputs}) {{ {constant} y = {body}; }} -> (y); }}")

    op, wrong = (
        line.split("(")[0],
        r"the index (-1|[123]) at position [01235] of 'indices' lies outside an axis of size",
    )
    with pytest.raises(martlet.OutOfRangeError, match=f"op '{op}' .*{wrong}.*validate_indices allows 0 to"):
        model("true").predict(given)
    model("true").predict(given | {"i": np.zeros_like(bad)})
    constant = f"i = const()[val = tensor<int32, {list(bad.shape)}>({bad.ravel().tolist()})];"
    with pytest.raises(martlet.OutOfRangeError, match=wrong):
        model("true", "", constant)
    if (bad < 0).any():
        model("false").predict(given)
