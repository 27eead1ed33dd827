"""The Core ML engine: what it runs and refuses, the packages it writes, and models that run as their files have them.

Run with MARTLET_LIBRARY = the library built with the stand-ins, plain and with MARTLET_SHIMS_HOSTILE=1. The answers of
the cases are compared in `test_cases.py`, states and batches in `test_features.py`."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import importlib.util
import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import martlet
from tests.cases import Case, all_cases

sys.path.insert(0, str(Path(__file__).parents[1] / "python"))
from test_cases import OPS, STORABLE, compare

SHIMS = ctypes.CDLL(os.environ["MARTLET_LIBRARY"])
SHIMS.shim_control.argtypes = [ctypes.c_char_p, ctypes.c_long]
SHIMS.shim_value.argtypes = [ctypes.c_char_p]
SHIMS.shim_value.restype = ctypes.c_long

DATA = Path(__file__).parent / "data"
CASES = all_cases()
HAS_TOOLS = importlib.util.find_spec("coremltools") is not None


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MARTLET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "compiled"


@pytest.fixture(autouse=True)
def orders() -> Iterator[None]:
    """What a test orders the stand-ins to do is over with it."""
    yield
    for name in ("plan", "neural_engine_absent", "gpu_absent"):
        SHIMS.shim_control(name.encode(), -1)


def program(signature: str, body: str, results: str) -> str:
    return f"program(1.3) {{ func main<ios18>({signature}) {{ {body} }} -> ({results}); }}"


# What runs


def model_or_refusal(case: Case, device: str = "coreml") -> martlet.Model | str:
    try:
        return martlet.parse(case.text, device)
    except martlet.UnsupportedError as error:
        return str(error)


# Element types that Core ML has not, wherever they stand in a program.
FOREIGN_TYPES = re.compile(r"\b(fp64|u?int64|uint32|complex64|complex128)\b")
# Ops that Core ML lacks and nothing says.
FOREIGN_OPS = {name for name, op in OPS.items() if not op["core_ml"] and not op["expands"]}


def must_run(case: Case) -> bool:
    """Whether everything in it is Core ML's: floats and ops of its language, no empty tensors, no dense masks."""
    arrays = [*case.inputs.values(), *case.expected.values()]
    kinds = {array.dtype.name for array in arrays}
    return (
        case.core_ml
        and kinds <= {"float32", "float16"}
        and not FOREIGN_TYPES.search(case.text)
        and all(0 not in array.shape and array.ndim <= 5 for array in arrays)
        and all(OPS[op]["core_ml"] and OPS[op]["family"] not in ("compression", "complex") for op in case.ops)
    )


MUST_RUN = [case for case in CASES if must_run(case)]
# They go through ranks beyond Core ML's, through types between two ops, or are products of vectors.
EXCEPTIONS = re.compile(r"^matmul-(5-|constant)|6d|rank6|int8|uint8|int16|uint16")


def test_what_is_core_mls_runs(cache: Path) -> None:
    refused = {}
    for number, case in enumerate(MUST_RUN):
        found = model_or_refusal(case)
        if isinstance(found, str):
            refused[case.name] = found
        if number % 200 == 199:
            shutil.rmtree(cache)
    assert {name: why for name, why in refused.items() if not EXCEPTIONS.search(name)} == {}
    assert len(MUST_RUN) > 1400


def test_every_op_of_core_ml_runs_somewhere() -> None:
    """So that no refusal goes further than it must: all families have cases that run, on each choice of processors."""
    run = Counter(OPS[op]["family"] for case in MUST_RUN for op in case.ops)
    assert {
        "activation",
        "elementwise",
        "reduction",
        "linear",
        "convolution",
        "normalization",
        "sequence",
    } <= run.keys()
    assert {"shape", "indexing", "image"} <= run.keys()


@pytest.mark.parametrize("op", sorted(FOREIGN_OPS - {"constexpr_cast"}))
def test_what_core_ml_lacks_is_refused_by_name(op: str) -> None:
    cases = [case for case in CASES if op in case.ops]
    assert cases
    assert f"'{op}'" in str(model_or_refusal(cases[0])) or "refus" in str(model_or_refusal(cases[0]))


@pytest.mark.parametrize("device", ["coreml:cpu", "coreml:gpu", "coreml:ane"])
@pytest.mark.parametrize("case", [case for case in MUST_RUN if not EXCEPTIONS.search(case.name)][::60], ids=repr)
def test_choices_of_processors(case: Case, device: str) -> None:
    compare(martlet.parse(case.text, device).predict(case.inputs), case)


