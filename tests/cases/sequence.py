"""Recurrent layers and attention, whole and spelled out."""

import numpy as np

from tests.cases import constant, normal, one, program, whole


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


FUNCTIONS = {
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "relu": lambda x: np.maximum(x, 0),
    "linear": lambda x: x,
    "sigmoid_hard": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "hard_sigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "scaled_tanh": np.tanh,  # coremltools' tests: its alpha and beta are 1 in a recurrent layer
}


def lstm_one_way(x, h, c, weight_ih, weight_hh, bias, peephole, clip, gate, cell, output):
    """One direction: the hidden states of all steps, and the last cell state. Gates in the order i, f, o, g."""
    states = []
    pi, pf, po = np.split(peephole, 3) if peephole is not None else (0, 0, 0)
    for step in x:
        i, f, o, g = np.split(step @ weight_ih.T + h @ weight_hh.T + bias, 4, axis=-1)
        i, f, g = gate(i + pi * c), gate(f + pf * c), cell(g)
        c = f * c + i * g
        if clip is not None:
            c = np.clip(c, -clip, clip)
        h = gate(o + po * c) * output(c)
        states.append(h)
    return np.stack(states), c


def lstm(
    x,
    initial_h,
    initial_c,
    weight_ih,
    weight_hh,
    bias=0,
    peephole=None,
    weight_ih_back=None,
    weight_hh_back=None,
    bias_back=0,
    peephole_back=None,
    direction="forward",
    output_sequence=False,
    recurrent_activation="sigmoid",
    cell_activation="tanh",
    activation="tanh",
    clip=None,
):
    functions = [FUNCTIONS[name] for name in (recurrent_activation, cell_activation, activation)]
    ends = 2 if direction == "bidirectional" else 1
    (h, *hs), (c, *cs) = np.split(initial_h, ends, 1), np.split(initial_c, ends, 1)
    # As in coremltools' tests, the states of a reverse layer stand in the order of processing.
    turned = x[::-1] if direction == "reverse" else x
    states, c = lstm_one_way(turned, h, c, weight_ih, weight_hh, bias, peephole, clip, *functions)
    last = states[-1]
    if hs:  # those of the backward half of a bidirectional one in the order of x, as in torch
        back, c_back = lstm_one_way(
            x[::-1], hs[0], cs[0], weight_ih_back, weight_hh_back, bias_back, peephole_back, clip, *functions
        )
        last, c = np.concatenate([last, back[-1]], 1), np.concatenate([c, c_back], 1)
        states = np.concatenate([states, back[::-1]], 2)
    return (states if output_sequence else last[None]), last, c


def layer(steps, batch, inputs, hidden, direction="forward", bias=True, **arguments):
    """Cases of an lstm of these sizes."""
    both = direction == "bidirectional"
    weights = {
        "weight_ih": constant(normal(4 * hidden, inputs, seed=1) / np.sqrt(inputs)),
        "weight_hh": constant(normal(4 * hidden, hidden, seed=2) / np.sqrt(hidden)),
    }
    if bias:
        weights["bias"] = constant(normal(4 * hidden, seed=3) / 4)
    if both:
        weights |= {f"{name}_back": constant(weight.array[::-1]) for name, weight in weights.items()}
    width = hidden * (2 if both else 1)
    sizes = f"{steps}x{batch}x{inputs}x{hidden}"
    more = [name if name in ("peephole", "clip") else f"{name}={value}" for name, value in arguments.items()]
    return one(
        "lstm",
        lstm,
        "-".join([sizes, direction, "bias" if bias else "no_bias", *more]),
        outputs=3,
        x=normal(steps, batch, inputs),
        initial_h=normal(batch, width, seed=4) / 2,
        initial_c=normal(batch, width, seed=5) / 2,
        **weights,
        direction=direction,
        **arguments,
        half=1e-2,
    )


def attention(query, key, value, attn_mask=None):
    scores = query @ key.swapaxes(-1, -2) / np.sqrt(query.shape[-1])
    if attn_mask is not None:
        scores = np.where(attn_mask, scores, -np.inf) if attn_mask.dtype == bool else scores + attn_mask
    return softmax(scores) @ value


