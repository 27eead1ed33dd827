"""Tensors and the rest of Python: NumPy both ways, DLPack, buffers, pickle, numbers."""

from __future__ import annotations

import copy
import gc
import operator
import os
import pickle

import numpy as np
import pytest

import martlet

DTYPES = [dtype.name for dtype in martlet.data_types.ALL]


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_sees_the_same_memory(dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    tensor = martlet.asarray(array)
    view = np.asarray(tensor)
    assert view.dtype == array.dtype
    assert np.array_equal(view, array)
    assert address(view) == address(tensor.numpy()) == tensor.__array_interface__["data"][0]
    assert not view.flags.writeable
    assert not np.asarray(memoryview(tensor)).flags.writeable


def test_views_outlive_the_tensor():
    tensor = martlet.asarray(np.arange(1000))
    views = [
        np.asarray(tensor),
        tensor.numpy(),
        np.from_dlpack(tensor),
        np.asarray(memoryview(tensor)),
        tensor.__array__(),
    ]
    tensor[0] = -1
    del tensor
    [martlet.zeros(1000, dtype="int64") for _ in range(20)]
    for view in views:
        assert np.array_equal(view, np.arange(1000))


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads Linux's own record of memory")
def test_views_keep_no_more_than_they_show():
    """An assignment after a view was taken must not keep every older version of the elements alive."""

    def pages() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1])

    tensor = martlet.zeros((256, 1024))
    view = np.asarray(tensor)
    before = pages()
    for index in range(300):
        tensor[index % 256] = 1.0
        np.asarray(tensor), repr(tensor), tensor.numpy()
    assert (pages() - before) * os.sysconf("SC_PAGE_SIZE") < 64 * 2**20
    assert not view.any()


def test_array():
    tensor = martlet.asarray([1.0, 2.5])
    assert tensor.__array__().dtype == np.float32
    assert tensor.__array__(np.float64).tolist() == [1.0, 2.5]
    assert tensor.__array__(copy=True).flags.writeable
    with pytest.raises(ValueError, match="copy"):
        tensor.__array__(np.int32, copy=False)
    assert np.array(tensor).flags.writeable
    assert np.asarray(tensor, dtype="int32").tolist() == [1, 2]


def test_buffers():
    tensor = martlet.asarray([[1, 2, 3], [4, 5, 6]])
    view = memoryview(tensor)
    assert (view.shape, view.format, view.readonly) == ((2, 3), "i", True)
    assert view.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert bytes(tensor) == np.asarray(tensor).tobytes()
    assert np.frombuffer(tensor, np.int32).tolist() == [1, 2, 3, 4, 5, 6]
    with pytest.raises(TypeError), open("/dev/zero", "rb") as file:
        file.readinto(tensor)
    assert tensor.tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize("dtype", DTYPES)
def test_dlpack_out(dtype):
    tensor = martlet.asarray(np.arange(6).reshape(2, 3).astype(dtype))
    assert tensor.__dlpack_device__() == (1, 0)
    array = np.from_dlpack(tensor)
    assert np.array_equal(array, np.asarray(tensor))
    if martlet.interop.NUMPY_2:
        assert address(array) == address(tensor.numpy())
        assert not array.flags.writeable
    # Without a version there is no mark for read-only: the taker gets elements of its own.
    assert "dltensor" in repr(tensor.__dlpack__())
    with pytest.raises(BufferError):
        tensor.__dlpack__(dl_device=(2, 0))
    with pytest.raises(BufferError):
        tensor.__dlpack__(copy=False)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dlpack_in(dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    tensor = martlet.from_dlpack(array)
    assert tensor.dtype == dtype
    assert np.array_equal(np.asarray(tensor), array)
    assert martlet.from_dlpack(tensor).tolist() == tensor.tolist()
    with pytest.raises(TypeError, match="DLPack"):
        martlet.from_dlpack([1, 2])


def test_memory_of_others_is_kept_as_long_as_needed():
    from martlet._sharing import KEPT

    array = np.arange(12, dtype="float32").reshape(3, 4)
    before = len(KEPT)
    for tensor in (martlet.from_dlpack(array), martlet.asarray(array, copy=False)):
        assert tensor.__array_interface__["data"][0] == address(array)
    row, view = tensor[1], tensor.numpy()
    assert len(KEPT) == before + 1
    del tensor
    gc.collect()
    assert row.tolist() == [4.0, 5.0, 6.0, 7.0]
    assert len(KEPT) == before + 1
    del row, view
    gc.collect()
    assert len(KEPT) == before
    assert address(martlet.from_dlpack(array, copy=True).numpy()) != address(array)
    assert martlet.from_dlpack(array.T).tolist() == array.T.tolist()
    for wrong in (array.T, array.astype(">f4"), [1, 2]):
        with pytest.raises(ValueError, match="without a copy"):
            martlet.asarray(wrong, copy=False)
    with pytest.raises(ValueError, match="without a copy"):
        martlet.from_dlpack(array.T, copy=False)


OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.lt, operator.eq]


@pytest.mark.parametrize("operation", OPERATORS)
def test_arithmetic_with_arrays_both_ways(operation):
    array = np.linspace(-1, 1, 6, dtype="float32").reshape(2, 3)
    tensor = martlet.asarray(array[::-1])
    for left, right in (
        (tensor, array),
        (array, tensor),
        (tensor, np.float32(2)),
        (np.float32(2), tensor),
        (tensor, 2.0),
    ):
        found = operation(left, right)
        assert isinstance(found, martlet.Tensor)
        expected = operation(*(np.asarray(one) if isinstance(one, martlet.Tensor) else one for one in (left, right)))
        assert found.dtype == expected.dtype
        assert np.allclose(np.asarray(found), expected)


