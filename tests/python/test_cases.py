"""Every case on every device, through a file and back, and the table of ops held against the cases."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import martlet
from tests.cases import Case, all_cases

CASES = all_cases()
OPS = {each["name"]: each for each in martlet.ops()}
WANTED = os.environ.get("MARTLET_TEST_DEVICES", "").split()
DEVICES = [each["name"] for each in martlet.devices() if each["available"] and (not WANTED or each["name"] in WANTED)]
# The element types that inputs and outputs of a model file may have.
IN_FILES = {"float16", "float32", "float64", "int8", "int32"}

# Ops that the CPU engine refuses: `test_case` sees that it does. An op that runs must go from here.
WITHOUT_KERNEL: set[str] = set()

# Ops that no case uses yet, by family. An op with a case must go from here.
WITHOUT_CASE: set[str] = set()

# Compressed weights with masks, which files do not hold bit by bit yet.
WITH_MASKS = {"constexpr_sparse_to_dense", "constexpr_lut_to_sparse", "constexpr_sparse_blockwise_shift_scale"}


# Devices of other systems, which refuse what those lack; `tests/apple` holds what they may refuse.
MAY_REFUSE = ("metal", "coreml")
# A refusal names an op or an element type.
NAMES_WHAT_IS_LACKING = re.compile(r"\bop '?\w+|\b(fp|u?int|complex)\d+\b|\bbool\b")


def runs(case: Case) -> bool:
    """Whether the CPU engine has what the case needs."""
    return not case.ops & WITHOUT_KERNEL


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("case", CASES, ids=repr)
def test_case(case: Case, device: str) -> None:
    if case.devices is not None and device not in case.devices:
        pytest.skip("the case is not meant for this device")
    if not runs(case):
        with pytest.raises(martlet.UnsupportedError):
            martlet.parse(case.text, device)
        return
    try:
        model = martlet.parse(case.text, device)
    except martlet.UnsupportedError as refusal:
        if device.startswith(MAY_REFUSE) and NAMES_WHAT_IS_LACKING.search(str(refusal)):
            return
        raise
    compare(model.predict(case.inputs), case)


def compare(got: dict[str, np.ndarray], case: Case) -> None:
    """Fails unless the outputs are those that the case expects."""
    assert list(got) == list(case.expected)
    for name, wanted in case.expected.items():
        assert got[name].dtype == wanted.dtype
        # A lone number comes as (1,): Core ML has no rank 0 there.
        assert got[name].shape == (wanted.shape or (1,))
        answer = got[name].reshape(wanted.shape)
        if wanted.dtype.kind == "c":  # part by part, or an infinite part would hide the other
            parts = wanted.real.dtype
            answer, wanted = (np.ascontiguousarray(each).view(parts) for each in (answer, wanted))
        if wanted.dtype.kind == "f":
            answer, wanted = answer.astype(np.float64), wanted.astype(np.float64)
            np.testing.assert_allclose(answer, wanted, rtol=case.tolerance, atol=case.tolerance, err_msg=name)
        else:
            np.testing.assert_array_equal(answer, wanted, err_msg=name)


# Files


def is_storable(case: Case) -> bool:
    return all(array.dtype.name in IN_FILES for array in [*case.inputs.values(), *case.expected.values()])


# Ops that Core ML lacks; what it has for some of them is less exact.
FOREIGN = {name for name, op in OPS.items() if not op["core_ml"]}
STORABLE = [case for case in CASES if is_storable(case) and runs(case) and not case.ops & FOREIGN]
NAMES = {case.name for case in CASES}
# coremltools reads no inputs of rank 0; of two cases that differ in the floats only, one shows all that it says.
WIDE = re.compile(r"\b(fp64|int64|uint64|uint32|complex64|complex128)\b")
TO_COMPARE = [
    case
    for case in STORABLE
    if case.core_ml
    and not WIDE.search(case.text)
    and not case.ops & WITH_MASKS
    and all(array.ndim for array in case.inputs.values())
    and case.name.replace("-fp32", "-fp16") not in NAMES - {case.name}
]


@pytest.mark.parametrize("case", STORABLE, ids=repr)
def test_round_trip(case: Case, tmp_path: Path) -> None:
    device = case.devices[0] if case.devices else None
    martlet.parse(case.text, device).save(tmp_path / "case.mlpackage")
    compare(martlet.load(tmp_path / "case.mlpackage", device).predict(case.inputs), case)


@pytest.mark.skipif(
    importlib.util.find_spec("coremltools") is None, reason="coremltools is a large download; .ci/run has it"
)
@pytest.mark.parametrize("case", TO_COMPARE if importlib.util.find_spec("coremltools") else TO_COMPARE[:1], ids=repr)
def test_coremltools_reads_the_same_types(case: Case, tmp_path: Path) -> None:
    import coremltools as tools
    from coremltools.converters.mil.frontend.milproto.load import load

    model = martlet.parse(case.text)
    model.save(tmp_path / "case.mlpackage")
    spec = tools.utils.load_spec(str(tmp_path / "case.mlpackage"))
    weights = tmp_path / "case.mlpackage/Data/com.apple.CoreML/weights"
    try:
        function = load(spec, spec.specificationVersion, str(weights)).functions["main"]
    except ValueError as error:
        if "from type domain" in str(error):
            pytest.skip("Core ML's op does not take this element type")
        raise
    theirs = {value.name: described(value) for op in function.operations for value in op.outputs}
    ours = {name: kind for kind, name in re.findall(r"(tensor<\w+, \[[\d, ]*\]>) (\w+)(?=[^()]* = )", model.text())}
    # What a compressed weight consists of stands within it, not as constants of its own.
    stored = re.findall(r"\w+ = (\w+)", " ".join(re.findall(r"= constexpr_\w+\((.*?)\)", model.text())))
    assert {name: theirs[name] for name in ours if name not in stored} == {
        name: kind for name, kind in ours.items() if name not in stored
    }


def described(value: Any) -> str:
    """The type of a coremltools value in MIL."""
    from coremltools.converters.mil.mil import types

    return f"tensor<{types.builtin_to_string(value.dtype)}, {list(value.shape)}>"


def test_values_that_files_cannot_hold(tmp_path: Path) -> None:
    model = martlet.parse("program(1.3) { func main<ios18>(tensor<bool, [2]> x) { y = logical_not(x = x); } -> (y); }")
    with pytest.raises(martlet.UnsupportedError, match="bool"):
        model.save(tmp_path / "case.mlpackage")


SAID_OTHERWISE = {
    "acosh": np.arccosh,
    "asinh": np.arcsinh,
    "expm1": np.expm1,
    "hypot": np.hypot,
    "log10": np.log10,
    "log1p": np.log1p,
    "log2": np.log2,
    "log_add_exp": np.logaddexp,
    "negative": np.negative,
    "trunc": np.trunc,
    "is_nan": np.isnan,
    "is_inf": np.isinf,
    "is_finite": np.isfinite,
}


@pytest.mark.parametrize("op", SAID_OTHERWISE)
def test_core_ml_says_it_otherwise(op: str, tmp_path: Path) -> None:
    function, x = SAID_OTHERWISE[op], np.float32([1.25, 2, 3.75, 40])
    given = (x, x[::-1].copy())[: function.nin]
    names = "xy"[: function.nin]
    inputs = ", ".join(f"tensor<fp32, [4]> {name}" for name in names)
    arguments = ", ".join(f"{name} = {name}" for name in names)
    body = f'r = {op}({arguments}); result = cast(x = r, dtype = "fp32");'
    model = martlet.parse(f"program(1.3) {{ func main<ios18>({inputs}) {{ {body} }} -> (result); }}")
    model.save(tmp_path / "case.mlpackage")
    saved = martlet.load(tmp_path / "case.mlpackage")
    assert f" {op}(" not in saved.text()
    wanted = function(*given).astype(np.float32)
    np.testing.assert_allclose(saved.predict(dict(zip(names, given, strict=True)))["result"], wanted, rtol=1e-6)


def test_ops_that_core_ml_lacks(tmp_path: Path) -> None:
    text = "program(1.3) {{ func main<ios18>(tensor<fp32, [2]> x) {{ y = {}; }} -> (y); }}"
    with pytest.raises(martlet.UnsupportedError, match="no op 'atan2'"):
        martlet.parse(text.format("atan2(x = x, y = x)")).save(tmp_path / "case.mlpackage")
    martlet.parse(text.format("log1p(x = x)")).save(tmp_path / "case.mlpackage")
    saved = martlet.load(tmp_path / "case.mlpackage").text()
    assert "log(" in saved
    assert "log1p(" not in saved


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('cast(x = c, dtype = "fp32")', "complex64, which fp32 cannot hold"),
        ("less(x = c, y = c)", "complex64; it must be one of"),
        ("add(x = f, y = i)", "x is fp32 and y is int64; both must be of one type"),
        ("select(cond = b, a = f, b = i)", "a is fp32 and b is int64; both must be of one type"),
        ("bitwise_and(x = f, y = f)", "fp32; it must be one of bool"),
        ("shift_left(x = b, y = b)", "bool; it must be one of int8"),
        ("add(x = b, y = b)", "bool; it must be one of"),
        ("next_after(x = h, y = h)", "fp16; it must be one of fp32, fp64"),
        ("complex(x = i, y = i)", "int64; it must be one of fp32, fp64"),
    ],
)
def test_types_without_meaning(line: str, words: str) -> None:
    types = {"c": "complex64", "f": "fp32", "h": "fp16", "i": "int64", "b": "bool"}
    inputs = ", ".join(f"tensor<{each}, [2]> {name}" for name, each in types.items())
    with pytest.raises(martlet.WrongTypeError, match=words):
        martlet.parse(f"program(1.3) {{ func main<ios18>({inputs}) {{ y = {line}; }} -> (y); }}")


# The table


def test_parse_names_line_and_column() -> None:
    with pytest.raises(martlet.MalformedError, match="line 2, column 6"):
        martlet.parse("program(1.3) { func main<ios18>(fp32 x) {\n y = = relu(x = x); } -> (y); }")


def test_every_op_has_a_case() -> None:
    covered = set().union(*(case.ops for case in CASES))
    assert OPS.keys() - covered == WITHOUT_CASE


def test_ops_without_kernel_have_cases() -> None:
    """So that the list above is true: their cases must be refused, all others must run."""
    assert not WITHOUT_KERNEL & WITHOUT_CASE
    assert OPS.keys() >= WITHOUT_KERNEL


@pytest.mark.parametrize("op", OPS)
def test_every_parameter_has_words(op: str) -> None:
    assert OPS[op]["words"]
    assert [each["name"] for each in OPS[op]["parameters"] if not each["words"].strip()] == []
