"""Rule books and explanations: every rule has a program that breaks it and one that keeps it."""

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import HALF, OPEN, SUM, WEIGHTS, parse
from rich.console import Console

import martlet
from martlet._native import answer, ffi, lib
from martlet.cli import main
from martlet.explanation import SEVERITIES, ModelExplanation
from tests.models.catalog import MODELS


def text(body, **inputs):
    """A program of some statements; inputs are `dtype [sizes]`, the last result is the output."""
    declared = ", ".join(f"tensor<{', '.join(kind.split(' ', 1))}> {name}" for name, kind in inputs.items())
    last = re.findall(r"(\w+)(?:, \w+)* =", body.rsplit(";", 2)[-2])[0]
    return f"program(1.3) {{ func main<ios18>({declared}) {{ {body} }} -> ({last}); }}"


def weight(*shape):
    return f"const()[val = tensor<fp16, {list(shape)}>({[0.5] * int(np.prod(shape))})]"


def read(source, function=None, device=None, runs=0):
    """The explanation of a program in MIL."""
    names = [ffi.NULL if name is None else name.encode() for name in (device, function)]
    return ModelExplanation.from_answer(answer(lib.mlt_explain, parse(source), *names, runs, ffi.NULL, ffi.NULL))


def broken(source):
    """The ids of the rules that a program breaks."""
    return {group.rule for group in read(source).groups}


H = "fp16 [2, 8]"
IMAGE = "fp16 [1, 8, 40, 40]"
LONG = "fp16 [1, 8, 4, 20000]"