@pytest.mark.parametrize(
    ("signature", "body", "words"),
    [
        ("tensor<fp64, [2]> x", "y = add(x = x, y = x);", "fp64"),
        ("tensor<int64, [2]> x", "y = add(x = x, y = x);", "int64"),
        ("tensor<int8, [2]> x", "y = add(x = x, y = x);", "int8"),
        ("tensor<complex64, [2]> x", "y = mul(x = x, y = x);", "complex64"),
        ("tensor<fp32, [1, 1, 1, 1, 1, 2]> x", "y = relu(x = x);", "6 dimensions"),
        ("tensor<fp32, [0, 2]> x", "y = relu(x = x);", "no elements"),
        ("tensor<fp32, [2]> x", "y = atan2(x = x, y = x);", "no op 'atan2'"),
        ("tensor<complex64, [2]> x", "y = log10(x = x);", "complex64"),
        ("tensor<fp32, [2]> x", "y = matmul(x = x, y = x);", "2 to 5 dimensions"),
        ("tensor<bool, [2, 3]> b, tensor<fp32, [3]> x", "y = select(cond = b, a = x, b = x);", "stretches"),
        ("tensor<fp32, [2, 3]> x", "y = topk(x = x, k = 2, return_indices = false);", "left out"),
        ("tensor<fp32, [2]> x", "m = is_nan(x = x); y = masked_select(x = x, mask = m);", "no op 'masked_select'"),
    ],
)
def test_refusals_say_why(signature: str, body: str, words: str) -> None:
    with pytest.raises(martlet.UnsupportedError, match=words):
        martlet.parse(program(signature, body, "y"), "coreml")


def test_inputs_and_outputs_that_core_ml_has_not() -> None:
    """Scalars, booleans and small integers; results that are inputs or constants; a function without inputs."""
    numbers = ["bool", "int8", "uint8", "int16", "uint16", "int32", "float16", "float32"]
    names = {"float16": "fp16", "float32": "fp32"}
    for name in numbers:
        x = np.array([[0, 1], [1, 100]]).astype(name)
        text = program(f"tensor<{names.get(name, name)}, [2, 2]> x", "y = transpose(x = x, perm = [1, 0]);", "y")
        got = martlet.parse(text, "coreml").predict({"x": x})["y"]
        assert got.dtype == x.dtype
        np.testing.assert_array_equal(got, x.T)
    text = program(
        "fp32 x, tensor<fp32, [2]> z", "y = add(x = x, y = 1.5); c = add(x = 2.0, y = 1.0);", "y, c, x, z, y"
    )
    got = martlet.parse(text.replace("y, c, x, z, y", "y, c, x, z"), "coreml").predict(
        {"x": np.float32(2), "z": np.float32([3, 4])}
    )
    assert {name: value.tolist() for name, value in got.items()} == {"y": [3.5], "c": [3], "x": [2], "z": [3, 4]}
    text = program("", "y = fill(shape = [2, 3], value = 4.0);", "y")
    np.testing.assert_array_equal(martlet.parse(text, "coreml").predict({})["y"], np.full((2, 3), 4, np.float32))


def test_integer_parameters_are_32_bits() -> None:
    """Axes, sizes and counts may be written in any type; a count of everything is written as a number."""
    x = np.float32([[3, 1, 2], [4, 6, 5]])
    for body, wanted in {
        "a = const()[val = int64(1)]; y = softmax(x = x, axis = a);": np.exp(x) / np.exp(x).sum(1, keepdims=True),
        "y, i = topk(x = x, k = -1, axis = 1);": -np.sort(-x, 1),
        "s = const()[val = tensor<int64, [2]>([3, 2])]; y = reshape(x = x, shape = s);": x.reshape(3, 2),
        "e = const()[val = fp16(0.0)]; y = log(x = x, epsilon = e);": np.log(x),
    }.items():
        got = martlet.parse(program("tensor<fp32, [2, 3]> x", body, "y"), "coreml").predict({"x": x})["y"]
        np.testing.assert_allclose(got, wanted, rtol=1e-5)


