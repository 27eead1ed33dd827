"""Neural networks: against NumPy's formulas, and against torch where it is installed."""

import copy as copying
import gc
import importlib.util
import math
import weakref

import numpy as np
import pytest

import martlet
from martlet import nn

HAS_TORCH = importlib.util.find_spec("torch") is not None
needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="torch is a large download; .ci/run has it")
GENERATOR = np.random.default_rng(7)


def numbers(*shape):
    return GENERATOR.standard_normal(shape).astype(np.float32)


def values(module, x, *more):
    return module(martlet.Tensor(x), *more).numpy()


def close(actual, expected, tolerance=2e-5):
    np.testing.assert_allclose(np.asarray(actual), np.asarray(expected), rtol=tolerance, atol=tolerance)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# Layers, by their formulas

PHI = np.vectorize(lambda x: (1 + math.erf(x / math.sqrt(2))) / 2)
FORMULAS = {
    "ReLU": ((), lambda x: np.maximum(x, 0)),
    "ReLU6": ((), lambda x: np.clip(x, 0, 6)),
    "LeakyReLU": ((0.2,), lambda x: np.where(x > 0, x, 0.2 * x)),
    "ELU": ((0.5,), lambda x: np.where(x > 0, x, 0.5 * np.expm1(x))),
    "GELU": ((), lambda x: x * PHI(x)),
    "SiLU": ((), lambda x: x * sigmoid(x)),
    "Sigmoid": ((), sigmoid),
    "Hardsigmoid": ((), lambda x: np.clip(x / 6 + 0.5, 0, 1)),
    "Tanh": ((), np.tanh),
    "Hardtanh": ((-0.5, 2.0), lambda x: np.clip(x, -0.5, 2)),
    "Softplus": ((), lambda x: np.log1p(np.exp(x))),
    "Softsign": ((), lambda x: x / (1 + np.abs(x))),
    "Softmax": ((0,), lambda x: np.exp(x) / np.exp(x).sum(0)),
}


def test_every_activation_has_a_formula():
    assert FORMULAS.keys() == nn.ACTIVATIONS.keys()
    assert all(getattr(nn, name) is each for name, each in nn.ACTIVATIONS.items())


@pytest.mark.parametrize("name", FORMULAS)
def test_activations(name):
    options, formula = FORMULAS[name]
    x = numbers(5, 7) * 4
    close(values(nn.ACTIVATIONS[name](*options), x), formula(x.astype(np.float64)), 1e-4)
    assert nn.ACTIVATIONS[name].__doc__


def test_gelu_by_tanh():
    x = numbers(9)
    expected = x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    close(values(nn.GELU(approximate="tanh"), x), expected)
    with pytest.raises(martlet.InvalidArgumentError, match="'none', 'tanh'"):
        nn.GELU("exact")


@pytest.mark.parametrize("arguments", [((1, 2), {}), ((), {"slope": 1}), ((0.1,), {"negative_slope": 0.1})])
def test_activations_refuse_other_options(arguments):
    with pytest.raises(martlet.InvalidArgumentError, match="negative_slope"):
        nn.LeakyReLU(*arguments[0], **arguments[1])


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear(shape, bias):
    layer, x = nn.Linear(4, 5, bias), numbers(*shape)
    expected = x @ layer.weight.numpy().T + (layer.bias.numpy() if bias else 0)
    close(values(layer, x), expected)


def test_convolution():
    layer, x = nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2), numbers(2, 4, 7, 6)
    weight, padded = layer.weight.numpy(), np.pad(x, ((0, 0), (0, 0), (1, 1), (2, 2)))
    expected = np.zeros((2, 6, 4, 8))
    for out in range(6):
        group = padded[:, :2] if out < 3 else padded[:, 2:]
        for row in range(4):
            for column in range(8):
                window = group[:, :, row * 2 : row * 2 + 3, column : column + 3 : 2]
                expected[:, out, row, column] = (window * weight[out]).sum((1, 2, 3)) + layer.bias.numpy()[out]
    close(values(layer, x), expected)
    close(values(layer, x[0]), expected[0])


