"""What a model remembers from one prediction to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from numpy.typing import ArrayLike, NDArray

import martlet
from martlet._native import check, ffi, lib, own
from martlet.errors import InvalidArgumentError, WrongTypeError
from martlet.ports import Port, as_input

__all__ = ["State"]


class State:
    """What a model remembers from one prediction to the next, by name, such as the keys and values of a language model.

    `Model.make_state` makes one, full of zeros. Each prediction that is given it changes it. It belongs to one
    prediction at a time: using it in two at once raises `InvalidArgumentError`, and nothing is mixed up.

        state = model.make_state()
        for token in prompt:
            scores = model.predict({"token": token}, state=state)["scores"]
        state["keys"]  # an array of what it holds now
    """

    def __init__(self, model: martlet.Model) -> None:
        out = ffi.new("mlt_state **")
        check(lib.mlt_state_make(out, model._executable))
        self._handle = own(out[0])
        self._model = model

    @property
    def ports(self) -> list[Port]:
        """Name, dtype and shape of each state."""
        return self._model.states

    def __getitem__(self, name: str) -> NDArray[Any]:
        """What the state of a name holds now: a read-only array that later predictions do not change."""
        port = self._port(name)
        out = ffi.new("mlt_tensor **")
        check(lib.mlt_state_get(out, self._handle, port.name.encode()))
        return self._model._outlet(port).array(out[0], [])

    def __setitem__(self, name: str, value: ArrayLike) -> None:
        """Replaces what the state of a name holds by a copy of the value, converted as inputs are."""
        port = self._port(name)
        array = as_input(port, value)
        shape = ffi.new("int64_t[]", array.shape or 1)
        out = ffi.new("mlt_tensor **")
        data = ffi.from_buffer(array)
        check(lib.mlt_tensor_copy(out, port.code, array.ndim, shape, data, array.nbytes))
        check(lib.mlt_state_set(self._handle, port.name.encode(), own(out[0])))

    def update(self, values: Mapping[str, ArrayLike]) -> None:
        """Replaces what several states hold."""
        for name, value in values.items():
            self[name] = value

    def copy(self) -> State:
        """Another state of the same model that holds the same now."""
        result = State(self._model)
        for name in self:
            result[name] = self[name]
        return result

    def keys(self) -> list[str]:
        """The names of the states."""
        return [port.name for port in self.ports]

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, name: object) -> bool:
        return name in self.keys()

    def __len__(self) -> int:
        return len(self.ports)

    def __repr__(self) -> str:
        states = ", ".join(f"{port.name} {port.dtype} {port.shape_text}" for port in self.ports)
        return f"<State of {self._model.function}: {states or 'nothing'}>"

    def _port(self, name: str) -> Port:
        for port in self.ports:
            if port.name == name:
                return port
        listed = ", ".join(repr(each) for each in self) or "none"
        raise InvalidArgumentError(f"There is no state {name!r}; there are {listed}.")


def state_handle(state: State) -> Any:
    """The library's handle of a state."""
    if not isinstance(state, State):
        raise WrongTypeError(
            f"The state is a {type(state).__name__}; it must be a State, which Model.make_state makes."
        )
    return state._handle
