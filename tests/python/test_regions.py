"""`crop_resize` of opsets before iOS 17, whose regions of interest have rank 5, in packages that coremltools wrote."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import martlet
from tests.cases.image import crop_resize

DATA = Path(__file__).with_name("data")
BOXES = np.array([[1, 1, 2, 2], [0, 0.5, 4, 7], [3, 2, 1, 0]], np.float32)


def expected(x, boxes, images):
    """The crops by the NumPy reference, which takes the newest form."""
    modes = {"target_height": 2, "target_width": 3, "sampling_mode": "ALIGN_CORNERS", "pad_value": 7.0}
    return crop_resize(x, boxes, images, **modes)


def test_each_region_is_cut_from_every_image():
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 6)).astype(np.float32)
    model = martlet.load(DATA / "regions4.mlpackage")
    y = model.predict({"x": x, "roi": BOXES.reshape(3, 1, 4, 1, 1)})["y"]
    images = [expected(x, BOXES, [image] * 3) for image in (0, 1)]
    np.testing.assert_allclose(y, np.stack(images, axis=1), rtol=1e-5, atol=1e-6)
    assert (y == 7).any()


def test_a_region_with_the_number_of_its_image():
    x = np.random.default_rng(1).standard_normal((1, 3, 5, 6)).astype(np.float32)
    model = martlet.load(DATA / "regions5.mlpackage")
    regions = np.concatenate([np.zeros((3, 1), np.float32), BOXES], axis=1).reshape(3, 1, 5, 1, 1)
    y = model.predict({"x": x, "roi": regions})["y"]
    np.testing.assert_allclose(y, expected(x, BOXES, [0] * 3)[:, None], rtol=1e-5, atol=1e-6)
    regions[1, 0, 0] = 4
    with pytest.raises(martlet.OutOfRangeError, match="box_indices hold 4; there are 1 images"):
        model.predict({"x": x, "roi": regions})


def test_crops_survive_a_round_trip(tmp_path):
    model = martlet.load(DATA / "regions4.mlpackage")
    model.save(tmp_path / "again.mlpackage")
    again = martlet.load(tmp_path / "again.mlpackage")
    given = {"x": np.ones((2, 3, 5, 6), np.float32), "roi": BOXES.reshape(3, 1, 4, 1, 1)}
    np.testing.assert_array_equal(again.predict(given)["y"], model.predict(given)["y"])


def test_regions_of_another_rank_are_refused(tmp_path):
    """The declared length of the regions, 4, becomes 3."""
    path = tmp_path / "regions.mlpackage"
    shutil.copytree(DATA / "regions4.mlpackage", path)
    file = path / "Data/com.apple.CoreML/model.mlmodel"
    # Dimensions of a type are messages of a constant: 3, 1, 4, 1, 1.
    old = b"".join(b"\x1a\x04\x0a\x02\x08" + bytes([size]) for size in (3, 1, 4, 1, 1))
    data = file.read_bytes()
    assert old in data
    file.write_bytes(data.replace(old, old[:17] + b"\x03" + old[18:]))
    with pytest.raises(martlet.MalformedError, match=r"op 'crop_resize' \(y\): .* roi \[3, 1, 3, 1, 1\]"):
        martlet.load(path)