def test_convolution_with_same_padding():
    layer, x = nn.Conv1d(1, 1, 4, padding="same", bias=False), numbers(1, 1, 6)
    padded = np.pad(x[0, 0], (1, 2))
    close(values(layer, x)[0, 0], np.correlate(padded, layer.weight.numpy()[0, 0], "valid"))


def test_poolings():
    x = numbers(2, 3, 6, 8)
    windows = x.reshape(2, 3, 3, 2, 2, 4)
    close(values(nn.MaxPool2d((2, 4)), x), windows.max((3, 5)))
    close(values(nn.AvgPool2d((2, 4)), x), windows.mean((3, 5)))
    ones = np.ones((1, 2, 2), np.float32)
    close(values(nn.AvgPool2d(2, 2, 1), ones), np.full((1, 2, 2), 0.25))
    close(values(nn.AvgPool2d(2, 2, 1, count_include_pad=False), ones), np.ones((1, 2, 2)))


@pytest.mark.parametrize(
    ("layer", "shape"), [("BatchNorm1d", (6, 3)), ("BatchNorm1d", (6, 3, 5)), ("BatchNorm2d", (4, 3, 2, 5))]
)
def test_batch_normalization(layer, shape):
    layer, x = getattr(nn, layer)(3), numbers(*shape) * 3 + 1
    layer.weight, layer.bias = martlet.Tensor(numbers(3)), martlet.Tensor(numbers(3))
    axes, wide = tuple(axis for axis in range(x.ndim) if axis != 1), (3,) + (1,) * (x.ndim - 2)

    def expected(mean, variance):
        standard = (x - mean.reshape(wide)) / np.sqrt(variance.reshape(wide) + 1e-5)
        return standard * layer.weight.numpy().reshape(wide) + layer.bias.numpy().reshape(wide)

    close(values(layer, x), expected(x.mean(axes), x.var(axes)), 1e-4)
    close(layer.running_mean, 0.1 * x.mean(axes))
    close(layer.running_var, 0.9 + 0.1 * x.var(axes, ddof=1))
    assert layer.num_batches_tracked.item() == 1
    before = layer.running_mean.numpy().copy()
    close(values(layer.eval(), x), expected(layer.running_mean.numpy(), layer.running_var.numpy()), 1e-4)
    close(layer.running_mean, before, 0)
    with pytest.raises(martlet.InvalidArgumentError, match="3 channels"):
        layer(martlet.Tensor(numbers(4, 5)))


@pytest.mark.parametrize("shape", [4, (3, 4)])
def test_layer_normalization(shape):
    layer, x = nn.LayerNorm(shape), numbers(2, 3, 4)
    layer.weight = martlet.Tensor(numbers(*layer.normalized_shape))
    axes = tuple(range(-len(layer.normalized_shape), 0))
    standard = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    close(values(layer, x), standard * layer.weight.numpy(), 1e-4)
    with pytest.raises(martlet.InvalidArgumentError, match="end in"):
        layer(martlet.Tensor(numbers(2, 3, 5)))


def test_embedding():
    layer, x = nn.Embedding(5, 3, padding_idx=2), np.array([[0, 4, 2], [1, 1, 3]], np.int32)
    np.testing.assert_array_equal(values(layer, x), layer.weight.numpy()[x])
    np.testing.assert_array_equal(layer.weight.numpy()[2], np.zeros(3))
    for wrong in (-1, 5):
        with pytest.raises(martlet.InvalidArgumentError, match="embeddings 0 to 4"):
            layer(martlet.Tensor([0, wrong]))


