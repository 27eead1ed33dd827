"""Indexing and assignment against NumPy, on indices of every kind."""

from __future__ import annotations

import operator
import random

import numpy as np
import pytest

import martlet

SHAPES = [(7,), (3, 4), (2, 3, 5), (1, 4, 1, 3), (4, 0, 2), (2, 3, 2, 2, 3)]


def filled(shape: tuple[int, ...], dtype: str = "float32") -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def random_slice(chance: random.Random, size: int) -> slice:
    if chance.random() < 0.2:
        return slice(None, None, -1)
    ends = [None, *range(-size - 2, size + 3)]
    return slice(chance.choice(ends), chance.choice(ends), chance.choice([None, 1, 2, 3, -1, -2, -7]))


def plain_key(chance: random.Random, shape: tuple[int, ...]) -> tuple:
    """Numbers, slices, new axes and at most one ellipsis."""

    def of_axis(size: int):
        return chance.randrange(-size, size) if size and chance.random() < 0.4 else random_slice(chance, size)

    head = chance.randint(0, len(shape))
    key = [of_axis(size) for size in shape[:head]]
    if chance.random() < 0.4:
        tail = chance.randint(0, len(shape) - head)
        key += [..., *(of_axis(size) for size in shape[len(shape) - tail :])]
    for _ in range(chance.choice([0, 0, 1, 2])):
        key.insert(chance.randint(0, len(key)), None)
    return tuple(key)


def mixed_key(chance: random.Random, shape: tuple[int, ...]) -> tuple:
    """Integer arrays that broadcast, masks, and plain keys between them."""
    common = chance.choice([(), (3,), (2, 3)])
    key: list = []
    axis = 0
    while axis < len(shape):
        size = shape[axis]
        kind = chance.choice(["array", "array", "slice", "number", "mask", "stop"])
        if kind == "stop":
            break
        if kind == "array" and size:
            picked = common[chance.randint(0, len(common)) :]
            key.append(
                np.array([chance.randrange(-size, size) for _ in range(int(np.prod(picked)))], int).reshape(picked)
            )
        elif kind == "number" and size:
            key.append(chance.randrange(-size, size))
        elif kind == "mask" and common == () and not any(isinstance(one, np.ndarray) for one in key):
            mask = np.array([chance.random() < 0.5 for _ in range(size)], bool)
            key.append(mask)
        else:
            key.append(random_slice(chance, size))
        axis += 1
    return tuple(key)


def given(key):
    """The key with tensors in place of arrays."""
    return tuple(martlet.asarray(one) if isinstance(one, np.ndarray) else one for one in key)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", [plain_key, mixed_key])
def test_reading_as_numpy(shape, kind):
    chance = random.Random(f"{shape}{kind.__name__}")
    array = filled(shape)
    tensor = martlet.asarray(array)
    for _ in range(120):
        key = kind(chance, shape)
        expected = array[key]
        found = tensor[given(key)]
        assert found.shape == expected.shape, key
        assert np.array_equal(np.asarray(found), expected), key
        assert found.dtype == array.dtype


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", [plain_key, mixed_key])
def test_assigning_as_numpy(shape, kind):
    chance = random.Random(f"{kind.__name__}{shape}")
    for _ in range(60):
        key = kind(chance, shape)
        expected = filled(shape)
        tensor = martlet.asarray(expected)
        taken = expected[key]
        value = chance.choice([-1.0, -filled(taken.shape) - 1, -np.ones(taken.shape[-1:], "float32")])
        if isinstance(value, np.ndarray) and np.unique(np.arange(expected.size).reshape(shape)[key]).size < taken.size:
            value = -2.0  # where places repeat, any of the values may stay
        expected[key] = value
        tensor[given(key)] = martlet.asarray(value) if isinstance(value, np.ndarray) else value
        assert np.array_equal(np.asarray(tensor), expected), key


