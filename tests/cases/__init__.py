"""One list of cases for every device: programs in MIL text, inputs, and the outputs they must give.

Each module beside this file has a list `CASES` for one family of ops. Expected values come from NumPy in float64 or
from published tables, never from Martlet. A case of one op is one line:

    one("softmax", softmax, x=normal(2, 3), axis=-1)

Arrays are inputs, `constant(array)` is a constant, everything else is a literal; the function gets the same arguments,
with floats as float64, and answers what is expected. `program` takes several statements instead of one op. Both give
a case in fp32 and one in fp16 where there are floats: the fp16 one expects what follows from the rounded inputs.
`dtypes` may name others, such as fp64; complex numbers follow, those of fp64 being complex128.
"""

from __future__ import annotations

import builtins
import importlib
import math
import pkgutil
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Case", "all_cases", "constant", "erf", "normal", "one", "positive", "program", "samples", "whole"]

MIL_NAMES = {"float16": "fp16", "float32": "fp32", "float64": "fp64"}
FLOATS = {"fp32": np.float32, "fp16": np.float16, "fp64": np.float64}
COMPLEX = {np.float16: np.complex64, np.float32: np.complex64, np.float64: np.complex128}
SETTINGS = ("tolerance", "half", "double", "dtypes", "devices", "core_ml")


@dataclass(frozen=True)
class Case:
    """A program with its inputs and expected outputs.

    Finite floats may differ from the expected ones by `tolerance`, absolute below 1 and relative above; integers,
    booleans, infinities and NaN must be equal. `devices` None means all. `core_ml` is false for what Martlet takes and
    Core ML does not.
    """

    name: str
    text: str
    inputs: dict[str, np.ndarray]
    expected: dict[str, np.ndarray]
    tolerance: float
    devices: tuple[str, ...] | None = None
    core_ml: bool = True

    @property
    def ops(self) -> set[str]:
        """The names of the ops in the program."""
        return set(re.findall(r"= (\w+)\(", self.text)) - {"const"}

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Constant:
    """An array that is a constant of the program."""

    array: np.ndarray


def constant(array: Any) -> Constant:
    """An array as a constant of the program instead of an input; float64 stands for the floats of the case."""
    array = np.asarray(array)
    return Constant(array.astype(np.float32) if array.dtype == np.float64 else array)


def all_cases() -> list[Case]:
    """The cases of all modules of this package; their names are unique."""
    found: dict[str, Case] = {}
    for module in pkgutil.iter_modules(__path__):
        for case in importlib.import_module(f"{__name__}.{module.name}").CASES:
            if case.name in found:
                raise ValueError(f"two cases are named {case.name}: give one of them a label")
            found[case.name] = case
    return list(found.values())


# Values


def normal(*shape: int, seed: int = 0, scale: float = 1) -> np.ndarray:
    """Normally distributed float32, the same at every call."""
    return np.asarray(np.random.default_rng([seed, *shape]).standard_normal(shape) * scale, np.float32)


def positive(*shape: int, seed: int = 0, low: float = 0.1, high: float = 2) -> np.ndarray:
    """float32 between two bounds."""
    return np.asarray(np.random.default_rng([seed, *shape]).uniform(low, high, shape), np.float32)


def whole(*shape: int, seed: int = 0, low: int = -9, high: int = 9) -> np.ndarray:
    """int32 between two bounds, both included."""
    return np.asarray(np.random.default_rng([seed, *shape]).integers(low, high + 1, shape), np.int32)


INTEGERS = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))


def samples(*shape: int, kinds: str = "biufc", seed: int = 0) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
    """An array of each element type besides fp32 and fp16, with the settings that run it.

    `kinds` are NumPy's: b booleans, i and u integers, f fp64, c complex numbers. Integers cover the whole range of
    their type, so that sums and products overflow.
    """
    numbers = np.random.default_rng([seed, *shape])
    if "b" in kinds:
        yield numbers.integers(0, 2, shape).astype(bool), {}
    for name in INTEGERS:
        kind = np.dtype(name)
        if kind.kind in kinds:
            yield numbers.integers(np.iinfo(kind).min, np.iinfo(kind).max, shape, kind, endpoint=True), {}
    if "f" in kinds:
        yield numbers.standard_normal(shape), {"dtypes": ("fp64",)}
    if "c" in kinds:
        parts = numbers.standard_normal((2, *shape))
        yield parts[0] + 1j * parts[1], {"dtypes": ("fp32", "fp64")}


def erf(x: np.ndarray) -> np.ndarray:
    """The error function, which NumPy lacks."""
    return np.vectorize(math.erf, otypes=[np.float64])(x)


# Programs