# The rule, a program that breaks it, one that keeps it, and a word of the rewrite.
RULES = [
    ("ane.dtype.fp16-only", text("y = relu(x = x);", x="fp32 [2, 8]"), text("y = relu(x = x);", x=H), "FLOAT16"),
    ("ane.dtype.wide", text("y = exp(x = x);", x="fp64 [2, 8]"), text("y = exp(x = x);", x=H), "fp16"),
    (
        "ane.dtype.integer",
        text("y = add(x = x, y = x);", x="int32 [4]"),
        text("y = add(x = x, y = x);", x="fp16 [4]"),
        "2048",
    ),
    (
        "ane.dtype.integer-cast",
        text('y = cast(x = x, dtype = "int32");', x=H),
        text('y = cast(x = x, dtype = "fp32");', x=H),
        "outside",
    ),
    (
        "ane.dtype.integer-range",
        text('a = cast(x = x, dtype = "int16"); y = gather(x = t, indices = a);', x="int32 [4]", t="fp16 [40000]"),
        text('a = cast(x = x, dtype = "int16"); y = gather(x = t, indices = a);', x="int32 [4]", t="fp16 [30000]"),
        "int16_cast",
    ),
    (
        "ane.dtype.border-cast",
        text('y = cast(x = x, dtype = "fp32");', x=H),
        text('a = cast(x = x, dtype = "int32"); y = abs(x = a);', x=H),
        "np.float16",
    ),
    (
        "ane.rank.above-5",
        text("y = relu(x = x);", x="fp16 [2, 3, 4, 5, 6, 7]"),
        text("y = relu(x = x);", x="fp16 [2, 3, 4, 5, 6]"),
        "[24, 5, 6, 7]",
    ),
    (
        "ane.rank.product",
        text("y = matmul(x = x, y = x);", x="fp16 [2, 3, 4, 8, 8]"),
        text("y = matmul(x = x, y = x);", x="fp16 [6, 4, 8, 8]"),
        "[6, 4, 8, 8]",
    ),
    (
        "ane.dim.16384",
        text("y = relu(x = x);", x=LONG),
        text("y = relu(x = x);", x="fp16 [1, 20000, 4, 16384]"),
        "2 of 10000",
    ),
    (
        "ane.dim.channels",
        text("y = relu(x = x);", x="fp16 [1, 65537, 1, 2]"),
        text("y = relu(x = x);", x="fp16 [65537, 65536, 1, 1]"),
        "at most 32769",
    ),
    ("ane.dim.zero", text("y = relu(x = x);", x="fp16 [0, 8]"), text("y = relu(x = x);", x="fp16 [1, 8]"), "leave"),
    ("ane.shape.flexible", OPEN, text("y = relu(x = x);", x=H), "Enumerated"),
    ("ane.shape.data-dependent", text("y = non_zero(x = x);", x=H), text("y = relu(x = x);", x=H), "mask"),
    (
        "ane.size.dispatch",
        text("y = relu(x = x);", x=H),
        text("y = matmul(x = x, y = x);", x="fp16 [512, 512]"),
        "CPU",
    ),
    (
        "ane.size.working-set",
        text("y = relu(x = x);", x="fp16 [1, 64, 256, 256]"),
        text("y = relu(x = x);", x="fp16 [1, 64, 128, 128]"),
        "4 parts",
    ),
    (
        "ane.size.product",
        text("y = matmul(x = x, y = x);", x="fp16 [4096, 4096]"),
        text("y = matmul(x = x, y = x);", x="fp16 [2048, 2048]"),
        "columns",
    ),
    (
        "ane.conv.3d",
        text("y = conv(x = x, weight = w);", x="fp16 [1, 2, 4, 8, 8]", w="fp16 [2, 2, 3, 3, 3]"),
        text("y = conv(x = x, weight = w);", x=IMAGE, w="fp16 [8, 8, 3, 3]"),
        "3 convolutions",
    ),
    (
        "ane.conv.kernel-width",
        text("y = conv(x = x, weight = w);", x=IMAGE, w="fp16 [8, 8, 3, 18]"),
        text("y = conv(x = x, weight = w);", x=IMAGE, w="fp16 [8, 8, 18, 16]"),
        "2 of 9",
    ),
    (
        "ane.conv.kernel-width-m1",
        text("y = conv(x = x, weight = w, strides = [16, 16]);", x="fp16 [1, 3, 64, 64]", w="fp16 [192, 3, 16, 16]"),
        text("y = conv(x = x, weight = w);", x=IMAGE, w="fp16 [8, 8, 14, 13]"),
        "pixel_unshuffle by 8 and by 2, then a 1 × 1 convolution with a [192, 768, 1, 1]",
    ),
    (
        "ane.conv.kernel-height",
        text("y = conv(x = x, weight = w);", x=IMAGE, w="fp16 [8, 8, 30, 3]"),
        text("y = conv(x = x, weight = w);", x=IMAGE, w="fp16 [8, 8, 29, 3]"),
        "2 of 15",
    ),
    (
        "ane.conv.computed-weight",
        text("y = conv(x = x, weight = w);", x="fp16 [2, 8, 40, 40]", w="fp16 [8, 8, 3, 3]"),
        text("y = conv(x = x, weight = w);", x=IMAGE, w="fp16 [8, 8, 3, 3]"),
        "constant",
    ),
    (
        "ane.conv.dilation",
        text("y = conv(x = x, weight = w, dilations = [2, 2]);", x=IMAGE, w="fp16 [8, 8, 3, 3]"),
        text("y = conv(x = x, weight = w, dilations = [1, 1]);", x=IMAGE, w="fp16 [8, 8, 3, 3]"),
        "space_to_batch by 2",
    ),
    (
        "ane.conv.stride",
        text("y = conv(x = x, weight = w, strides = [6, 6]);", x=IMAGE, w="fp16 [8, 8, 3, 3]"),
        text("y = conv(x = x, weight = w, strides = [4, 2]);", x=IMAGE, w="fp16 [8, 8, 3, 3]"),
        "stride 3 here, and 2",
    ),
    (
        "ane.layout.linear",
        text(f"w = {weight(4, 8)}; y = linear(x = x, weight = w);", x="fp16 [1, 128, 8]"),
        text("y = matmul(x = x, y = x, transpose_y = true);", x="fp16 [1, 128, 8]"),
        "[1, 8, 1, 128]",
    ),
    (
        "ane.layout.last-axis",
        text("y = relu(x = x);", x="fp16 [1, 36, 172, 2]"),
        text("y = relu(x = x);", x="fp16 [1, 36, 2, 172]"),
        "[1, 36, 2, 172]",
    ),
    (
        "ane.layout.transpose",
        text("y = transpose(x = x, perm = [0, 1, 3, 2]);", x=IMAGE),
        text("y = transpose(x = x, perm = [0, 2, 1, 3]);", x=IMAGE),
        "channels",
    ),
    (
        "ane.pad.channels",
        text('y = pad(x = x, pad = [0, 0, 1, 1, 0, 0, 0, 0], mode = "constant");', x=IMAGE),
        text('y = pad(x = x, pad = [0, 0, 0, 0, 1, 1, 2, 2], mode = "constant");', x=IMAGE),
        "concatenate",
    ),
    (
        "ane.pad.mode",
        text('y = pad(x = x, pad = [1, 1], mode = "reflect");', x=IMAGE),
        text('y = pad(x = x, pad = [1, 1], mode = "constant");', x=IMAGE),
        "slices",
    ),
    (
        "ane.slice.offset",
        text("y = slice_by_size(x = x, begin = [0, 2], size = [2, 4]);", x=H),
        text("y = slice_by_size(x = x, begin = [1, 0], size = [1, 4]);", x=H),
        "split",
    ),
    (
        "ane.tile.factor",
        text("y = tile(x = x, reps = [1, 5]);", x=H),
        text("y = tile(x = x, reps = [1, 6]);", x=H),
        "5 times",
    ),
    (
        "ane.block.factor",
        text("y = pixel_shuffle(x = x, upscale_factor = 5);", x="fp16 [1, 25, 4, 4]"),
        text("y = pixel_shuffle(x = x, upscale_factor = 2);", x="fp16 [1, 24, 4, 4]"),
        "two of them",
    ),
    (
        "ane.argmax.2048",
        text("y = reduce_argmax(x = x, axis = 1);", x="fp16 [2, 4096]"),
        text("y = reduce_argmax(x = x, axis = 0);", x="fp16 [2, 4096]"),
        "2 of 2048",
    ),
    (
        "ane.op.recurrent",
        text(
            f"a = {weight(32, 8)}; b = {weight(32, 8)}; "
            "y, h, c = lstm(x = x, initial_h = s, initial_c = s, weight_ih = a, weight_hh = b);",
            x="fp16 [100, 1, 8]",
            s="fp16 [1, 8]",
        ),
        text("y = tanh(x = x);", x="fp16 [100, 1, 8]"),
        "100 steps",
    ),
    (
        "ane.op.scatter",
        text(
            'y = scatter_nd(data = x, indices = i, updates = u, mode = "add");', x=H, i="int32 [1, 1]", u="fp16 [1, 8]"
        ),
        text("y = slice_update(x = x, update = u, begin = [0, 0], end = [1, 8]);", x=H, u="fp16 [1, 8]"),
        "mask",
    ),
    (
        "ane.op.reduce-prod",
        text("y = reduce_prod(x = x, axes = [1], keep_dims = true);", x=H),
        text("y = reduce_sum(x = x, axes = [1], keep_dims = true);", x=H),
        "log",
    ),
    ("ane.op.mod", text("y = mod(x = x, y = x);", x=H), text("y = floor_div(x = x, y = x);", x=H), "floor"),
    (
        "ane.op.logical",
        text("a = less(x = x, y = x); y = logical_and(x = a, y = a);", x=H),
        text("a = less(x = x, y = x); y = logical_not(x = a);", x=H),
        "mask",
    ),
    ("ane.op.trigonometry", text("y = sinh(x = x);", x=H), text("y = tanh(x = x);", x=H), "exp"),
    (
        "ane.op.one-hot",
        text("y = one_hot(indices = i, one_hot_vector_size = 4);", i="int32 [3]"),
        text("y = relu(x = x);", x=H),
        "compare",
    ),
    (
        "ane.op.mask",
        text("y = band_part(x = x, lower = -1, upper = 0);", x=H),
        text("y = mul(x = x, y = x);", x=H),
        "mask",
    ),
    ("ane.op.shape", text("y = shape(x = x);", x=H), text("y = relu(x = x);", x=H), "fix"),
    (
        "ane.op.windows",
        text("y = sliding_windows(x = x, axis = 1, size = 2);", x=H),
        text("y = stack(values = (x, x), axis = 0);", x=H),
        "slices",
    ),
    ("ane.op.non-zero", text("y = non_zero(x = x);", x=H), text("y = sign(x = x);", x=H), "after"),
    (
        "ane.op.random",
        text("y = random_normal(shape = [2, 3], mean = 0.0, stddev = 1.0);", x=H),
        text("y = relu(x = x);", x=H),
        "input",
    ),
    (
        "ane.op.suppression",
        text(
            "y, t, i, n = non_maximum_suppression(boxes = b, scores = s, iou_threshold = 0.5, "
            "score_threshold = 0.1, max_boxes = 2);",
            b="fp32 [1, 4, 4]",
            s="fp32 [1, 3, 4]",
        ),
        text("y = relu(x = x);", x=H),
        "last",
    ),
    ("ane.op.not-in-core-ml", text("y = rfft(x = x);", x="fp32 [8]"), text("y = log1p(x = x);", x=H), "approximate"),
    (
        "ane.op.gather",
        text("y = gather(x = x, indices = i);", x=H, i="int32 [3]"),
        text("y = slice_by_size(x = x, begin = [0, 0], size = [1, 8]);", x=H),
        "one-hot",
    ),
    (
        "ane.op.sort",
        text("y, i = topk(x = x, k = 2);", x=H),
        text("y = reduce_max(x = x, axes = [1], keep_dims = true);", x=H),
        "reduce_max",
    ),
    (
        "ane.op.sampler",
        text(
            'y = resample(x = x, coordinates = c, sampling_mode = "bilinear", padding_mode = "constant", '
            'padding_value = 0.0, coordinates_mode = "unnormalized", align_corners = true);',
            x="fp32 [1, 2, 4, 4]",
            c="fp32 [1, 3, 3, 2]",
        ),
        text("y = relu(x = x);", x=IMAGE),
        "outside",
    ),
    (
        "ane.op.resize",
        text("y = upsample_nearest_neighbor(x = x, scale_factor_height = 2, scale_factor_width = 2);", x=IMAGE),
        text("y = crop(x = x, crop_height = [1, 1], crop_width = [1, 1]);", x=IMAGE),
        "M1",
    ),
    ("ane.op.newest", text("y = sin(x = x);", x=H), text("y = atan(x = x);", x=H), "constant"),
    (
        "ane.op.cumsum",
        text("y = cumsum(x = x, axis = 1);", x=H),
        text("y = reduce_sum(x = x, axes = [1], keep_dims = true);", x=H),
        "8 × 8",
    ),
    ("gpu.dtype.float64", text("y = exp(x = x);", x="fp64 [2]"), text("y = exp(x = x);", x="fp32 [2]"), "fp32"),
    (
        "gpu.dtype.complex128",
        text("y = conj(x = x);", x="complex128 [2]"),
        text("y = conj(x = x);", x="complex64 [2]"),
        "complex64",
    ),
    ("gpu.dtype.complex", text("y = conj(x = x);", x="complex64 [2]"), text("y = exp(x = x);", x="fp32 [2]"), "two"),
    (
        "gpu.reduce.int64",
        text("y = reduce_sum(x = x, axes = [0], keep_dims = true);", x="int64 [4]"),
        text("y = reduce_sum(x = x, axes = [0], keep_dims = true);", x="int32 [4]"),
        "int32",
    ),
    (
        "gpu.rank.above-5",
        text("y = relu(x = x);", x="fp16 [2, 3, 4, 5, 6, 7]"),
        text("y = relu(x = x);", x="fp16 [2, 3, 4, 5, 6]"),
        "[6, 4, 5, 6, 7]",
    ),
    (
        "gpu.rank.above-16",
        text("y = relu(x = x);", x=f"fp16 {[1] * 17}"),
        text("y = relu(x = x);", x=f"fp16 {[1] * 16}"),
        "[1, 1, 1, 1, 1]",
    ),
    (
        "gpu.reduce.outer-axes",
        text("y = reduce_sum(x = x, axes = [0], keep_dims = true);", x="fp32 [2, 3, 4, 5, 6]"),
        text("y = reduce_sum(x = x, axes = [1], keep_dims = true);", x="fp32 [2, 3, 4, 5, 6]"),
        "[6, 4, 5, 6]",
    ),
    (
        "gpu.dim.int-max",
        text("y = relu(x = x);", x="fp16 [2147483648]"),
        text("y = relu(x = x);", x="fp16 [2147483647]"),
        "2 of 1073741824",
    ),
    (
        "gpu.size.4gb",
        text("y = relu(x = x);", x="fp32 [1048577, 1024]"),
        text("y = relu(x = x);", x="fp32 [1048576, 1024]"),
        "2 parts",
    ),
    ("gpu.shape.flexible", OPEN, text("y = relu(x = x);", x=H), "powers of two"),
    ("gpu.shape.data-dependent", text("y = non_zero(x = x);", x=H), text("y = sign(x = x);", x=H), "mask"),
    (
        "gpu.size.dispatch",
        text("y = relu(x = x);", x="fp32 [2]"),
        text("y = matmul(x = x, y = x);", x="fp32 [512, 512]"),
        "CPU",
    ),
    (
        "gpu.op.composed",
        text("y = local_response_norm(x = x, size = 3);", x=IMAGE),
        text("y = l2_norm(x = x, epsilon = 0.1);", x=IMAGE),
        "layer_norm",
    ),
    (
        "gpu.index.outside",
        text("y = gather(x = x, indices = i, axis = 0);", x=H, i="int32 [3]"),
        text("y = gather(x = x, indices = [0, 1], axis = 0);", x=H),
        "check the indices",
    ),
    ("gpu.op.nan", text("y = maximum(x = x, y = x);", x=H), text("y = add(x = x, y = x);", x=H), "NaN"),
]

