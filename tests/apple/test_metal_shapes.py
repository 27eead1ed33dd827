"""Matrices, convolutions, images and everything that moves elements, on the Metal engine: what the cases do not reach.

Run with MARTLET_LIBRARY = the library built with the stand-ins. `test_cases.py` compares the answers of the cases."""

from __future__ import annotations

import importlib
import re
from typing import Any

import numpy as np
import pytest

import martlet
from tests.cases import Case
from tests.cases.convolution import conv, conv_transpose, pool
from tests.cases.image import resample

FAMILIES = ["linear", "convolution", "normalization", "shape", "indexing", "image", "compression", "recurrent"]
WIDE = re.compile(r"\b(fp64|complex128)\b")
# Results of data-dependent size, and an op whose exact meaning MPSGraph's documentation leaves open.
OPEN = re.compile(r"= (non_zero|masked_select|unique|non_maximum_suppression)\(")
# Scattered updates: those that divide, which is refused for integers, and those of complex products and quotients.
DIVIDED = re.compile(r'= scatter\w*\(.*mode = "div"')
COMPLEX = re.compile(r'tensor<complex64.*= scatter\w*\(.*mode = "(mul|div)"', re.DOTALL)
MOST_DIMENSIONS = 16
NAMES = {"float32": "fp32", "float16": "fp16"}


def is_beyond(case: Case) -> bool:
    """Whether it needs what MPSGraph lacks."""
    arrays: list[np.ndarray] = [*case.inputs.values(), *case.expected.values()]
    shapes = [*re.findall(r"\[([\d, ]*)\]>", case.text), *(str(array.shape) for array in arrays)]
    is_empty = any("0" in re.findall(r"\d+", shape) for shape in shapes)
    is_deep = any(array.ndim > MOST_DIMENSIONS for array in arrays)
    is_open = bool(OPEN.search(case.text)) and not re.search(r"x = const.*= non_zero\(", case.text, re.DOTALL)
    is_whole = any(array.dtype.kind in "iu" for array in case.expected.values())
    is_divided = is_whole and bool(DIVIDED.search(case.text))
    return is_empty or is_deep or is_open or is_divided or any(kind.search(case.text) for kind in (WIDE, COMPLEX))


def is_refused(case: Case) -> bool:
    try:
        martlet.parse(case.text, "metal")
    except martlet.UnsupportedError:
        return True
    return False


# What is cut away to nothing between the inputs and the results, or holds a number that no Double holds.
WITHIN = {
    "reshape-of-nothing-fp32",
    "reshape-of-nothing-fp16",
    "pad-value",
}


@pytest.mark.parametrize("family", FAMILIES)
def test_only_what_mpsgraph_lacks_is_refused(family: str) -> None:
    cases: list[Case] = importlib.import_module(f"tests.cases.{family}").CASES
    refused = {case.name for case in cases if is_refused(case)}
    assert refused == {case.name for case in cases if is_beyond(case)} | ({case.name for case in cases} & WITHIN)
    assert len(refused) < len(cases)


def program(body: str, results: str, inputs: dict[str, np.ndarray]) -> str:
    declared = ", ".join(
        f"tensor<{NAMES.get(array.dtype.name, array.dtype.name)}, {list(array.shape)}> {name}"
        for name, array in inputs.items()
    )
    return f"program(1.3) {{ func main<ios18>({declared}) {{ {body} }} -> ({results}); }}"


def metal(body: str, **inputs: np.ndarray) -> Any:
    """The result y of a program on Metal."""
    return martlet.parse(program(body, "y", inputs), "metal").predict(inputs)["y"]


def refusal(body: str, **inputs: np.ndarray) -> str:
    with pytest.raises(martlet.UnsupportedError) as caught:
        martlet.parse(program(body, "y", inputs), "metal")
    return str(caught.value)


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(list(shape)).standard_normal(shape).astype(np.float32)


# Positions


def test_positions_outside_read_no_foreign_memory() -> None:
    """Those that come at run time are held within their axis: a graph cannot fail."""
    x, far = numbers(5, 3), np.array([7, -9, 2**31 - 1, -1, 4], np.int32)
    held = x[[4, 0, 4, 4, 4]]
    np.testing.assert_array_equal(metal("y = gather(x = x, indices = i, axis = 0);", x=x, i=far), held)
    np.testing.assert_array_equal(metal("y = gather_nd(x = x, indices = i);", x=x, i=far[:, None]), held)
    along = np.repeat(far[:, None], 3, 1)
    np.testing.assert_array_equal(metal("y = gather_along_axis(x = x, indices = i, axis = 0);", x=x, i=along), held)
    body = 'y = scatter(data = x, indices = i, updates = u, axis = 0, mode = "add");'
    y = metal(body, x=x, i=np.array([9, -8], np.int32), u=np.ones((2, 3), np.float32))
    np.testing.assert_array_equal(y, x + np.array([1, 0, 0, 0, 1], np.float32)[:, None])


