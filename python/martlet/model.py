"""Models: load a file, look at it, run it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from martlet._native import answer, check, ffi, lib, own, release, text, thread_count
from martlet._printable import printable
from martlet.errors import InvalidArgumentError, WrongTypeError
from martlet.plan import Plan
from martlet.ports import ARRAY_KINDS, Image, Port, as_input, element_type
from martlet.state import State, state_handle
from martlet.tables import html_table

__all__ = ["Model", "load", "parse"]

# Looked up once: together they are what a prediction costs in Python.
new, from_buffer, wrap = ffi.new, ffi.from_buffer, lib.mlt_tensor_wrap
TENSORS, VIEW = ffi.typeof("mlt_tensor *[]"), ffi.typeof("mlt_view *")


def load(
    path: str | os.PathLike[str],
    device: str | None = None,
    function: str | None = None,
    *,
    links: str = "follow",
    threads: int = 0,
) -> Model:
    """Loads a Core ML package and compiles it.

    Weights are used where the file is mapped: a package must not be cut while its model is in use.

    Args:
        path: An `.mlpackage`.
        device: A name out of `martlet.devices()`; by default the one that the selector chooses, as for eager calls.
        function: Which function of the model; by default the one the model names.
        links: What symbolic links in the package mean. `follow` reads what they lead to, if that is a regular file, as
            in the cache of Hugging Face. `refuse` raises: for programs that load packages of strangers, whose links
            could name any file that the program may read.
        threads: At most so many threads for a prediction on the CPU, 1 to 256; 0 leaves it to `set_num_threads`.

    Raises:
        NotFoundError: There is nothing at `path`.
        MalformedError: It is not a Core ML package, or a broken one, or it has a link and links are refused.
        UnsupportedError: It has ops that the device cannot run; the message names all of them.
        InvalidArgumentError: No such device or function, `links` is neither `follow` nor `refuse`, or `threads` is not
            one of 0 to 256.
        WrongTypeError: `threads` is not an integer.
    """
    return Model(read(path, links), device, function, threads=threads)


def parse(text: str, device: str | None = None, function: str | None = None, *, threads: int = 0) -> Model:
    """Makes a model of a program in MIL, Core ML's own language, and compiles it: the text that `Model.text` gives.

    Args:
        text: `program(1.3) { func main<ios18>(tensor<fp32, [4]> x) { y = relu(x = x); } -> (y); }`, for one.
        device: A name out of `martlet.devices()`; by default the one that the selector chooses, as for eager calls.
        function: Which function of the program; by default the one it names, else `main`.
        threads: As for `load`.

    Raises:
        MalformedError: The text is no program; the message names line and column.
        UnsupportedError: It has ops that the device cannot run; the message names all of them.
        InvalidArgumentError: No such device or function, or `threads` is not one of 0 to 256.
    """
    out = ffi.new("mlt_model **")
    check(lib.mlt_model_parse(out, encoded(text, "text")))
    return Model(own(out[0]), device, function, threads=threads)


LINKS = {"follow": lib.MLT_LINKS_FOLLOW, "refuse": lib.MLT_LINKS_REFUSE}


def read(path: str | os.PathLike[str], links: str = "follow") -> Any:
    """The handle of a model that is not compiled."""
    if links not in LINKS:
        raise InvalidArgumentError(f"links is {links!r}; it must be 'follow' or 'refuse'.")
    out = ffi.new("mlt_model **")
    check(lib.mlt_model_load_with(out, encoded(path, "path"), LINKS[links]))
    return own(out[0])


class Model:
    """A model that is ready to run; any number of threads may use one at once.

    `martlet.load` and `martlet.parse` make them.
    """

    inputs: list[Port]
    """What goes in: name, dtype, shape, kind and description of each."""
    outputs: list[Port]
    """What comes out."""
    states: list[Port]
    """What the model remembers from one prediction to the next; nearly always nothing."""
    metadata: dict[str, Any]
    """`author`, `license`, `short_description`, `version` and `user_defined`, as the file has them."""
    device: str
    """The device it was compiled for."""
    function: str
    """The function it runs."""

    def __init__(
        self,
        handle: Any,
        device: str | None = None,
        function: str | None = None,
        *,
        threads: int = 0,
        backend: Any = None,
    ) -> None:
        self._model = handle
        self._asked, self._threads, self._backend = device, thread_count(threads), backend
        self._info: dict[str, Any] = answer(lib.mlt_model_info, handle)
        out = ffi.new("mlt_executable **")
        if backend is None:
            names = name_or_null(device, "device"), name_or_null(function, "function")
            check(lib.mlt_compile_with(out, handle, *names, self._threads))
        else:
            check(lib.mlt_backend_compile(out, backend, handle, name_or_null(function, "function")))
        self._executable = own(out[0])
        compiled = answer(lib.mlt_executable_info, self._executable)
        self.device = compiled["device"]
        self.function = compiled["function"]
        self.metadata = self._info["metadata"]
        declared = next(each for each in self._info["functions"] if each["name"] == self.function)
        self.inputs = [port(each, declared["inputs"]) for each in compiled["inputs"]]
        self.outputs = [port(each, declared["outputs"]) for each in compiled["outputs"]]
        self.states = [port(each, declared["states"]) for each in compiled["states"]]
        self._slots = [Slot(each) for each in self.inputs]
        self._outlets = [Outlet(each) for each in self.outputs]
        self._converted = [each for each in self.outputs if each.kind not in ARRAY_KINDS]

    @overload
    def predict(
        self, inputs: Mapping[str, ArrayLike], state: State | None = None, *, raw: Literal[True]
    ) -> dict[str, NDArray[Any]]: ...

    @overload
    def predict(
        self, inputs: Mapping[str, ArrayLike], state: State | None = None, *, raw: bool = False
    ) -> dict[str, Any]: ...

    def predict(
        self, inputs: Mapping[str, ArrayLike], state: State | None = None, *, raw: bool = False
    ) -> dict[str, Any]:
        """Runs the model once.

        Args:
            inputs: A value by name for every input that is not optional: whatever NumPy takes as an array; for image
                inputs also PIL images and uint8 arrays [height, width, channels] of the model's size. Values are
                converted to the declared dtype if nothing is lost but precision. Arrays that fit are used where they
                are, without a copy.
            state: What the model remembers, from `make_state`, which this prediction changes; a model without states
                needs none.
            raw: Give the outputs of classifiers as arrays, too: the label as one element, the probabilities in the
                order of the port's `labels`.

        Returns:
            The outputs by name: arrays, and for classifiers what Core ML gives, the label as a str or int, and a
            dictionary from label to probability. Arrays are read-only, since they show the library's own memory;
            `.copy()` gives one to write to.

        Raises:
            InvalidArgumentError: An input is missing, is not one of the model's, or has a shape it does not allow. The
                model has states and none is given, or the state is in use by another prediction.
            WrongTypeError: An input's values do not fit the declared dtype, or `inputs` is no dictionary.
        """
        found = self._run(self._accept(inputs), None if state is None else state_handle(state))
        return found if raw else self._features(found)

    def _features(self, found: dict[str, Any]) -> dict[str, Any]:
        """Arrays by name as what the ports say they are."""
        for port in self._converted:
            found[port.name] = port.feature(found[port.name])
        return found

    def predict_batch(self, inputs: Iterable[Mapping[str, ArrayLike]], *, raw: bool = False) -> list[dict[str, Any]]:
        """Runs the model once for each of several dictionaries of inputs, in one call.

        Args:
            inputs: Dictionaries as `predict` takes them; with flexible shapes, each may have its own.
            raw: As for `predict`.

        Returns:
            As many dictionaries as `predict` gives, in the same order, with the same values.

        Raises:
            InvalidArgumentError: As from `predict`; the message names the element. The model has states: those make
                each prediction depend on the one before.
        """
        batch = []
        for index, each in enumerate(inputs):
            try:
                batch.append(self._accept(each))
            except (InvalidArgumentError, WrongTypeError) as error:
                raise type(error)(f"Element {index}: {error}") from error
        width, height = len(self._slots), len(self._outlets)
        tensors = new(TENSORS, len(batch) * width)
        results = new(TENSORS, len(batch) * height)
        try:
            spans = [self._wrap(arrays, tensors, index * width) for index, arrays in enumerate(batch)]
            check(lib.mlt_run_batch(results, height, self._executable, tensors, width, len(batch)))
        finally:
            release_all(tensors)
        found = [self._named(results[index * height : (index + 1) * height], each) for index, each in enumerate(spans)]
        return found if raw else [self._features(each) for each in found]

    async def predict_async(
        self, inputs: Mapping[str, ArrayLike], state: State | None = None, *, raw: bool = False
    ) -> dict[str, Any]:
        """`predict` on another thread, so that an event loop goes on meanwhile: `await model.predict_async(inputs)`.

        Any number of calls may be under way, each with its own state where the model has states. The inputs are held
        until the prediction is over and must not change before. A call that is cancelled gives no result; if it had
        begun it is finished on its thread, and its state is in use until then.
        """
        import asyncio

        return await asyncio.to_thread(self.predict, inputs, state, raw=raw)

    def make_state(self, values: Mapping[str, ArrayLike] | None = None) -> State:
        """A new place for what the model remembers, to be given to each `predict`: zeros, or the values given."""
        state = State(self)
        state.update(values or {})
        return state

    @property
    def functions(self) -> list[str]:
        """The names of all functions of the model."""
        return [each["name"] for each in self._info["functions"]]

    def select(self, function: str, device: str | None = None) -> Model:
        """Another function of the same model, compiled for the same device unless one is named. Weights are shared."""
        return Model(self._model, device or self._asked, function, threads=self._threads, backend=self._backend)

    def _accept(self, inputs: Mapping[str, ArrayLike]) -> list[NDArray[Any] | None]:
        """The inputs as the library reads them, in its order."""
        slots = self._slots
        given: list[Any] | None = None
        try:
            if len(inputs) == len(slots):
                given = [inputs[slot.name] for slot in slots]
        except (KeyError, IndexError, TypeError):
            pass
        if given is None:
            self._check_names(inputs)
            given = [inputs.get(slot.name) for slot in slots]
        return [slot.accept(value) for slot, value in zip(slots, given, strict=True)]

    def __call__(self, /, **inputs: ArrayLike) -> dict[str, Any]:
        """`predict`, with the inputs as keyword arguments: `model(x=array)`."""
        return self.predict(inputs)

    def plan(self) -> Plan:
        """Every step with its kernel and the reason for it."""
        return Plan.from_answer(answer(lib.mlt_plan, self._executable))

    def text(self) -> str:
        """The program in MIL, Core ML's own language."""
        return text(lib.mlt_model_text, self._model)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the model as an `.mlpackage`, in place of one that is there already.

        Raises:
            InvalidArgumentError: There is something at `path` that is no model package, or an input or output has a
                name that Core ML does not take, such as `list`, a word of its language.
            UnsupportedError: The model has a type that packages cannot hold, such as a boolean input.
        """
        check(lib.mlt_model_save(self._model, encoded(path, "path")))

    def _run(self, arrays: Sequence[NDArray[Any] | None], state: Any = None) -> dict[str, NDArray[Any]]:
        """Calls the library. It reads the arrays in place, so they stay referenced here until it is done."""
        tensors = new(TENSORS, len(arrays))
        results = new(TENSORS, len(self._outlets))
        try:
            spans = self._wrap(arrays, tensors, 0)
            if state is None:
                check(lib.mlt_run(results, len(results), self._executable, tensors, len(arrays)))
            else:
                check(lib.mlt_run_with_state(results, len(results), self._executable, state, tensors, len(arrays)))
        finally:
            release_all(tensors)
        return self._named(results, spans)

    def _wrap(self, arrays: Sequence[NDArray[Any] | None], tensors: Any, first: int) -> list[tuple[Any, Any]]:
        """Makes tensors over the arrays of one run; returns where their memory begins and ends."""
        spans = []
        for index, (slot, array) in enumerate(zip(self._slots, arrays, strict=True), first):
            if array is None:
                continue  # NULL takes the default of an optional input
            memory = from_buffer(array)
            size = array.nbytes
            status = wrap(tensors + index, slot.code, array.ndim, slot.shape(array), memory, size, ffi.NULL, ffi.NULL)
            if status:
                check(status)
            spans.append((memory, memory + size))
        return spans

    def _named(self, results: Any, spans: list[tuple[Any, Any]]) -> dict[str, NDArray[Any]]:
        """The results of one run by name."""
        return {outlet.name: outlet.array(result, spans) for outlet, result in zip(self._outlets, results, strict=True)}

    def _outlet(self, port: Port) -> Outlet:
        """The way out of what a state holds."""
        return Outlet(port)

    def _check_names(self, inputs: Mapping[str, Any]) -> None:
        """Raises if the names are not the model's."""
        if not isinstance(inputs, Mapping):
            raise WrongTypeError(f"The inputs are a {type(inputs).__name__}; they must be a dictionary by name.")
        names = [each.name for each in self.inputs]
        listed = ", ".join(repr(name) for name in names) or "none"
        for name in inputs:
            if name not in names:
                import difflib

                close = difflib.get_close_matches(str(name), names, n=1)
                hint = f" Did you mean {close[0]!r}?" if close else ""
                raise InvalidArgumentError(f"There is no input {name!r}; there are {listed}.{hint}")
        if missing := [each.name for each in self.inputs if each.name not in inputs and not each.optional]:
            raise InvalidArgumentError(f"The input {missing[0]!r} is missing; there are {listed}.")

    def __repr__(self) -> str:
        sides = (", ".join(f"{each.name} {each.dtype} {each.shape_text}" for each in side) for side in self._sides)
        kept = f"; remembers {', '.join(each.name for each in self.states)}" if self.states else ""
        return printable(f"<Model {self.function} on {self.device}: {' -> '.join(sides)}{kept}>")

    @property
    def _sides(self) -> tuple[list[Port], list[Port]]:
        return self.inputs, self.outputs

    def _repr_html_(self) -> str:
        from html import escape

        rows = [
            (side, each.name, each.kind, each.dtype.name, each.shape_text, each.description)
            for side, ports in zip(("input", "output", "state"), (*self._sides, self.states), strict=True)
            for each in ports
        ]
        title = escape(
            self.metadata.get("short_description") or os.path.basename(self._info.get("path") or "") or "Model"
        )
        head = ("", "name", "kind", "dtype", "shape", "description")
        return f"<p><b>{title}</b>: {escape(self.function)} on {escape(self.device)}</p>{html_table(head, rows)}"


