"""The stand-in for Core ML is as strict as Core ML: what its compiler and its loader refuse.

Run with MARTLET_LIBRARY = the library built with the stand-ins. Packages are written by Martlet, and some of them are
then changed byte by byte into what Martlet would not write."""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import martlet

SHIMS = ctypes.CDLL(os.environ["MARTLET_LIBRARY"])
SHIMS.shim_control.argtypes = [ctypes.c_char_p, ctypes.c_long]
SHIMS.shim_value.argtypes = [ctypes.c_char_p]
SHIMS.shim_value.restype = ctypes.c_long

ADD = "tensor<fp32, [2, 3]> x, tensor<fp32, [2, 3]> y) { result = add(x = x, y = y); } -> (result)"
SOFTMAX = "tensor<fp32, [2, 3]> x) { result = softmax(x = x, axis = int32(-1)); } -> (result)"

Fields = list[tuple[int, int, bytes]]


def ask(function: str, path: Path) -> tuple[bool, str]:
    """Whether the stand-in took the path, and what it says."""
    answer = ctypes.create_string_buffer(4096)
    refused = SHIMS[function](str(path).encode(), answer, ctypes.c_long(len(answer)))
    return not refused, answer.value.decode()


@pytest.fixture(autouse=True)
def compiled() -> Iterator[list[Path]]:
    """Compiled models that a test made, to be removed after it; settings are taken back as well."""
    made: list[Path] = []
    yield made
    for path in made:
        shutil.rmtree(path, ignore_errors=True)
    for name in ("hostile", "compile", "load", "loaded_limit"):
        SHIMS.shim_control(name.encode(), -1)


def package(folder: Path, function: str, opset: str = "ios18") -> Path:
    """The package of a program of one function, given from its first parameter on."""
    path = folder / "model.mlpackage"
    martlet.parse(f"program(1.3) {{ func main<{opset}>({function}; }}", "cpu").save(path)
    return path


def compile_package(path: Path, made: list[Path]) -> tuple[bool, str]:
    taken, words = ask("shim_coreml_compile", path)
    if taken:
        made.append(Path(words))
    return taken, words


# Protocol buffers, as far as changing an operation takes them.