def lstm(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    """One direction over [steps, batch, inputs], by the formula."""
    results = []
    for step in x:
        i, f, g, o = np.split(step @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        results.append(h)
    return np.stack(results), h, c


@pytest.mark.parametrize("batch_first", [False, True])
def test_lstm(batch_first):
    layer = nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=batch_first)
    x, h0, c0 = numbers(5, 2, 3), numbers(4, 2, 4), numbers(4, 2, 4)
    state = {name: each.numpy() for name, each in layer.state_dict().items()}
    inner, last = x, []
    for level in range(2):
        ends = []
        for index, end in enumerate(("", "_reverse")):
            weights = [state[f"{name}_l{level}{end}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
            place = level * 2 + index
            y, h, c = lstm(inner[::-1] if end else inner, h0[place], c0[place], *weights)
            ends.append(y[::-1] if end else y)
            last.append((h, c))
        inner = np.concatenate(ends, axis=2)
    given = x.transpose(1, 0, 2) if batch_first else x
    y, (h, c) = layer(martlet.Tensor(given), (martlet.Tensor(h0), martlet.Tensor(c0)))
    close(y, inner.transpose(1, 0, 2) if batch_first else inner, 1e-4)
    close(h, np.stack([each for each, _ in last]), 1e-4)
    close(c, np.stack([each for _, each in last]), 1e-4)


def test_lstm_of_one_sequence():
    layer, x = nn.LSTM(3, 4, bias=False), numbers(5, 3)
    zero = np.zeros(16)
    y, h, c = lstm(
        x[:, None],
        np.zeros((1, 4)),
        np.zeros((1, 4)),
        *map(np.asarray, map(martlet.Tensor.numpy, layer.parameters())),
        zero,
        zero,
    )
    result, (last, cell) = layer(martlet.Tensor(x))
    close(result, y[:, 0], 1e-4)
    close(last, h, 1e-4)
    close(cell, c, 1e-4)
    with pytest.raises(martlet.InvalidArgumentError, match="must be"):
        layer(martlet.Tensor(x), (martlet.Tensor(x), martlet.Tensor(x)))
    with pytest.raises(martlet.InvalidArgumentError, match=r"not \[5, 4\]"):
        layer(martlet.Tensor(numbers(5, 4)))


def attention(layer, query, key, value, mask):
    """The formula over [batch, steps, size] with a mask to add."""
    state = {name: each.numpy() for name, each in layer.state_dict().items()}
    rows = np.split(state["in_proj_weight"], 3), np.split(state["in_proj_bias"], 3)
    size = layer.embed_dim // layer.num_heads

    def heads(x, index):
        projected = x @ rows[0][index].T + rows[1][index]
        return projected.reshape(*x.shape[:2], layer.num_heads, size).transpose(0, 2, 1, 3)

    q, k, v = heads(query, 0), heads(key, 1), heads(value, 2)
    scores = np.exp(q @ k.swapaxes(2, 3) / math.sqrt(size) + mask)
    weights = scores / scores.sum(-1, keepdims=True)
    mixed = (weights @ v).transpose(0, 2, 1, 3).reshape(query.shape)
    return mixed @ state["out_proj.weight"].T + state["out_proj.bias"], weights


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("masked", ["no", "truth", "numbers", "both"])
def test_attention(need_weights, masked):
    layer = nn.MultiHeadAttention(6, 2, batch_first=True)
    query, key, value = numbers(2, 3, 6), numbers(2, 5, 6), numbers(2, 5, 6)
    options, mask = {}, np.zeros((2, 1, 1, 5), np.float32)
    if masked in ("truth", "both"):
        leaves_out = np.array([[0, 0, 1, 0, 1], [1, 0, 0, 0, 0]], bool)
        options["key_padding_mask"] = martlet.Tensor(leaves_out)
        mask = mask + np.where(leaves_out, -np.inf, 0)[:, None, None]
    if masked in ("numbers", "both"):
        added = numbers(4, 3, 5)
        options["attn_mask"] = martlet.Tensor(added)
        mask = mask + added.reshape(2, 2, 3, 5)
    expected, weights = attention(layer, query, key, value, mask)
    given = [martlet.Tensor(each) for each in (query, key, value)]
    y, found = layer(*given, need_weights=need_weights, average_attn_weights=False, **options)
    close(y, expected, 1e-4)
    if need_weights:
        close(found, weights, 1e-4)
    else:
        assert found is None


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("kind", ["key_padding_mask", "attn_mask", "both"])
def test_attention_of_a_row_without_sources(need_weights, kind):
    """torch's scaled_dot_product_attention gives 0 for such a row, so what is left is the bias of the last layer."""
    layer = nn.MultiHeadAttention(6, 2, batch_first=True).eval()
    layer.out_proj.bias = martlet.Tensor(numbers(6))
    x, options, mask = numbers(2, 3, 6), {}, np.zeros((2, 1, 3, 3), np.float32)
    if kind != "attn_mask":  # all sources of the second batch, or all but one
        padding = np.array([[0, 0, 0], [1, 1, kind != "both"]], bool)
        options["key_padding_mask"] = martlet.Tensor(padding)
        mask[padding[:, None, None] & np.ones((1, 1, 3, 1), bool)] = -np.inf
    if kind != "key_padding_mask":  # the last source for the middle target; with "both" nothing is left to it
        added = np.zeros((3, 3), np.float32)
        added[1, :] = -np.inf if kind == "attn_mask" else [0, 0, -np.inf]
        options["attn_mask"] = martlet.Tensor(added)
        mask = mask + added
    alone = np.isneginf(mask).all(-1)[:, 0]
    assert alone.any()
    assert not alone.all()
    with np.errstate(invalid="ignore"):
        expected, weights = attention(layer, x, x, x, mask)
    expected[alone] = layer.out_proj.bias.numpy()
    tensor = martlet.Tensor(x)
    y, found = layer(tensor, tensor, tensor, need_weights=need_weights, average_attn_weights=False, **options)
    close(y, expected, 1e-4)
    if need_weights:
        close(found, np.where(alone[:, None, :, None], 0, weights), 1e-4)


def test_self_attention_takes_one_product():
    layer, x = nn.MultiHeadAttention(6, 3), numbers(4, 2, 6)
    tensor, order = martlet.Tensor(x), (1, 0, 2)
    expected, weights = attention(layer, *[x.transpose(order)] * 3, 0)
    y, found = layer(tensor, tensor, tensor)
    close(y, expected.transpose(order), 1e-4)
    close(found, weights.mean(1), 1e-4)
    with pytest.raises(martlet.InvalidArgumentError, match="attn_mask has shape"):
        layer(tensor, tensor, tensor, attn_mask=tensor)


def test_dropout():
    layer, x = nn.Dropout(0.25), np.ones((100, 100), np.float32)
    y = values(layer, x)
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    assert 0.7 < (y > 0).mean() < 0.8
    np.testing.assert_array_equal(values(layer.eval(), x), x)
    np.testing.assert_array_equal(values(nn.Dropout(1.0), x), 0 * x)
    with pytest.raises(martlet.InvalidArgumentError):
        nn.Dropout(1.5)


def test_flatten():
    x = numbers(2, 3, 4, 5)
    np.testing.assert_array_equal(values(nn.Flatten(), x), x.reshape(2, 60))
    np.testing.assert_array_equal(values(nn.Flatten(0, 2), x), x.reshape(24, 5))
    with pytest.raises(martlet.InvalidArgumentError):
        nn.Flatten(5)(martlet.Tensor(x))


# Modules


class Network(nn.Module):
    def __init__(self):
        self.features = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU())
        self.scale = martlet.Tensor(np.float32(2))
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(nn.Flatten()(self.features(x))) * self.scale


NAMES = ["scale", "features.0.weight", "features.0.bias", "features.1.weight", "features.1.bias"]
BUFFERS = ["features.1.running_mean", "features.1.running_var", "features.1.num_batches_tracked"]
HEAD = ["head.weight", "head.bias"]


def test_names():
    network = Network()
    assert [name for name, _ in network.named_parameters()] == NAMES + HEAD
    assert [name for name, _ in network.named_buffers()] == BUFFERS
    assert list(network.state_dict()) == NAMES + BUFFERS + HEAD
    assert len(list(network.parameters())) == 7
    assert len(list(network.buffers())) == 3
    assert [type(each).__name__ for each in network.children()] == ["Sequential", "Linear"]
    assert len(list(network.modules())) == 6


def test_a_tree_to_read():
    assert repr(Network()) == (
        "Network(\n"
        "  (features): Sequential(\n"
        "    (0): Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1))\n"
        "    (1): BatchNorm2d(2, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)\n"
        "    (2): ReLU()\n"
        "  )\n"
        "  (head): Linear(in_features=8, out_features=3, bias=True)\n"
        ")"
    )


def test_train_and_eval_reach_every_module():
    network = Network()
    assert all(each.training for each in network.modules())
    assert network.eval() is network
    assert not any(each.training for each in network.modules())
    assert all(each.training for each in network.train().modules())


def test_a_state_can_be_taken_over():
    one, two = Network().eval(), Network().eval()
    x = numbers(2, 1, 4, 4)
    assert not np.allclose(values(one, x), values(two, x))
    assert two.load_state_dict(one.state_dict()) == ([], [])
    np.testing.assert_array_equal(values(one, x), values(two, x))


def test_a_state_that_does_not_fit_names_every_difference():
    network = Network()
    state = {name: each.numpy() for name, each in network.state_dict().items()}
    state["extra"] = state.pop("scale")
    state["head.weight"] = np.zeros((3, 9), np.float32)
    before = network.head.bias.numpy().copy()
    state["head.bias"] = before + 1
    with pytest.raises(martlet.InvalidArgumentError) as caught:
        network.load_state_dict(state)
    for part in ("missing: scale", "unexpected: extra", "head.weight: [3, 9], where it is [3, 8]"):
        assert part in str(caught.value)
    np.testing.assert_array_equal(network.head.bias.numpy(), before)
    with pytest.raises(martlet.InvalidArgumentError, match="other shapes"):
        network.load_state_dict(state, strict=False)
    del state["head.weight"]
    assert network.load_state_dict(state, strict=False) == (["scale", "head.weight"], ["extra"])
    np.testing.assert_array_equal(network.head.bias.numpy(), before + 1)


def test_a_new_weight_is_used():
    layer, x = nn.Linear(3, 2, bias=False), numbers(4, 3)
    values(layer, x)
    layer.weight = martlet.Tensor(np.ones((2, 3), np.float32))
    close(values(layer, x), np.repeat(x.sum(1, keepdims=True), 2, axis=1))
    layer.load_state_dict({"weight": np.zeros((2, 3))})
    close(values(layer, x), np.zeros((4, 2)))
    assert layer.weight.dtype == np.float32


def test_weights_go_with_their_module():
    layer = nn.Linear(3, 2)
    values(layer, numbers(4, 3))
    alive = weakref.ref(layer.weight)
    del layer
    gc.collect()
    assert alive() is None


def test_files(tmp_path):
    one, two, path = Network().eval(), Network().eval(), tmp_path / "network.safetensors"
    values(one.train(), numbers(3, 1, 4, 4))
    one.eval().save(path)
    assert two.load(path) is two
    x = numbers(2, 1, 4, 4)
    np.testing.assert_array_equal(values(one, x), values(two, x))
    assert two.features[1].num_batches_tracked.item() == 1
    with pytest.raises(martlet.InvalidArgumentError, match=r"missing: weight, bias; unexpected: .*scale"):
        nn.Linear(8, 3).load(path)
    with pytest.raises(martlet.NotFoundError):
        two.load(tmp_path / "nothing.safetensors")
    with pytest.raises(martlet.NotFoundError):
        two.save(tmp_path / "nowhere" / "network.safetensors")
    path.write_bytes(b"no such thing")
    with pytest.raises(martlet.MalformedError):
        two.load(path)


def test_a_sequence_of_modules():
    network = nn.Sequential({"first": nn.Linear(3, 4), "then": nn.ReLU()})
    assert list(network.state_dict()) == ["first.weight", "first.bias"]
    assert len(network) == 2
    assert network[1] is list(network)[1]
    with pytest.raises(martlet.InvalidArgumentError, match="takes modules"):
        nn.Sequential(nn.ReLU(), np.tanh)


def test_a_network_becomes_a_model(tmp_path):
    network, x = Network().eval(), numbers(2, 1, 4, 4)
    model = martlet.trace(network, martlet.TensorSpec((2, 1, 4, 4)))
    close(model(x=x)["output"], values(network, x))
    for op in ("conv(", "batch_norm(", "linear("):
        assert op in model.text()
    model.save(tmp_path / "network.mlpackage")
    close(martlet.load(tmp_path / "network.mlpackage")(x=x)["output"], values(network, x))


def test_modules_are_copied():
    layer, x = nn.Linear(3, 2), numbers(4, 3)
    y = values(layer, x)
    copy = copying.copy(layer)
    np.testing.assert_array_equal(values(copy, x), y)
    copy.weight = martlet.Tensor(np.zeros((2, 3), np.float32))
    np.testing.assert_array_equal(values(layer, x), y)


def test_tracing_leaves_running_statistics_alone():
    layer = nn.BatchNorm1d(3)
    martlet.trace(layer, martlet.TensorSpec((4, 3)))
    np.testing.assert_array_equal(layer.running_mean.numpy(), np.zeros(3))


@pytest.mark.parametrize(
    "make",
    [lambda: nn.Linear(400, 300), lambda: nn.Conv1d(40, 300, 10), lambda: nn.LSTM(10, 100), lambda: nn.Conv2d(8, 9, 7)],
)
def test_weights_begin_evenly_spread(make):
    martlet.manual_seed(3)  # the mean of a small bias is not always near 0
    for name, each in make().named_parameters():
        layer = make()
        fan = (
            layer.hidden_size
            if isinstance(layer, nn.LSTM)
            else math.prod(dict(layer.named_parameters())["weight"].shape[1:])
        )
        bound, array = 1 / math.sqrt(fan), each.numpy()
        assert np.abs(array).max() <= bound, name
        assert np.abs(array).max() > 0.8 * bound, name
        assert abs(array.mean()) < 0.35 * bound, name


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Conv2d(3, 4, 3, groups=2), "2 groups"),
        (lambda: nn.Conv2d(3, 4, (3, 3, 3)), "3 sizes"),
        (lambda: nn.Conv2d(3, 4, 3, 2, padding="same"), "stride 1"),
        (lambda: nn.MaxPool2d(2, padding=2), "more than half"),
        (lambda: nn.MultiHeadAttention(5, 2), "2 heads"),
        (lambda: nn.LSTM(3, 0), "hidden size"),
    ],
)
def test_layers_that_cannot_be(make, message):
    with pytest.raises(martlet.InvalidArgumentError, match=message):
        make()