POSITIONS = 'v, p = topk(x = x, k = 1, axis = -1, output_indices_dtype = "uint16");'


@pytest.mark.parametrize(
    ("source", "what"),
    [
        (text('a = cast(x = x, dtype = "int16"); y = squeeze(x = a);', x="int32 [1, 4]"), "int32 of any size as int16"),
        (text('y = cast(x = [1, 70000], dtype = "uint16");', x="fp16 [1]"), None),  # known before the run
        (text('a = cast(x = x, dtype = "int16"); y = cast(x = a, dtype = "int32");', x="int8 [4]"), None),
        (text(POSITIONS, x="fp16 [2, 65536]"), None),
        (text(POSITIONS, x="fp16 [2, 65537]"), "positions 0...65536 as uint16"),
        (text('v, p = topk(x = x, k = 1); y = cast(x = p, dtype = "int16");', x="fp16 [32768]"), None),
        (text('v, p = topk(x = x, k = 1); y = cast(x = p, dtype = "int16");', x="fp16 [32769]"), "0...32768 as int16"),
    ],
)
def test_integers_that_sixteen_bits_may_not_hold(source, what):
    """The limits are NumPy's `iinfo` of int16 and uint16."""
    found = [
        each.what for op in read(source).operations for each in op.findings if each.rule == "ane.dtype.integer-range"
    ]
    assert found == ([] if what is None else [what])