def test_elements_along_a_single_axis() -> None:
    x = numbers(1, 5)
    for data, axis, indices in [(x, 1, [[4, -4, 0]]), (x.T, 0, [[2], [-1]]), (x, 0, [[0, 0, -1, 0, 0]] * 2)]:
        given = np.array(indices, np.int32)
        y = metal(f"y = gather_along_axis(x = x, indices = i, axis = {axis});", x=data, i=given)
        np.testing.assert_array_equal(y, np.take_along_axis(data, given, axis))


@pytest.mark.parametrize(
    "line",
    [
        "gather(x = x, indices = [5], axis = 0)",
        "gather_along_axis(x = x, indices = [[-6, 0, 0]], axis = 0)",
        'scatter(data = x, indices = [5], updates = u, axis = 0, mode = "add")',
    ],
)
def test_known_positions_are_checked(line: str) -> None:
    with pytest.raises(martlet.OutOfRangeError, match="outside an axis of size 5"):
        metal(f"y = {line};", x=numbers(5, 3), u=numbers(1, 3))


def test_positions_that_want_to_be_checked() -> None:
    i = np.array([1], np.int32)
    body = "y = gather(x = x, indices = i, axis = 0, validate_indices = true);"
    assert "cannot fail during the run" in refusal(body, x=numbers(5, 3), i=i)


def test_integers_keep_their_bits() -> None:
    """MPSGraph takes them through fp32 when it moves them by position."""
    for dtype in (np.int32, np.uint32, np.int64, np.uint64):
        x = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (4, 3), dtype, endpoint=True)
        x[0, 0] = np.iinfo(dtype).min
        i = np.array([2, 0, -1], np.int32)
        np.testing.assert_array_equal(metal("y = gather(x = x, indices = i, axis = 1);", x=x, i=i), x[:, [2, 0, 2]])
        body = 'y = scatter(data = x, indices = i, updates = u, axis = 0, mode = "update");'
        y = metal(body, x=x, i=i[:1], u=x[:1] ^ 1)
        np.testing.assert_array_equal(y, np.concatenate([x[:2], x[:1] ^ 1, x[3:]]))


def test_slices_at_run_time() -> None:
    x = numbers(4, 6, 5)
    body = "y = slice_by_size(x = x, begin = b, size = [2, 6, 3]);"
    y = metal(body, x=x, b=np.array([-2, 0, 9], np.int32))
    np.testing.assert_array_equal(y, x[2:, :, 2:])  # as far as the axis goes
    body = (
        "y = slice_update(x = x, update = u, begin = b, end = e, stride = [1, -2, 1], "
        "begin_mask = [false, true, false], end_mask = [false, true, false], squeeze_mask = [true, false, false]);"
    )
    u = numbers(3, 2)
    y = metal(body, x=x, u=u, b=np.array([-1, 0, 1], np.int32), e=np.array([0, 0, 3], np.int32))
    wanted = x.copy()
    wanted[-1, ::-2, 1:3] = u
    np.testing.assert_array_equal(y, wanted)
    body = (
        "y = slice_by_index(x = x, begin = b, end = b, stride = [1, 2, 1], begin_mask = [true, true, true], "
        "end_mask = [false, true, true], squeeze_mask = [true, false, false]);"
    )
    np.testing.assert_array_equal(metal(body, x=x, b=np.array([3, 0, 0], np.int32)), x[0, ::2])


# Order


def test_order_along_far_axes() -> None:
    """MPSGraph sorts along the last four axes only, and few element types."""
    x = np.random.default_rng(1).permutation(3 * 2 * 2 * 2 * 2 * 2).reshape(3, 2, 2, 2, 2, 2)
    for dtype in (np.float32, np.int32, np.uint64, np.uint32, np.uint8):
        given = x.astype(dtype) + (2**63 if dtype is np.uint64 else 0)
        np.testing.assert_array_equal(metal("y = argsort(x = x, axis = 0);", x=given), np.argsort(-x, 0))
        np.testing.assert_array_equal(metal("y = sort(x = x, axis = 1);", x=given), np.sort(given, 1))
        y = metal("y = topk(x = x, k = 2, axis = 0, ascending = true, return_indices = false);", x=given)
        np.testing.assert_array_equal(y, np.sort(given, 0)[:2])


