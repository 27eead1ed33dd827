"""Random programs: branches, joins, values read again much later, outputs from the middle.

They test what no op alone can: fusing, sharing memory, and the ways in which values lie in memory.
"""

from collections.abc import Callable

import numpy as np

from tests.cases import Case, constant, normal, positive, program

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


def wrapped(x: np.ndarray, dtype: type) -> np.ndarray:
    return x.astype(dtype).astype(np.int32)


def powers_in_turn(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    for _ in range(30):
        x = x**y
    return x


def normalized_in_turn(x: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    for _ in range(20):
        x = (x - mean[:, None]) / np.sqrt(variance[:, None] + 1e-5)
    return x


CASES = [
    *(case for seed in range(60) for case in graph(seed)),
    # What two fused groups would both take in, and chains that are longer than one tape.
    *program(
        "attention-on-attention",
        """a = matmul(x = q, y = k, transpose_y = true); b = softmax(x = a); c = matmul(x = b, y = v);
        d = softmax(x = c); y = matmul(x = d, y = v);""",
        lambda q, k, v: (softmax(softmax(q @ k.swapaxes(-1, -2)) @ v) @ v,),
        q=normal(2, 5, 4),
        k=normal(2, 6, 4, seed=1),
        v=normal(2, 6, 6, seed=2),
        half=1e-2,
    ),
    *(
        case
        for dtype, devices in (
            (np.int8, None),
            (np.uint8, None),
            # Elsewhere 16 bits are widened: tests/python/test_wide_integers.py.
            (np.int16, ("cpu:declared",)),
            (np.uint16, ("cpu:declared",)),
        )
        for case in program(
            f"narrow-{dtype.__name__}",
            f'a = cast(x = x, dtype = "{dtype.__name__}"); y = cast(x = a, dtype = "int32");',
            lambda x, dtype=dtype: (wrapped(x, dtype),),
            x=np.array([300, -200, 5, 70000], np.int32),
            devices=devices,
            core_ml=False,
        )
    ),
    *program(
        "long-chain-pow",
        "\n".join(f"a{i + 1} = pow(x = {'x' if i == 0 else f'a{i}'}, y = y);" for i in range(30))
        + "y0 = identity(x = a30);",
        lambda x, y: (powers_in_turn(x, y),),
        ("y0",),
        x=np.array([-1, 1, 1, -1, 0], np.int32),
        y=np.array([1, 2, 3, 3, 1], np.int32),
        core_ml=False,
    ),
    *program(
        "long-chain-batch_norm",
        "m = relu(x = mean); s = exp(x = variance);"
        + "\n".join(
            f"a{i + 1} = batch_norm(x = {'x' if i == 0 else f'a{i}'}, mean = m, variance = s);" for i in range(20)
        )
        + "y = identity(x = a20);",
        lambda x, mean, variance: (normalized_in_turn(x, np.maximum(mean, 0), np.exp(variance)),),
        x=normal(2, 3, 4),
        mean=normal(3, seed=1),
        variance=positive(3, low=0, high=0.1),
        tolerance=1e-4,
        dtypes=("fp32",),
        core_ml=False,
    ),
]
