"""Recurrent layers that coremltools converted from torch."""

from pathlib import Path

import numpy as np
import pytest

import martlet

DATA = Path(__file__).with_name("data")


@pytest.mark.parametrize("device", ["cpu", "cpu:portable"])
def test_a_bidirectional_layer_of_torch(device):
    """The backward states stand in the order of the input, unlike those of `direction = "reverse"`; stored by torch."""
    with np.load(DATA / "bidirectional.npz") as stored:
        expected = dict(stored)
    found = martlet.load(DATA / "bidirectional.mlpackage", device).predict({"x": expected.pop("x")})
    assert set(found) == set(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-6)
    assert expected["states"].shape == (5, 2, 8)
