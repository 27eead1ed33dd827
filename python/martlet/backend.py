"""`CoreMLBackend`: runs ops, programs and models on Core ML, Metal or the CPU, keeps what was compiled, and counts."""

from __future__ import annotations

import json
import os
import re
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass, field
from functools import wraps
from html import escape
from types import TracebackType
from typing import Any

import numpy as np

from martlet._call import OPS, call, rows
from martlet._native import answer, check, ffi, lib, own
from martlet.errors import InvalidArgumentError, WrongTypeError
from martlet.library import devices
from martlet.model import Model, encoded, read
from martlet.profiling import Profile
from martlet.selector import DescribedDevice
from martlet.tables import html_table
from martlet.tensor import Tensor
from martlet.tracing import traced

__all__ = ["BackendStats", "CoreMLBackend", "CoreMLBackendConfig"]

FALLBACKS = ("allow", "warn", "error")
LARGEST = 2**63 - 1


class CoreMLBackendConfig:
    """What a backend keeps and how it behaves where a device refuses. Change a field at any time: every backend made
    with this configuration follows at once.

    Attributes:
        enable_caching: Whether compiled functions are kept.
        max_cache_size: How many of them at most.
        max_cache_bytes: How many bytes they may have together.
        auto_fallback: Whether another device may take what one refuses; without it, `UnsupportedError` is raised.
        enable_profiling: Whether every run is recorded, see `CoreMLBackend.profile`.
        fallback: `"allow"`; `"warn"`, which also logs each fallback as a warning; or `"error"`, which raises.
    """

    enable_caching: bool
    max_cache_size: int
    max_cache_bytes: int
    auto_fallback: bool
    enable_profiling: bool
    fallback: str

    def __init__(
        self,
        enable_caching: bool = True,
        max_cache_size: int = 1000,
        max_cache_bytes: int = 100 * 2**20,
        auto_fallback: bool = True,
        enable_profiling: bool = False,
        fallback: str = "allow",
    ) -> None:
        object.__setattr__(self, "_backends", weakref.WeakSet())
        self.enable_caching = enable_caching
        self.max_cache_size = max_cache_size
        self.max_cache_bytes = max_cache_bytes
        self.auto_fallback = auto_fallback
        self.enable_profiling = enable_profiling
        self.fallback = fallback

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in CHECKS:
            raise AttributeError(f"a CoreMLBackendConfig has no field {name!r}; it has {', '.join(CHECKS)}")
        value = CHECKS[name](name, value)
        for backend in list(self._backends):  # type: ignore[attr-defined]
            backend._configure({name: value})
        object.__setattr__(self, name, value)

    def to_dict(self) -> dict[str, Any]:
        """Every field by name."""
        return {name: getattr(self, name) for name in CHECKS}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CoreMLBackendConfig) and self.to_dict() == other.to_dict()

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"CoreMLBackendConfig({', '.join(f'{name}={value!r}' for name, value in self.to_dict().items())})"

    def __reduce__(self) -> tuple[Any, ...]:
        return CoreMLBackendConfig, tuple(self.to_dict().values())

    def _repr_html_(self) -> str:
        return html_table(("", ""), self.to_dict().items())


