"""Random programs of one op: `python fuzz.py SEED COUNT` makes and runs them, and prints how many ran.

Each program goes to stderr before it is tried, so that the last one there is what ended the process.
"""

from __future__ import annotations

import random
import sys
from typing import Any

import numpy as np

import martlet

WORDS = [
    "valid",
    "same",
    "same_lower",
    "custom",
    "EXACT",
    "TANH_APPROXIMATION",
    "constant",
    "reflect",
    "replicate",
    "forward",
    "reverse",
    "bidirectional",
    "add",
    "update",
    "mul",
    "fp32",
    "int32",
    "fp16",
    "bool",
    "tanh",
    "sigmoid",
    "DEFAULT",
    "ALIGN_CORNERS",
    "STRICT_ALIGN_CORNERS",
    "UPSAMPLE",
    "OFFSET_CORNERS",
    "ab,bc->ac",
    "bilinear",
    "nearest",
    "zeros",
    "border",
    "CENTER_SIZE_HEIGHT_FIRST",
    "linear",
    "relu",
    "nonsense",
]
TYPES = {"fp32": "float32", "int32": "int32", "bool": "bool", "fp16": "float16"}
TYPES |= {name: name for name in ("int8", "uint8", "int16", "uint16")}
DEVICES = ["cpu", "cpu:declared", "cpu:portable"]


def literal(value: Any) -> str:
    """A value in MIL text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list):
        return f"[{', '.join(literal(each) for each in value)}]"
    return repr(value)


def whole() -> int:
    """An integer, mostly small and sometimes out of range."""
    return random.choice([-2, -1, 0, 0, 1, 1, 1, 2, 2, 3, 4, 7, 500])


class RandomProgram:
    """One op with arguments that often fit."""

    def __init__(self, op: dict[str, Any], numbers: np.random.Generator) -> None:
        self.numbers = numbers
        rank = random.choice([1, 2, 3, 3, 4, 4, 4, 5])
        self.base = [random.choice([1, 2, 3, 4, 6]) for _ in range(rank)]
        self.main = random.choice(["fp32", "fp32", "fp32", "fp16", "int32"])
        self.inputs: dict[str, np.ndarray] = {}
        self.declared: list[str] = []
        self.lines: list[str] = []
        words = [
            f"{each['name']} = {self.argument(each)}"
            for each in op["parameters"]
            if not each["optional"] or random.random() < 0.5
        ]
        self.lines.append(f"y = {op['name']}({', '.join(words)});")
        self.text = (
            f"program(1.3) {{ func main<ios18>({', '.join(self.declared)}) {{ {' '.join(self.lines)} }} -> (y); }}"
        )

    def argument(self, parameter: dict[str, Any]) -> str:
        """The words of one argument."""
        dtypes, rank = parameter["dtypes"], len(self.base)
        if parameter["list"]:
            return f"({', '.join(self.tensor(parameter, index) for index in range(random.randint(1, 3)))})"
        if "string" in dtypes:
            return literal(random.choice(WORDS))
        if dtypes == ["bool"]:
            many = [random.random() < 0.5 for _ in range(rank)]
            return literal(random.choice([many[0], many]))
        if not {"fp32", "fp16"} & set(dtypes) and random.random() < 0.9:
            many = [whole() for _ in range(random.choice([1, rank, rank, 2 * rank, max(rank - 2, 1)]))]
            return literal(random.choice([many[0], many, many]))
        if parameter["constant"] and random.random() < 0.5:
            return literal(random.choice([0.0, 0.5, 1.0, -1.0, 1e30]))
        return self.tensor(parameter)

    def tensor(self, parameter: dict[str, Any], index: int | str = "") -> str:
        """The name of a new input or constant."""
        wanted = [name for name in parameter["dtypes"] if name in TYPES] or ["fp32"]
        dtype = self.main if self.main in wanted else random.choice(wanted)
        size = self.shape()
        if dtype in ("fp32", "fp16"):
            array = (self.numbers.standard_normal(size) * 2).astype(TYPES[dtype])
        else:
            low, high = (-3 if dtype[0] == "i" else 0), (2 if dtype == "bool" else 5)
            array = self.numbers.integers(low, high, size).astype(TYPES[dtype])
        name = f"{parameter['name']}{index}"
        kind = f"tensor<{dtype}, [{', '.join(map(str, size))}]>"
        if random.random() < 0.3:
            self.lines.append(f"{name} = const()[val = {kind}({literal(array.ravel().tolist())})];")
        else:
            self.inputs[name] = array
            self.declared.append(f"{kind} {name}")
        return name

    def shape(self) -> list[int]:
        """The program's usual shape, one that broadcasts with it, or any."""
        roll = random.random()
        if roll < 0.6:
            return list(self.base)
        if roll < 0.75:
            return [size if random.random() < 0.6 else 1 for size in self.base]
        return [random.choice([0, 1, 1, 2, 3, 4, 5]) for _ in range(random.randint(0, 5))]


def main(seed: int, count: int) -> None:
    """Runs `count` programs; any exception but our own refusals ends it."""
    random.seed(seed)
    numbers, ops, ran = np.random.default_rng(seed), martlet.ops(), 0
    for _ in range(count):
        program = RandomProgram(random.choice(ops), numbers)
        print(program.text, file=sys.stderr, flush=True)
        try:
            martlet.parse(program.text, device=random.choice(DEVICES)).predict(program.inputs)
            ran += 1
        except martlet.BugError:
            raise
        except martlet.Error:
            pass
    print(ran)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