def number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def encode(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def fields(data: bytes) -> Fields:
    """The fields of a message: number, kind on the wire, content."""
    at, found = 0, []
    while at < len(data):
        key, at = number(data, at)
        if key & 7 == 2:
            length, at = number(data, at)
            end = at + length
        elif key & 7 == 0:
            _, end = number(data, at)
        else:
            end = at + (8 if key & 7 == 1 else 4)
        found.append((key >> 3, key & 7, data[at:end]))
        at = end
    return found


def message(parts: Fields) -> bytes:
    return b"".join(
        encode(field << 3 | kind) + (encode(len(content)) if kind == 2 else b"") + content
        for field, kind, content in parts
    )


def changed(data: bytes, path: list[int], change: Callable[[Fields], Fields]) -> bytes:
    """A message in which `change` was made to each message that a path of field numbers leads to."""
    if not path:
        return message(change(fields(data)))
    return message([(f, k, changed(c, path[1:], change) if f == path[0] else c) for f, k, c in fields(data)])


# The program, its functions, their blocks, operations.
OPERATIONS = [502, 2, 2, 3, 2, 3]


def change_operations(path: Path, change: Callable[[Fields], Fields]) -> None:
    file = path / "Data/com.apple.CoreML/model.mlmodel"
    file.write_bytes(changed(file.read_bytes(), OPERATIONS, change))


def test_what_martlet_writes_is_taken(tmp_path: Path, compiled: list[Path]) -> None:
    taken, words = compile_package(package(tmp_path, SOFTMAX), compiled)
    assert taken, words
    assert words.endswith(".mlmodelc")
    assert ask("shim_coreml_load", Path(words)) == (True, "result")


def test_a_parameter_with_a_default_must_be_said(tmp_path: Path, compiled: list[Path]) -> None:
    def without_axis(operation: Fields) -> Fields:
        return [part for part in operation if not (part[0] == 2 and fields(part[2])[0][2] == b"axis")]

    path = package(tmp_path, SOFTMAX)
    change_operations(path, without_axis)
    assert martlet.load(path, "cpu").outputs  # the package is a good one for Martlet
    taken, words = compile_package(path, compiled)
    assert not taken
    assert "'axis' is not said" in words


def test_an_op_that_only_martlet_has(tmp_path: Path, compiled: list[Path]) -> None:
    def renamed(operation: Fields) -> Fields:
        return [(f, k, b"log1p" if (f, c) == (1, b"erf") else c) for f, k, c in operation]

    path = package(tmp_path, "tensor<fp32, [2, 3]> x) { result = erf(x = x); } -> (result)")
    change_operations(path, renamed)
    taken, words = compile_package(path, compiled)
    assert not taken
    assert "has no such op" in words


REFUSED = {
    "int8 input": ('tensor<int8, [2]> x) { result = cast(x = x, dtype = string("fp32")); } -> (result)', "is int8"),
    "fp64 arithmetic": ("tensor<fp64, [2]> x) { result = exp(x = x); } -> (result)", "'x' is fp64"),
    "int32 where floats are wanted": ("tensor<int32, [2]> x) { result = relu(x = x); } -> (result)", "'x' is int32"),
    "rank 0": ("tensor<fp32, []> x) { result = exp(x = x); } -> (result)", "rank must be 1 to 5"),
    "rank 6": ("tensor<fp32, [1, 1, 1, 1, 1, 2]> x) { result = exp(x = x); } -> (result)", "rank must be 1 to 5"),
    "empty": ("tensor<fp32, [2, 0]> x) { result = exp(x = x); } -> (result)", "without empty dimensions"),
    "no inputs": (") { result = exp(x = tensor<fp32, [2]>([1, 2])); } -> (result)", "has no inputs"),
    "a result that Core ML cannot compute": (
        'tensor<int32, [2]> x) { y = cast(x = x, dtype = string("int64")); '
        'result = cast(x = y, dtype = string("int32")); } -> (result)',
        "is int64",
    ),
    "a weight that is not constant": (
        "tensor<fp32, [2, 3]> x, tensor<fp32, [4, 3]> w) { result = linear(x = x, weight = w); } -> (result)",
        "'weight' must be constant",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_core_ml_does_not_take(name: str, tmp_path: Path, compiled: list[Path]) -> None:
    function, reason = REFUSED[name]
    taken, words = compile_package(package(tmp_path, function), compiled)
    assert not taken
    assert reason in words


@pytest.mark.parametrize("word", ["list", "state", "fp16"])
def test_a_word_of_mil_as_a_name(word: str, tmp_path: Path, compiled: list[Path]) -> None:
    """Martlet writes no such file, so the name is put into one."""
    stand_in = "Q" * len(word)
    path = package(tmp_path, f"tensor<fp32, [2]> {stand_in}) {{ result = exp(x = {stand_in}); }} -> (result)")
    file = path / "Data/com.apple.CoreML/model.mlmodel"
    file.write_bytes(file.read_bytes().replace(stand_in.encode(), word.encode()))
    taken, words = compile_package(path, compiled)
    assert not taken
    assert f"called '{word}'" in words


def test_an_op_newer_than_its_opset(tmp_path: Path, compiled: list[Path]) -> None:
    function = "tensor<fp32, [2, 3]> x) { result = exp(x = x); } -> (result)"

    def newer(operation: Fields) -> Fields:
        return [(f, k, b"read_state" if (f, c) == (1, b"exp") else c) for f, k, c in operation]

    path = package(tmp_path, function, "ios15")
    change_operations(path, newer)
    taken, _ = compile_package(path, compiled)
    assert not taken


def test_a_package_is_no_compiled_model(tmp_path: Path) -> None:
    taken, words = ask("shim_coreml_load", package(tmp_path, ADD))
    assert not taken
    assert "compileModel" in words


def test_compiled_models_stand_alone_and_are_checked(tmp_path: Path, compiled: list[Path]) -> None:
    path = package(tmp_path, ADD)
    _, words = compile_package(path, compiled)
    moved = tmp_path / "other.mlmodelc"
    shutil.move(words, moved)
    shutil.rmtree(path)
    assert ask("shim_coreml_load", moved) == (True, "result")
    damaged = next(moved.rglob("model.mlmodel"))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    taken, words = ask("shim_coreml_load", moved)
    assert not taken
    assert "damaged" in words


def test_faults_on_demand_and_counters(tmp_path: Path, compiled: list[Path]) -> None:
    path = package(tmp_path, ADD)
    SHIMS.shim_control(b"compile", 1)
    assert not compile_package(path, compiled)[0]
    before = SHIMS.shim_value(b"compiled")
    taken, words = compile_package(path, compiled)
    assert taken
    assert SHIMS.shim_value(b"compiled") == before + 1
    SHIMS.shim_control(b"load", 1)
    assert not ask("shim_coreml_load", Path(words))[0]
    loaded, unloaded = SHIMS.shim_value(b"loaded"), SHIMS.shim_value(b"unloaded")
    assert ask("shim_coreml_load", Path(words))[0]
    assert (SHIMS.shim_value(b"loaded"), SHIMS.shim_value(b"unloaded")) == (loaded + 1, unloaded + 1)
    SHIMS.shim_control(b"loaded_limit", 0)
    taken, words = ask("shim_coreml_load", Path(words))
    assert not taken
    assert "the most there may be" in words


def test_the_compiler_talks_in_hostile_mode(
    tmp_path: Path, compiled: list[Path], capfd: pytest.CaptureFixture[str]
) -> None:
    path = package(tmp_path, ADD)
    SHIMS.shim_control(b"hostile", 0)
    compile_package(path, compiled)
    assert capfd.readouterr().out == ""
    SHIMS.shim_control(b"hostile", 1)
    compile_package(path, compiled)
    assert "compiling model.mlpackage" in capfd.readouterr().out