class Slot:
    """One input on the way in. Remembers the last shape, so that a loop over equal shapes checks it once."""

    __slots__ = ("code", "dtype", "name", "port", "seen")

    def __init__(self, declared: Port) -> None:
        self.port = declared
        self.name = declared.name
        self.dtype = declared.dtype
        self.code = declared.code
        self.seen: tuple[tuple[int, ...] | None, Any] = (None, None)

    def accept(self, value: Any) -> NDArray[Any] | None:
        """The value as the library can read it; None where an optional input shall take its default."""
        if (
            type(value) is np.ndarray
            and value.shape == self.seen[0]
            and value.dtype == self.dtype
            and value.flags.c_contiguous
            and value.flags.aligned
        ):
            return value
        if value is None and self.port.optional:
            return None
        return as_input(self.port, value)

    def shape(self, array: NDArray[Any]) -> Any:
        """The shape of an accepted array, for C."""
        known, shape = self.seen
        if known != array.shape:
            shape = ffi.new("int64_t[]", array.shape or 1)
            self.seen = (array.shape, shape)  # one assignment: other threads see the old pair or the new one
        return shape


class Outlet:
    """One output on the way out."""

    __slots__ = ("dtype", "name", "shape")

    def __init__(self, declared: Port) -> None:
        self.name = declared.name
        self.dtype = declared.dtype
        self.shape = None if -1 in declared.shape else declared.shape or (1,)

    def array(self, result: Any, spans: list[tuple[Any, Any]]) -> NDArray[Any]:
        """A result as an array over the library's memory, which keeps the tensor alive.

        A result that is an input seen differently would outlive the input's memory: that one is copied.
        """
        view = new(VIEW)
        check(lib.mlt_tensor_view(view, result))
        data = ffi.gc(view.data, lambda _, release=release: release(result))  # NULL where there are no elements
        shape = self.shape or tuple(ffi.unpack(view.shape, view.rank))
        if view.dtype == lib.MLT_STRING:
            texts = ffi.unpack(ffi.cast("char **", data), view.bytes // ffi.sizeof("char *"))
            return np.array([ffi.string(each).decode() for each in texts]).reshape(shape)
        array = np.ndarray(shape, self.dtype, ffi.buffer(data, view.bytes)) if data else np.empty(shape, self.dtype)
        for start, end in spans:
            if start <= data < end:
                array = array.copy()
        array.setflags(write=False)
        return array


def release_all(tensors: Any) -> None:
    """Ends the handles of an array that are not NULL."""
    for tensor in tensors:
        if tensor:
            lib.mlt_release(tensor)


def encoded(value: str | os.PathLike[str], what: str) -> bytes:
    """A text or path as the C strings of the library, which end at the first NUL."""
    try:
        text = os.fsencode(value) if what == "path" else value.encode()  # type: ignore[union-attr]
    except (AttributeError, TypeError):
        raise WrongTypeError(f"The {what} is a {type(value).__name__}; it must be a str.") from None
    except UnicodeEncodeError:
        raise InvalidArgumentError(f"The {what} has characters that are not Unicode text.") from None
    if b"\0" in text:
        raise InvalidArgumentError(f"The {what} has a NUL character.")
    return text


def name_or_null(value: str | None, what: str) -> Any:
    """An optional name for the library."""
    return ffi.NULL if value is None else encoded(value, what)


def port(compiled: dict[str, Any], declared: list[dict[str, Any]]) -> Port:
    """A port with the type that the compiled function has and the words that the model has."""
    name = compiled["name"]
    words: dict[str, Any] = next((each for each in declared if each["name"] == name), {})
    image = words.get("image")
    return Port(
        name=name,
        dtype=element_type(compiled["dtype"]),
        shape=tuple(compiled["shape"]),
        kind=words.get("kind", "multiArray"),
        description=words.get("description") or "",
        optional=words.get("optional", False),
        flexibility=words.get("flexibility"),
        image=Image(image["width"], image["height"], image["color_space"]) if image else None,
        labels=words.get("labels"),
    )
