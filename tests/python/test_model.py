"""Models from Python: what goes in, what comes out, what they say about themselves."""

import gc
from pathlib import Path

import numpy as np
import pytest
from conftest import HALF, OPEN, RESHAPED, SUM, TOTAL, WHOLE

import martlet
from martlet.ports import Image, Port, as_input

DATA = Path(__file__).with_name("data")
A = np.arange(6, dtype=np.float32).reshape(2, 3)
B = np.full((2, 3), 0.5, np.float32)


def test_predict(sum_model):
    outputs = sum_model.predict({"b": B, "a": A})
    assert list(outputs) == ["sum", "product"]
    np.testing.assert_array_equal(outputs["sum"], A + B)
    np.testing.assert_array_equal(outputs["product"], A * (A + B))
    assert outputs["sum"].dtype == np.float32


def test_call(sum_model):
    np.testing.assert_array_equal(sum_model(a=A, b=B)["sum"], A + B)


@pytest.mark.parametrize("dtype", ["float64", "float16", "int64", "int8", "uint16", ">f4"])
def test_numbers_become_floats(sum_model, dtype):
    outputs = sum_model(a=A.astype(dtype), b=B)
    np.testing.assert_array_equal(outputs["sum"], A + B)


def test_bools_become_floats(sum_model):
    np.testing.assert_array_equal(sum_model(a=A > 2, b=B)["sum"], (A > 2) + B)


def test_lists_are_arrays(sum_model):
    np.testing.assert_array_equal(sum_model(a=A.tolist(), b=B)["sum"], A + B)


@pytest.mark.parametrize(
    "laid_out",
    [
        np.asfortranarray(A),
        np.repeat(A, 2, axis=1)[:, ::2],
        A[::-1][::-1],
        np.frombuffer(b"\0" + A.tobytes(), np.uint8)[1:].view(np.float32).reshape(2, 3),
    ],
    ids=["columns first", "strided", "turned", "unaligned"],
)
def test_any_layout(sum_model, laid_out):
    np.testing.assert_array_equal(sum_model(a=laid_out, b=B)["sum"], A + B)


def test_read_only_inputs(sum_model):
    frozen = A.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(sum_model(a=frozen, b=B)["sum"], A + B)


def test_nan_and_infinity_pass(sum_model):
    odd = A.copy()
    odd[0, 0], odd[1, 1] = np.nan, np.inf
    np.testing.assert_array_equal(sum_model(a=odd, b=B)["sum"], odd + B)


def test_whole_floats_become_integers(load):
    outputs = load(WHOLE)(i=[1.0, 2.0, -3.0])
    assert outputs["doubled"].dtype == np.int32
    np.testing.assert_array_equal(outputs["doubled"], [2, 4, -6])


@pytest.mark.parametrize("values", [[1, 2, 3], np.array([1, 2, 3], np.int64), np.array([True, False, True])])
def test_integers_become_int32(load, values):
    np.testing.assert_array_equal(load(WHOLE)(i=values)["doubled"], 2 * np.asarray(values, np.int32))


def test_half_precision(load):
    outputs = load(HALF)(x=[1, 2, 0.5, -4])
    np.testing.assert_array_equal(np.asarray(outputs["y"], np.float32), [2, 4, 1, -8])


def test_rank_0_is_shape_1(load):
    total = load(TOTAL)(x=[1, 2, 3, 4])["total"]
    assert total.shape == (1,)
    assert total[0] == 10


def test_flexible_shapes(load):
    model = load(OPEN)
    assert model.inputs[0].shape == (1, -1)
    for size in (1, 5, 3, 5):
        x = np.linspace(-1, 1, size, dtype=np.float32)[np.newaxis]
        np.testing.assert_array_equal(model(x=x)["y"], np.maximum(x, 0))


def test_outputs_outlive_the_model(load):
    model = load(SUM)
    outputs = model(a=A, b=B)
    del model
    gc.collect()
    np.testing.assert_array_equal(outputs["product"], A * (A + B))