def one(op: str, reference: Callable[..., Any], /, label: str = "", outputs: int = 1, **arguments: Any) -> list[Case]:
    """Cases of one op; `program` has the keywords for tolerances, dtypes and devices."""
    settings = {each: arguments.pop(each) for each in SETTINGS if each in arguments}
    values: dict[str, np.ndarray | Constant] = {}
    groups: dict[str, list[str]] = {}  # parameters that take a list of values
    literals: dict[str, Any] = {}
    words = []
    for name, value in arguments.items():
        if is_array(value):
            values[name] = value
            words.append(f"{name} = {name}")
        elif isinstance(value, list) and value and is_array(value[0]):
            groups[name] = [f"{name}_{index}" for index in range(len(value))]
            values.update(zip(groups[name], value, strict=True))
            words.append(f"{name} = ({', '.join(groups[name])})")
        else:
            literals[name] = value
            words.append(f"{name} = {literal(value)}")

    def expected(float_type: type[np.floating], **arrays: Any) -> Any:
        given = {name: float(float_type(v)) if isinstance(v, float) else v for name, v in literals.items()}
        given |= {name: [arrays.pop(part) for part in parts] for name, parts in groups.items()}
        given |= arrays
        if isinstance(reference, np.ufunc):  # its operands have no names
            return reference(*(given[name] for name in arguments))
        return reference(**given)

    results = ("result",) if outputs == 1 else tuple(f"result_{index}" for index in range(outputs))
    body = f"{', '.join(results)} = {op}({', '.join(words)});"
    return build(op, label or "-".join(shortened(arguments)), body, expected, results, values, **settings)


def program(
    name: str, body: str, reference: Callable[..., Any], /, outputs: tuple[str, ...] = ("y",), **arguments: Any
) -> list[Case]:
    """Cases of several statements; `reference` gets the arrays and answers one array for each of `outputs`.

    Keywords besides the arrays: `tolerance`, `half` and `double`, those of fp32, fp16 and fp64; `dtypes`, by default
    fp32 and fp16 where there are floats; `devices` and `core_ml` as in `Case`.
    """
    settings = {each: arguments.pop(each) for each in SETTINGS if each in arguments}
    return build(name, "", body, lambda _, **arrays: reference(**arrays), outputs, arguments, **settings)


def build(
    name: str,
    label: str,
    body: str,
    expected: Callable[..., Any],
    outputs: tuple[str, ...],
    values: dict[str, Any],
    tolerance: float = 1e-5,
    half: float = 2e-3,
    double: float = 1e-13,
    dtypes: tuple[str, ...] | None = None,
    devices: tuple[str, ...] | None = None,
    core_ml: bool = True,
) -> list[Case]:
    """A case for each dtype that floats shall have."""
    arrays = {key: value.array if isinstance(value, Constant) else value for key, value in values.items()}
    inputs = [key for key, value in values.items() if not isinstance(value, Constant)]
    has_floats = any(array.dtype.kind in "fc" for array in arrays.values())
    tolerances = {"fp32": tolerance, "fp16": half, "fp64": double}
    cases = []
    for dtype in dtypes or (("fp32", "fp16") if has_floats else ("fp32",)):
        float_type = FLOATS[dtype]
        given = {key: as_floats(array, float_type) for key, array in arrays.items()}
        with np.errstate(all="ignore"):
            answer = expected(float_type, **{key: as_floats(array, np.float64) for key, array in given.items()})
            answers = map(np.asarray, answer if isinstance(answer, (tuple, list)) else (answer,))
            # float64 and complex128 stand for the floats of the case; other types are meant.
            results = [
                as_floats(each, float_type) if each.dtype in (np.float64, np.complex128) else each for each in answers
            ]
        cases.append(
            Case(
                "-".join(part for part in (name, label, dtype if has_floats else "") if part),
                written(body, given, inputs, outputs),
                {key: given[key] for key in inputs},
                dict(zip(outputs, results, strict=True)),
                tolerances[dtype],
                devices,
                core_ml,
            )
        )
    return cases


def as_floats(array: np.ndarray, dtype: type[np.floating]) -> np.ndarray:
    """The array with another type of floats, if it has floats or complex numbers."""
    if array.dtype.kind == "c":
        return array.astype(COMPLEX[dtype])
    return array.astype(dtype) if array.dtype.kind == "f" else array


def written(body: str, arrays: dict[str, np.ndarray], inputs: list[str], outputs: tuple[str, ...]) -> str:
    """The text of a program; arrays that are no inputs are constants."""
    declared = ", ".join(f"{mil_type(arrays[key])} {key}" for key in inputs)
    lines = [
        f"{key} = const()[val = {mil_type(array)}({literal(array)})];"
        for key, array in arrays.items()
        if key not in inputs
    ]
    lines += [line.strip() for line in body.strip().splitlines()]
    statements = "".join(f"    {line}\n" for line in lines)
    return f"program(1.3) {{ func main<ios18>({declared}) {{\n{statements}}} -> ({', '.join(outputs)}); }}\n"


def mil_type(array: np.ndarray) -> str:
    return f"tensor<{MIL_NAMES.get(array.dtype.name, array.dtype.name)}, {list(array.shape)}>"


def literal(value: Any) -> str:
    """A value as MIL writes it."""
    if isinstance(value, np.ndarray):
        return literal(value.ravel().tolist() if value.ndim else value.item())
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, builtins.complex):  # `complex` is a module of this package
        return f"({value.real!r}, {value.imag!r})"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, Constant))


def shortened(arguments: dict[str, Any]) -> Iterator[str]:
    """The shapes of the arrays and the literals, for a name."""
    for name, value in arguments.items():
        parts = value if isinstance(value, list) and value and is_array(value[0]) else [value]
        for part in parts:
            if is_array(part):
                array = part.array if isinstance(part, Constant) else part
                kind = "" if array.dtype.kind == "f" else array.dtype.name + "_"
                yield kind + ("x".join(map(str, array.shape)) or "scalar")
            else:
                yield f"{name}={','.join(map(str, part)) if isinstance(part, (list, tuple)) else part}"