@pytest.mark.parametrize("dtype", ["float16", "float32", "int16", "uint32", "int64", "uint64"])
def test_order_of_extremes(dtype: str) -> None:
    """Equal elements stay in their order both ways, and NaN is above all, whatever its sign."""
    if dtype.startswith("float"):
        x = np.array([1, -0.0, 0.0, -np.inf, np.nan, -np.nan, np.inf, -1, 1, 6e-8, -6e-8, -1], dtype)
        finite = np.where(np.isnan(x), np.inf, x)
        order = np.lexsort((np.isnan(x), finite))
        falling = np.lexsort((~np.isnan(x), -finite))
    else:
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        x = np.array([high, low, 3, high - 1, 3, high // 2, high // 2 + 1, low + 1, low, 2**14, 2**14 - 1], dtype)
        order = np.argsort(x, kind="stable")
        falling = np.array(sorted(range(x.size), key=lambda place: -int(x[place])))
    for ascending, wanted in [("true", order), ("false", falling)]:
        y = metal(f"y = argsort(x = x, axis = 0, ascending = {ascending});", x=x)
        np.testing.assert_array_equal(y, wanted)
        np.testing.assert_array_equal(metal(f"y = sort(x = x, axis = 0, ascending = {ascending});", x=x), x[wanted])


def test_too_many_comparisons() -> None:
    x, v = np.arange(2**14, dtype=np.float32), np.zeros(2**13, np.float32)
    assert "comparisons" in refusal("y = search_sorted(x = x, v = v);", x=x, v=v)


# Shapes


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate"])
def test_pads_of_five_axes(mode: str) -> None:
    x = numbers(2, 2, 3, 4, 3)
    pad = [[0, 0], [0, 0], [0, 0], [1, 2], [2, 0]] if mode != "constant" else [[1, 0], [0, 2], [1, 1], [0, 0], [2, 1]]
    flat = [count for pair in pad for count in pair] if mode == "constant" else [1, 2, 2, 0]
    y = metal(f'y = pad(x = x, pad = {flat}, mode = "{mode}", constant_val = 0.0);', x=x)
    np.testing.assert_array_equal(y, np.pad(x, pad, "edge" if mode == "replicate" else mode))


# Matrices


def test_matrices_of_integers() -> None:
    x, y = np.full((700, 700), 3, np.int32), np.full((700, 700), 5, np.int32)
    assert "floating-point" in refusal("y = matmul(x = a, y = b);", a=x, b=y)
    a = np.array([[2**31 - 1, 7]], np.uint32)
    b = np.array([[5], [2**32 - 1]], np.uint32)
    np.testing.assert_array_equal(metal("y = matmul(x = a, y = b);", a=a, b=b), a @ b)
    a = np.array([[[100, 100]], [[-128, 3]]], np.int8)
    np.testing.assert_array_equal(metal("y = matmul(x = a, y = a, transpose_y = true);", a=a), a @ a.swapaxes(-1, -2))


def test_long_sums() -> None:
    a, b = numbers(2, 3, 40000), numbers(40000, 2)
    np.testing.assert_allclose(metal("y = matmul(x = a, y = b);", a=a, b=b), a @ b, rtol=1e-3, atol=1e-2)
    turned = metal("y = matmul(x = a, y = b, transpose_y = true);", a=a, b=np.stack([b.T, b.T]))
    np.testing.assert_allclose(turned, a @ b, rtol=1e-3, atol=1e-2)


def test_matrices_that_broadcast_both_ways() -> None:
    a, b = numbers(2, 1, 3, 4), numbers(5, 4, 3)
    np.testing.assert_allclose(metal("y = matmul(x = a, y = b);", a=a, b=b), a @ b, rtol=1e-5, atol=1e-5)
    turned = metal("y = matmul(x = a, y = b, transpose_x = true, transpose_y = true);", a=a, b=b[:1, :3].swapaxes(1, 2))
    np.testing.assert_allclose(turned, a.swapaxes(-1, -2) @ b[:1, :3], rtol=1e-5, atol=1e-5)


# Windows


def constant(array: np.ndarray) -> str:
    return f"tensor<fp32, {list(array.shape)}>({array.ravel().tolist()})"


def test_pads_that_no_convolution_has() -> None:
    """A transposed convolution cuts more than its window, or ends behind the last element of x."""
    x, weight = numbers(1, 2, 5, 6), numbers(2, 3, 2, 2)
    w = f"w = const()[val = {constant(weight)}];"
    for pad, more in (([2, 0, 0, 3], {}), ([0, 2, 0, 0], {"strides": [2, 3]})):
        extra = "".join(f", {name} = {value}" for name, value in more.items())
        y = metal(f'{w} y = conv_transpose(x = x, weight = w, pad_type = "custom", pad = {pad}{extra});', x=x)
        wanted = conv_transpose(x, weight, pad=pad, pad_type="custom", **more)
        np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-5)
    y = metal(
        f'{w} y = conv_transpose(x = x, weight = w, strides = [3, 3], pad_type = "same", '
        "output_shape = [1, 3, 17, 18]);",
        x=x,
    )
    wanted = conv_transpose(x, weight, strides=[3, 3], pad_type="same", output_shape=[1, 3, 17, 18])
    np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-5)


