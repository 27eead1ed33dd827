"""Images and flexible shapes: packages that coremltools made, given what users have, against NumPy."""

from pathlib import Path

import numpy as np
import pytest

import martlet

DATA = Path(__file__).with_name("data")
FACTORS = np.array([0.5, 1, 2], np.float32)


def pixels(height=4, width=6, channels=3):
    """Levels over the whole range, the same each time."""
    return np.random.default_rng(7).integers(0, 256, (height, width, channels), np.uint8)


def tinted(picture):
    """What the models do: the first channel halved and the last doubled, as [1, channels, height, width]."""
    return np.clip(picture * FACTORS, 0, 255).transpose(2, 0, 1)[None]


def test_what_the_model_says_of_its_images():
    model = martlet.load(DATA / "tint.mlpackage")
    assert (model.inputs[0].kind, model.inputs[0].image) == ("image", martlet.Image(6, 4, "rgb"))
    assert (model.outputs[0].kind, model.outputs[0].image) == ("image", martlet.Image(6, 4, "rgb"))
    assert model.inputs[0].shape == (1, 3, 4, 6)


def test_an_array_of_pixels():
    picture = pixels()
    found = martlet.load(DATA / "tint.mlpackage").predict({"picture": picture})["tinted"]
    np.testing.assert_allclose(found, tinted(picture), rtol=1e-6)


def test_a_tensor_of_levels():
    planes = pixels().transpose(2, 0, 1)[None]
    model = martlet.load(DATA / "tint.mlpackage")
    for given in (planes, planes.astype(np.float32), planes.tolist()):
        np.testing.assert_allclose(model(picture=given)["tinted"], tinted(pixels()), rtol=1e-6)


def test_scale_and_bias_of_the_converter():
    picture = pixels()
    expected = np.clip((picture * np.float32(2) + np.array([-4, 0, 8], np.float32)) * FACTORS, 0, 255)
    found = martlet.load(DATA / "tint_scaled.mlpackage").predict({"picture": picture})["tinted"]
    np.testing.assert_allclose(found, expected.transpose(2, 0, 1)[None], rtol=1e-6)


@pytest.mark.parametrize("size", [(2, 3), (4, 6), (8, 9), (5, 4)])
def test_images_of_different_sizes(size):
    """The program gets blue, green, red: the first channel there is the last of the picture."""
    picture = pixels(*size)
    model = martlet.load(DATA / "tint_bgr.mlpackage")
    found = model.predict({"picture": picture})["tinted"]
    np.testing.assert_allclose(found, tinted(picture[:, :, ::-1]), rtol=1e-6)


def test_gray_images():
    model = martlet.load(DATA / "gray.mlpackage")
    picture = pixels(channels=1)
    for given in (picture, picture[:, :, 0]):
        found = model.predict({"picture": given})["brighter"]
        assert found.dtype == np.float16
        np.testing.assert_array_equal(found[0, 0], picture[:, :, 0].astype(np.float16) + 1)


@pytest.mark.parametrize(
    ("model", "picture", "words"),
    [
        ("tint", pixels(6, 4), r"4 x 6 with 3 channels; it must be 6 x 4 with 3 \(rgb\): resize"),
        ("tint", pixels(channels=1), "6 x 4 with 1 channels; it must be 6 x 4 with 3"),
        ("tint", pixels(channels=4), "6 x 4 with 4 channels; it must be 6 x 4 with 3"),
        ("tint", pixels()[:, :, 0], "6 x 4 with 1 channels; it must be 6 x 4 with 3"),
        ("tint_bgr", pixels(9, 9), r"9 x 9 with 3 channels; it must be 3\.\.9 x 2\.\.8 with 3 \(bgr\)"),
        ("gray", pixels(), r"6 x 4 with 3 channels; it must be 6 x 4 with 1 \(grayscale\)"),
        ("tint", np.zeros((1, 3, 6, 4)), r"shape \[1, 3, 6, 4\]; it must be \[1, 3, 4, 6\]"),
    ],
)
def test_images_that_do_not_fit(model, picture, words):
    with pytest.raises(martlet.InvalidArgumentError, match=words):
        martlet.load(DATA / f"{model}.mlpackage").predict({"picture": picture})


@pytest.mark.parametrize("picture", [pixels().astype(np.float32), "picture.png", np.zeros(3, np.uint8)])
def test_what_is_no_image(picture):
    with pytest.raises(martlet.WrongTypeError, match=r"give a PIL image or a uint8 array \[height, width, channels\]"):
        martlet.load(DATA / "tint.mlpackage").predict({"picture": picture})


