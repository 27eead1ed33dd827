"""Whole models against their expected outputs: see tests/models/catalog.py for what they are.

basic-pitch comes as it is published; the others are made by `python tests/models/build.py`, which needs torch and
coremltools, and are skipped where they have not been made.
"""

import numpy as np
import pytest

import martlet
from tests.models.catalog import MODELS, TOLERANCES, arrays
from tests.models.check import largest_error

# The engine as it is, and without oneDNN; the mode that rounds is for what says fp16.
DEVICES = {"fp32": ("cpu", "cpu:portable"), "fp16": ("cpu", "cpu:portable", "cpu:declared")}
EVERY = [
    (model, precision, device)
    for model in MODELS.values()
    for precision in model.precisions
    for device in DEVICES[precision]
]


@pytest.mark.parametrize(
    ("model", "precision", "device"), EVERY, ids=[f"{model.name}-{kind}-{device}" for model, kind, device in EVERY]
)
def test_outputs(model, precision, device):
    folder = model.folder()
    if folder is None:
        pytest.skip(f"not built: python tests/models/build.py {model.name} (needs torch and coremltools)")
    ours = martlet.load(folder / f"{precision}.mlpackage", device=device)
    outputs = ours.predict(arrays(folder / "inputs.npz"))
    errors = largest_error(outputs, arrays(folder / "expected.npz"))
    assert set(errors) == set(model.outputs)
    for name, error in errors.items():
        assert error <= TOLERANCES[precision], f"{name} is off by {error:.1e} of its largest value"


@pytest.mark.parametrize("name", MODELS)
def test_second_run_is_like_the_first(name):
    folder = MODELS[name].folder()
    if folder is None:
        pytest.skip(f"not built: python tests/models/build.py {name} (needs torch and coremltools)")
    model = martlet.load(folder / "fp32.mlpackage")
    inputs = arrays(folder / "inputs.npz")
    first, second = model.predict(inputs), model.predict(inputs)
    for output, value in first.items():
        np.testing.assert_allclose(second[output], value, rtol=1e-5, atol=1e-6)
