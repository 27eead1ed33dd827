"""Random programs: branches, joins, values read again much later, outputs from the middle.

They test what no op alone can: fusing, sharing memory, and the ways in which values lie in memory.
"""

from collections.abc import Callable

import numpy as np

from tests.cases import Case, constant, normal, program

Values = dict[str, np.ndarray]

SIMPLE = {
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "abs": np.abs,
    "sin": np.sin,
}
JOINS = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "maximum": np.maximum}


def softmax(x):
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def layer_norm(x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 0.125)


class Graph:
    """A program that grows by one random statement at a time, together with what it computes."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.inputs = {"a": normal(2, 6, 8, seed=seed), "b": normal(6, 8, seed=seed), "c": normal(2, 6, 1, seed=seed)}
        self.constants = {"w": constant(normal(8, 8, seed=seed) / 3), "u": constant(normal(6, 6, seed=seed) / 3)}
        self.steps: list[tuple[str, Callable[[Values], np.ndarray]]] = []
        self.lines: list[str] = []
        self.values: Values = dict(self.inputs)

    def add(self, line: str, function: Callable[[Values], np.ndarray]) -> None:
        name = f"v{len(self.steps)}"
        everything = self.values | {key: each.array for key, each in self.constants.items()}
        self.values[name] = function(everything)
        self.steps.append((name, function))
        self.lines.append(f"{name} = {line};")

    def pick(self, *lasts: int) -> str | None:
        """A value at random, the newer the likelier; `lasts` are the lengths its last axis may have."""
        names = [name for name, value in self.values.items() if not lasts or value.shape[-1] in lasts]
        if not names:
            return None
        return names[-1 - int(len(names) * self.random.random() ** 2)]

    def grow(self) -> None:
        kind = self.random.choice(["simple", "join", "join", "linear", "transpose", "row", "mean", "part", "product"])
        x = self.pick()
        rank = self.values[x].ndim
        if kind == "simple":
            op = str(self.random.choice(list(SIMPLE)))
            self.add(f"{op}(x = {x})", lambda v: SIMPLE[op](v[x]))
        elif kind == "join":
            op, y = str(self.random.choice(list(JOINS))), self.pick()
            both = (self.values[x], self.values[y])
            large = max(np.abs(each).max() for each in both) > 8
            if fits(*(each.shape for each in both)) and not (op == "mul" and large):
                self.add(f"{op}(x = {x}, y = {y})", lambda v: JOINS[op](v[x], v[y]))
        elif kind == "linear" and (x := self.pick(6, 8)):
            w = {6: "u", 8: "w"}[self.values[x].shape[-1]]
            self.add(f"linear(x = {x}, weight = {w})", lambda v: v[x] @ v[w].T)
        elif kind == "transpose":
            order = [*range(rank - 2), rank - 1, rank - 2]
            self.add(f"transpose(x = {x}, perm = {order})", lambda v: v[x].swapaxes(-1, -2))
        elif kind == "row":
            op, more, function = [
                ("softmax", "", softmax),
                ("layer_norm", ", axes = [-1], epsilon = 0.125", layer_norm),
            ][self.random.integers(2)]
            self.add(f"{op}(x = {x}{more})", lambda v: function(v[x]))
        elif kind == "mean":
            axis = -1 - int(self.random.integers(2))
            self.add(
                f"reduce_mean(x = {x}, axes = [{axis}], keep_dims = true)", lambda v: v[x].mean(axis, keepdims=True)
            )
        elif kind == "part":
            # The halves of the last axis change places.
            size = self.values[x].shape[-1]
            if size % 2 == 0:
                low, high = f"l{len(self.steps)}", f"h{len(self.steps)}"
                self.lines.append(f"{low}, {high} = split(x = {x}, num_splits = 2, axis = {rank - 1});")
                self.add(f"concat(values = ({high}, {low}), axis = -1)", lambda v: np.roll(v[x], size // 2, -1))
        elif kind == "product" and (y := self.pick()):
            both = (self.values[x], self.values[y])
            if both[0].ndim == both[1].ndim == 3 and both[0].shape[-1] == both[1].shape[-1]:
                factor = float(both[0].shape[-1]) ** -1
                self.lines.append(f"m{len(self.steps)} = matmul(x = {x}, y = {y}, transpose_y = true);")
                self.add(f"mul(x = m{len(self.steps)}, y = {factor})", lambda v: v[x] @ v[y].swapaxes(-1, -2) * factor)

    def evaluate(self, outputs: tuple[str, ...], values: Values) -> list[np.ndarray]:
        values = dict(values)
        for name, function in self.steps:
            values[name] = function(values)
        return [values[name] for name in outputs]


def fits(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    try:
        np.broadcast_shapes(a, b)
    except ValueError:
        return False
    return True


def graph(seed: int) -> list[Case]:
    grown = Graph(seed)
    while len(grown.steps) < 25:
        grown.grow()
    middle = f"v{grown.random.integers(5, 20)}"
    outputs = ("v24", "v23", middle)
    return program(
        f"graph-{seed}",
        "\n".join(grown.lines),
        lambda **values: grown.evaluate(outputs, values),
        outputs,
        **grown.inputs,
        **grown.constants,
        tolerance=1e-4,
        dtypes=("fp32",),
    )


CASES = [case for seed in range(60) for case in graph(seed)]