def test_images_survive_a_round_trip(tmp_path):
    for name in ("tint", "tint_bgr", "gray", "sizes"):
        model = martlet.load(DATA / f"{name}.mlpackage")
        model.save(tmp_path / f"{name}.mlpackage")
        again = martlet.load(tmp_path / f"{name}.mlpackage")
        assert (again.inputs, again.outputs) == (model.inputs, model.outputs)


# Pictures of Pillow


@pytest.fixture
def pillow():
    return pytest.importorskip("PIL.Image", reason="pillow is not installed")


def test_pictures_in(pillow):
    model = martlet.load(DATA / "tint.mlpackage")
    picture = pillow.fromarray(pixels())
    np.testing.assert_allclose(model.predict({"picture": picture})["tinted"], tinted(pixels()), rtol=1e-6)
    with_alpha = picture.convert("RGBA")
    np.testing.assert_allclose(model.predict({"picture": with_alpha})["tinted"], tinted(pixels()), rtol=1e-6)
    gray = picture.convert("L")
    levels = np.repeat(np.asarray(gray)[:, :, None], 3, axis=2)
    np.testing.assert_allclose(model.predict({"picture": gray})["tinted"], tinted(levels), rtol=1e-6)


def test_a_picture_in_color_for_a_gray_model(pillow):
    picture = pillow.fromarray(pixels())
    found = martlet.load(DATA / "gray.mlpackage").predict({"picture": picture})["brighter"]
    np.testing.assert_array_equal(found[0, 0], np.asarray(picture.convert("L")).astype(np.float16) + 1)


def test_a_picture_of_the_wrong_size(pillow):
    with pytest.raises(martlet.InvalidArgumentError, match=r"3 x 2 .* 6 x 4 .*resize"):
        martlet.load(DATA / "tint.mlpackage").predict({"picture": pillow.new("RGB", (3, 2))})


@pytest.mark.parametrize("name", ["tint", "tint_bgr"])
def test_pictures_out(pillow, name):
    """Whatever the order of channels in the program, red comes out as red."""
    model = martlet.load(DATA / f"{name}.mlpackage")
    picture = model.outputs[0].to_pil(model.predict({"picture": pixels()})["tinted"])
    order = pixels()[:, :, ::-1] if name == "tint_bgr" else pixels()
    expected = np.rint(np.clip(order * FACTORS, 0, 255)).astype(np.uint8)
    assert (picture.mode, picture.size) == ("RGB", (6, 4))
    np.testing.assert_array_equal(np.asarray(picture), expected[:, :, ::-1] if name == "tint_bgr" else expected)


def test_a_gray_picture_out(pillow):
    model = martlet.load(DATA / "gray.mlpackage")
    picture = model.outputs[0].to_pil(model.predict({"picture": pixels(channels=1)})["brighter"])
    assert picture.mode == "F"  # the output is 16-bit grayscale, which is not cut at 255
    np.testing.assert_array_equal(np.asarray(picture), pixels(channels=1)[:, :, 0].astype(int) + 1)


def test_what_is_no_picture(pillow):
    model = martlet.load(DATA / "sizes.mlpackage")
    with pytest.raises(martlet.InvalidArgumentError, match="no image"):
        model.outputs[0].to_pil(np.zeros((1, 2)))


# Flexible shapes


def test_shapes_out_of_a_list():
    model = martlet.load(DATA / "sizes.mlpackage")
    assert model.inputs[0].flexibility == {"enumerated": [[1, 5], [1, 2], [3, 2]]}
    for shape in [(1, 2), (1, 5), (3, 2), (1, 2)]:
        x = np.linspace(-1, 1, np.prod(shape), dtype=np.float32).reshape(shape)
        np.testing.assert_allclose(model(picture=x)["brighter"], x + 1, rtol=1e-6)
    for shape in [(3, 5), (2, 2), (1,)]:
        with pytest.raises(martlet.InvalidArgumentError, match=r"one of \[1, 5\], \[1, 2\], \[3, 2\]"):
            model(picture=np.zeros(shape, np.float32))


def test_shapes_of_a_list_in_a_batch():
    shapes = [(1, 2), (3, 2), (1, 5), (3, 2)]
    batch = [{"picture": np.full(shape, index, np.float32)} for index, shape in enumerate(shapes)]
    for index, outputs in enumerate(martlet.load(DATA / "sizes.mlpackage").predict_batch(batch)):
        np.testing.assert_array_equal(outputs["brighter"], np.full(shapes[index], index + 1))


