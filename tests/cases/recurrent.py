"""GRU and simple recurrent layers."""

import numpy as np

from tests.cases import constant, normal, one, program

FUNCTIONS = {
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0),
    "linear": lambda x: x,
    "sigmoid_hard": lambda x: (0.2 * x + 0.5).clip(0, 1),
    "scaled_tanh": np.tanh,  # coremltools' tests: its alpha and beta are 1 in a recurrent layer
}


def layer(x, h, step, direction, output_sequence):
    """All steps of a layer in the order of processing (coremltools' tests), or its last one, and the last state."""
    states = []
    for inputs in x[::-1] if direction == "reverse" else x:
        h = step(inputs, h)
        states.append(h)
    return np.stack(states) if output_sequence else h[None], h


def gru(
    x,
    initial_h,
    weight_ih,
    weight_hh,
    bias=0,
    direction="forward",
    output_sequence=False,
    recurrent_activation="sigmoid",
    activation="tanh",
    reset_after=False,
    input_bias=0,
):
    gate, function = FUNCTIONS[recurrent_activation], FUNCTIONS[activation]
    size = initial_h.shape[1]
    reset_rows, output_rows, update_rows = weight_hh[:size], weight_hh[size : 2 * size], weight_hh[2 * size :]
    bias = np.zeros(3 * size) + bias

    def step(inputs, h):
        r, o, z = np.split(inputs @ weight_ih.T + input_bias, 3, axis=-1)
        reset_bias, output_bias, update_bias = np.split(bias, 3)
        r = gate(r + h @ reset_rows.T + reset_bias)
        z = gate(z + h @ update_rows.T + update_bias)
        product = r * (h @ output_rows.T + output_bias) if reset_after else (r * h) @ output_rows.T + output_bias
        return (1 - z) * function(o + product) + z * h

    return layer(x, initial_h, step, direction, output_sequence)


def rnn(x, initial_h, weight_ih, weight_hh, bias=0, direction="forward", output_sequence=False, activation="tanh"):
    def step(inputs, h):
        return FUNCTIONS[activation](inputs @ weight_ih.T + h @ weight_hh.T + bias)

    return layer(x, initial_h, step, direction, output_sequence)


def weights(gates, inputs, hidden, *biases):
    named = {
        "weight_ih": constant(normal(gates * hidden, inputs, seed=1, scale=0.5)),
        "weight_hh": constant(normal(gates * hidden, hidden, seed=2, scale=0.5)),
    }
    return named | {name: constant(normal(gates * hidden, seed=3 + index)) for index, name in enumerate(biases)}


SETTINGS = {"outputs": 2, "tolerance": 2e-5, "half": 1e-2}
WHOLE = {"output_sequence": True, "half": 2e-2}

CASES = [
    *one("gru", gru, x=normal(4, 1, 3), initial_h=normal(1, 5), **weights(3, 3, 5, "bias"), **SETTINGS),
    *one("gru", gru, x=normal(4, 2, 3), initial_h=normal(2, 5), **weights(3, 3, 5), **SETTINGS | WHOLE),
    *one(
        "gru",
        gru,
        x=normal(4, 2, 3),
        initial_h=normal(2, 5),
        **weights(3, 3, 5, "bias"),
        direction="reverse",
        **SETTINGS | WHOLE,
    ),
    *one(
        "gru",
        gru,
        x=normal(3, 9, 2),
        initial_h=normal(9, 17),
        **weights(3, 2, 17, "bias", "input_bias"),
        reset_after=True,
        **SETTINGS | WHOLE,
    ),
    *one("gru", gru, x=normal(3, 2, 3), initial_h=normal(2, 4), **weights(3, 3, 4, "bias", "input_bias"), **SETTINGS),
    *one(
        "gru",
        gru,
        x=normal(3, 2, 3),
        initial_h=normal(2, 4),
        **weights(3, 3, 4, "bias"),
        recurrent_activation="sigmoid_hard",
        activation="relu",
        **SETTINGS,
    ),
    *program(
        "gru-of-transposed",
        """t = transpose(x = x, perm = [1, 0, 2]);
        y, h = gru(x = t, initial_h = initial_h, weight_ih = weight_ih, weight_hh = weight_hh,
            output_sequence = true);""",
        lambda x, **more: gru(x.transpose(1, 0, 2), output_sequence=True, **more),
        x=normal(2, 4, 3),
        initial_h=normal(2, 5),
        **weights(3, 3, 5),
        **SETTINGS | {"outputs": ("y", "h"), "half": 2e-2},
    ),
    *one("rnn", rnn, x=normal(4, 1, 3), initial_h=normal(1, 5), **weights(1, 3, 5, "bias"), **SETTINGS),
    *one(
        "rnn",
        rnn,
        x=normal(4, 2, 3),
        initial_h=normal(2, 5),
        **weights(1, 3, 5),
        direction="reverse",
        **SETTINGS | WHOLE,
    ),
    *one(
        "rnn",
        rnn,
        x=normal(3, 9, 2),
        initial_h=normal(9, 17),
        **weights(1, 2, 17, "bias"),
        activation="sigmoid",
        **SETTINGS | WHOLE,
    ),
    *one(
        "rnn",
        rnn,
        x=normal(3, 2, 3),
        initial_h=normal(2, 4),
        **weights(1, 3, 4),
        activation="scaled_tanh",
        **SETTINGS | WHOLE,
    ),
    *one("rnn", rnn, x=normal(1, 2, 3), initial_h=normal(2, 4), **weights(1, 3, 4), activation="linear", **SETTINGS),
]