RULES.append(("gpu.op.recurrent", *RULES[[rule for rule, *_ in RULES].index("ane.op.recurrent")][1:3], "batch 1"))
CUSTOM = {"ane.op.custom", "gpu.op.custom"}


@pytest.mark.parametrize(("rule", "wrong", "right", "words"), RULES, ids=[rule for rule, *_ in RULES])
def test_rule(rule, wrong, right, words):
    found = read(wrong)
    group = next((group for group in found.groups if group.rule == rule), None)
    assert group is not None, f"{rule} is not broken, but {[group.rule for group in found.groups]}"
    assert words in group.rewrite
    assert group.processor == {"ane": "Neural Engine", "gpu": "GPU"}[rule[:3]]
    assert rule not in broken(right)


def test_every_rule_has_a_case():
    ids = [rule.id for rule in martlet.rules()]
    assert len(ids) == len(set(ids))
    assert set(ids) == {rule for rule, *_ in RULES} | CUSTOM


def test_rules_have_sources():
    for rule in martlet.rules():
        assert re.fullmatch(r"(ane|gpu)\.[a-z]+\.[a-z0-9-]+", rule.id)
        assert rule.severity in SEVERITIES
        assert rule.words.endswith(".")
        assert rule.source
        assert rule.url.startswith("https://")
        assert rule.confidence in ("vendor documented", "third-party reported", "inferred")


