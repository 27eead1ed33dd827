"""The table of whole models and the comparison: they must not let a wrong answer pass."""

from __future__ import annotations

import numpy as np
import pytest

from tests.models.catalog import MODELS, TOLERANCES, arrays
from tests.models.check import largest_error


def test_error_is_a_part_of_the_largest_value() -> None:
    expected = {"y": np.array([1.0, -4.0], np.float32), "z": np.array([2.0], np.float32)}
    got = {"y": np.array([1.5, -4.0], np.float16), "z": np.array([2.0], np.float32), "more": np.zeros(3)}
    assert largest_error(got, expected) == {"y": 0.125, "z": 0.0}


@pytest.mark.parametrize(
    ("got", "reason"),
    [({}, "missing"), ({"y": np.zeros((2, 1))}, "shape"), ({"y": np.array([np.nan, 1])}, "finite")],
)
def test_answers_that_no_tolerance_forgives(got: dict[str, np.ndarray], reason: str) -> None:
    with pytest.raises(AssertionError, match=reason):
        largest_error(got, {"y": np.array([1.0, 2.0])})


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
def test_files_are_what_the_table_says(model) -> None:
    if (folder := model.folder()) is None:
        pytest.skip("not built: python tests/models/build.py")
    inputs, expected = arrays(folder / "inputs.npz"), arrays(folder / "expected.npz")
    made = model.make_inputs()
    assert list(inputs) == [each.name for each in model.inputs]
    assert list(expected) == list(model.outputs)
    for name, value in made.items():
        np.testing.assert_array_equal(inputs[name], value)
    for name, value in expected.items():
        assert value.dtype == np.float32
        assert np.isfinite(value).all()
        assert value.std() > 0.01, f"{name} hardly varies: a wrong answer could pass"
    for precision in model.precisions:
        assert precision in TOLERANCES
        assert (folder / f"{precision}.mlpackage" / "Manifest.json").is_file()
    assert (folder / "model.onnx").is_file()