# Against torch


def in_torch(text):
    import torch

    return eval(text, {"nn": torch.nn, "torch": torch})


LAYERS = [
    ("nn.Linear(4, 5)", (3, 4)),
    ("nn.Linear(4, 5, bias=False)", (2, 3, 4)),
    ("nn.Conv1d(4, 6, 3, stride=2, padding=1, dilation=2, groups=2)", (2, 4, 11)),
    ("nn.Conv1d(4, 6, 4, padding='same')", (2, 4, 11)),
    ("nn.Conv2d(3, 4, (3, 2), padding=(2, 1), bias=False)", (2, 3, 7, 8)),
    ("nn.Conv2d(3, 4, 4, dilation=2, padding='same')", (3, 9, 8)),
    ("nn.BatchNorm1d(4)", (3, 4)),
    ("nn.BatchNorm1d(4, momentum=None)", (3, 4, 5)),
    ("nn.BatchNorm2d(4, affine=False, eps=0.1)", (3, 4, 5, 6)),
    ("nn.BatchNorm2d(4, track_running_stats=False)", (3, 4, 5, 6)),
    ("nn.LayerNorm((5, 6))", (3, 4, 5, 6)),
    ("nn.LayerNorm(6, eps=0.1, elementwise_affine=False)", (3, 6)),
    ("nn.LayerNorm(6, bias=False)", (3, 6)),
    ("nn.LSTM(3, 4)", (5, 2, 3)),
    ("nn.LSTM(3, 4, num_layers=3, batch_first=True, bidirectional=True)", (2, 5, 3)),
    ("nn.LSTM(3, 4, num_layers=2, bias=False)", (5, 3)),
    ("nn.MaxPool2d(3, 2, 1)", (2, 3, 8, 9)),
    ("nn.MaxPool2d(2, ceil_mode=True)", (2, 3, 7, 9)),
    ("nn.AvgPool2d((2, 3), padding=1)", (3, 8, 9)),
    ("nn.AvgPool2d(3, 2, 1, count_include_pad=False)", (2, 3, 8, 9)),
    ("nn.Flatten(1, 2)", (2, 3, 4, 5)),
    ("nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.GELU(), nn.Flatten(), nn.Linear(32, 4))", (3, 1, 6, 6)),
    *((f"nn.{name}({', '.join(map(str, options))})", (3, 5)) for name, (options, _) in FORMULAS.items()),
]


