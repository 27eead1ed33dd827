"""Explanations of what Core ML plans, on stand-ins for Apple's frameworks."""

import ctypes
import os

import numpy as np
import pytest

import martlet

SHIMS = ctypes.CDLL(os.environ["MARTLET_LIBRARY"])
SHIMS.shim_control.argtypes = [ctypes.c_char_p, ctypes.c_long]

# A line of each kind: one that the Neural Engine takes, one that it does not, by the rule book.
TEXT = """
program(1.3) { func main<ios18>(tensor<fp16, [1, 64]> x, tensor<fp16, [64, 64]> w) {
    tensor<fp16, [1, 64]> a = matmul(x = x, y = w)[name = string("a")];
    tensor<fp16, [1, 64]> y = sinh(x = a)[name = string("y")];
} -> (y); }
"""
# Adds to what it remembers.
SUMMING = """
program(1.3) { func main<ios18>(tensor<fp16, [1, 64]> x, state<tensor<fp16, [1, 64]>> total) {
    tensor<fp16, [1, 64]> before = read_state(input = total)[name = string("before")];
    tensor<fp16, [1, 64]> sum = add(x = before, y = x)[name = string("sum")];
    write_state(input = total, data = sum);
    tensor<fp16, [1, 64]> y = mul(x = sum, y = sum)[name = string("y")];
} -> (y); }
"""
DEVICES = ("coreml", "coreml:ane", "coreml:gpu", "coreml:cpu")


@pytest.fixture
def path(tmp_path):
    martlet.parse(TEXT, "cpu").save(tmp_path / "m.mlpackage")
    return tmp_path / "m.mlpackage"


@pytest.mark.parametrize("device", DEVICES)
def test_places_are_planned_by_core_ml(path, device):
    found = martlet.explain(path, device=device)
    assert found.device == device
    assert [each.output for each in found] == ["a", "y"]
    for each in found:
        assert each.known == "planned by Core ML"
        assert each.processor in ("Neural Engine", "GPU", "CPU")
        assert each.kernel == "Core ML"
    if device == "coreml:cpu":
        assert {each.processor for each in found} == {"CPU"}
    assert f"{device}, {found.operations[0].processor}" in str(found)
    # What the rule book expects is told beside it, whatever the plan says.
    assert [each.expected for each in found] == ["Neural Engine", "GPU"]


def test_what_ran_in_core_ml_stays_planned(path):
    found = martlet.explain(path, device="coreml:ane", run=3)
    assert {each.known for each in found} == {"planned by Core ML"}
    assert found.nanoseconds > 0
    # Core ML tells the time of a whole run alone.
    assert [each.nanoseconds for each in found] == [None, None]


@pytest.mark.parametrize("device", [*DEVICES, "metal", "cpu"])
def test_models_that_remember_are_timed_with_a_state(tmp_path, device):
    martlet.parse(SUMMING, "cpu").save(tmp_path / "m.mlpackage")
    found = martlet.explain(tmp_path / "m.mlpackage", device=device, run=3)
    assert found.nanoseconds > 0
    assert "y" in [each.output for each in found]


def test_a_cost_that_is_no_number(path):
    """Core ML may plan shares of nothing."""
    SHIMS.shim_control(b"cost", 1000)
    found = martlet.explain(path, device="coreml")
    SHIMS.shim_control(b"cost", -1)
    assert "%" not in found.operations[0].reason
    assert "preferred among" in found.operations[0].reason


def test_programs_without_a_file_are_explained_too():
    found = martlet.explain(martlet.parse(TEXT, "cpu"), device="coreml:ane")
    assert [each.known for each in found] == ["planned by Core ML"] * 2


def test_plans_name_processors(path):
    model = martlet.load(path, "coreml:ane")
    steps = list(model.plan())
    assert {step.known for step in steps} == {"planned by Core ML"}
    assert all(step.processor for step in steps)
    assert f"on {steps[0].processor}, planned by Core ML" in str(model.plan())
    expected = np.sinh(np.full((1, 64), 64 / 1024, np.float64))
    inputs = {"x": np.full((1, 64), 1 / 32, np.float16), "w": np.full((64, 64), 1 / 32, np.float16)}
    np.testing.assert_allclose(model.predict(inputs)["y"], expected, rtol=1e-2)


def test_metal_computes_what_it_says(path):
    found = martlet.explain(path, device="metal")
    assert found.device == "metal"
    assert {each.known for each in found} == {"chosen by us"}


def test_operations_inside_a_graph_have_its_place():
    """Metal compiles several as one, some of them by what they expand into."""
    text = """
    program(1.3) { func main<ios18>(tensor<fp32, [2, 8]> x, tensor<fp32, [4, 8]> w, tensor<fp32, [4]> b) {
        a = linear(x = x, weight = w, bias = b);
        c = gelu(x = a, mode = "EXACT");
        d = reshape(x = c, shape = [4, 2]);
        y = layer_norm(x = d, axes = [-1]);
    } -> (y); }
    """
    found = martlet.explain(martlet.parse(text, "cpu"), device="metal", run=2)
    assert [each.op for each in found] == ["linear", "gelu", "reshape", "layer_norm"]
    assert {each.step for each in found} == {0}
    assert {each.known for each in found} == {"ran"}
    assert {each.kernel for each in found} == {"graph"}
    # The graph's time is told once.
    assert [each.nanoseconds is None for each in found] == [True, True, True, False]