@dataclass(frozen=True)
class BackendStats:
    """What a backend has done since it was made."""

    total_operations: int
    """Runs that gave results: of an op, a program or a model."""
    cache_hits: int
    """Runs whose compiled function was there already."""
    cache_misses: int
    """Runs that had to compile it. Neither number grows while caching is off."""
    fallback_operations: int
    """Runs that at least one device refused before another took them."""
    average_execution_time_ms: float
    cache_entries: int
    """Compiled functions in the cache now."""
    cache_bytes: int
    """Their bytes."""
    fallbacks: dict[str, dict[str, int]] = field(default_factory=dict)
    """How often each device refused, by reason."""

    def cache_hit_rate(self) -> float:
        """Hits by hits and misses, 0 to 1; 0 before the first run."""
        asked = self.cache_hits + self.cache_misses
        return self.cache_hits / asked if asked else 0.0

    def fallback_rate(self) -> float:
        """Runs that fell back by all runs, 0 to 1; 0 before the first run."""
        return self.fallback_operations / self.total_operations if self.total_operations else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, the two rates included."""
        return asdict(self) | {"cache_hit_rate": self.cache_hit_rate(), "fallback_rate": self.fallback_rate()}

    def _repr_html_(self) -> str:
        return html_table(("", ""), self.to_dict().items())


class CoreMLBackend:
    """Runs ops, programs and models on Core ML and, where that refuses, on Metal and the CPU. Any number of threads may
    use one.

        backend = martlet.CoreMLBackend()
        c = backend.run("matmul", x=a, y=b)

    What was compiled is kept by content. Every fallback is counted and named with its reason; where Core ML does not
    exist, that is the reason.

    Args:
        config: How it behaves; its fields may be changed later.
        devices: For tests and trials: devices that the CPU plays, each a `DescribedDevice` or a dictionary of its
            fields, to which `fails` ("compile" or "run"), `latency_ms` and `keeps` may be added.

    Raises:
        WrongTypeError: `config` is no `CoreMLBackendConfig`.
    """

    config: CoreMLBackendConfig

    def __init__(
        self,
        config: CoreMLBackendConfig | None = None,
        *,
        devices: Sequence[DescribedDevice | Mapping[str, Any]] | None = None,
    ) -> None:
        if config is not None and not isinstance(config, CoreMLBackendConfig):
            raise WrongTypeError(f"The config is a {type(config).__name__}; it must be a CoreMLBackendConfig.")
        self.config = config or CoreMLBackendConfig()
        described = {} if devices is None else {"devices": [as_dict(each) for each in devices]}
        out = ffi.new("mlt_backend **")
        check(lib.mlt_backend_make(out, json.dumps(self.config.to_dict() | described).encode()))
        self._backend = own(out[0])
        self._programs: dict[str, Model] = {}
        self._models: weakref.WeakKeyDictionary[Model, Model] = weakref.WeakKeyDictionary()
        self.config._backends.add(self)  # type: ignore[attr-defined]
        weakref.finalize(self, OPS.drop_backend, self._backend).atexit = False

    def is_available(self) -> bool:
        """Whether Core ML can be used on this machine."""
        return self.reason() is None

    def reason(self) -> str | None:
        """Why Core ML cannot be used on this machine; None where it can."""
        found = next((each for each in devices() if each["name"] == "coreml"), None)
        if found is None:
            return "This build of Martlet knows no Core ML."
        return None if found["available"] else found["reason"] or "The device 'coreml' is not available."

    def run(self, what: Any, /, **inputs: Any) -> Any:
        """Runs something once.

        Args:
            what: The name of an op, such as `"matmul"`; a program in MIL; a `Model`; the path of an `.mlpackage`; or a
                Python function over tensors.
            inputs: For an op its parameters by name; otherwise the inputs by name.

        Returns:
            For an op its result, or a tuple where it has several: a `martlet.Tensor` where one was given, else an
            array. For programs and models a dictionary of arrays by output. For a function what it returns.

        Raises:
            UnsupportedError: No device runs it, or the first refuses and there shall be no fallback.
            InvalidArgumentError: There is no such op or input, or shapes that do not fit.
            WrongTypeError: A value is not of a type that it takes.
        """
        if isinstance(what, str):
            if re.fullmatch(r"\s*\w+\s*", what) and not os.path.exists(what):
                return self._run_op(what.strip(), inputs)
            if "{" in what:
                return self._model(what).predict(inputs)
            return self.load(what).predict(inputs)
        if isinstance(what, os.PathLike):
            return self.load(what).predict(inputs)
        if isinstance(what, Model):
            return self._same(what).predict(inputs)
        if callable(what):
            return self._run_function(what, inputs)
        raise WrongTypeError(
            f"A {type(what).__name__} cannot be run; give the name of an op, MIL text, a Model, a path or a function."
        )

    def load(self, path: str | os.PathLike[str], function: str | None = None, *, links: str = "follow") -> Model:
        """Loads an `.mlpackage` and compiles it; every prediction of the model is counted here.

        `links` as for `martlet.load`.

        Raises:
            NotFoundError: There is nothing at `path`.
            MalformedError: It is not a Core ML package, or a broken one.
            UnsupportedError: No device runs it, or the first refuses and there shall be no fallback.
        """
        return Model(read(path, links), function=function, backend=self._backend)

    def get_stats(self) -> BackendStats:
        """What the backend has done since it was made."""
        return BackendStats(**answer(lib.mlt_backend_stats, self._backend))

    def cleanup_cache(self) -> None:
        """Gives up every compiled function in the cache. The counters stay."""
        self._programs.clear()
        self._models.clear()
        OPS.drop_backend(self._backend)
        check(lib.mlt_backend_cleanup(self._backend))

    def profile(self) -> Profile:
        """The runs recorded so far while `config.enable_profiling` was set."""
        out = ffi.new("mlt_recording **")
        check(lib.mlt_backend_profile(out, self._backend))
        return Profile(own(out[0]))

    def __enter__(self) -> CoreMLBackend:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cleanup_cache()

    def __repr__(self) -> str:
        stats = self.get_stats()
        core_ml = "with Core ML" if self.is_available() else "without Core ML"
        return f"<CoreMLBackend {core_ml}: {stats.total_operations} operations, {stats.cache_entries} cached>"

    def _repr_html_(self) -> str:
        reason = self.reason()
        words = "Core ML is available." if reason is None else f"Core ML is not available: {reason}"
        return f"<p><b>CoreMLBackend</b>: {escape(words)}</p>{self.get_stats()._repr_html_()}"

    def _configure(self, fields: dict[str, Any]) -> None:
        check(lib.mlt_backend_config(self._backend, json.dumps(fields).encode()))

    def _model(self, text: str) -> Model:
        """A program made ready. Its text is read once; what is compiled, the library keeps or not."""
        known = self._programs.get(text)
        if known is not None:
            return self._again(known)
        out = ffi.new("mlt_model **")
        check(lib.mlt_model_parse(out, encoded(text, "text")))
        model = Model(own(out[0]), backend=self._backend)
        if self.config.enable_caching:
            while len(self._programs) >= max(self.config.max_cache_size, 1):
                self._programs.pop(next(iter(self._programs)), None)
            self._programs[text] = self._shell(model)
        return model

    def _same(self, model: Model) -> Model:
        """A model made ready here."""
        known = self._models.get(model)
        if known is not None:
            return self._again(known)
        made = Model(model._model, function=model.function, backend=self._backend)
        self._models[model] = self._shell(made)
        return made

    def _again(self, shell: Model) -> Model:
        """What was made ready before, with what the backend has compiled for it by now."""
        out = ffi.new("mlt_executable **")
        check(lib.mlt_backend_compile(out, self._backend, shell._model, encoded(shell.function, "function")))
        model = copy(shell)
        model._executable = own(out[0])
        return model

    @staticmethod
    def _shell(model: Model) -> Model:
        """A model without what was compiled: that is the library's to keep."""
        shell = copy(model)
        del shell._executable
        return shell

    def _run_op(self, name: str, given: dict[str, Any]) -> Any:
        """An op through the one call."""
        if name not in rows():
            raise InvalidArgumentError(f"There is no op {name!r}; see martlet.ops().")
        result = call(name, given, self._backend)
        return result if holds_tensor(given) else as_arrays(result)

    def _run_function(self, function: Callable[..., Any], inputs: dict[str, Any]) -> Any:
        """A Python function, traced to a program; its results in the form in which it returned them."""
        returned: list[Any] = []

        @wraps(function)
        def noted(*arguments: Any, **named: Any) -> Any:
            returned.append(function(*arguments, **named))
            return returned[-1]

        found = Model(traced(noted, (), inputs), backend=self._backend).predict(inputs)
        results = {name: Tensor(array) for name, array in found.items()} if holds_tensor(inputs) else found
        if isinstance(returned[0], Mapping):
            return results
        return tuple(results.values()) if isinstance(returned[0], tuple | list) else results["output"]