def tensors(results):
    for each in results if isinstance(results, tuple) else (results,):
        if isinstance(each, tuple):
            yield from tensors(each)
        else:
            yield each.detach().numpy() if hasattr(each, "detach") else each.numpy()


@needs_torch
@pytest.mark.parametrize(("text", "shape"), LAYERS, ids=[text for text, _ in LAYERS])
def test_the_same_as_torch(text, shape):
    import torch

    theirs, ours = in_torch(text), eval(text, {"nn": nn})
    assert {name: tuple(each.shape) for name, each in theirs.state_dict().items()} == {
        name: each.shape for name, each in ours.state_dict().items()
    }
    assert list(theirs.state_dict()) == list(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())
    for mode in (True, False):
        theirs.train(mode), ours.train(mode)
        x = numbers(*shape)
        for ours_each, theirs_each in zip(tensors(ours(martlet.Tensor(x))), tensors(theirs(torch.tensor(x)))):
            close(ours_each, theirs_each, 1e-4)
    for name, each in theirs.state_dict().items():
        close(ours.state_dict()[name], each, 1e-5)


@needs_torch
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("mask", ["none", "causal", "padding"])
def test_the_same_attention_as_torch(batch_first, mask):
    import torch

    theirs = torch.nn.MultiheadAttention(8, 2, batch_first=batch_first).eval()
    torch.nn.init.normal_(theirs.in_proj_bias)
    ours = nn.MultiHeadAttention(8, 2, batch_first=batch_first).eval()
    ours.load_state_dict(theirs.state_dict())
    query, key = numbers(4, 4, 8), numbers(4, 4, 8)
    masks = {"causal": ("attn_mask", np.triu(np.ones((4, 4), bool), 1)), "padding": ("key_padding_mask", np.eye(4) > 0)}
    options = dict([masks[mask]] if mask in masks else [])
    expected = theirs(*map(torch.tensor, (query, key, key)), **{k: torch.tensor(v) for k, v in options.items()})
    found = ours(*map(martlet.Tensor, (query, key, key)), **{k: martlet.Tensor(v) for k, v in options.items()})
    for one, other in zip(tensors(found), tensors(expected)):
        close(one, other, 1e-4)


@needs_torch
def test_bfloat16_of_torch_is_taken_over():
    import torch

    layer = nn.Linear(2, 2)
    layer.load_state_dict({"weight": torch.eye(2, dtype=torch.bfloat16), "bias": torch.zeros(2, requires_grad=True)})
    close(values(layer, np.eye(2, dtype=np.float32)), np.eye(2))
