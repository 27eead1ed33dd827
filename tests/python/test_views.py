"""Views as operands: negative, interleaved and repeating strides in every kernel, against NumPy.

`view_fuzz.py` makes the random programs. MARTLET_FUZZ_SECONDS=3600 lets it run for an hour instead of a fixed number.
"""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

import martlet

DEVICES = [each["name"] for each in martlet.devices() if each["available"] and each["name"].startswith("cpu")]
# fmt: off
# What the fuzz must have run at least once.
KERNELS = {
    "matmul", "linear", "einsum", "conv", "conv_transpose", "max_pool",
    "avg_pool", "l2_pool", "softmax", "layer_norm", "instance_norm", "batch_norm", "l2_norm", "local_response_norm",
    "reduce_sum", "reduce_argmax", "cumsum", "add", "tanh", "select",
    "gather", "gather_along_axis", "gather_nd", "scatter", "scatter_along_axis", "scatter_nd", "slice_update",
    "concat", "pad", "argsort", "topk", "scaled_dot_product_attention", "lstm", "gru", "rnn",
    "upsample_bilinear", "resize_bilinear", "resample", "affine", "crop_resize", "rfft",
}
# fmt: on


def test_random_views_as_operands():
    command = [sys.executable, str(ROOT / "tests/python/view_fuzz.py"), "--programs", "2500"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    print(done.stdout)
    assert done.returncode == 0, f"{done.stdout[-6000:]}\nended with {done.returncode}; last:\n{done.stderr[-3000:]}"
    ran = set(re.findall(r"(\w+)(?:-\S*)? \d+", done.stdout.splitlines()[-2]))
    assert ran >= KERNELS


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def run(device: str, body: str, output: str = "y", **inputs: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """The result of a program, and its kernels."""
    declared = ", ".join(f"tensor<fp32, {list(array.shape)}> {name}" for name, array in inputs.items())
    model = martlet.parse(f"program(1.3) {{ func main<ios18>({declared}) {{ {body} }} -> ({output}); }}", device=device)
    return model.predict(inputs)[output], [step.kernel for step in model.plan()]


def constant(name: str, array: np.ndarray) -> str:
    return f"{name} = const()[val = tensor<fp32, {list(array.shape)}>({array.ravel().tolist()})];"


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((16, 64), [0]),
        ((16, 64), [1]),
        ((16, 64), [0, 1]),
        ((2, 16, 64), [1]),
        ((2, 16, 64), [0]),
        ((5, 1), [0]),
        ((5, 1), [1]),
    ],
)
def test_products_of_reversed_views(device, shape, axes):
    x, w = normal(*shape), normal(shape[-1], 8)
    wanted = np.flip(x, axes).astype(np.float64) @ w
    line = f"r = reverse(x = x, axes = {axes}); y = matmul(x = r, y = w);"
    for got, _ in (run(device, line, x=x, w=w), run(device, constant("w", w) + line, x=x)):
        np.testing.assert_allclose(got, wanted, atol=1e-4)
    line = f"r = reverse(x = x, axes = {axes}); y = linear(x = r, weight = w);"
    got, _ = run(device, constant("w", w.T.copy()) + line, x=x)
    np.testing.assert_allclose(got, wanted, atol=1e-4)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("batch", "rows", "step"), [(2, 7, 2), (2, 33, 2), (3, 8, 3), (2, 8, 2), (2, 8, -2)])
def test_products_of_every_other_row(device, batch, rows, step):
    x, w = normal(batch, rows, 16), normal(batch, 16, 5)
    masks = "begin_mask = [true, true, true], end_mask = [true, true, true]"
    cut = f"s = slice_by_index(x = x, begin = [0, 0, 0], end = [0, 0, 0], stride = [1, {step}, 1], {masks});"
    got, _ = run(device, f"{cut} y = matmul(x = s, y = w);", x=x, w=w)
    np.testing.assert_allclose(got, x[:, ::step].astype(np.float64) @ w, atol=1e-4)


@pytest.mark.parametrize("device", DEVICES)
def test_products_of_repeated_elements(device):
    """Windows that overlap, and one number in every place; a copy would be larger than what they show."""
    x, w = normal(60), normal(20, 8)
    wanted = np.lib.stride_tricks.sliding_window_view(x, 20).astype(np.float64) @ w
    line = "r = sliding_windows(x = x, axis = 0, size = 20); y = matmul(x = r, y = w);"
    for got, kernels in (run(device, line, x=x, w=w), run(device, constant("w", w) + line, x=x)):
        np.testing.assert_allclose(got, wanted, atol=1e-4)
        assert [kernel.removeprefix("small ") for kernel in kernels] == ["gemm"]
    x = normal(5, 600)
    got, _ = run(device, "f = fill(shape = [600, 600], value = 0.5); y = matmul(x = x, y = f);", x=x)
    np.testing.assert_allclose(got, np.repeat(x.sum(1, keepdims=True) * 0.5, 600, 1), atol=1e-3)