def test_a_result_too_wide_for_a_convolution() -> None:
    x = np.zeros((1, 1, 70000), np.float32)
    w = f"w = const()[val = {constant(np.ones((1, 1, 1), np.float32))}];"
    assert "65536" in refusal(f"{w} y = conv(x = x, weight = w);", x=x)


def test_a_kernel_too_long_for_a_convolution() -> None:
    w = f"w = const()[val = {constant(np.ones((1, 1, 256), np.float32))}];"
    assert "256" in refusal(f"{w} y = conv(x = x, weight = w);", x=np.zeros((1, 1, 300), np.float32))


def test_three_axes() -> None:
    """Planes by planes: steps and gaps along the depth, and pads in front and behind."""
    x, weight = numbers(2, 4, 5, 4, 6), numbers(6, 2, 3, 2, 3)
    w = f"w = const()[val = {constant(weight)}];"
    more = {"strides": [2, 1, 2], "dilations": [2, 1, 1], "groups": 2}
    extra = "".join(f", {name} = {value}" for name, value in more.items())
    pad = [3, 1, 0, 1, 2, 0]
    y = metal(f'{w} y = conv(x = x, weight = w, pad_type = "custom", pad = {pad}{extra});', x=x)
    wanted = conv(x, weight, pad=pad, pad_type="custom", **more)
    np.testing.assert_allclose(y, wanted, rtol=1e-4, atol=1e-4)
    turned = weight.reshape(4, 3, 3, 2, 3)
    w = f"w = const()[val = {constant(turned)}];"
    y = metal(f'{w} y = conv_transpose(x = x, weight = w, pad_type = "custom", pad = {pad}{extra});', x=x)
    wanted = conv_transpose(x, turned, pad=pad, pad_type="custom", **more)
    np.testing.assert_allclose(y, wanted, rtol=1e-4, atol=1e-4)


def test_weights_of_another_type() -> None:
    x, weight = numbers(1, 2, 7).astype(np.float16), numbers(3, 2, 3)
    y = metal(f"w = const()[val = {constant(weight)}]; y = conv(x = x, weight = w);", x=x)
    np.testing.assert_allclose(y, conv(x.astype(np.float64), weight), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("exclude", [False, True])
def test_means_at_the_edges(exclude: bool) -> None:
    """Each divides by what counts there, also where the last window reaches past the pads."""
    x = numbers(1, 2, 9, 10) + 5
    body = (
        'y = avg_pool(x = x, kernel_sizes = [3, 4], strides = [2, 3], pad_type = "custom", pad = [1, 1, 2, 2], '
        f"ceil_mode = true, exclude_padding_from_average = {str(exclude).lower()});"
    )
    wanted = pool("average")(x, [3, 4], "custom", [2, 3], [1, 1, 2, 2], True, exclude)
    np.testing.assert_allclose(metal(body, x=x), wanted, rtol=1e-5)


@pytest.mark.parametrize(("kernel", "stride"), [(1, 3), (2, 1), (3, 2), (7, 3), (12, 5), (16, 1), (5, 5), (3, 7)])
def test_means_feel_only_their_window(kernel: int, stride: int) -> None:
    x = numbers(1, 2, 40)
    x[0, 0, 4], x[0, 1, :9] = np.inf, 1e30
    y = metal(f'y = avg_pool(x = x, kernel_sizes = [{kernel}], strides = [{stride}], pad_type = "valid");', x=x)
    wanted = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=2)[:, :, ::stride].mean(axis=-1)
    np.testing.assert_allclose(y, wanted, rtol=1e-4, atol=1e-5)