def test_sizes_within_ranges():
    model = martlet.load(DATA / "tint_bgr.mlpackage")
    assert model.inputs[0].flexibility == {"ranges": [[1, 1], [3, 3], [2, 8], [3, 9]]}
    with pytest.raises(martlet.InvalidArgumentError, match=r"\[1, 3, 2\.\.8, 3\.\.9\]"):
        model(picture=np.zeros((1, 3, 2, 2), np.float32))


def test_the_library_checks_shapes_too(tmp_path):
    """What Python lets through by mistake, C and Swift callers may give."""
    from martlet._native import check, ffi, lib, own

    model = martlet.load(DATA / "sizes.mlpackage")
    tensor, outputs = ffi.new("mlt_tensor **"), ffi.new("mlt_tensor *[1]")
    x = np.zeros((3, 5), np.float32)
    check(lib.mlt_tensor_copy(tensor, lib.MLT_FLOAT32, 2, [3, 5], ffi.from_buffer(x), x.nbytes))
    with pytest.raises(martlet.InvalidArgumentError, match=r"shape \[3, 5\]; it must be one of \[1, 5\]"):
        check(lib.mlt_run(outputs, 1, model._executable, [own(tensor[0])], 1))


# 16-bit grayscale. coremltools demands PIL's mode F for such inputs and gives it back, the numbers as they are
# (coremltools 9.0, models/model.py); gray16.mlpackage is its, y = x * 1.

HALF = np.array([[0.25, 0.5, 300.75], [-2.5, 1000, 2.125]], np.float32)


def gray16(picture):
    return martlet.load(DATA / "gray16.mlpackage").predict({"x": picture})["y"].reshape(2, 3)


def test_half_precision_pixels(pillow):
    np.testing.assert_array_equal(gray16(pillow.fromarray(HALF)), HALF)
    for given in (HALF, HALF.astype(np.float16), HALF.astype(np.float64)[:, :, None], HALF.reshape(1, 1, 2, 3)):
        np.testing.assert_array_equal(gray16(given), HALF)
    model = martlet.load(DATA / "gray16.mlpackage")
    picture = model.outputs[0].to_pil(model.predict({"x": HALF})["y"])
    assert picture.mode == "F"
    np.testing.assert_array_equal(np.asarray(picture), HALF)


def test_integer_pixels_of_sixteen_bits(pillow, tmp_path):
    """Depth in millimetres, from an array and from a PNG of 16 bits; half precision rounds what is above 2048."""
    depth = np.array([[0, 255, 256], [1024, 40001, 65504]], np.uint16)
    pillow.fromarray(depth).save(tmp_path / "depth.png")
    stored = pillow.open(tmp_path / "depth.png")
    assert stored.mode.startswith("I")
    for given in (
        depth,
        depth.astype(np.int32),
        stored,
        pillow.fromarray(depth),
        pillow.fromarray(depth.astype(np.int32)),
    ):
        np.testing.assert_array_equal(gray16(given), depth.astype(np.float16))


def test_eight_bit_pictures_for_sixteen_bits(pillow):
    levels = pixels(2, 3, 1)[:, :, 0]
    for given in (levels, pillow.fromarray(levels), pillow.fromarray(np.repeat(levels[:, :, None], 3, 2))):
        np.testing.assert_array_equal(gray16(given), levels)


def test_pixels_beyond_half_precision():
    with pytest.raises(martlet.WrongTypeError, match=r"'x'.*up to 65504"):
        gray16(np.full((2, 3), 65535, np.uint16))
    np.testing.assert_array_equal(gray16(np.full((2, 3), np.inf, np.float32)), np.full((2, 3), np.inf))
    with pytest.raises(martlet.WrongTypeError, match=r"PIL image or real numbers \[height, width\]"):
        gray16(np.full((2, 3), 1j))


@pytest.mark.parametrize("name", ["gray", "tint"])
def test_wide_pictures_for_eight_bits(pillow, name):
    """Pictures of 16 and 32 bits were cut to 8; only those that hold levels go in."""
    model = martlet.load(DATA / f"{name}.mlpackage")
    levels = pixels(channels=1)[:, :, 0]
    wanted = model.predict({"picture": levels if name == "gray" else np.repeat(levels[:, :, None], 3, 2)})
    for dtype in (np.uint16, np.int32, np.float32):
        found = model.predict({"picture": pillow.fromarray(levels.astype(dtype))})
        for output in wanted:
            np.testing.assert_array_equal(found[output], wanted[output])
        with pytest.raises(martlet.WrongTypeError, match="levels from 0 to 255"):
            model.predict({"picture": pillow.fromarray((levels.astype(dtype) + 256).astype(dtype))})
    with pytest.raises(martlet.WrongTypeError, match="levels from 0 to 255"):
        model.predict({"picture": pillow.fromarray(levels.astype(np.float32) / 256)})
