"""States, functions, batches, asynchronous predictions, images and flexible shapes on Core ML's devices.

Run with MARTLET_LIBRARY = the library built with the stand-ins. Files run there as they are, with Core ML's own states;
programs from text run with states as further inputs and outputs."""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import martlet

sys.path.insert(0, str(Path(__file__).parents[1] / "python"))
from test_images import pixels, tinted
from test_packed_weights import EXPECTED, effective
from test_state import DATA, SUMMING, attend, weight

SHIMS = ctypes.CDLL(os.environ["MARTLET_LIBRARY"])
SHIMS.shim_control.argtypes = [ctypes.c_char_p, ctypes.c_long]

X = np.array([[1, 2, 3]], np.float16)


@pytest.fixture(params=["plain", "hostile"], autouse=True)
def manners(request: pytest.FixtureRequest) -> Iterator[str]:
    """Both ways in which the stand-ins behave."""
    SHIMS.shim_control(b"hostile", int(request.param == "hostile"))
    yield request.param
    SHIMS.shim_control(b"hostile", -1)


@pytest.fixture(params=["coreml", "coreml:cpu", "coreml:gpu", "coreml:ane"])
def device(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=["file", "text"])
def summing(request: pytest.FixtureRequest, tmp_path: Path, device: str) -> martlet.Model:
    """A sum that is remembered: in Core ML's own state where it comes from a file."""
    if request.param == "text":
        return martlet.parse(SUMMING, device)
    martlet.parse(SUMMING, "cpu").save(tmp_path / "summing.mlpackage")
    return martlet.load(tmp_path / "summing.mlpackage", device)


def test_a_state_goes_from_one_prediction_to_the_next(summing: martlet.Model) -> None:
    state = summing.make_state()
    total = np.zeros((2, 3), np.float16)
    for step in range(4):
        outputs = summing.predict({"x": X * step}, state)
        np.testing.assert_array_equal(outputs["before"], total)
        total = total + X * step
        np.testing.assert_array_equal(outputs["twice"], 2 * total)
        np.testing.assert_array_equal(state["total"], total)


def test_a_state_can_be_assigned_and_copied(summing: martlet.Model) -> None:
    state = summing.make_state({"total": np.arange(6).reshape(2, 3)})
    copied = state.copy()
    held = state["total"]
    np.testing.assert_array_equal(
        summing.predict({"x": X}, state)["before"], np.arange(6, dtype=np.float16).reshape(2, 3)
    )
    np.testing.assert_array_equal(held, np.arange(6).reshape(2, 3))
    np.testing.assert_array_equal(copied["total"], held)
    np.testing.assert_array_equal(state["total"], held + X)


def test_without_a_state_the_message_says_what_to_do(summing: martlet.Model) -> None:
    with pytest.raises(martlet.InvalidArgumentError, match=r"remembers 'total'.*make a state"):
        summing.predict({"x": X})


def test_states_of_many_asynchronous_predictions(summing: martlet.Model) -> None:
    async def count(steps: int) -> np.ndarray:
        state = summing.make_state()
        for _ in range(steps):
            await summing.predict_async({"x": X}, state)
        return state["total"]

    async def all_of_them() -> list[np.ndarray]:
        return await asyncio.gather(*(count(steps) for steps in (4, 1, 3)))

    for steps, total in zip((4, 1, 3), asyncio.run(all_of_them()), strict=True):
        np.testing.assert_array_equal(total, np.broadcast_to(X * steps, (2, 3)))


def test_a_cache_of_keys_and_values(device: str) -> None:
    model = martlet.load(DATA / "cache.mlpackage", device)
    state = model.make_state()
    queries = np.linspace(-2, 2, 24, dtype=np.float32).reshape(6, 4)
    for step, expected in enumerate(attend(queries)):
        mask = np.zeros((1, 1, step + 1), np.float16)
        found = model.predict({"query": queries[np.newaxis, step : step + 1], "mask": mask}, state)["attended"]
        np.testing.assert_allclose(found[0, 0], expected, rtol=1e-2, atol=1e-2)
    np.testing.assert_allclose(state["keys"][0], queries * 0.5, rtol=1e-3, atol=1e-3)


def test_functions_of_one_model(device: str) -> None:
    plain = martlet.load(DATA / "functions.mlpackage", device)
    active = plain.select("active")
    assert active.device == plain.device == device
    x = np.linspace(-1, 1, 16, dtype=np.float32)[np.newaxis]
    limits = {"rtol": 1e-2, "atol": 1e-2} if device != "coreml:cpu" else {"rtol": 1e-5, "atol": 1e-5}
    np.testing.assert_allclose(plain(x=x)["y"], x @ weight().T, **limits)
    np.testing.assert_allclose(active(x=x)["y"], np.maximum(x @ weight().T, 0), **limits)


def test_batches_of_different_shapes(device: str) -> None:
    shapes = [(1, 2), (3, 2), (1, 5), (3, 2), (1, 2)]
    batch = [{"picture": np.full(shape, index, np.float32)} for index, shape in enumerate(shapes)]
    model = martlet.load(DATA / "sizes.mlpackage", device)
    for index, outputs in enumerate(model.predict_batch(batch)):
        np.testing.assert_array_equal(outputs["brighter"], np.full(shapes[index], index + 1))
    with pytest.raises(martlet.InvalidArgumentError, match="one of"):
        model(picture=np.zeros((2, 2), np.float32))


def test_many_asynchronous_predictions(device: str) -> None:
    model = martlet.load(DATA / "sizes.mlpackage", device)

    async def all_of_them() -> list[dict[str, np.ndarray]]:
        inputs = [{"picture": np.full((1, 5), index, np.float32)} for index in range(12)]
        return await asyncio.gather(*(model.predict_async(each) for each in inputs))

    for index, outputs in enumerate(asyncio.run(all_of_them())):
        np.testing.assert_array_equal(outputs["brighter"], np.full((1, 5), index + 1))


@pytest.mark.parametrize("name", ["tint", "tint_bgr"])
def test_images(device: str, name: str) -> None:
    picture = pixels()
    found = martlet.load(DATA / f"{name}.mlpackage", device).predict({"picture": picture})["tinted"]
    expected = tinted(picture[:, :, ::-1] if name == "tint_bgr" else picture)
    # Core ML hands out images as pixels of eight bits.
    np.testing.assert_allclose(found, expected, atol=1)


def test_gray_images(device: str) -> None:
    picture = pixels(channels=1)
    found = martlet.load(DATA / "gray.mlpackage", device).predict({"picture": picture})["brighter"]
    np.testing.assert_allclose(found[0, 0], picture[:, :, 0] + 1.0, atol=1)


@pytest.mark.parametrize("name", EXPECTED)
def test_packed_weights(name: str) -> None:
    found = effective(martlet.load(DATA / f"{name}.mlpackage", "coreml:cpu"))
    np.testing.assert_allclose(found, EXPECTED[name], rtol=1e-5, atol=1e-6)