def test_custom_ops():
    @martlet.custom_op("explained_cube")
    def cube(x):
        return np.asarray(x) ** 3

    try:
        found = broken(text("y = explained_cube(x = x);", x="fp32 [4]"))
    finally:
        martlet._native.check(lib.mlt_custom_op_remove(b"explained_cube"))
    assert found >= CUSTOM
    assert not CUSTOM & broken(text("y = relu(x = x);", x="fp32 [4]"))


# What is known of the operations


def test_operations_are_those_of_the_file():
    found = read(text("a = relu(x = x); b = exp(x = a); y = mul(x = b, y = a);", x="fp32 [4, 8]"), device="cpu")
    assert [(each.op, each.output) for each in found] == [("relu", "a"), ("exp", "b"), ("mul", "y")]
    assert found.device == "cpu"
    assert {each.known for each in found} == {"chosen by us"}
    # Fused into one step.
    assert len({each.step for each in found}) == 1
    assert all(each.nanoseconds is None for each in found)
    assert found.nanoseconds is None
    assert [each.work for each in found] == [32, 32, 32]


def test_what_was_run_is_known_to_have_run():
    source = text("a = matmul(x = x, y = x); b = reshape(x = a, shape = [256]); y = exp(x = b);", x="fp32 [16, 16]")
    explained = read(source, device="cpu", runs=3)
    found = {each.output: each for each in explained}
    assert explained.runs == 3
    assert explained.nanoseconds >= found["a"].nanoseconds
    assert found["a"].known == "ran"
    assert found["a"].nanoseconds > 0
    # A view takes no step, so that nothing of it runs.
    assert found["b"].known is None
    assert found["b"].nanoseconds is None
    assert "view" in found["b"].reason