BACKWARD = [
    ((4,), np.s_[::-1]),
    ((4,), np.s_[3:-5:-1]),
    ((4,), np.s_[9::-1]),
    ((2, 3), np.s_[:, ::-1]),
    ((2, 3), np.s_[::-1, ::-1]),
    ((2, 3), np.s_[1, ::-1]),
    ((3, 4), np.s_[::-1, -1]),
    ((3, 4), np.s_[None, ..., ::-1]),
    ((1, 4), np.s_[::-1, ::-1]),
    ((3, 4), np.s_[::-1, 2:0:-1]),
    ((5, 4), np.s_[::-2]),
    ((5, 4), np.s_[::-1, [2, 0]]),
    ((5, 4), np.s_[[True, False, True, True, False], ::-1]),
]


@pytest.mark.parametrize(("shape", "key"), BACKWARD, ids=str)
def test_assigning_backward(shape, key):
    """Axes taken backward, whole or in part, for a value of the same shape, one that is repeated, and a number."""
    size = filled(shape)[key].shape
    for value in (filled(size) + 1, filled(size[-1:]) + 1, np.flip(filled(size)), -1.0):
        expected = filled(shape)
        tensor = martlet.asarray(expected)
        expected[key] = value
        tensor[key] = martlet.asarray(value) if isinstance(value, np.ndarray) else value
        assert np.array_equal(np.asarray(tensor), expected)


IN_PLACE = [operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ipow]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", [plain_key, mixed_key])
def test_in_place_operators_as_numpy(shape, kind):
    """`t[key] op= value`, where the value is itself taken by a key that may go backward."""
    chance = random.Random(f"in place {kind.__name__}{shape}")
    for _ in range(40):
        key, change = kind(chance, shape), chance.choice(IN_PLACE)
        places = np.arange(np.prod(shape)).reshape(shape)[key]
        if np.unique(places).size < places.size:
            continue  # where places repeat, any of the values may stay
        turned = tuple(random_slice(chance, size) for size in places.shape)
        turned = tuple(one if len(range(*one.indices(n))) == n else slice(None) for one, n in zip(turned, places.shape))
        expected, values = filled(shape) + 1, filled(places.shape) % 3 + 1
        tensor = martlet.asarray(expected)
        expected[key] = change(expected[key], values[turned])
        tensor[given(key)] = change(tensor[given(key)], martlet.asarray(values)[turned])
        np.testing.assert_allclose(np.asarray(tensor), expected, rtol=1e-5, err_msg=f"{key}, {turned}")


def test_rows_backward_prepare_once():
    from martlet._call import OPS

    tensor, value = martlet.zeros((50, 4)), martlet.arange(4, dtype=martlet.float32)
    tensor[0, ::-1] = value
    before = len(OPS.entries)
    for index in range(50):
        tensor[index, ::-1] = value
    assert len(OPS.entries) == before
    assert np.array_equal(np.asarray(tensor), np.tile(np.arange(4)[::-1], (50, 1)))


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "float16", "float32", "float64", "complex128"])
def test_every_element_type(dtype):
    array = filled((4, 5), dtype)
    tensor = martlet.asarray(array)
    rows = np.array([3, -1, 0])
    assert np.array_equal(np.asarray(tensor[1:3, ::-2]), array[1:3, ::-2])
    assert np.array_equal(np.asarray(tensor[rows]), array[rows])
    assert np.array_equal(np.asarray(tensor[tensor != 0]), array[array != 0])
    tensor[:, 2] = 0
    array[:, 2] = 0
    assert np.array_equal(np.asarray(tensor), array)


def test_masks_of_every_rank():
    array = filled((3, 4, 2))
    tensor = martlet.asarray(array)
    for mask in (array > 7, array[:, :, 0] > 7, array[:, 0, 0] > 7, np.array(True), np.array(False)):
        assert np.array_equal(np.asarray(tensor[martlet.asarray(mask)]), array[mask])
    tensor[tensor > 20] = 0.5
    array[array > 20] = 0.5
    assert np.array_equal(np.asarray(tensor), array)