def softmax(x):
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def operands(*batch, targets=5, sources=7, size=8, width=6):
    return {
        "query": normal(*batch, targets, size),
        "key": normal(*batch, sources, size, seed=1),
        "value": normal(*batch, sources, width, seed=2),
    }


def truth(*shape):
    """A mask that leaves the first source to every target."""
    mask = whole(*shape, low=0, high=1).astype(bool)
    mask[..., 0] = True
    return mask


def spelled(name, body, reference, **arrays):
    """Attention as converters write it: q, k, v with two heads and whatever else the body needs."""
    given = {"q": normal(2, 3, 5, 8), "k": normal(2, 3, 7, 8, seed=1), "v": normal(2, 3, 7, 6, seed=2)}
    return program(f"attention-{name}", body, reference, **{**given, **arrays}, half=1e-2)


def two_layers(x, h, c, w, u):
    states, last, cell = lstm(x, h, c, w, u, output_sequence=True)
    again, end, _ = lstm(states, last, cell, u, u, output_sequence=True)
    return again, end, cell


def heads(x, w):
    q = (x @ w.T).reshape(2, 5, 2, 4).transpose(0, 2, 1, 3)
    mixed = softmax(q @ q.swapaxes(-1, -2) * SCALE) @ q
    return mixed.transpose(0, 2, 1, 3).reshape(2, 5, 8) + x


SCALE = 0.3535
MASK = np.where(truth(5, 7), 0, -1e4).astype(np.float32)

