"""Activations: one table, a row for each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from martlet._call import call
from martlet.errors import InvalidArgumentError
from martlet.nn.module import Module
from martlet.tensor import Tensor

__all__ = [
    "ACTIVATIONS",
    "ELU",
    "GELU",
    "Activation",
    "Hardsigmoid",
    "Hardtanh",
    "LeakyReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "Tanh",
]


@dataclass(frozen=True)
class Row:
    """An activation: its op, its options as torch names them, and constants that never change."""

    op: str
    words: str
    options: dict[str, tuple[str, Any]] = field(default_factory=dict)
    """The op's parameter and the default of each option."""
    values: dict[str, dict[Any, Any]] = field(default_factory=dict)
    """What an option's values are called in the op, where that differs."""
    constants: dict[str, Any] = field(default_factory=dict)


ROWS: dict[str, Row] = {
    "ReLU": Row("relu", "The larger of x and 0."),
    "ReLU6": Row("relu6", "x held between 0 and 6."),
    "LeakyReLU": Row("leaky_relu", "x, or negative_slope · x below 0.", {"negative_slope": ("alpha", 0.01)}),
    "ELU": Row("elu", "x, or alpha · (e^x - 1) below 0.", {"alpha": ("alpha", 1.0)}),
    "GELU": Row(
        "gelu", "x · Φ(x); approximate is none or tanh.", {"approximate": ("mode", "none")},
        {"approximate": {"none": "EXACT", "tanh": "TANH_APPROXIMATION"}},
    ),
    "SiLU": Row("silu", "x · sigmoid(x)."),
    "Sigmoid": Row("sigmoid", "1 / (1 + e^-x)."),
    "Hardsigmoid": Row("sigmoid_hard", "x / 6 + 1/2 held between 0 and 1.", constants={"alpha": 1 / 6, "beta": 0.5}),
    "Tanh": Row("tanh", "The hyperbolic tangent."),
    "Hardtanh": Row("clip", "x held in a range.", {"min_val": ("alpha", -1.0), "max_val": ("beta", 1.0)}),
    "Softplus": Row("softplus", "ln(1 + e^x)."),
    "Softsign": Row("softsign", "x / (1 + |x|)."),
    "Softmax": Row("softmax", "e^x over the sum of e^x along the dimension.", {"dim": ("axis", -1)}),
}  # fmt: skip


class Activation(Module):
    """A function of each element; its row says which one."""

    row: Row

    def __init__(self, *values: Any, **named: Any) -> None:
        options = self.row.options
        if len(values) > len(options) or not named.keys() <= options.keys() - set(list(options)[: len(values)]):
            takes = ", ".join(options) or "nothing"
            raise InvalidArgumentError(f"{type(self).__name__} takes {takes}; given are {[*values, *named]}.")
        chosen = {name: default for name, (_, default) in options.items()} | dict(zip(options, values)) | named
        self._options = chosen
        self._constants = self.row.constants | {options[name][0]: self.said(name, chosen[name]) for name in chosen}

    def said(self, name: str, value: Any) -> Any:
        """An option's value as the op says it."""
        known = self.row.values.get(name)
        if known is None:
            return value
        if value not in known:
            raise InvalidArgumentError(f"{name} is {value!r}; it must be one of {', '.join(map(repr, known))}.")
        return known[value]

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = call(self.row.op, {"x": x}, **self._constants)
        return result

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self._options.items())


def made(name: str) -> type[Activation]:
    """The class of a row."""
    row = ROWS[name]
    return type(name, (Activation,), {"row": row, "__doc__": row.words, "__module__": __name__})


ACTIVATIONS: dict[str, type[Activation]] = {name: made(name) for name in ROWS}
ReLU, ReLU6, LeakyReLU, ELU = (ACTIVATIONS[name] for name in ("ReLU", "ReLU6", "LeakyReLU", "ELU"))
GELU, SiLU, Sigmoid, Hardsigmoid = (ACTIVATIONS[name] for name in ("GELU", "SiLU", "Sigmoid", "Hardsigmoid"))
Tanh, Hardtanh, Softplus = (ACTIVATIONS[name] for name in ("Tanh", "Hardtanh", "Softplus"))
Softsign, Softmax = ACTIVATIONS["Softsign"], ACTIVATIONS["Softmax"]
