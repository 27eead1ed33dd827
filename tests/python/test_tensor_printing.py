"""Tensors as text: as NumPy prints arrays, and of large ones no more than the edges."""

from __future__ import annotations

import numpy as np
import pytest

import martlet
from martlet import printing


@pytest.mark.parametrize(
    "array",
    [
        np.float32(1.5),
        np.arange(3, dtype="int32"),
        np.zeros((0,), "float32"),
        np.linspace(0, 1, 7).reshape(7, 1),
        np.array([[1.5, -2], [np.nan, np.inf]], "float32"),
        np.array([1 + 2j], "complex64"),
        np.array([True, False]),
        np.arange(24, dtype="int64").reshape(2, 3, 4),
    ],
)
def test_as_numpy(array):
    tensor = martlet.asarray(array)
    assert str(tensor) == str(np.asarray(array))
    body = np.array2string(np.asarray(array), separator=", ", prefix="Tensor(") if array.size else "[]"
    assert repr(tensor) == f"Tensor({body}, dtype={tensor.dtype})"


def test_the_shape_of_nothing_is_shown():
    assert repr(martlet.zeros((2, 0))) == "Tensor([], shape=(2, 0), dtype=float32)"


@pytest.mark.parametrize("shape", [(5000,), (40, 50), (3, 1000), (1000, 3), (7, 8, 9, 10), (1, 1500), (1000, 2, 7)])
def test_large_ones_as_numpy(shape):
    array = np.arange(np.prod(shape)).reshape(shape).astype("int32")
    tensor = martlet.asarray(array)
    assert str(tensor) == str(array) or "..." in str(tensor)
    for line in (printing.tensor_str(tensor), repr(tensor)):
        assert "..." in line
        assert len(line) < 20_000
    assert repr(tensor).endswith(f"shape={shape}, dtype=int32)")
    with np.printoptions(threshold=10**9):
        assert "..." not in repr(martlet.arange(2000))


def test_only_the_edges_are_read():
    """A tensor far larger than memory would be shown by its edges: zero strides stand for it here."""

    class Huge:
        shape, ndim, size, dtype, is_traced = (10**6, 10**6), 2, 10**12, np.dtype("float32"), False

        def numpy(self):
            return np.broadcast_to(np.float32(2), self.shape)

    text = printing.tensor_repr(Huge())
    assert text.startswith("Tensor([[2., 2., 2., ..., 2., 2., 2.],")
    assert text.endswith("shape=(1000000, 1000000), dtype=float32)")
    assert len(text) < 500


def test_format():
    assert f"{martlet.asarray(1.25):.1f}" == "1.2"
    assert f"{martlet.asarray(7):>3}" == "  7"
    assert f"{martlet.asarray([1, 2])}" == "[1 2]"
    assert f"{martlet.asarray(7)}" == "7"