def test_what_remembers_is_timed_with_a_state():
    source = (
        "program(1.3) { func main<ios18>(tensor<fp16, [8]> x, state<tensor<fp16, [8]>> s) { "
        "before = read_state(input = s); a = add(x = before, y = x); write_state(input = s, data = a); "
        "y = exp(x = a); } -> (y); }"
    )
    found = read(source, device="cpu", runs=3)
    assert found.nanoseconds > 0
    assert {each.known for each in found if each.op == "exp"} == {"ran"}


def test_what_is_known_before_the_run_breaks_no_rule():
    source = text(f"w = {weight(2, 2)}; v = sinh(x = w); y = add(x = x, y = v);", x="fp16 [2, 2]")
    found = read(source)
    assert found.operations[0].expected == ""
    assert found.operations[0].reason == "known before the run"
    assert "ane.op.trigonometry" not in {group.rule for group in found.groups}


def test_processors_and_switches():
    source = text("a = relu(x = x); b = mod(x = a, y = a); c = exp(x = b); y = abs(x = c);", x="fp16 [4, 8]")
    found = read(source)
    assert [each.expected for each in found] == ["Neural Engine", "GPU", "Neural Engine", "Neural Engine"]
    assert [(each.processor, each.operations) for each in found.segments] == [
        ("Neural Engine", 1),
        ("GPU", 1),
        ("Neural Engine", 2),
    ]
    assert found.switches == 2
    assert found.shares == pytest.approx({"Neural Engine": 0.75, "GPU": 0.25, "CPU": 0})
    assert read(text("y = exp(x = x);", x="fp64 [4]")).operations[0].expected == "CPU"


def test_share_is_of_the_work():
    source = text("a = matmul(x = x, y = x); y = sinh(x = a);", x="fp16 [64, 64]")
    found = read(source)
    group = next(group for group in found.groups if group.rule == "ane.op.trigonometry")
    # 2 · 64³ operations of the product, 64² elements.
    assert group.share == pytest.approx(64**2 / (2 * 64**3 + 64**2))
    assert group.outputs == ["y"]
    severities = [SEVERITIES.index(group.severity) for group in found.groups]
    assert severities == sorted(severities, reverse=True)


