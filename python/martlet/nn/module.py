"""What all layers are: modules, which hold tensors and other modules under the names of their attributes."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from martlet import _call
from martlet.errors import InvalidArgumentError, MalformedError, NotFoundError, UnsupportedError
from martlet.tensor import Tensor

__all__ = ["LoadedKeys", "Module", "Sequential"]

Self = TypeVar("Self", bound="Module")


class LoadedKeys(NamedTuple):
    """What `load_state_dict` found to differ: names the module has alone, and names the dictionary has alone."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class ForwardSignature:
    """A module is called as its `forward` is: for tools that ask, tracing among them."""

    def __get__(self, module: Module | None, owner: type) -> inspect.Signature | None:
        return None if module is None else inspect.signature(module.forward)


class Module:
    """A layer or a network: a formula, `forward`, over tensors that are its attributes.

    A tensor assigned to an attribute is a parameter; one given to `register_buffer` is kept with the parameters and is
    none of them; a module assigned to an attribute is a child.

        class Block(nn.Module):
            def __init__(self, width):
                self.linear = nn.Linear(width, width)

            def forward(self, x):
                return x + self.linear(x).relu()
    """

    training: bool = True
    """Whether layers behave as in training: dropout drops, batch normalization takes the statistics of its batch."""
    _buffer_names: frozenset[str] = frozenset()
    __signature__ = ForwardSignature()

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """What the module computes."""
        raise UnsupportedError(f"{type(self).__name__} has no forward.")

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        return self.forward(*inputs, **named)

    def register_buffer(self, name: str, tensor: Tensor) -> None:
        """Keeps a tensor that belongs to the state and is no parameter, such as a running mean."""
        self._buffer_names = self._buffer_names | {name}
        setattr(self, name, tensor)

    # What it holds

    def _own(self, is_wanted: Callable[[str], bool]) -> Iterator[tuple[str, Tensor]]:
        return ((name, each) for name, each in vars(self).items() if isinstance(each, Tensor) and is_wanted(name))

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules that are attributes of this one, by name."""
        return ((name, each) for name, each in vars(self).items() if isinstance(each, Module))

    def children(self) -> Iterator[Module]:
        """The modules that are attributes of this one."""
        return (each for _, each in self.named_children())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module, all within it, and their paths: `encoder.0.linear`."""
        yield prefix, self
        for name, child in self.named_children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def modules(self) -> Iterator[Module]:
        """This module and all within it."""
        return (each for _, each in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Every parameter by its path: `encoder.0.linear.weight`."""
        for path, module in self.named_modules():
            for name, tensor in module._own(lambda name, module=module: name not in module._buffer_names):  # type: ignore[misc]
                yield (f"{path}.{name}" if path else name), tensor

    def parameters(self) -> Iterator[Tensor]:
        """Every parameter."""
        return (each for _, each in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Every buffer by its path."""
        for path, module in self.named_modules():
            for name, tensor in module._own(module._buffer_names.__contains__):
                yield (f"{path}.{name}" if path else name), tensor

    def buffers(self) -> Iterator[Tensor]:
        """Every buffer."""
        return (each for _, each in self.named_buffers())

    # Training or not

    def train(self: Self, mode: bool = True) -> Self:
        """Has this module and all within it behave as in training."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: Self) -> Self:
        """Has this module and all within it behave as in use."""
        return self.train(False)

    # State

    def state_dict(self) -> dict[str, Tensor]:
        """Parameters and buffers by path, in torch's order."""
        state: dict[str, Tensor] = {}
        for path, module in self.named_modules():
            names = [name for name, _ in module._own(lambda _: True)]
            for name in sorted(names, key=module._buffer_names.__contains__):
                state[f"{path}.{name}" if path else name] = vars(module)[name]
        return state

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> LoadedKeys:
        """Takes over parameters and buffers. Nothing changes where something does not fit.

        Args:
            state: Tensors, arrays or torch's tensors by path; each takes the element type that the module has.
            strict: Every name of the module must be there, and no other.

        Returns:
            The names that are missing and those that are unexpected, both empty where `strict`.

        Raises:
            InvalidArgumentError: Names are missing or unexpected, or shapes differ; the message lists all of them.
        """
        own = self.state_dict()
        found = LoadedKeys([name for name in own if name not in state], [name for name in state if name not in own])
        given = {name: as_array(state[name]) for name in own if name in state}
        differing = [
            f"{name}: {list(array.shape)}, where it is {list(own[name].shape)}"
            for name, array in given.items()
            if array.shape != own[name].shape
        ]
        faults = [("of other shapes", differing)]
        if strict:
            faults += [("missing", found.missing_keys), ("unexpected", found.unexpected_keys)]
        said = [f"{what}: {', '.join(names)}" for what, names in faults if names]
        if said:
            raise InvalidArgumentError(f"The state does not fit {type(self).__name__}; {'; '.join(said)}.")
        modules = dict(self.named_modules())
        for name, array in given.items():
            path, _, attribute = name.rpartition(".")
            setattr(modules[path], attribute, Tensor(array, dtype=own[name].dtype))
        return found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the state to a safetensors file.

        Raises:
            NotFoundError: There is no such folder.
        """
        from safetensors.numpy import save_file

        arrays = {
            name: np.ascontiguousarray(each.numpy()).reshape(each.shape) for name, each in self.state_dict().items()
        }
        try:
            save_file(arrays, os.fspath(path))
        except Exception as error:
            if not os.path.isdir(os.path.dirname(os.path.abspath(path))):
                raise NotFoundError(f"There is no folder for {os.fspath(path)!r}.") from error
            raise

    def load(self: Self, path: str | os.PathLike[str], strict: bool = True) -> Self:
        """Reads the state from a safetensors file.

        Raises:
            NotFoundError: There is no such file.
            MalformedError: It is no safetensors file.
            InvalidArgumentError: It does not fit this module; the message lists what differs.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        if not os.path.isfile(path):
            raise NotFoundError(f"There is no file {os.fspath(path)!r}.")
        try:
            state = load_file(os.fspath(path))
        except SafetensorError as error:
            raise MalformedError(f"{os.fspath(path)!r} is no safetensors file: {error}.") from error
        self.load_state_dict(state, strict)
        return self

    # For people

    def extra_repr(self) -> str:
        """What stands in the brackets after the module's name."""
        return ""

    def __repr__(self) -> str:
        lines = [f"({name}): {child!r}".replace("\n", "\n  ") for name, child in self.named_children()]
        if not lines:
            return f"{type(self).__name__}({self.extra_repr()})"
        return "\n  ".join([f"{type(self).__name__}({self.extra_repr()}", *lines]) + "\n)"

    # For layers

    def _derived(self, key: Hashable, sources: Sequence[Tensor], make: Callable[[], Any]) -> Any:
        """What follows from parameters, made again only when one of them is another."""
        kept: dict[Hashable, Any] = self.__dict__.setdefault("_kept_results", {})
        mark = tuple(_call.key_of(each) for each in sources)
        if key not in kept or kept[key][0] != mark:
            # The sources stay, so that their marks never stand for others.
            kept[key] = (mark, list(sources), make())
        return kept[key][2]

    def _weighted(
        self, op: str, inputs: Mapping[str, Tensor], weights: Mapping[str, Tensor | None], **constants: Any
    ) -> Any:
        """One op with weights as constants of it: a device packs them once, and they go when the module goes."""
        bound = {name: each for name, each in weights.items() if each is not None}

        def make() -> Any:
            return _call.make(op, tuple(inputs), [*bound.items(), *constants.items()])

        handle = self._derived((op, *inputs, *constants.items()), list(bound.values()), make)
        return _call.run(handle, [_call.tensor_of(each) for each in inputs.values()])

    def __getstate__(self) -> dict[str, Any]:
        return {name: each for name, each in vars(self).items() if name != "_kept_results"}


class Sequential(Module):
    """Modules one after the other, named 0, 1, 2, …; or under the names of a dictionary."""

    def __init__(self, *modules: Any) -> None:
        named = modules[0] if len(modules) == 1 and isinstance(modules[0], Mapping) else dict(enumerate(modules))
        for name, module in named.items():
            if not isinstance(module, Module):
                raise InvalidArgumentError(f"Sequential takes modules; {module!r} is a {type(module).__name__}.")
            setattr(self, str(name), module)

    def forward(self, x: Any) -> Any:
        for module in self.children():
            x = module(x)
        return x

    def __len__(self) -> int:
        return len(list(self.children()))

    def __iter__(self) -> Iterator[Module]:
        return self.children()

    def __getitem__(self, index: int) -> Module:
        return list(self.children())[index]


def as_array(value: Any) -> NDArray[Any]:
    """A tensor of ours, NumPy's or torch's as an array."""
    if isinstance(value, Tensor):
        return value.numpy()
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if "bfloat16" in str(value.dtype):  # NumPy has none
            value = value.float()
        return np.asarray(value.numpy())
    return np.asarray(value)