def test_masks_of_rank_0_are_not_numbers():
    tensor = martlet.asarray([1, 2, 3])
    assert tensor[True].shape == (1, 3)
    assert tensor[False].shape == (0, 3)


def test_lists_are_arrays():
    tensor = martlet.asarray([[1, 2], [3, 4], [5, 6]])
    assert tensor[[0, 2]].tolist() == [[1, 2], [5, 6]]
    assert tensor[[True, False, True]].tolist() == [[1, 2], [5, 6]]
    assert tensor[[]].shape == (0, 2)


def test_neighbours_share_the_elements():
    tensor = martlet.zeros((4, 5))
    base = tensor.__array_interface__["data"][0]
    assert tensor[2].__array_interface__["data"][0] == base + 40
    assert tensor[1:3].__array_interface__["data"][0] == base + 20
    assert tensor[3, 1:4].__array_interface__["data"][0] == base + 64


def test_assignment_leaves_others_alone():
    tensor = martlet.asarray([1, 2, 3])
    other, view, row = +tensor, np.asarray(tensor), tensor[1:]
    tensor[1] = 9
    assert tensor.tolist() == [1, 9, 3]
    assert other.tolist() == view.tolist() == [1, 2, 3]
    assert row.tolist() == [2, 3]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (5, ["5", "axis 0", "(3, 4)"]),
        ((0, -5), ["-5", "axis 1", "(3, 4)"]),
        ((0, 0, 0), ["3 indices", "(3, 4)"]),
        (np.array([0, 3]), ["3", "axis 0", "(3, 4)"]),
        ((slice(None), np.array([4, 0])), ["4", "axis 1", "(3, 4)"]),
        ((np.array([0, 1, 2]), np.array([0, 1])), ["broadcast", "(3, 4)"]),
        (np.zeros((2, 4), bool), ["(3, 4)"]),
        ((..., ...), ["ellipsis"]),
        ("a", ["str"]),
        (1.5, ["float"]),
    ],
)
def test_bad_indices_say_what_is_wrong(key, words):
    tensor = martlet.zeros((3, 4))
    with pytest.raises(IndexError) as caught:
        tensor[key]
    assert isinstance(caught.value, martlet.Error)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    with pytest.raises(IndexError):
        tensor[key] = 1


def test_bad_values_say_both_shapes():
    tensor = martlet.zeros((3, 4))
    with pytest.raises(ValueError, match=r"\(5,\).*\(4,\)"):
        tensor[0] = martlet.ones(5)
    with pytest.raises(TypeError, match="complex"):
        tensor[0] = 1j
    with pytest.raises(ValueError, match="step"):
        tensor[::0]


def test_take():
    array = filled((3, 4, 2))
    tensor, indices = martlet.asarray(array), np.array([[0, -1], [2, 1]])
    for axis in (0, 1, 2, -1):
        chosen = indices % array.shape[axis] - (indices < 0) * array.shape[axis]
        expected = np.take(array, chosen, axis)
        assert np.array_equal(np.asarray(martlet.take(tensor, martlet.asarray(chosen), axis=axis)), expected)
    with pytest.raises(IndexError, match=r"4.*axis 1.*\(3, 4, 2\)"):
        martlet.take(tensor, martlet.asarray([4]), axis=1)


def test_take_along_axis():
    array = np.random.default_rng(1).standard_normal((3, 4, 2)).astype("float32")
    tensor = martlet.asarray(array)
    for axis in (0, 1, 2):
        order = np.argsort(array, axis)
        expected = np.take_along_axis(array, order, axis)
        assert np.array_equal(np.asarray(martlet.take_along_axis(tensor, martlet.asarray(order), axis=axis)), expected)


def test_loops_prepare_once():
    """t[i] and a column in a loop must not compile an op for each index."""
    tensor = martlet.zeros((300, 4))
    from martlet._call import OPS

    tensor[:, 1], tensor[0]
    before = len(OPS.entries)
    for index in range(300):
        tensor[index]
        tensor[index : index + 1, 1:3]
    for index in range(4):
        tensor[:, index]
    assert len(OPS.entries) <= before + 2