def test_ufuncs():
    tensor = martlet.asarray([1.0, 4.0, 9.0])
    found = np.sqrt(tensor)
    assert isinstance(found, martlet.Tensor)
    assert found.tolist() == [1.0, 2.0, 3.0]
    assert isinstance(np.arctan2(tensor, np.ones(3, "float32")), martlet.Tensor)
    assert float(np.add.reduce(tensor)) == 14.0
    assert np.maximum.reduce(martlet.asarray([[1, 5], [7, 2]]), axis=1).tolist() == [5, 7]
    with pytest.raises(TypeError):
        np.modf(tensor)
    with pytest.raises(TypeError):
        np.sqrt(np.ones(3), out=tensor)


def test_arrays_take_tensors_in_place():
    array = np.ones((2, 3), "float32")
    before = address(array)
    array += martlet.asarray([1.0, 2.0, 3.0])
    assert address(array) == before
    assert array.tolist() == [[2.0, 3.0, 4.0]] * 2
    np.multiply(martlet.asarray(2.0), array, out=array)
    assert array[0].tolist() == [4.0, 6.0, 8.0]
    with pytest.raises(ValueError, match="broadcast"):
        array += martlet.ones((3, 3))


def test_functions_of_numpy():
    tensor = martlet.asarray([[1.0, 4.0], [9.0, 2.0]])
    array = np.asarray(tensor)
    for found, expected in (
        (np.sum(tensor, axis=0), np.sum(array, axis=0)),
        (np.mean(tensor, 1), np.mean(array, 1)),
        (np.concatenate([tensor, array], axis=1), np.concatenate([array, array], axis=1)),
        (np.where(tensor > 3, tensor, 0.0), np.where(array > 3, array, 0.0)),
        (np.stack([tensor, tensor]), np.stack([array, array])),
        (np.max(tensor), np.max(array)),
    ):
        assert isinstance(found, martlet.Tensor)
        assert np.array_equal(np.asarray(found), expected)
    for found, expected in zip(np.where(tensor > 3), np.where(array > 3), strict=True):
        assert isinstance(found, martlet.Tensor)
        assert np.array_equal(np.asarray(found), expected)
    assert isinstance(np.percentile(tensor, 50), np.floating)  # ours has none: NumPy's own, on the elements
    np.testing.assert_allclose(tensor, array)


@pytest.mark.parametrize("dtype", DTYPES)
def test_pickle_and_copies(dtype):
    tensor = martlet.asarray(np.arange(6).reshape(2, 3).astype(dtype))
    for other in (pickle.loads(pickle.dumps(tensor)), copy.copy(tensor), copy.deepcopy(tensor)):
        assert other.dtype == tensor.dtype
        assert np.array_equal(np.asarray(other), np.asarray(tensor))
        assert other is not tensor
    other = copy.copy(tensor)
    other[0] = 0
    assert np.asarray(tensor).any()


def test_numbers():
    assert int(martlet.asarray(3.7)) == 3
    assert float(martlet.asarray([[2]])) == 2.0
    assert complex(martlet.asarray(1j)) == 1j
    assert bool(martlet.asarray(0.0)) is False
    assert [10, 20, 30][martlet.asarray(1)] == 20
    assert list(range(martlet.asarray(3, dtype="uint8"))) == [0, 1, 2]
    for convert in (int, float, complex, bool):
        with pytest.raises((TypeError, ValueError), match=r"\(2,\)"):
            convert(martlet.asarray([1, 2]))
    with pytest.raises(TypeError, match="float32"):
        operator.index(martlet.asarray(1.0))
    with pytest.raises(TypeError):
        float(martlet.asarray(1j))


def test_containers():
    tensor = martlet.asarray([[1, 2], [3, 4], [5, 6]])
    assert len(tensor) == 3
    assert [row.tolist() for row in tensor] == [[1, 2], [3, 4], [5, 6]]
    assert 4 in tensor
    assert 7 not in tensor
    for use in (len, iter):
        with pytest.raises(TypeError, match=r"\(\)"):
            use(martlet.asarray(1))


def test_namespace():
    tensor = martlet.asarray(1)
    assert tensor.__array_namespace__() is martlet
    assert tensor.__array_namespace__(api_version="2024.12") is martlet
    with pytest.raises(ValueError, match="1999"):
        tensor.__array_namespace__(api_version="1999.01")
    assert tensor.to_device("auto").tolist() == 1
    with pytest.raises(ValueError, match="moon"):
        tensor.to_device("moon")


def test_star_leaves_builtins_alone():
    names: dict = {}
    exec("from martlet import *", names)
    assert names.get("sum", sum) is sum
    assert names["asarray"] is martlet.asarray
    assert not {"abs", "all", "any", "bool", "max", "min", "pow", "round", "sum"} & set(martlet.__all__)


def test_methods_are_the_functions():
    tensor = martlet.asarray([[3.0, 1.0], [2.0, 5.0]])
    assert tensor.sum(0).tolist() == [5.0, 6.0]
    assert tensor.max().item() == 5.0
    assert tensor.argmax(1).tolist() == [0, 1]
    assert tensor.sort().tolist() == [[1.0, 3.0], [2.0, 5.0]]
    assert tensor.flatten().shape == (4,)
    assert tensor.clip(2, 4).tolist() == [[3.0, 2.0], [2.0, 4.0]]