def test_where_no_device_takes_it_the_books_are_told():
    # Pooling in fp64 is a program, but no device here computes it.
    pooled = 'y = avg_pool(x = x, kernel_sizes = [2], strides = [1], pad_type = "valid");'
    source = text(pooled, x="fp64 [1, 1, 4]").replace("strides", "exclude_padding_from_average = true, strides")
    found = read(source)
    assert found.device == ""
    assert "fp64" in found.reason
    assert found.operations[0].known is None
    assert found.operations[0].expected == "CPU"
    assert {"ane.dtype.wide", "gpu.dtype.float64"} <= {group.rule for group in found.groups}
    with pytest.raises(martlet.UnsupportedError):
        read(source, runs=1)
    with pytest.raises(martlet.UnsupportedError):
        read(source, device="cpu")


# From Python


def test_explains_paths_and_models(package):
    path = package(SUM)
    found = martlet.explain(path)
    assert found.path == str(path)
    assert [each.op for each in found] == ["add", "mul"]
    assert [each.op for each in martlet.explain(martlet.load(path))] == ["add", "mul"]
    assert martlet.explain(str(path), device="cpu:portable").device == "cpu:portable"


def test_refusals(package, tmp_path):
    path = package(SUM)
    with pytest.raises(martlet.InvalidArgumentError, match="tpu"):
        martlet.explain(path, device="tpu")
    with pytest.raises(martlet.InvalidArgumentError, match="absent"):
        martlet.explain(path, function="absent")
    with pytest.raises(martlet.NotFoundError):
        martlet.explain(tmp_path / "absent.mlpackage")
    with pytest.raises(martlet.OutOfRangeError):
        martlet.explain(path, run=-1)
    with pytest.raises(martlet.WrongTypeError):
        martlet.explain(path, run="1")


def test_words_of_an_explanation(package):
    found = martlet.explain(package(WEIGHTS))
    for form in (found.table(), found.summary()):
        with (console := Console(width=300)).capture() as captured:
            console.print(form)
        assert "matmul" in captured.get() or "ane.dtype.fp16-only" in captured.get()
    words = str(found)
    for word in ("matmul", "chosen by us", "ane.dtype.fp16-only", "FLOAT16", found.device):
        assert word in words
    assert json.loads(found.to_json()) == json.loads(json.dumps(found.to_dict()))
    assert found.to_dict()["switches"] == found.switches
    assert "ane.dtype.fp16-only" in found._repr_html_()


def test_page_is_whole_and_fetches_nothing(package):
    page = martlet.explain(package(WEIGHTS)).to_html()
    assert page.startswith("<!doctype html>")
    assert page.endswith("</html>\n")
    assert "ane.dtype.fp16-only" in page
    assert not re.search(r"<(script|link|img|iframe)|@import|src=|url\(", page)


def test_page_fits_dark_and_narrow_screens(package):
    page = martlet.explain(package(WEIGHTS)).to_html()
    assert "<meta name='viewport' content='width=device-width" in page
    assert "@media(prefers-color-scheme:dark)" in page
    # Every colour of the page itself has a dark twin; on narrow screens each cell names its column.
    light, dark = re.findall(r":root\{(.*?)\}", page)
    assert set(re.findall(r"--\w+", light)) == set(re.findall(r"--\w+", dark))
    cells = re.findall(r"<td([^>]*)>", page)
    assert cells
    assert all("data-label='" in cell for cell in cells)


def test_names_are_escaped(package):
    source = SUM.replace('string("sum")', 'string("<b>sum</b>")')
    assert "<b>sum</b>" not in martlet.explain(package(source)).to_html()


def test_of_picks_rules(package):
    found = martlet.explain(package(SUM))
    assert {group.rule for group in found.of("ane", "refused")} == {"ane.dtype.fp16-only"}
    assert found.of("Neural Engine") == found.of("ane")
    assert found.of("gpu", "refused") == []
    with pytest.raises(martlet.InvalidArgumentError):
        found.of("tpu")
    with pytest.raises(martlet.InvalidArgumentError):
        found.of("ane", "bad")


# The command


def run(*arguments):
    return CliRunner().invoke(main, ["explain", *map(str, arguments)])


