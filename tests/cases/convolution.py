"""Convolutions and poolings, with what follows them."""

import itertools

import numpy as np

from tests.cases import constant, normal, one, program


def pads(size, window, stride, pad_type, pad):
    """Elements in front of one axis and behind it."""
    total = max(0, (-(-size // stride) - 1) * stride + window - size)
    return {
        "valid": (0, 0),
        "same": (total // 2, total - total // 2),
        "same_lower": (total - total // 2, total // 2),
        "custom": pad,
    }[pad_type]


def pairs(pad, axes):
    return [(0, 0)] * axes if pad is None else [tuple(pad[2 * axis : 2 * axis + 2]) for axis in range(axes)]


def conv(x, weight, bias=None, strides=None, pad_type="valid", pad=None, dilations=None, groups=1):
    axes = x.ndim - 2
    strides, dilations = strides or [1] * axes, dilations or [1] * axes
    reach = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilations, strict=True)]
    around = [
        pads(size, window, stride, pad_type, pair)
        for size, window, stride, pair in zip(x.shape[2:], reach, strides, pairs(pad, axes), strict=True)
    ]
    x = np.pad(x, [(0, 0), (0, 0), *around])
    counts = [(size - window) // stride + 1 for size, window, stride in zip(x.shape[2:], reach, strides, strict=True)]
    x = x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])
    weight = weight.reshape(groups, -1, *weight.shape[1:])
    y = 0
    for place in np.ndindex(*weight.shape[3:]):
        window = tuple(
            slice(p * d, p * d + (count - 1) * stride + 1, stride)
            for p, d, count, stride in zip(place, dilations, counts, strides, strict=True)
        )
        y = y + np.einsum("bgi...,goi->bgo...", x[(..., *window)], weight[(..., *place)])
    y = y.reshape(y.shape[0], y.shape[1] * y.shape[2], *counts)
    return y if bias is None else y + bias.reshape(-1, *[1] * axes)


def conv_transpose(
    x, weight, bias=None, pad=None, output_shape=None, pad_type="valid", strides=None, dilations=None, groups=1
):
    axes = x.ndim - 2
    strides, dilations = strides or [1] * axes, dilations or [1] * axes
    full = [
        (size - 1) * stride + (k - 1) * d + 1
        for size, k, stride, d in zip(x.shape[2:], weight.shape[2:], strides, dilations, strict=True)
    ]
    shape = x.shape[2:]
    x = x.reshape(x.shape[0], groups, -1, *shape)
    weight = weight.reshape(groups, -1, *weight.shape[1:])
    y = np.zeros((x.shape[0], groups, weight.shape[2], *full))
    for place in np.ndindex(*weight.shape[3:]):
        window = tuple(
            slice(p * d, p * d + (size - 1) * stride + 1, stride)
            for p, d, size, stride in zip(place, dilations, shape, strides, strict=True)
        )
        y[(..., *window)] += np.einsum("bgi...,gio->bgo...", x, weight[(..., *place)])
    y = y.reshape(y.shape[0], -1, *full)
    for axis, (before, after) in enumerate(pairs(pad, axes)):
        size = full[axis]
        if pad_type == "same":
            wanted = output_shape[axis + 2] if output_shape else shape[axis] * strides[axis]
            cut = max(0, size - wanted) // 2
            y = np.pad(y, [(0, 0)] * (axis + 2) + [(0, max(0, wanted - size))] + [(0, 0)] * (axes - axis - 1))
            before, after = cut, max(0, size - wanted) - cut
        elif pad_type == "valid":
            before = after = 0
        y = np.take(y, range(before, y.shape[axis + 2] - after), axis + 2)
    return y if bias is None else y + bias.reshape(-1, *[1] * axes)


def pool(mode):
    def reference(
        x, kernel_sizes, pad_type, strides=None, pad=None, ceil_mode=False, exclude_padding_from_average=False
    ):
        axes = x.ndim - 2
        spans = []
        for size, k, stride, pair in zip(
            x.shape[2:], kernel_sizes, strides or [1] * axes, pairs(pad, axes), strict=True
        ):
            before, after = pads(size, k, stride, pad_type, pair)
            count = (size + before + after - k + (stride - 1 if ceil_mode else 0)) // stride + 1
            if ceil_mode and before and (count - 1) * stride >= size + before:
                count -= 1
            # Of each window: where x begins and ends in it, and how many elements it has with the pads.
            starts = [index * stride - before for index in range(count)]
            spans.append([(max(s, 0), min(s + k, size), min(s + k, size + after) - s) for s in starts])
        y = np.zeros((*x.shape[:2], *map(len, spans)))
        for place, windows in zip(np.ndindex(*y.shape[2:]), itertools.product(*spans), strict=True):
            part = x[(..., *(slice(start, end) for start, end, _ in windows))].reshape(*x.shape[:2], -1)
            whole = part.shape[-1] if exclude_padding_from_average else np.prod([length for *_, length in windows])
            y[(..., *place)] = {
                "max": lambda part=part: part.max(-1),
                "average": lambda part=part, whole=whole: part.sum(-1) / whole,
                "l2": lambda part=part: np.sqrt(np.square(part).sum(-1)),
            }[mode]()
        return y

    return reference


def convolution(x, weight, label="", bias=False, op="conv", **arguments):
    """Cases of one convolution with a constant weight."""
    filters = constant(normal(*weight, seed=1) / np.sqrt(np.prod(weight[1:])))
    if bias:
        outputs = weight[0] if op == "conv" else weight[1] * arguments.get("groups", 1)
        arguments["bias"] = constant(normal(outputs, seed=2))
    reference = conv if op == "conv" else conv_transpose
    return one(op, reference, label, x=normal(*x), weight=filters, **arguments, half=1e-2)


CONVOLUTIONS = [
    # One axis.
    ((1, 3, 10), (5, 3, 3), {}),
    ((2, 3, 11), (5, 3, 4), {"bias": True, "strides": [2]}),
    ((2, 16, 37), (24, 16, 5), {"bias": True, "pad_type": "same"}),
    ((2, 3, 11), (5, 3, 2), {"strides": [3], "pad_type": "custom", "pad": [1, 2]}),
    ((1, 4, 12), (6, 2, 3), {"groups": 2, "bias": True}),
    ((1, 4, 12), (4, 1, 3), {"groups": 4, "dilations": [2], "pad_type": "same"}),
    ((1, 4, 12), (3, 4, 3), {"dilations": [3], "pad_type": "same_lower"}),
    ((1, 3, 9), (5, 3, 1), {"bias": True}),
    # Two axes: plain, each pad type, strides, dilations.
    ((1, 3, 7, 9), (5, 3, 3, 3), {}),
    ((2, 3, 7, 9), (5, 3, 3, 3), {"bias": True}),
    ((2, 3, 8, 9), (5, 3, 3, 2), {"pad_type": "same", "strides": [2, 2]}),
    ((2, 3, 8, 9), (5, 3, 3, 2), {"pad_type": "same_lower", "strides": [2, 2]}),
    ((2, 3, 8, 9), (5, 3, 2, 4), {"pad_type": "custom", "pad": [1, 0, 2, 3], "strides": [1, 2]}),
    ((1, 3, 13, 12), (5, 3, 3, 3), {"dilations": [2, 3], "pad_type": "same"}),
    ((1, 3, 13, 12), (5, 3, 2, 3), {"dilations": [2, 1], "strides": [2, 3], "bias": True}),
    # A stride longer than the kernel; a kernel as large as x; one larger than x but for its pads.
    ((1, 3, 11, 11), (5, 3, 2, 2), {"strides": [3, 4]}),
    ((1, 3, 11, 11), (5, 3, 1, 1), {"strides": [2, 2], "bias": True}),
    ((2, 3, 5, 7), (4, 3, 5, 7), {"bias": True}),
    ((1, 3, 2, 2), (4, 3, 4, 4), {"pad_type": "custom", "pad": [1, 1, 1, 1]}),
    # Pointwise, with few channels and with many.
    ((2, 3, 5, 7), (4, 3, 1, 1), {"bias": True}),
    ((1, 64, 9, 9), (48, 64, 1, 1), {"bias": True}),
    ((1, 1, 5, 7), (1, 1, 1, 1), {}),
    # Channels: one, three, odd, many, many inputs and few outputs, few inputs and many outputs.
    ((1, 1, 9, 9), (1, 1, 3, 3), {"bias": True}),
    ((1, 1, 9, 9), (17, 1, 3, 3), {"pad_type": "same"}),
    ((1, 17, 9, 9), (1, 17, 3, 3), {"pad_type": "same"}),
    ((2, 32, 9, 9), (32, 32, 3, 3), {"pad_type": "same", "bias": True}),
    ((1, 48, 6, 6), (80, 48, 3, 3), {"pad_type": "same", "strides": [2, 2]}),
    ((1, 3, 16, 16), (32, 3, 7, 7), {"pad_type": "same", "strides": [2, 2], "bias": True}),
    # Groups, and one filter a channel.
    ((2, 6, 7, 7), (8, 3, 3, 3), {"groups": 2, "bias": True}),
    ((1, 6, 7, 7), (9, 2, 3, 3), {"groups": 3, "pad_type": "same", "strides": [2, 2]}),
    ((1, 32, 7, 7), (32, 8, 3, 3), {"groups": 4, "pad_type": "same"}),
    ((1, 5, 7, 7), (5, 1, 3, 3), {"groups": 5, "pad_type": "same", "bias": True}),
    ((2, 32, 9, 7), (32, 1, 3, 3), {"groups": 32, "pad_type": "same", "strides": [2, 2], "bias": True}),
    ((1, 5, 7, 7), (10, 1, 3, 3), {"groups": 5, "bias": True}),
    ((1, 32, 11, 11), (32, 1, 5, 5), {"groups": 32, "dilations": [2, 2], "pad_type": "same"}),
    ((1, 6, 5, 5), (6, 2, 1, 1), {"groups": 3}),
    # Three axes.
    ((1, 3, 5, 6, 7), (4, 3, 3, 3, 3), {"bias": True}),
    ((2, 3, 5, 6, 7), (4, 3, 2, 3, 1), {"pad_type": "same", "strides": [1, 2, 2]}),
    ((1, 4, 5, 6, 7), (6, 2, 3, 2, 3), {"groups": 2, "pad_type": "custom", "pad": [1, 1, 0, 1, 2, 0]}),
    ((1, 4, 7, 7, 7), (4, 1, 3, 3, 3), {"groups": 4, "dilations": [2, 1, 2], "bias": True}),
    # Nothing to do.
    ((0, 3, 7, 7), (5, 3, 3, 3), {"bias": True}),
]

TRANSPOSED = [
    ((1, 3, 5), (3, 4, 3), {}),
    ((2, 3, 5), (3, 4, 3), {"strides": [2], "bias": True}),
    ((2, 3, 5), (3, 4, 4), {"strides": [3], "pad_type": "same"}),
    ((1, 3, 4, 5), (3, 4, 3, 3), {"bias": True}),
    ((2, 3, 4, 5), (3, 4, 2, 2), {"strides": [2, 2], "bias": True}),
    ((2, 3, 4, 5), (3, 4, 4, 3), {"strides": [2, 3], "pad_type": "custom", "pad": [1, 1, 0, 2]}),
    ((1, 3, 4, 5), (3, 4, 3, 3), {"strides": [2, 2], "pad_type": "same"}),
    ((1, 3, 4, 5), (3, 4, 3, 3), {"strides": [2, 2], "pad_type": "same", "output_shape": [1, 4, 7, 9]}),
    ((1, 3, 4, 5), (3, 4, 2, 2), {"strides": [3, 4]}),
    ((1, 3, 4, 5), (3, 4, 3, 2), {"dilations": [2, 3]}),
    ((1, 4, 4, 5), (4, 3, 3, 3), {"groups": 2, "bias": True}),
    ((1, 6, 4, 5), (6, 1, 3, 3), {"groups": 6, "strides": [2, 2], "pad_type": "custom", "pad": [1, 1, 1, 1]}),
    ((1, 32, 6, 6), (32, 17, 4, 4), {"strides": [2, 2], "pad_type": "custom", "pad": [1, 1, 1, 1], "bias": True}),
    ((1, 2, 3, 4, 5), (2, 3, 2, 3, 2), {"strides": [1, 2, 2], "bias": True}),
    ((1, 2, 3, 3, 3), (2, 2, 3, 3, 3), {"strides": [2, 2, 2], "pad_type": "same"}),
]

POOLS = [
    ((2, 3, 11), {"kernel_sizes": [3], "pad_type": "valid"}),
    ((2, 3, 11), {"kernel_sizes": [2], "strides": [2], "pad_type": "same"}),
    ((2, 3, 7, 9), {"kernel_sizes": [2, 3], "pad_type": "valid"}),
    ((2, 3, 7, 9), {"kernel_sizes": [3, 3], "strides": [2, 2], "pad_type": "same"}),
    ((2, 3, 8, 9), {"kernel_sizes": [3, 2], "strides": [2, 1], "pad_type": "same_lower"}),
    ((2, 3, 8, 9), {"kernel_sizes": [3, 4], "strides": [2, 3], "pad_type": "custom", "pad": [1, 0, 2, 1]}),
    ((1, 17, 8, 9), {"kernel_sizes": [2, 2], "strides": [3, 4], "pad_type": "valid"}),
    ((1, 3, 8, 10), {"kernel_sizes": [3, 3], "strides": [2, 2], "pad_type": "valid", "ceil_mode": True}),
    (
        (1, 3, 8, 10),
        {"kernel_sizes": [3, 3], "strides": [2, 2], "pad_type": "custom", "pad": [1, 1, 1, 1], "ceil_mode": True},
    ),
    ((1, 3, 7, 9), {"kernel_sizes": [7, 9], "pad_type": "valid"}),
]
DEEP_POOLS = [
    ((1, 3, 5, 6, 7), {"kernel_sizes": [2, 3, 2], "pad_type": "valid"}),
    ((2, 3, 5, 6, 7), {"kernel_sizes": [3, 3, 3], "strides": [2, 2, 2], "pad_type": "same"}),
]


def followed(name, body, reference, weight=(8, 5, 3, 3), x=(2, 5, 6, 7), **more):
    """A convolution, called c, and what the body makes of it."""
    filters = constant(normal(*weight, seed=1) / 5)
    pad_type = '"same"'
    return program(
        f"conv-{name}",
        f"c = conv(x = x, weight = w, bias = b, pad_type = {pad_type}); {body}",
        lambda x, w, b, **rest: reference(conv(x, w, b, pad_type="same"), **rest),
        x=normal(*x),
        w=filters,
        b=constant(normal(weight[0])),
        half=2e-2,
        **more,
    )


def relu(x):
    return np.maximum(x, 0)


def batch_norm(x, mean, variance, gamma, beta, epsilon=1e-5):
    mean, variance, gamma, beta = (v.reshape(-1, 1, 1) for v in (mean, variance, gamma, beta))
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta


RESIDUAL = normal(2, 8, 6, 7, seed=3)

CASES = [
    *(case for x, weight, arguments in CONVOLUTIONS for case in convolution(x, weight, **arguments)),
    *(case for x, weight, arguments in TRANSPOSED for case in convolution(x, weight, op="conv_transpose", **arguments)),
    *(
        case
        for op, mode in {"max_pool": "max", "avg_pool": "average", "l2_pool": "l2"}.items()
        for x, arguments in POOLS + (DEEP_POOLS if op != "l2_pool" else [])
        for case in one(op, pool(mode), x=normal(*x), **arguments)
    ),
    *(
        case
        for x, arguments in POOLS[1:] + DEEP_POOLS
        for case in one("avg_pool", pool("average"), x=normal(*x), **arguments, exclude_padding_from_average=True)
    ),
    *one("max_pool", pool("max"), "negative", x=-1 - normal(1, 2, 5, 5) ** 2, kernel_sizes=[3, 3], pad_type="same"),
    # What follows a convolution joins it, but only where nothing else reads the convolution.
    *followed("relu", "y = relu(x = c);", relu),
    *followed("relu6", "y = relu6(x = c);", lambda c: np.clip(c, 0, 6)),
    *followed("silu", "y = silu(x = c);", lambda c: c / (1 + np.exp(-c))),
    *followed(
        "relu-add-relu",
        "d = relu(x = c); s = add(x = d, y = r); y = relu(x = s);",
        lambda c, r: relu(relu(c) + r),
        r=RESIDUAL,
    ),
    *followed("add-relu", "s = add(x = c, y = r); y = relu(x = s);", lambda c, r: relu(c + r), r=RESIDUAL),
    *followed("add-from_left", "s = add(x = r, y = c); y = relu(x = s);", lambda c, r: relu(c + r), r=RESIDUAL),
    *followed("add-channels", "y = add(x = c, y = r);", lambda c, r: c + r, r=normal(8, 1, 1)),
    *followed("read_twice", "d = relu(x = c); y = add(x = d, y = c);", lambda c: relu(c) + c),
    *followed("is_output", "y = relu(x = c);", lambda c: (relu(c), c), outputs=("y", "c")),
    *followed(
        "batch_norm-relu",
        "n = batch_norm(x = c, mean = m, variance = v, gamma = g, beta = o); y = relu(x = n);",
        lambda c, m, v, g, o: relu(batch_norm(c, m, v, g, o)),
        m=constant(normal(8)),
        v=constant(normal(8) ** 2 + 0.5),
        g=constant(normal(8, seed=1)),
        o=constant(normal(8, seed=2)),
    ),
    *followed(
        "relu-pool",
        'd = relu(x = c); y = max_pool(x = d, kernel_sizes = [2, 2], strides = [2, 2], pad_type = "valid");',
        lambda c: pool("max")(relu(c), [2, 2], "valid", [2, 2]),
    ),
    *followed("depthwise-relu", "y = relu(x = c);", relu, weight=(32, 32, 3, 3), x=(1, 32, 6, 7)),
    *followed(
        "one_axis-relu-add",
        "d = relu(x = c); y = add(x = d, y = r);",
        lambda c, r: relu(c) + r,
        weight=(8, 5, 3),
        x=(2, 5, 9),
        r=normal(2, 8, 9),
    ),
    *followed(
        "one_axis-add",
        "t = transpose(x = r, perm = [0, 2, 1]); y = add(x = c, y = t);",
        lambda c, r: c + r.transpose(0, 2, 1),
        weight=(8, 5, 3),
        x=(2, 5, 9),
        r=normal(2, 9, 8),
    ),
    *followed("mean", "y = reduce_mean(x = c, axes = [2, 3]);", lambda c: c.mean((2, 3))),
    *followed("flatten", "y = reshape(x = c, shape = [2, 336]);", lambda c: c.reshape(2, 336)),
    *followed("softmax", "y = softmax(x = c, axis = 1);", lambda c: np.exp(c) / np.exp(c).sum(1, keepdims=True)),
    *followed("concat", "y = concat(values = (c, r), axis = 1);", lambda c, r: np.concatenate([c, r], 1), r=RESIDUAL),
    *program(
        "conv-residual_block",
        'a = conv(x = x, weight = w, pad_type = "same"); b = relu(x = a);'
        ' c = conv(x = b, weight = v, pad_type = "same");'
        " s = add(x = c, y = x); y = relu(x = s);",
        lambda x, w, v: relu(conv(relu(conv(x, w, pad_type="same")), v, pad_type="same") + x),
        x=normal(2, 8, 7, 7),
        w=constant(normal(8, 8, 3, 3) / 8),
        v=constant(normal(8, 8, 3, 3, seed=1) / 8),
        half=2e-2,
    ),
    *program(
        "conv-two_branches",
        'a = conv(x = x, weight = w, pad_type = "same"); b = conv(x = x, weight = v);'
        " s = sigmoid(x = b); y = mul(x = a, y = s);",
        lambda x, w, v: conv(x, w, pad_type="same") / (1 + np.exp(-conv(x, v))),
        x=normal(1, 8, 7, 7),
        w=constant(normal(16, 8, 3, 3) / 8),
        v=constant(normal(16, 8, 1, 1, seed=1) / 8),
        half=2e-2,
    ),
    *program(
        "conv-channels_last_input",
        't = transpose(x = x, perm = [0, 3, 1, 2]); c = conv(x = t, weight = w, pad_type = "same");'
        " y = transpose(x = c, perm = [0, 2, 3, 1]);",
        lambda x, w: conv(x.transpose(0, 3, 1, 2), w, pad_type="same").transpose(0, 2, 3, 1),
        x=normal(2, 7, 6, 3),
        w=constant(normal(8, 3, 3, 3) / 5),
        half=1e-2,
    ),
    *program(
        "conv-of_slice",
        "s = slice_by_index(x = x, begin = [0, 1, 0, 1], end = [0, 0, 0, 0], stride = [1, 1, 1, 2],"
        " end_mask = [true, true, true, true]); y = conv(x = s, weight = w);",
        lambda x, w: conv(x[:, 1:, :, 1::2], w),
        x=normal(2, 4, 6, 12),
        w=constant(normal(8, 3, 3, 3) / 5),
        half=1e-2,
    ),
]
