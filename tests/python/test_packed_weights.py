"""Weights of fewer than eight bits, as coremltools packs them for iOS 18."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import martlet

DATA = Path(__file__).with_name("data")
# What coremltools says that the packed numbers stand for.
with np.load(DATA / "unpacked.npz") as unpacked:
    EXPECTED = dict(unpacked)


def effective(model):
    """The weight that a model computes with: what it makes of each unit vector."""
    return np.stack([model(x=row[None])["y"][0] for row in np.eye(32, dtype=np.float32)], axis=1)


@pytest.mark.parametrize("device", ["cpu", "cpu:portable"])
@pytest.mark.parametrize("name", EXPECTED)
def test_weights_are_those_that_were_packed(name, device):
    found = effective(martlet.load(DATA / f"{name}.mlpackage", device))
    np.testing.assert_allclose(found, EXPECTED[name], rtol=1e-6, atol=1e-7)
    assert len(np.unique(EXPECTED[name])) > 1


@pytest.mark.parametrize("name", EXPECTED)
def test_packed_weights_survive_a_round_trip(name, tmp_path):
    model = martlet.load(DATA / f"{name}.mlpackage")
    model.save(tmp_path / "again.mlpackage")
    again = martlet.load(tmp_path / "again.mlpackage")
    assert again.text() == model.text()
    np.testing.assert_array_equal(effective(again), effective(model))


@pytest.mark.parametrize("name", EXPECTED)
def test_what_is_written_stays_packed(name, tmp_path):
    """The weight file is no larger than the one that coremltools wrote."""
    model = martlet.load(DATA / f"{name}.mlpackage")
    model.save(tmp_path / "again.mlpackage")
    weights = "Data/com.apple.CoreML/weights/weight.bin"
    assert (tmp_path / "again.mlpackage" / weights).stat().st_size <= (
        DATA / f"{name}.mlpackage" / weights
    ).stat().st_size + 64


def test_the_program_says_bytes():
    text = martlet.load(DATA / "palette4.mlpackage").text()
    assert re.search(r"constexpr_lut_to_dense\(indices = \w+, lut = \w+", text)
    assert "tensor<uint8, [8, 32]>" in text


@pytest.mark.parametrize("cut", [64, 1])
def test_a_weight_file_that_is_cut_off(tmp_path, cut):
    package = shutil.copytree(DATA / "palette3.mlpackage", tmp_path / "cut.mlpackage")
    weights = package / "Data/com.apple.CoreML/weights/weight.bin"
    weights.write_bytes(weights.read_bytes()[: 128 + 96 - cut])
    with pytest.raises(martlet.MalformedError, match="cut off"):
        martlet.load(package)


def test_a_record_of_another_type(tmp_path):
    package = shutil.copytree(DATA / "palette3.mlpackage", tmp_path / "other.mlpackage")
    weights = package / "Data/com.apple.CoreML/weights/weight.bin"
    data = bytearray(weights.read_bytes())
    assert data[68] == 12
    data[68] = 11
    weights.write_bytes(data)
    with pytest.raises(martlet.MalformedError, match="uint4 values where the model declares uint3"):
        martlet.load(package)