def test_command(package, tmp_path):
    path = package(WEIGHTS)
    result = run(path)
    assert result.exit_code == 0, result.output
    for word in ("matmul", "ane.dtype.fp16-only", "chosen by us", "by the rule books"):
        assert word in result.stdout
    assert "chosen by us" not in run(path, "--rules-only").stdout
    assert "ran" in run(path, "--run", 2).stdout
    found = json.loads(run(path, "--json").stdout)
    assert found == json.loads(martlet.explain(path).to_json())
    assert run(path, "--html", tmp_path / "page.html").exit_code == 0
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")


def test_rules_are_listed():
    found = json.loads(CliRunner().invoke(main, ["rules", "--json"]).stdout)
    assert [each["id"] for each in found] == [rule.id for rule in martlet.rules()]
    words = CliRunner().invoke(main, ["rules"]).stdout
    assert "ane.dtype.fp16-only" in words
    assert "vendor documented" in words


def test_fail_on(package):
    path = package(SUM)
    result = run(path, "--fail-on", "refused")
    assert result.exit_code == 1
    assert "ane.dtype.fp16-only" in result.stderr
    assert run(path, "--fail-on", "refused", "--processor", "gpu").exit_code == 0
    assert run(path, "--fail-on", "slow", "--processor", "gpu").exit_code == 1
    half = package(HALF)
    assert run(half, "--fail-on", "refused").exit_code == 0
    result = run(path, "--json", "--fail-on", "refused")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["function"] == "main"


def test_errors_are_no_broken_rules(package, tmp_path):
    """In CI a model that cannot be read must not look like one that breaks a rule."""
    (tmp_path / "broken.mlpackage").mkdir()
    for path in ("absent.mlpackage", tmp_path / "broken.mlpackage"):
        assert run(path, "--fail-on", "refused").exit_code == 3
    assert run(package(SUM), "--fail-on", "refused", "--device", "tpu").exit_code == 3
    assert run(package(SUM), "--fail-on", "terrible").exit_code == 2


def test_runs_end_when_progress_says_so(package):
    seen = []

    def three(done, total):
        seen.append((done, total))
        return done < 3

    found = martlet.explain(package(SUM), run=50, progress=three)
    assert found.runs == 3
    assert found.nanoseconds > 0
    # The first run warms up: it is reported, too, and does not count.
    assert seen == [(0, 50), (0, 50), (1, 50), (2, 50), (3, 50)]
    with pytest.raises(ZeroDivisionError):
        martlet.explain(package(SUM), run=50, progress=lambda *_: 1 / 0)


def test_flexible_models_are_judged_by_their_usual_shape(package):
    found = martlet.explain(package(OPEN))
    assert found.operations[0].type == "tensor<fp32, [1, 1]>"
    assert "ane.shape.flexible" in {group.rule for group in found.groups}


# Whole models


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_models(name, precision):
    folder = MODELS[name].folder()
    if folder is None or not (folder / f"{precision}.mlpackage").exists():
        pytest.skip("not built: python tests/models/build.py")
    found = martlet.explain(folder / f"{precision}.mlpackage")
    ops = {each.op for each in found}
    refused = {group.rule: group for group in found.of("ane", "refused")}
    assert found.work > 1e6
    assert sum(found.shares.values()) == pytest.approx(1)
    assert sum(each.share for each in found) == pytest.approx(1)
    assert sum(each.operations for each in found.segments) == sum(each.expected != "" for each in found)
    assert ("ane.op.recurrent" in refused) == ("lstm" in ops)
    # fp32 programs never reach the Neural Engine; of fp16 ones the work does, but for recurrent cells.
    if precision == "fp32":
        assert refused["ane.dtype.fp16-only"].share > 0.99
        assert found.shares["Neural Engine"] < 0.01
    else:
        assert "ane.dtype.fp16-only" not in refused
        # GPT-2's 50257 columns of logits are too many: they are half of its work.
        assert ("ane.dim.16384" in refused) == (name == "gpt2_step")
        assert (found.shares["Neural Engine"] > 0.9) == ("lstm" not in ops and name != "gpt2_step")
    # Every operation is placed, or nothing of it is left to run.
    stepless = {each.op for each in found if each.step is None}
    assert not stepless & {"conv", "linear", "matmul", "softmax", "layer_norm", "lstm", "gather", "conv_transpose"}