CASES = [
    # lstm: every direction, whole sequence and last state, odd sizes, one step, sizes past a vector's.
    *(
        case
        for direction in ("forward", "reverse", "bidirectional")
        for output_sequence in (True, False)
        for sizes in [(4, 2, 3, 5), (3, 1, 20, 17)]
        for case in layer(*sizes, direction, output_sequence=output_sequence)
    ),
    *layer(1, 1, 1, 1),
    *layer(1, 2, 3, 5, "bidirectional", output_sequence=True),
    *layer(4, 2, 3, 5, bias=False, output_sequence=True),
    *layer(4, 2, 3, 5, "bidirectional", bias=False),
    *layer(25, 1, 40, 64, output_sequence=True),
    *layer(6, 3, 8, 33, "bidirectional", output_sequence=True),
    *layer(4, 2, 3, 5, output_sequence=True, peephole=constant(normal(15, seed=6))),
    *layer(4, 2, 3, 5, output_sequence=True, clip=0.25),
    *layer(4, 2, 3, 5, output_sequence=True, recurrent_activation="hard_sigmoid"),
    *layer(4, 2, 3, 5, output_sequence=True, cell_activation="relu", activation="linear"),
    *layer(4, 2, 3, 5, output_sequence=True, activation="sigmoid"),
    *layer(4, 2, 3, 5, output_sequence=True, activation="scaled_tanh", peephole=constant(normal(15, seed=6)), clip=0.5),
    *layer(
        4, 2, 3, 5, "reverse", output_sequence=True, recurrent_activation="scaled_tanh", cell_activation="scaled_tanh"
    ),
    *layer(4, 2, 3, 5, "reverse", output_sequence=True, peephole=constant(normal(15, seed=6)), clip=0.25),
    *program(
        "lstm-batch_first",
        "t = transpose(x = x, perm = [1, 0, 2]); h = fill(shape = [2, 5], value = 0.0);"
        " s, hn, cn = lstm(x = t, initial_h = h, initial_c = h, weight_ih = w, weight_hh = u, bias = b,"
        " output_sequence = true);"
        " y = transpose(x = s, perm = [1, 0, 2]);",
        lambda x, w, u, b: lstm(
            x.transpose(1, 0, 2), np.zeros((2, 5)), np.zeros((2, 5)), w, u, b, output_sequence=True
        )[0].transpose(1, 0, 2),
        x=normal(2, 4, 3),
        w=constant(normal(20, 3) / 2),
        u=constant(normal(20, 5) / 2),
        b=constant(normal(20) / 4),
        dtypes=("fp32",),
    ),
    *program(
        "lstm-two_layers",
        "s, h1, c1 = lstm(x = x, initial_h = h, initial_c = c, weight_ih = w, weight_hh = u, output_sequence = true);"
        " y, h2, c2 = lstm(x = s, initial_h = h1, initial_c = c1, weight_ih = u, weight_hh = u,"
        " output_sequence = true);",
        lambda x, h, c, w, u: two_layers(x, h, c, w, u),
        ("y", "h2", "c1"),
        x=normal(4, 2, 3),
        h=normal(2, 5),
        c=normal(2, 5, seed=1),
        w=constant(normal(20, 3) / 2),
        u=constant(normal(20, 5) / 2),
        half=1e-2,
    ),
    # Attention: ranks 3 to 5, numeric and boolean masks, broadcast or whole.
    *(
        case
        for batch in [(2,), (2, 3), (1, 1), (2, 2, 3)]
        for case in one("scaled_dot_product_attention", attention, **operands(*batch), half=1e-2)
    ),
    *(
        case
        for batch, mask in [
            ((2,), (5, 7)),
            ((2,), (2, 5, 7)),
            ((2, 3), (5, 7)),
            ((2, 3), (1, 7)),
            ((2, 3), (2, 1, 5, 7)),
            ((2, 3), (2, 3, 5, 7)),
            ((2, 2, 3), (5, 7)),
            ((2, 2, 3), (2, 1, 1, 5, 7)),
        ]
        for values in (truth(*mask), normal(*mask, seed=3))
        for case in one("scaled_dot_product_attention", attention, **operands(*batch), attn_mask=values)
    ),
    *one(
        "scaled_dot_product_attention",
        attention,
        "constant_mask",
        **operands(2, 3),
        attn_mask=constant(truth(5, 7)),
        half=1e-2,
    ),
    *one(
        "scaled_dot_product_attention",
        attention,
        **operands(1, 2, targets=70, sources=130, size=32, width=40),
        half=1e-2,
    ),
    *one("scaled_dot_product_attention", attention, **operands(1, 2, targets=1, sources=1, size=1, width=1), half=1e-2),
    *one(
        "scaled_dot_product_attention", attention, **operands(1, 2, targets=1, sources=33, size=16, width=16), half=1e-2
    ),
    *one("scaled_dot_product_attention", attention, **operands(0, 2), half=1e-2),
    *program(
        "attention-from_one_product",
        "t = reshape(x = x, shape = [2, 5, 3, 2, 4]); u = transpose(x = t, perm = [2, 0, 3, 1, 4]);"
        " a, b, c = split(x = u, num_splits = 3, axis = 0); q = squeeze(x = a, axes = [0]);"
        " k = squeeze(x = b, axes = [0]);"
        " v = squeeze(x = c, axes = [0]); o = scaled_dot_product_attention(query = q, key = k, value = v);"
        " p = transpose(x = o, perm = [0, 2, 1, 3]); y = reshape(x = p, shape = [2, 5, 8]);",
        lambda x: attention(*x.reshape(2, 5, 3, 2, 4).transpose(2, 0, 3, 1, 4)).transpose(0, 2, 1, 3).reshape(2, 5, 8),
        x=normal(2, 5, 24),
        half=1e-2,
    ),
    # Attention spelled out: the scale in front or behind, the mask on either side, keys turned either way.
    *spelled(
        "plain",
        "s = matmul(x = q, y = k, transpose_y = true); p = softmax(x = s, axis = -1); y = matmul(x = p, y = v);",
        lambda q, k, v: softmax(q @ k.swapaxes(-1, -2)) @ v,
    ),
    *spelled(
        "scaled",
        f"s = matmul(x = q, y = k, transpose_y = true); m = mul(x = s, y = {SCALE}); p = softmax(x = m, axis = -1);"
        " y = matmul(x = p, y = v);",
        lambda q, k, v: softmax(q @ k.swapaxes(-1, -2) * SCALE) @ v,
    ),
    *spelled(
        "scaled_from_left",
        f"s = matmul(x = q, y = k, transpose_y = true); m = mul(x = {SCALE}, y = s); p = softmax(x = m, axis = 3);"
        " y = matmul(x = p, y = v);",
        lambda q, k, v: softmax(q @ k.swapaxes(-1, -2) * SCALE) @ v,
    ),
    *spelled(
        "divided",
        "s = matmul(x = q, y = k, transpose_y = true); m = real_div(x = s, y = 2.5); p = softmax(x = m);"
        " y = matmul(x = p, y = v);",
        lambda q, k, v: softmax(q @ k.swapaxes(-1, -2) / 2.5) @ v,
    ),
    *spelled(
        "masked",
        f"s = matmul(x = q, y = k, transpose_y = true); t = mul(x = s, y = {SCALE}); a = add(x = t, y = m);"
        " p = softmax(x = a); y = matmul(x = p, y = v);",
        lambda q, k, v, m: softmax(q @ k.swapaxes(-1, -2) * SCALE + m) @ v,
        m=MASK,
    ),
    *spelled(
        "masked_from_left",
        f"s = matmul(x = q, y = k, transpose_y = true); t = mul(x = s, y = {SCALE}); a = add(x = m, y = t);"
        " p = softmax(x = a); y = matmul(x = p, y = v);",
        lambda q, k, v, m: softmax(q @ k.swapaxes(-1, -2) * SCALE + m) @ v,
        m=MASK,
    ),
    *spelled(
        "mask_after_scale_by_constant",
        f"s = matmul(x = q, y = k, transpose_y = true); a = add(x = s, y = m); t = mul(x = a, y = {SCALE});"
        " p = softmax(x = t); y = matmul(x = p, y = v);",
        lambda q, k, v, m: softmax((q @ k.swapaxes(-1, -2) + m) * SCALE) @ v,
        m=constant(normal(5, 7)),
    ),
    *spelled(
        "mask_is_a_product",
        f"s = matmul(x = q, y = k, transpose_y = true); n = mul(x = m, y = {SCALE}); a = add(x = s, y = n);"
        " p = softmax(x = a); y = matmul(x = p, y = v);",
        lambda q, k, v, m: softmax(q @ k.swapaxes(-1, -2) + m * SCALE) @ v,
        m=normal(2, 3, 5, 7, seed=5),
    ),
    *spelled(
        "mask_is_a_matmul",
        "s = matmul(x = q, y = k, transpose_y = true); n = matmul(x = r, y = k, transpose_y = true);"
        " a = add(x = n, y = s);"
        " p = softmax(x = a); y = matmul(x = p, y = v);",
        lambda q, k, v, r: softmax(q @ k.swapaxes(-1, -2) + r @ k.swapaxes(-1, -2)) @ v,
        r=normal(2, 3, 5, 8, seed=5),
    ),
    *spelled(
        "mask_comes_late",
        "s = matmul(x = q, y = k, transpose_y = true); n = exp(x = m); a = add(x = s, y = n);"
        " p = softmax(x = a); y = matmul(x = p, y = v);",
        lambda q, k, v, m: softmax(q @ k.swapaxes(-1, -2) + np.exp(m)) @ v,
        m=normal(3, 1, 7, seed=5),
    ),
    *spelled(
        "mask_widens",
        "s = matmul(x = q, y = k, transpose_y = true); a = add(x = s, y = m); p = softmax(x = a);"
        " y = matmul(x = p, y = v);",
        lambda q, k, v, m: softmax(q @ k.swapaxes(-1, -2) + m) @ v,
        q=normal(1, 3, 5, 8),
        k=normal(1, 3, 7, 8, seed=1),
        v=normal(2, 3, 7, 6, seed=2),
        m=normal(2, 1, 5, 7, seed=5),
    ),
    *spelled(
        "turned_keys",
        "s = matmul(x = q, y = k); p = softmax(x = s); y = matmul(x = p, y = v);",
        lambda q, k, v: softmax(q @ k) @ v,
        k=normal(2, 3, 8, 7, seed=1),
    ),
    *spelled(
        "turned_queries",
        "s = matmul(x = q, y = k, transpose_x = true, transpose_y = true); p = softmax(x = s);"
        " y = matmul(x = p, y = v);",
        lambda q, k, v: softmax(q.swapaxes(-1, -2) @ k.swapaxes(-1, -2)) @ v,
        q=normal(2, 3, 8, 5),
    ),
    *spelled(
        "turned_values",
        "s = matmul(x = q, y = k, transpose_y = true); p = softmax(x = s);"
        " y = matmul(x = p, y = v, transpose_y = true);",
        lambda q, k, v: softmax(q @ k.swapaxes(-1, -2)) @ v.swapaxes(-1, -2),
        v=normal(2, 3, 6, 7, seed=2),
    ),
    *spelled(
        "turned_weights",
        "s = matmul(x = q, y = k, transpose_y = true); p = softmax(x = s);"
        " y = matmul(x = p, y = v, transpose_x = true);",
        lambda q, k, v: softmax(q @ k.swapaxes(-1, -2)).swapaxes(-1, -2) @ v,
        v=normal(2, 3, 5, 6, seed=2),
    ),
    *spelled(
        "weights_are_output",
        "s = matmul(x = q, y = k, transpose_y = true); p = softmax(x = s); y = matmul(x = p, y = v);",
        lambda q, k, v: (softmax(q @ k.swapaxes(-1, -2)) @ v, softmax(q @ k.swapaxes(-1, -2))),
        outputs=("y", "p"),
    ),
    *spelled(
        "scores_read_twice",
        "s = matmul(x = q, y = k, transpose_y = true); p = softmax(x = s); y = matmul(x = p, y = v);"
        " z = reduce_max(x = s, axes = [-1]);",
        lambda q, k, v: (softmax(q @ k.swapaxes(-1, -2)) @ v, (q @ k.swapaxes(-1, -2)).max(-1)),
        outputs=("y", "z"),
    ),
    *spelled(
        "over_targets",
        "s = matmul(x = q, y = k, transpose_y = true); p = softmax(x = s, axis = -2); y = matmul(x = p, y = v);",
        lambda q, k, v: softmax((q @ k.swapaxes(-1, -2)).swapaxes(-1, -2)).swapaxes(-1, -2) @ v,
    ),
    *spelled(
        "shared_keys",
        "s = matmul(x = q, y = k, transpose_y = true); p = softmax(x = s); y = matmul(x = p, y = v);",
        lambda q, k, v: softmax(q @ k.swapaxes(-1, -2)) @ v,
        k=normal(2, 1, 7, 8, seed=1),
        v=normal(2, 1, 7, 6, seed=2),
    ),
    *spelled(
        "constant_values",
        "s = matmul(x = q, y = k, transpose_y = true); p = softmax(x = s); y = matmul(x = p, y = v);",
        lambda q, k, v: softmax(q @ k.swapaxes(-1, -2)) @ v,
        v=constant(normal(2, 3, 7, 6)),
    ),
    *program(
        "attention-of_itself",
        f"s = matmul(x = x, y = x, transpose_y = true); m = mul(x = s, y = {SCALE}); p = softmax(x = m);"
        " y = matmul(x = p, y = x);",
        lambda x: softmax(x @ x.swapaxes(-1, -2) * SCALE) @ x,
        x=normal(2, 5, 8),
        half=1e-2,
    ),
    *program(
        "attention-heads",
        "l = linear(x = x, weight = w); t = reshape(x = l, shape = [2, 5, 2, 4]);"
        " q = transpose(x = t, perm = [0, 2, 1, 3]);"
        f" k = transpose(x = t, perm = [0, 2, 3, 1]); s = matmul(x = q, y = k); m = mul(x = s, y = {SCALE});"
        " p = softmax(x = m);"
        " o = matmul(x = p, y = q); u = transpose(x = o, perm = [0, 2, 1, 3]); r = reshape(x = u, shape = [2, 5, 8]);"
        " y = add(x = r, y = x);",
        lambda x, w: heads(x, w),
        x=normal(2, 5, 8),
        w=constant(normal(8, 8) / 3),
        half=1e-2,
    ),
]