def test_squares_beyond_half_precision() -> None:
    x = np.full((1, 1, 4, 4), 300, np.float16)
    y = metal('y = l2_pool(x = x, kernel_sizes = [2, 2], pad_type = "valid");', x=x)
    np.testing.assert_allclose(y, np.full((1, 1, 3, 3), 600, np.float16))
    y = metal("y = layer_norm(x = x, axes = [2, 3]);", x=x + np.arange(16, dtype=np.float16).reshape(4, 4) * 8)
    np.testing.assert_allclose(y.astype(np.float64).mean(), 0, atol=1e-2)
    assert np.isfinite(y).all()


# Images


@pytest.mark.parametrize("padding", ["constant", "border", "reflection", "symmetric"])
@pytest.mark.parametrize("sampling", ["bilinear", "nearest"])
def test_samples_far_outside(padding: str, sampling: str) -> None:
    x = numbers(1, 2, 3, 4)
    points = np.array([[[[-37.25, 41.5], [0.5, -0.5], [3.5, 2.75], [1e3, -1e3]]]], np.float32)
    body = (
        f'y = resample(x = x, coordinates = c, sampling_mode = "{sampling}", padding_mode = "{padding}", '
        'padding_value = 1.5, coordinates_mode = "unnormalized", align_corners = false);'
    )
    wanted = resample(x, points.astype(np.float64), sampling, padding, 1.5, "unnormalized", False)
    np.testing.assert_allclose(metal(body, x=x, c=points), wanted, rtol=1e-3, atol=1e-3)


def test_mirrors_of_one_pixel() -> None:
    x, points = numbers(1, 2, 1, 1), np.full((1, 1, 3, 2), -2.25, np.float32)
    body = (
        'y = resample(x = x, coordinates = c, sampling_mode = "bilinear", padding_mode = "reflection", '
        'padding_value = 0.0, coordinates_mode = "unnormalized", align_corners = false);'
    )
    np.testing.assert_allclose(metal(body, x=x, c=points), np.broadcast_to(x, (1, 2, 1, 3)), rtol=1e-6)


def test_boxes_of_images_that_are_not_there() -> None:
    """Positions that come at run time are held within the batch."""
    x, boxes = numbers(2, 1, 4, 4), np.array([[0, 0, 3, 3]], np.float32)
    body = (
        "y = crop_resize(x = x, boxes = b, box_indices = i, target_height = 4, target_width = 4, "
        'sampling_mode = "ALIGN_CORNERS");'
    )
    y = metal(body, x=x, b=boxes, i=np.array([9], np.int32))
    np.testing.assert_allclose(y, x[1:], rtol=1e-5, atol=1e-5)


# Sequences


def test_too_many_steps() -> None:
    x, h = np.zeros((600, 1, 1), np.float32), np.zeros((1, 1), np.float32)
    one = constant(np.ones((1, 1), np.float32))
    body = f"w = const()[val = {one}]; y, last = rnn(x = x, initial_h = h, weight_ih = w, weight_hh = w);"
    assert "600 steps" in refusal(body, x=x, h=h)


def test_a_long_memory() -> None:
    """MPSGraph's own layer has as many steps as it likes."""
    x, state = numbers(520, 1, 1), numbers(1, 1)
    w, u = numbers(4, 1), numbers(1, 4).T
    body = (
        f"w = const()[val = {constant(w)}]; u = const()[val = {constant(u)}]; "
        "s, y, z = lstm(x = x, initial_h = h, initial_c = h, weight_ih = w, weight_hh = u);"
    )
    h = c = state.astype(np.float64)
    for step in x.astype(np.float64):
        i, f, o, g = np.split(step @ w.T + h @ u.T, 4, axis=1)
        i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
    np.testing.assert_allclose(metal(body, x=x, h=state), h, rtol=1e-4, atol=1e-4)


def test_functions_of_recurrent_layers() -> None:
    x, h = numbers(3, 2, 1), numbers(2, 1)
    one = constant(np.ones((1, 1), np.float32))
    for name, function in {
        "scaled_tanh": np.tanh,
        "hard_sigmoid": lambda v: np.clip(0.2 * v + 0.5, 0, 1),
    }.items():
        wanted = h
        for step in x:
            wanted = function(step + wanted)
        body = (
            f"w = const()[val = {one}]; "
            f'all, y = rnn(x = x, initial_h = h, weight_ih = w, weight_hh = w, activation = "{name}");'
        )
        np.testing.assert_allclose(metal(body, x=x, h=h), wanted, rtol=1e-5, atol=1e-5)
