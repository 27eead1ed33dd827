"""Integers that a converter narrows to 16 bits only to move them are int32 on the CPU; `cpu:declared` cuts them.

Right values: what torch computes for the program that was converted (token ids and positions come back as they are),
and NumPy's `astype` for `cpu:declared` and for eager tensors.
"""

import numpy as np
import pytest

import martlet

DEVICES = ["cpu", "cpu:portable", "cpu:single"]
IDS = np.array([[5, 40000, 100000, 151935, -12]], np.int32)
LOGITS = np.zeros((1, 70000), np.float32)
LOGITS[0, 69999] = 1


def program(inputs, body, outputs="y"):
    return f"program(1.3) {{ func main<ios18>({inputs}) {{ {body} }} -> ({outputs}); }}"


def moved(dtype, move, device):
    text = program(
        "tensor<int32, [1, 5]> x",
        f'a = cast(x = x, dtype = "{dtype}"); b = {move}; y = cast(x = b, dtype = "int32");',
    )
    return martlet.parse(text, device=device).predict({"x": IDS})["y"]


MOVES = {
    "squeeze(x = a, axes = [0])": lambda x: x[0],
    "reshape(x = a, shape = [5, 1])": lambda x: x.reshape(5, 1),
    "transpose(x = a, perm = [1, 0])": lambda x: x.T,
    "gather(x = a, indices = [3, 4], axis = 1)": lambda x: x[:, [3, 4]],
    "gather_along_axis(x = a, indices = [[3, 4]], axis = 1)": lambda x: x[:, [3, 4]],
    "gather_nd(x = a, indices = [[0, 3]])": lambda x: x[0, [3]],
    "slice_by_index(x = a, begin = [0, 3], end = [1, 5])": lambda x: x[:, 3:],
    "concat(values = (a, a), axis = 1, interleave = false)": lambda x: np.concatenate([x, x], 1),
    "identity(x = a)": lambda x: x,
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["int16", "uint16"])
@pytest.mark.parametrize("move", MOVES)
def test_moved_ids_keep_their_value(move, dtype, device):
    np.testing.assert_array_equal(moved(dtype, move, device), MOVES[move](IDS))


@pytest.mark.parametrize("dtype", ["int16", "uint16"])
@pytest.mark.parametrize("move", MOVES)
def test_the_declared_device_cuts_them(move, dtype):
    np.testing.assert_array_equal(moved(dtype, move, "cpu:declared"), MOVES[move](IDS.astype(dtype)))


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_casts_to_eight_bits_cut(dtype):
    """Converters narrow to 16 bits alone; 8 bits are what the author wrote, as `x.to(torch.uint8)`."""
    np.testing.assert_array_equal(moved(dtype, "squeeze(x = a, axes = [0])", "cpu"), IDS[0].astype(dtype))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("op", ["topk", "reduce_argmax"])
def test_positions(op, device):
    calls = {
        "topk": 'v, p = topk(x = x, k = 1, axis = -1, output_indices_dtype = "uint16");',
        "reduce_argmax": 'p = reduce_argmax(x = x, axis = -1, keep_dims = true, output_dtype = "uint16");',
    }
    text = program("tensor<fp32, [1, 70000]> x", calls[op] + ' y = cast(x = p, dtype = "int32");')
    assert martlet.parse(text, device=device).predict({"x": LOGITS})["y"].tolist() == [[69999]]
    assert martlet.parse(text, device="cpu:declared").predict({"x": LOGITS})["y"].tolist() == [[69999 - 65536]]


def test_topk_of_narrowed_numbers():
    text = program(
        "tensor<int32, [1, 5]> x",
        'a = cast(x = x, dtype = "int16"); v, p = topk(x = a, k = 2, axis = 1); y = cast(x = v, dtype = "int32");',
        "y, p",
    )
    found = martlet.parse(text, device="cpu").predict({"x": IDS})
    assert found["y"].tolist() == [[151935, 100000]]
    assert found["p"].tolist() == [[3, 2]]


def test_narrowed_indices():
    table = np.arange(70000, dtype=np.float32)
    text = program(
        "tensor<fp32, [70000]> t, tensor<int32, [1, 4]> x",
        'i = cast(x = x, dtype = "int16"); y = gather(x = t, indices = i, axis = 0);',
    )
    ids = np.array([[5, 40000, 65536, 69999]], np.int32)
    np.testing.assert_array_equal(martlet.parse(text, device="cpu").predict({"t": table, "x": ids})["y"], table[ids])


@pytest.mark.parametrize("device", [*DEVICES, "cpu:declared"])
def test_what_goes_out_is_cut(device):
    text = program("tensor<int32, [1, 5]> x", 'a = cast(x = x, dtype = "int16"); y = squeeze(x = a, axes = [0]);')
    found = martlet.parse(text, device=device).predict({"x": IDS})["y"]
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, IDS[0].astype(np.int16))


@pytest.mark.parametrize("device", [*DEVICES, "cpu:declared"])
def test_arithmetic_is_cut(device):
    """Core ML has no 16-bit arithmetic; here int16 wraps around, as in NumPy."""
    text = program(
        "tensor<int32, [1, 5]> x",
        'a = cast(x = x, dtype = "int16"); b = add(x = a, y = a); y = cast(x = b, dtype = "int32");',
    )
    found = martlet.parse(text, device=device).predict({"x": IDS})["y"]
    narrow = IDS.astype(np.int16)
    np.testing.assert_array_equal(found, narrow + narrow)


def test_both_the_narrow_and_the_wide_value():
    """One reader moves the value, the other adds to it, and it is an output as well."""
    text = program(
        "tensor<int32, [1, 5]> x",
        'a = cast(x = x, dtype = "int16"); b = squeeze(x = a, axes = [0]); y = cast(x = b, dtype = "int32");'
        "z = add(x = a, y = a);",
        "y, z, a",
    )
    found = martlet.parse(text, device="cpu").predict({"x": IDS})
    narrow = IDS.astype(np.int16)
    np.testing.assert_array_equal(found["y"], IDS[0])
    np.testing.assert_array_equal(found["z"], narrow + narrow)
    np.testing.assert_array_equal(found["a"], narrow)


def test_eager_tensors_are_cut():
    """`astype` is what NumPy does: its result is what the caller asked for."""
    for dtype in ("int16", "uint16", "int8", "uint8"):
        found = martlet.Tensor(IDS).astype(dtype)
        np.testing.assert_array_equal(found.numpy(), IDS.astype(dtype))
        np.testing.assert_array_equal((found + found).numpy(), IDS.astype(dtype) + IDS.astype(dtype))


def test_declared_inputs_keep_their_type():
    text = program("tensor<int16, [3]> x", "y = add(x = x, y = x);")
    x = np.array([1, 20000, -20000], np.int16)
    np.testing.assert_array_equal(martlet.parse(text, device="cpu").predict({"x": x})["y"], x + x)