def test_outputs_of_different_runs_are_independent(sum_model):
    first = sum_model(a=A, b=B)["sum"]
    sum_model(a=B, b=B)
    np.testing.assert_array_equal(first, A + B)


def test_outputs_are_read_only(sum_model):
    output = sum_model(a=A, b=B)["sum"]
    with pytest.raises(ValueError, match="read-only"):
        output[0, 0] = 1
    output.copy()[0, 0] = 1


def test_an_output_that_is_the_input_is_not_its_memory(load):
    x = A.copy()
    y = load(RESHAPED)(x=x)["y"]
    x[:] = -1
    np.testing.assert_array_equal(y, A.ravel())


def test_outputs_go_in_again(sum_model):
    outputs = sum_model(a=A, b=B)
    again = sum_model(a=outputs["sum"], b=outputs["product"])
    np.testing.assert_array_equal(again["sum"], A + B + A * (A + B))


def test_inputs_and_outputs(sum_model):
    first = sum_model.inputs[0]
    assert (first.name, first.dtype, first.shape, first.kind) == ("a", np.float32, (2, 3), "multiArray")
    assert [each.name for each in sum_model.outputs] == ["sum", "product"]
    assert repr(first) == "<a: float32 [2, 3]>"


def test_representations(sum_model):
    assert repr(sum_model).startswith(f"<Model main on {sum_model.device}: a float32 [2, 3], b float32 [2, 3] -> sum")
    page = sum_model._repr_html_()
    assert "<table>" in page
    assert "product" in page
    assert "<table>" in sum_model.plan()._repr_html_()


def test_metadata(sum_model):
    assert set(sum_model.metadata) == {"author", "license", "short_description", "version", "user_defined"}


def test_plan(sum_model):
    plan = sum_model.plan()
    assert plan.device == sum_model.device
    assert len(plan) == len(plan.steps) >= 1
    assert {op for step in plan for op in step.ops} >= {"add", "mul"}
    assert all(step.kernel for step in plan)
    assert plan.to_dict()["steps"][0]["ops"] == plan.steps[0].ops
    assert plan.table().row_count == len(plan)
    assert plan.device in str(plan)


def test_a_plan_says_why_the_device_was_taken(package, sum_model):
    plan = sum_model.plan()
    assert plan.reason == "the only kind of device here" or plan.reason.split(":")[0] in ("prior", "measured")
    assert plan.to_dict()["reason"] == plan.reason
    assert f"{plan.device}: {plan.reason}" in str(plan)
    assert plan.reason in plan._repr_html_()
    assert plan.reason in plan.table().title
    named = martlet.load(package(SUM), device="cpu:portable").plan()
    assert (named.device, named.reason) == ("cpu:portable", "named by the caller")


def test_text_is_mil(sum_model):
    assert "func main<ios18>" in sum_model.text()
    assert "mul(" in sum_model.text()


@pytest.mark.parametrize("name", ["list", "state", "fp16"])
@pytest.mark.parametrize("role", ["input", "output"])
def test_inputs_and_outputs_that_core_ml_would_not_take(tmp_path, name, role):
    """Words of Core ML's language are names of values within, but a file finds inputs and outputs by theirs."""
    text = "program(1.3) { func main<ios18>(tensor<fp32, [2]> A) { tensor<fp32, [2]> B = relu(x = A); } -> (B); }"
    model = martlet.parse(text.replace("A" if role == "input" else "B", name))
    with pytest.raises(martlet.InvalidArgumentError, match=f"called '{name}'.*'{name}_' would be right"):
        model.save(tmp_path / "m.mlpackage")
    assert not (tmp_path / "m.mlpackage").exists()