def holds_tensor(given: Mapping[str, Any]) -> bool:
    """Whether any of the values, those of lists included, is a tensor."""
    return any(isinstance(each, Tensor) for each in flat(given.values()))


def as_arrays(result: Any) -> Any:
    """Tensors as arrays of their own."""
    return tuple(as_arrays(each) for each in result) if isinstance(result, tuple) else result.numpy().copy()


def as_dict(device: DescribedDevice | Mapping[str, Any]) -> dict[str, Any]:
    """A described device as the library takes it."""
    return device.to_dict() if isinstance(device, DescribedDevice) else dict(device)


def flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise WrongTypeError(f"{name} is {value!r}; it must be True or False.")
    return bool(value)


def count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise WrongTypeError(f"{name} is {value!r}; it must be an integer.")
    number = int(value.__index__())
    if not 0 <= number <= LARGEST:
        raise InvalidArgumentError(f"{name} is {number}; it must be 0 to {LARGEST}.")
    return number


def fallback(name: str, value: Any) -> str:
    if value not in FALLBACKS:
        raise InvalidArgumentError(f"{name} is {value!r}; it must be one of {', '.join(map(repr, FALLBACKS))}.")
    return str(value)


# The fields of a configuration, and what each accepts.
CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "enable_caching": flag,
    "max_cache_size": count,
    "max_cache_bytes": count,
    "auto_fallback": flag,
    "enable_profiling": flag,
    "fallback": fallback,
}


def flat(values: Iterable[Any]) -> Iterator[Any]:
    """The values, those of lists one by one."""
    for value in values:
        if isinstance(value, list | tuple):
            yield from value
        else:
            yield value
