"""Making tensors: values against NumPy, element types by the rules of the contract."""

from __future__ import annotations

import numpy as np
import pytest

import martlet


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (True, "bool"),
        (3, "int32"),
        (2**31, "int64"),
        (2**63, "uint64"),
        (1.5, "float32"),
        (1j, "complex64"),
        ([1, 2.5], "float32"),
        ([[1], [2]], "int32"),
        ([True, False], "bool"),
        ([], "float32"),
        (np.float64(1), "float64"),
        (np.arange(3, dtype="int16"), "int16"),
        (range(3), "int32"),
        (b"ab", None),
        ("text", None),
        ([[1], [2, 3]], None),
        (None, None),
    ],
)
def test_default_types(value, dtype):
    if dtype is None:
        with pytest.raises((TypeError, ValueError)) as caught:
            martlet.asarray(value)
        assert isinstance(caught.value, martlet.Error)
    else:
        found = martlet.asarray(value)
        assert found.dtype == dtype
        assert np.array_equal(np.asarray(found), np.asarray(value, dtype))


def test_dtype_arguments():
    for given in (martlet.float64, "float64", np.float64, np.dtype("float64")):
        assert martlet.zeros(2, dtype=given).dtype == martlet.float64
    assert martlet.zeros(2, dtype=float).dtype == martlet.float32
    with pytest.raises(TypeError, match="U3"):
        martlet.zeros(2, dtype="U3")
    with pytest.raises(IndexError, match="300"):
        martlet.asarray(300, dtype="int8")


def test_copies():
    array = np.ones(3, "float32")
    tensor = martlet.asarray(array)
    array[0] = 7
    assert tensor.tolist() == [1, 1, 1]
    assert martlet.asarray(tensor) is tensor
    assert martlet.asarray(tensor, copy=False) is tensor
    assert martlet.asarray(tensor, copy=True) is not tensor
    with pytest.raises(ValueError, match="copy"):
        martlet.asarray([1, 2], copy=False)
    with pytest.raises(ValueError, match="copy"):
        martlet.asarray(tensor, dtype="int32", copy=False)


def test_an_array_without_elements_needs_no_copy():
    for shape in ((0, 3), (0,), (4, 0)):
        array = np.zeros(shape, "int16")
        for tensor in (martlet.asarray(array, copy=False), martlet.from_dlpack(array, copy=False)):
            assert (tensor.shape, tensor.dtype) == (shape, array.dtype)
    with pytest.raises(ValueError, match="copy"):
        martlet.asarray(np.zeros((0, 3)), dtype="int16", copy=False)


@pytest.mark.parametrize("columns", [2**42, 2**43, 2**65])
def test_what_no_tensor_can_hold(columns):
    column = martlet.ones((2**20, 1))
    row = martlet.zeros((1, 2**20))
    for make in (
        lambda: martlet.broadcast_to(column, (2**20, columns)),
        lambda: martlet.broadcast_to(martlet.ones(1), (columns,)),
        lambda: martlet.broadcast_arrays(column, row),
        lambda: martlet.zeros((2**20, columns)),
    ):
        with pytest.raises(martlet.OutOfMemoryError, match="a tensor may hold"):
            make()
    with pytest.raises(martlet.InvalidArgumentError, match="do not broadcast"):
        martlet.broadcast_shapes((2**20, 3, 1), (1, 2, columns))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float32", "float64", "complex64"])
def test_filled(dtype):
    for shape in ((), 3, (2, 0, 3), (2, 3)):
        for ours, numpys in ((martlet.zeros, np.zeros), (martlet.ones, np.ones)):
            found = ours(shape, dtype=dtype)
            expected = numpys(shape, dtype)
            assert found.shape == expected.shape
            assert found.dtype == dtype
            assert np.array_equal(np.asarray(found), expected)
        like = martlet.full_like(martlet.zeros(shape, dtype=dtype), 1)
        assert np.array_equal(np.asarray(like), np.full(shape, 1, dtype))
    assert martlet.full((2,), 3).dtype == martlet.int32
    assert martlet.full((2,), 3.0).dtype == martlet.float32
    assert martlet.empty((2, 3)).shape == (2, 3)


@pytest.mark.parametrize("arguments", [(5,), (2, 9), (2, 9, 3), (9, 2, -2), (0, 1, 0.1), (5.0,), (3, 3), (3, 2)])
def test_arange(arguments):
    found = martlet.arange(*arguments)
    expected = np.arange(*arguments)
    assert found.dtype == ("int32" if expected.dtype.kind == "i" else "float32")
    assert np.allclose(np.asarray(found), expected)
    with pytest.raises(ValueError, match="step"):
        martlet.arange(0, 1, 0)
    assert martlet.arange(2**40, 2**40 + 2).dtype == martlet.int64


def test_linspace_eye_meshgrid_triangles():
    assert np.allclose(np.asarray(martlet.linspace(-1, 2, 7)), np.linspace(-1, 2, 7))
    assert np.allclose(np.asarray(martlet.linspace(0, 1j, 4, endpoint=False)), np.linspace(0, 1j, 4, endpoint=False))
    for k in (-9, -1, 0, 2, 9):
        assert np.array_equal(np.asarray(martlet.eye(3, 4, k=k)), np.eye(3, 4, k))
        array = np.arange(24.0).reshape(2, 3, 4)
        assert np.array_equal(np.asarray(martlet.tril(martlet.asarray(array), k=k)), np.tril(array, k))
        assert np.array_equal(np.asarray(martlet.triu(martlet.asarray(array), k=k)), np.triu(array, k))
    lines = [np.arange(3), np.arange(4.0), np.arange(2)]
    for indexing in ("xy", "ij"):
        ours = martlet.meshgrid(*map(martlet.asarray, lines), indexing=indexing)
        for found, expected in zip(ours, np.meshgrid(*lines, indexing=indexing)):
            assert np.array_equal(np.asarray(found), expected)
            assert found.dtype == expected.dtype


def test_random_numbers():
    martlet.manual_seed(3)
    first = [martlet.randn(40, 50), martlet.rand((40, 50)), martlet.randint(-2, 5, (1000,))]
    martlet.manual_seed(3)
    again = [martlet.randn(40, 50), martlet.rand((40, 50)), martlet.randint(-2, 5, (1000,))]
    for one, two in zip(first, again):
        assert np.array_equal(np.asarray(one), np.asarray(two))
    normal, even, whole = map(np.asarray, first)
    assert abs(normal.mean()) < 0.1
    assert abs(normal.std() - 1) < 0.1
    assert 0 <= even.min() < 0.01
    assert 0.99 < even.max() < 1
    assert sorted(set(whole.tolist())) == [-2, -1, 0, 1, 2, 3, 4]
    assert martlet.randn(2, dtype="float64").dtype == martlet.float64
    assert not np.array_equal(np.asarray(martlet.randn(9)), np.asarray(martlet.randn(9)))
    with pytest.raises(ValueError, match="numbers from"):
        martlet.randint(3, 3)
    with pytest.raises(TypeError, match="floating"):
        martlet.rand(3, dtype="int32")


def test_bad_sizes():
    for shape in (-1, (2, -3)):
        with pytest.raises(ValueError, match="negative"):
            martlet.zeros(shape)
    with pytest.raises(TypeError, match="must be an integer"):
        martlet.ones((2, 1.5))