def test_the_selector_hears_why() -> None:
    """What a whole function would be refused for, a selector and a backend are told of a single operation."""
    backend = martlet.CoreMLBackend()
    big = np.ones((64, 64))
    for x, op in ((big, "abs"), (big.astype(np.float32), "log1p"), (big.astype(np.int64), "copysign")):
        with contextlib.suppress(martlet.WrongTypeError):
            backend.run(op, **({"x": x, "y": x} if op == "copysign" else {"x": x}))
    found = backend.get_stats().fallbacks.get("coreml", {})
    assert any("fp64" in reason for reason in found)
    assert not any("log1p" in reason for reason in found)


def test_results_of_open_size() -> None:
    model = martlet.parse(program("tensor<fp32, [2, 3]> x", "y = non_zero(x = x);", "y"), "coreml")
    x = np.float32([[1, 0, 2], [0, 0, 3]])
    np.testing.assert_array_equal(model.predict({"x": x})["y"], np.argwhere(x))
    np.testing.assert_array_equal(model.predict({"x": x * 0 + 1})["y"], np.argwhere(x == x))


def test_processors_that_are_not_there() -> None:
    def available() -> dict[str, bool]:
        return {each["name"]: each["available"] for each in martlet.devices()}

    SHIMS.shim_control(b"neural_engine_absent", 1)
    SHIMS.shim_control(b"gpu_absent", 1)
    found = available()
    assert (found["coreml"], found["coreml:cpu"]) == (True, True)
    assert (found["coreml:gpu"], found["coreml:ane"]) == (False, False)
    with pytest.raises(martlet.UnsupportedError, match="no such processor"):
        martlet.parse(program("tensor<fp32, [2]> x", "y = relu(x = x);", "y"), "coreml:ane")


# Packages


def omitted(spec: Any, function: Any) -> list[str]:
    """Parameters with a default that a written program leaves out."""
    written = next(iter(spec.mlProgram.functions["main"].block_specializations.values()))
    said = {op.outputs[0].name: set(op.inputs) for op in written.operations if op.type != "const"}
    missing = []
    for op in function.operations:
        if op.op_type == "const" or op.op_type.startswith("constexpr") or op.outputs[0].name not in said:
            continue
        defaults = op.default_inputs()
        given = said[op.outputs[0].name]
        missing += [
            f"{op.op_type}.{name}" for name, value in defaults.items() if value is not None and name not in given
        ]
    return missing


def literals(text: str) -> list[np.ndarray]:
    """The arrays that a case writes down."""
    kinds = {"fp16": np.float16, "fp32": np.float32, "int32": np.int32}
    found = []
    for kind, shape, values in re.findall(r"tensor<(fp16|fp32|int32), \[(\d[\d, ]*)\]>\(([\[\]\d\s.,e+-]*)\)", text):
        numbers = re.findall(r"[\d.e+-]+", values)
        found.append(np.array(numbers, np.float64).astype(kinds[kind]).reshape([int(n) for n in shape.split(",")]))
    return found


def type_of(value: Any) -> tuple[str, list[int]]:
    from coremltools.converters.mil.mil import types

    return types.builtin_to_string(value.dtype), [size if isinstance(size, int) else -1 for size in value.shape]


def declared(port: Any) -> tuple[str, list[int]]:
    """How Core ML's interface carries an input or output of ours."""
    name = {"float16": "fp16", "float32": "fp32"}.get(port.dtype.name, "int32")
    return name, list(port.shape) or [1]


