"""Tracing: a Python function over tensors becomes a program, which can be run, looked at and saved."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from martlet import _call
from martlet._native import check, ffi, lib, own
from martlet.errors import InvalidArgumentError, WrongTypeError
from martlet.model import Model
from martlet.ports import CODES
from martlet.tensor import Tensor, element_type

__all__ = ["TensorSpec", "trace"]


class TensorSpec:
    """The shape and element type of a traced function's input. Every size must be known: 0 or more.

    Raises:
        InvalidArgumentError: A size is negative.
        WrongTypeError: There are no tensors of the element type.
    """

    def __init__(self, shape: Sequence[int], dtype: Any = np.float32) -> None:
        self.shape = tuple(int(size) for size in shape)
        if min(self.shape, default=0) < 0:
            raise InvalidArgumentError(f"The shape {self.shape} has a size that is not known; a trace needs every one.")
        self.dtype = element_type(dtype)

    @classmethod
    def of(cls, value: Any) -> TensorSpec:
        """The spec of an example: an array, a tensor, or a spec itself."""
        if isinstance(value, TensorSpec):
            return value
        tensor = _call.tensor_of(value)
        return cls(tensor.shape, tensor.dtype)

    def __repr__(self) -> str:
        return f"TensorSpec({self.shape}, {self.dtype})"


def trace(function: Callable[..., Any], *examples: Any, device: str | None = None, **named: Any) -> Model:
    """Makes a model of a Python function by running it once on tensors that have no elements.

    Whatever the function does with tensors becomes operations; tensors from outside become constants; Python's own
    branches and loops are taken as they come. The model can be run, looked at (`text()`, `plan()`) and saved.

    Args:
        function: Takes tensors and answers one, a tuple of them, or a dictionary of them by output name. Tuples, lists
            and dictionaries within those are taken apart: of `y, (h, c)` the outputs are `output_0`, `output_1_0` and
            `output_1_1`, of `{"y": y, "state": (h, c)}` they are `y`, `state_0` and `state_1`.
        examples: A `TensorSpec`, a tensor or an array for each positional parameter.
        device: Where the model runs; by default the selector chooses.
        named: The same for parameters by name.

    Returns:
        The model; its inputs are named after the function's parameters.

    Raises:
        WrongTypeError: The function answers something else than tensors.
        InvalidArgumentError: There is an example too many or too few, or two outputs have one name.
    """
    handle = traced(function, examples, named)
    return Model(handle, device)


def traced(function: Callable[..., Any], examples: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """The handle of the program that a function does."""
    out = ffi.new("mlt_trace **")
    check(lib.mlt_trace_begin(out))
    recorder = own(out[0])
    arguments = {name: symbol(recorder, name, TensorSpec.of(each)) for name, each in bound(function, examples, named)}
    positional, keywords = split(function, arguments)
    results = outputs(function(*positional, **keywords))
    names = [ffi.new("char[]", name.encode()) for name in results]
    model = ffi.new("mlt_model **")
    tensors = ffi.new(_call.TENSORS, [each._handle for each in results.values()])
    check(lib.mlt_trace_end(model, recorder, len(names), ffi.new(_call.NAMES, names), tensors))
    return own(model[0])


def bound(function: Callable[..., Any], examples: Sequence[Any], named: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The examples by parameter name; those of `*arguments` are numbered."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [each.name for each in parameters if each.kind in kinds]
    rest = next((each.name for each in parameters if each.kind == inspect.Parameter.VAR_POSITIONAL), None)
    if len(examples) > len(names) and parameters and rest is None:
        raise InvalidArgumentError(f"The function takes {len(names)} inputs, {names}; {len(examples)} are given.")
    names += [f"{rest or 'x'}_{index}" for index in range(len(names), len(examples))]
    return [*zip(names, examples, strict=False), *named.items()]


def split(function: Callable[..., Any], arguments: dict[str, Tensor]) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Arguments as the function takes them: by position, except those it takes by name only."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return list(arguments.values()), {}
    by_name = {
        name
        for name in arguments
        if name in parameters and parameters[name].kind == inspect.Parameter.KEYWORD_ONLY
    }  # fmt: skip
    return [each for name, each in arguments.items() if name not in by_name], {
        name: arguments[name] for name in by_name
    }


def symbol(recorder: Any, name: str, spec: TensorSpec) -> Tensor:
    """An input of the trace."""
    out = ffi.new("mlt_tensor **")
    check(lib.mlt_trace_input(out, recorder, name.encode(), CODES[spec.dtype.name], len(spec.shape), list(spec.shape)))
    return Tensor._adopt(out[0])


def outputs(result: Any) -> dict[str, Tensor]:
    """What a function answered, by output name."""
    found = list(leaves(result))
    named = dict(found)
    if len(named) < len(found):
        names = [name for name, _ in found]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidArgumentError(f"Two outputs are named {twice!r}; each needs a name of its own.")
    for name, each in found:
        if not isinstance(each, Tensor):
            raise WrongTypeError(f"The output {name!r} is a {type(each).__name__}; it must be a Tensor.")
    return named


def leaves(result: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """What tuples, lists and mappings within each other hold, with names that say the way there: `output_1_0`."""
    if isinstance(result, Mapping):
        for key, each in result.items():
            if not isinstance(key, str):
                raise WrongTypeError(f"An output is named {key!r}; names are texts.")
            yield from leaves(each, f"{path}_{key}" if path else key)
    elif isinstance(result, (tuple, list)):
        for index, each in enumerate(result):
            yield from leaves(each, f"{path or 'output'}_{index}")
    else:
        yield path or "output", result