@pytest.mark.parametrize("device", DEVICES)
def test_convolution_of_reversed_axes_of_one_element(device):
    x, w = normal(2, 1, 9, 7), normal(16, 1, 3, 3, seed=1)
    windows = np.lib.stride_tricks.sliding_window_view(x[:, 0], (3, 3), (1, 2))
    line = "r = reverse(x = x, axes = [1]); y = conv(x = r, weight = w);"
    got, _ = run(device, constant("w", w) + line, x=x)
    np.testing.assert_allclose(got, np.einsum("bhwij,oij->bohw", windows, w[:, 0]), atol=1e-4)


TURNED_PRODUCT = "y = matmul(x = x, y = x, transpose_x = true);"


@pytest.mark.skipif(
    not any("oneDNN" in kernel for kernel in run("cpu", TURNED_PRODUCT, x=normal(99, 99))[1]),
    reason="this build has no oneDNN",
)
@pytest.mark.parametrize(
    ("view", "copies"),
    [
        ("transpose(x = x, perm = [1, 0])", 0),
        ("slice_by_index(x = t, begin = [0, 0], end = [100, 100], stride = [1, 2])", 0),
        ("reverse(x = t, axes = [1])", 1),
        ("reverse(x = t, axes = [0])", 1),
    ],
)
def test_what_is_copied_for_onednn(view, copies):
    """Described where its strides allow that, copied once where they do not."""
    x, w = normal(100, 100), normal(100, 100, seed=1)
    size = {"slice_by_index": 50}.get(view.split("(")[0], 100)
    line = f"t = transpose(x = x, perm = [1, 0]); v = {view}; y = matmul(x = v, y = w);"
    _, kernels = run("cpu", line, x=x, w=w[:size])
    assert len(kernels) == copies + 1
    assert "oneDNN" in kernels[-1]


# Results that their only reader transposes: a kernel may write them in that order only if it can.


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("result", "perm"), [("a", [2, 0, 1]), ("a", [1, 0, 2]), ("a", [0, 2, 1]), ("h", [1, 0]), ("c", [1, 0])]
)
def test_transposed_results_of_lstm(device, result, perm):
    x, g, w = normal(3, 2, 4), normal(2, 4, seed=1), normal(16, 4, seed=2)
    body = constant("w", w) + (
        "a, h, c = lstm(x = x, initial_h = g, initial_c = g, weight_ih = w, weight_hh = w, output_sequence = true);"
    )
    states, h, c = [], g.astype(np.float64), g.astype(np.float64)
    for step in x:
        i, f, o, z = np.split(step @ w.T.astype(np.float64) + h @ w.T, 4, -1)
        i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
        c = f * c + i * np.tanh(z)
        h = o * np.tanh(c)
        states.append(h)
    wanted = {"a": np.stack(states), "h": h, "c": c}[result].transpose(perm)
    got, _ = run(device, f"{body} y = transpose(x = {result}, perm = {perm});", x=x, g=g)
    np.testing.assert_allclose(got, wanted, atol=1e-5)


@pytest.mark.parametrize("device", DEVICES)
def test_transposed_attention_of_three_batch_axes(device):
    q, k, v = normal(2, 3, 2, 4, 5), normal(2, 3, 2, 6, 5, seed=1), normal(2, 3, 2, 6, 7, seed=2)
    scores = q.astype(np.float64) @ k.swapaxes(-1, -2) / np.sqrt(5)
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    line = "a = scaled_dot_product_attention(query = q, key = k, value = v);"
    for perm in ([1, 0, 2, 3, 4], [0, 3, 1, 2, 4]):
        got, _ = run(device, f"{line} y = transpose(x = a, perm = {perm});", q=q, k=k, v=v)
        np.testing.assert_allclose(got, (weights @ v).transpose(perm), atol=1e-5)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("perm", [[0, 1, 3, 2], [0, 2, 3, 1], [3, 2, 1, 0]])
def test_transposed_samples(device, perm):
    """The identity transform gives the image again."""
    x, m = normal(2, 3, 4, 5), np.tile(np.float32([1, 0, 0, 0, 1, 0]), (2, 1))
    modes = 'sampling_mode = "bilinear", padding_mode = "border", padding_value = 0.0, align_corners = true'
    sizes = 'output_height = 4, output_width = 5, coordinates_mode = "unnormalized"'
    line = f"a = affine(x = x, transform_matrix = m, {sizes}, {modes});"
    got, _ = run(device, f"{line} y = transpose(x = a, perm = {perm});", x=x, m=m)
    np.testing.assert_allclose(got, x.transpose(perm), atol=1e-6)