def test_values_with_names_of_the_language(tmp_path):
    text = (
        "program(1.3) { func main<ios18>(tensor<fp32, [2]> x) { tensor<fp32, [2]> list = relu(x = x); "
        "tensor<fp32, [2]> state = exp(x = list); y = add(x = state, y = 1.0); } -> (y); }"
    )
    martlet.parse(text).save(tmp_path / "m.mlpackage")
    model = martlet.load(tmp_path / "m.mlpackage")
    assert " list_ = " in model.text()
    assert " state_ = " in model.text()
    np.testing.assert_allclose(model.predict({"x": np.float32([0, 1])})["y"], np.exp([0, 1]) + 1, rtol=1e-6)


def test_device_and_function_by_name(package):
    model = martlet.load(package(SUM), device="cpu", function="main")
    assert (model.device, model.function) == ("cpu", "main")
    np.testing.assert_array_equal(model(a=A, b=B)["sum"], A + B)


def test_path_as_text_and_path(package):
    path = package(SUM)
    assert martlet.load(str(path)).inputs == martlet.load(path).inputs


def image_port(color_space, channels):
    return Port("x", np.dtype("float32"), (1, channels, 2, 4), "image", image=Image(4, 2, color_space))


def test_image_arrays():
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    planes = pixels.transpose(2, 0, 1)[np.newaxis].astype(np.float32)
    np.testing.assert_array_equal(as_input(image_port("rgb", 3), pixels), planes)
    np.testing.assert_array_equal(as_input(image_port("bgr", 3), pixels), planes[:, ::-1])
    np.testing.assert_array_equal(as_input(image_port("grayscale", 1), pixels[:, :, 0]), planes[:, :1])
    np.testing.assert_array_equal(as_input(image_port("rgb", 3), planes), planes)


def test_image_of_another_size_is_refused():
    with pytest.raises(martlet.InvalidArgumentError, match=r"3 x 2.*4 x 2.*resize"):
        as_input(image_port("rgb", 3), np.zeros((2, 3, 3), np.uint8))


def test_pil_images():
    image = pytest.importorskip("PIL.Image", reason="pillow is not installed")
    picture = image.new("RGBA", (4, 2), (1, 2, 3, 4))
    assert as_input(image_port("bgr", 3), picture)[0, :, 0, 0].tolist() == [3, 2, 1]
    assert as_input(image_port("grayscale", 1), picture).shape == (1, 1, 2, 4)


def test_listed_shapes():
    port = Port("x", np.dtype("float32"), (1, -1), flexibility={"enumerated": [[1, 2], [1, 8]]})
    assert port.allows((1, 8))
    with pytest.raises(martlet.InvalidArgumentError, match=r"one of \[1, 2\], \[1, 8\]"):
        as_input(port, np.zeros((1, 4)))


def test_ranges_of_shapes():
    port = Port("x", np.dtype("float32"), (1, -1), flexibility={"ranges": [[1, 1], [2, -1]]})
    assert port.allows((1, 100))
    assert port.example_shape() == (1, 2)
    with pytest.raises(martlet.InvalidArgumentError, match=r"\[1, 2\.\.\]"):
        as_input(port, np.zeros((1, 1)))


def test_one_value_returned_twice(tmp_path):
    """coremltools lists such an output of torch twice, under one name."""
    model = martlet.load(DATA / "twice.mlpackage")
    assert [port.name for port in model.outputs] == ["var_4"]
    np.testing.assert_array_equal(model(x=A)["var_4"], A + 1)
    model.save(tmp_path / "again.mlpackage")
    np.testing.assert_array_equal(martlet.load(tmp_path / "again.mlpackage")(x=A)["var_4"], A + 1)


def test_a_package_of_ios_26():
    """Specification 10 and its int8 inputs; coremltools 9.0 wrote it: y = cast(x)."""
    model = martlet.load(Path(__file__).with_name("data") / "int8_input.mlpackage")
    assert model.inputs[0].dtype == np.int8
    x = np.array([[-128, 0, 127], [1, -1, 5]], np.int8)
    np.testing.assert_array_equal(model.predict({"x": x})["y"], x.astype(np.float32))