@pytest.mark.skipif(not HAS_TOOLS, reason="coremltools is a large download; .ci/run has it")
def test_coremltools_reads_every_package(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Types follow by coremltools' own inference, no parameter is left out, constants are those of the case."""
    import coremltools as tools
    from coremltools.converters.mil.frontend.milproto.load import load

    monkeypatch.setenv("MARTLET_KEEP_PACKAGES", "1")
    read, wrong = 0, {}
    for case in CASES:
        model = model_or_refusal(case)
        if isinstance(model, str):
            continue
        (package,) = cache.glob("*/content/model.mlpackage")
        try:
            spec = tools.utils.load_spec(str(package))
            weights = package / "Data/com.apple.CoreML/weights"
            function = load(spec, spec.specificationVersion, str(weights)).functions["main"]
            assert omitted(spec, function) == []
            assert [type_of(value) for value in function.inputs.values()][: len(model.inputs)] == [
                declared(port) for port in model.inputs
            ]
            assert [type_of(value) for value in function.outputs] == [declared(port) for port in model.outputs]
            constants = [value.val for op in function.operations for value in op.outputs if op.op_type == "const"]
            # The package of a graph leaves out what none of its results needs.
            if all(OPS[op]["core_ml"] for op in case.ops) and not case.name.startswith("graph-"):
                for wanted in literals(case.text):
                    assert any(
                        np.shape(each) == wanted.shape and each.dtype == wanted.dtype and np.array_equal(each, wanted)
                        for each in constants
                    ), wanted
            read += 1
        except Exception as error:
            wrong[case.name] = f"{type(error).__name__}: {error}"[:300]
        shutil.rmtree(cache)
    assert wrong == {}
    assert read > 2000


# Files as they are


def test_cases_run_from_their_files(cache: Path, tmp_path: Path) -> None:
    """Files that Martlet saved, in whatever opset, are Core ML's to run as they are, or their programs are."""
    refused = []
    for number, case in enumerate(STORABLE):
        martlet.parse(case.text, "cpu").save(tmp_path / "case.mlpackage")
        try:
            model = martlet.load(tmp_path / "case.mlpackage", "coreml")
        except martlet.UnsupportedError:
            refused.append(case.name)
            continue
        compare(model.predict(case.inputs), case)
        if number % 200 == 199:
            shutil.rmtree(cache)
    assert len(STORABLE) - len(refused) > 2000


def load(name: str, device: str = "coreml") -> martlet.Model:
    return martlet.load(DATA / f"{name}.mlpackage", device)


@pytest.mark.parametrize("name", ["rgb", "bgr", "gray", "gray16"])
def test_images_become_pixels_and_back(name: str) -> None:
    """The file inverts an image; what takes RGB gives BGR, and the other way round."""
    model = load(name)
    x = np.random.default_rng(5).integers(0, 256, model.inputs[0].shape).astype(np.float32)
    wanted = 255 - x
    np.testing.assert_array_equal(model.predict({"x": x})["y"], wanted)
    pixels = x[0].transpose(1, 2, 0).astype(np.uint8)
    if name == "gray":
        np.testing.assert_array_equal(model.predict({"x": pixels[:, :, 0]})["y"], wanted)


def test_images_hold_integers() -> None:
    with pytest.raises(martlet.InvalidArgumentError, match="integers from 0 to 255"):
        load("rgb").predict({"x": np.full((1, 3, 2, 4), 0.5, np.float32)})
    half = np.full((1, 1, 2, 4), 0.5, np.float32)
    np.testing.assert_array_equal(load("gray16").predict({"x": half})["y"], 255 - half)


@pytest.mark.parametrize(("name", "labels"), [("words", ["red", "green", "blue"]), ("numbers", [7, 11, 13])])
def test_classes(name: str, labels: list[Any]) -> None:
    x = np.float32([[0.5, 2, 1]])
    got = load(name).predict({"x": x})
    assert got["classLabel"] == labels[1]
    assert list(got["classLabel_probs"]) == labels
    scores = load(name).predict({"x": x}, raw=True)["classLabel_probs"]
    for found in (list(got["classLabel_probs"].values()), scores.ravel()):
        np.testing.assert_allclose(found, (np.exp(x) / np.exp(x).sum()).ravel(), rtol=1e-6)


def test_what_is_left_out_is_the_default() -> None:
    x = np.float32([[1, 2, 3]])
    np.testing.assert_array_equal(load("default").predict({"x": x})["y"], 3 * x)
    np.testing.assert_array_equal(load("default").predict({"x": x, "factor": 2 * x})["y"], 2 * x * x)


def test_files_are_compiled_once_and_not_rewritten(cache: Path, tmp_path: Path) -> None:
    """What the compiler gets is the file: no second package is written, and its name does not matter."""
    package = tmp_path / "here.mlpackage"
    shutil.copytree(DATA / "default.mlpackage", package)
    before = SHIMS.shim_value(b"compiled")
    x = np.float32([[1, 2, 3]])
    for place in (package, tmp_path / "there.mlpackage"):
        if not place.exists():
            shutil.copytree(package, place)
        np.testing.assert_array_equal(martlet.load(place, "coreml").predict({"x": x})["y"], 3 * x)
    assert SHIMS.shim_value(b"compiled") == before + 1
    (entry,) = cache.glob("coreml-*")
    assert [each.name for each in (entry / "content").iterdir()] == ["model.mlmodelc"]


def test_large_files_are_read_once(cache: Path, tmp_path: Path) -> None:
    """The hash of a large file is kept by what changes whenever the file is written."""
    # No two rows are alike, so that nothing is kept once for both.
    big = np.arange(2048 * 2100, dtype=np.float32).reshape(2048, 2100)
    martlet.trace(lambda x: x @ martlet.asarray(big), x=np.zeros((1, 2048), np.float32)).save(
        tmp_path / "big.mlpackage"
    )
    x = np.zeros((1, 2048), np.float32)
    x[0, 3] = 2
    for _ in range(2):
        model = martlet.load(tmp_path / "big.mlpackage", "coreml")
        (result,) = model.predict({model.inputs[0].name: x}).values()
        np.testing.assert_array_equal(result[0], 2 * big[3])
    (digest,) = cache.glob("digest-*/content/digest")
    # One that was damaged is found once more; what was compiled is still known by it.
    digest.write_bytes(b"\xff" * digest.stat().st_size)
    before = SHIMS.shim_value(b"compiled")
    (result,) = martlet.load(tmp_path / "big.mlpackage", "coreml").predict({model.inputs[0].name: x}).values()
    np.testing.assert_array_equal(result[0], 2 * big[3])
    assert SHIMS.shim_value(b"compiled") == before


def test_a_file_written_after_it_was_read(tmp_path: Path) -> None:
    """The model is then what was read, not what lies there now."""
    path = tmp_path / "model.mlpackage"
    text = "tensor<fp32, [2]> x", "y = mul(x = x, y = {});", "y"
    martlet.parse(program(text[0], text[1].format(3.0), text[2])).save(path)
    model = martlet.load(path, "cpu")
    martlet.parse(program(text[0], text[1].format(5.0), text[2])).save(path)
    x = np.float32([1, 2])
    np.testing.assert_array_equal(model.select("main", "coreml").predict({"x": x})["y"], 3 * x)


def test_what_core_ml_has_no_arrays_for_is_compiled_from_the_program(tmp_path: Path) -> None:
    """int8 arrays came with a later system; between casts the program runs all the same."""
    text = program("tensor<int8, [3]> x", 'h = cast(x = x, dtype = "fp32"); y = relu(x = h);', "y")
    martlet.parse(text).save(tmp_path / "small.mlpackage")
    got = martlet.load(tmp_path / "small.mlpackage", "coreml").predict({"x": np.int8([-1, 0, 5])})
    np.testing.assert_array_equal(got["y"], np.float32([0, 0, 5]))


# The words that coremltools keeps from being names.
WORDS = {
    *("any", "bool", "dict", "false", "func", "list", "program", "state", "string", "tensor", "true", "tuple"),
    *("bf16", "fp16", "fp32", "fp64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
}


def test_words_of_the_language_are_no_names_in_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Core ML's compiler reads text: what is called like a word of it gets another name in the file."""
    words = sorted(WORDS - {"true", "false"})  # which our own text takes for values
    lines = [f"tensor<fp32, [2]> {word} = add(x = x, y = {number}.0);" for number, word in enumerate(words)]
    values = ", ".join(words)
    body = "".join(lines) + f"tensor<fp32, [{2 * len(words)}]> y = concat(values = ({values}), axis = 0);"
    martlet.parse(program("tensor<fp32, [2]> x", body, "y"), "cpu").save(tmp_path / "words.mlpackage")
    model = martlet.load(tmp_path / "words.mlpackage", "coreml")
    assert "is not run as the file has it" not in caplog.text
    wanted = np.add.outer(np.arange(len(words)), [1, 2]).ravel()
    np.testing.assert_array_equal(model.predict({"x": np.float32([1, 2])})["y"], wanted)


@pytest.mark.skipif(not HAS_TOOLS, reason="coremltools is a large download; .ci/run has it")
def test_the_words_are_those_of_coremltools() -> None:
    from coremltools.converters.mil.mil.passes.defs.preprocess import NameSanitizer

    assert [word for word in [*WORDS, "x"] if NameSanitizer().sanitize_name(word) == word] == ["x"]


def test_lone_numbers(tmp_path: Path) -> None:
    """Core ML gives one element where the program has a number, and takes no memory of ours for it."""
    text = program("tensor<fp32, [3]> x", "y = reduce_sum(x = x, axes = [0], keep_dims = false);", "y")
    martlet.parse(text, "cpu").save(tmp_path / "sum.mlpackage")
    for model in (martlet.load(tmp_path / "sum.mlpackage", "coreml"), martlet.parse(text, "coreml")):
        for _ in range(2):
            np.testing.assert_array_equal(model.predict({"x": np.float32([1, 2, 4])})["y"], np.float32(7))


# Runs and plans

CHAIN = program("tensor<fp16, [2, 3]> x, bool b", "y = relu(x = x); z = exp(x = y); w = logical_not(x = b);", "z, w")


def test_a_plan_says_what_core_ml_intends() -> None:
    steps = {step.output: step for step in martlet.parse(CHAIN, "coreml:ane").plan()}
    assert steps["y"].ops == ["relu"]
    assert steps["y"].type == "tensor<fp16, [2, 3]>"
    assert steps["z"].ops == ["exp"]
    assert "Neural Engine" in steps["y"].reason
    assert "% of the whole" in steps["y"].reason
    assert "Neural Engine" not in steps["w"].reason


def test_plans_are_read_when_somebody_asks() -> None:
    before = SHIMS.shim_value(b"planned")
    model = martlet.parse(CHAIN, "coreml")
    model.predict({"x": np.ones((2, 3), np.float16), "b": np.array(True)})
    repr(model)
    # Nor does a backend ask, which wants to know how much memory what it keeps takes.
    backend, x = martlet.CoreMLBackend(), np.ones((64, 64), np.float32)
    backend.run("matmul", x=x, y=x)
    assert backend.get_stats().cache_bytes > 4096
    np.testing.assert_array_equal(martlet.asarray(x).to("coreml") + 1, x + 1)
    assert SHIMS.shim_value(b"planned") == before
    model.plan(), model.plan()
    assert SHIMS.shim_value(b"planned") == before + 1


def test_a_plan_that_cannot_be_read() -> None:
    SHIMS.shim_control(b"plan", 1)
    (step,) = martlet.parse(CHAIN, "coreml").plan()
    assert {"relu", "exp", "logical_not"} <= set(step.ops)
    assert "given to Core ML as a whole" in step.reason
    assert "ordered to fail" in step.reason


def test_profiles_tell_the_time_of_the_whole_run() -> None:
    model = martlet.parse(CHAIN, "coreml")
    with martlet.profile() as profile:
        model.predict({"x": np.ones((2, 3), np.float16), "b": np.array(True)})
    (run,), (step,) = profile.to_dict()["runs"], profile.to_dict()["ops"]
    assert run["device"] == step["device"] == "coreml"
    assert {"relu", "exp"} <= set(step["ops"])
    assert 0 < step["duration_ns"] <= run["duration_ns"]


def test_nothing_waits_for_a_pool() -> None:
    """Python's threads have no autorelease pool: what Core ML leaves in one must go with the call."""
    before = SHIMS.shim_value(b"unpooled")
    model, x = martlet.parse(program("tensor<fp32, [3]> x", "y = relu(x = x);", "y"), "coreml"), np.float32([1, 2, 3])
    model.predict({"x": x})
    model.predict_batch([{"x": x}, {"x": x}])
    asyncio.run(model.predict_async({"x": x}))
    remembering = martlet.load(DATA.parents[1] / "python/data/cache.mlpackage", "coreml")
    state = remembering.make_state()
    name = remembering.states[0].name
    state[name] = np.asarray(state[name])
    assert SHIMS.shim_value(b"unpooled") == before


def test_threads_share_a_model() -> None:
    """Core ML wants the synchronous calls of a model one after the other; asynchronous ones may overlap."""
    from concurrent.futures import ThreadPoolExecutor

    model = martlet.parse(program("tensor<fp32, [7, 5]> x", "y = mul(x = x, y = 2.0);", "y"), "coreml")

    def check(number: int) -> None:
        x = np.full((7, 5), number, np.float32)
        np.testing.assert_array_equal(model.predict({"x": x})["y"], 2 * x)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(check, range(200)))

    async def together() -> list[Any]:
        return await asyncio.gather(
            *(model.predict_async({"x": np.full((7, 5), number, np.float32)}) for number in range(40))
        )

    for number, got in enumerate(asyncio.run(together())):
        np.testing.assert_array_equal(got["y"], np.full((7, 5), 2 * number, np.float32))


def test_eager_operations() -> None:
    x = martlet.asarray(np.float32([[1, -2], [3, -4]])).to("coreml")
    np.testing.assert_array_equal(np.asarray(abs(x) + x), [[2, 0], [6, 0]])
