"""What there is: the devices, the ops, the build and the machine; and how many threads a run takes."""

from __future__ import annotations

from typing import Any, TypedDict

from martlet._native import answer, check, ffi, lib, thread_count

__all__ = [
    "DeviceInfo",
    "Info",
    "OpInfo",
    "OpParameter",
    "devices",
    "get_num_threads",
    "info",
    "ops",
    "set_num_threads",
]


class Info(TypedDict):
    """The build and the machine."""

    version: str
    swift: str
    onednn: str | None
    platform: str
    isa: str
    processors: int
    threads: int
    cache: str | None


class DeviceInfo(TypedDict):
    """One place where models can run; `reason` says why it is not available.

    `memory_limit` is in bytes and `compute_units` counts processors, both None where the system does not tell.
    """

    name: str
    kind: str
    summary: str
    available: bool
    reason: str | None
    memory_limit: int | None
    compute_units: int | None


class OpParameter(TypedDict):
    """One parameter of an op."""

    name: str
    words: str
    dtypes: list[str]
    constant: bool
    list: bool
    optional: bool
    default: Any


class CustomInfo(TypedDict):
    """Who computes an op that was added: a callback on the CPU, a Metal kernel, or both."""

    cpu: bool
    pure: bool
    metal: dict[str, Any] | None


class OpInfo(TypedDict):
    """One op of the language: what it means and what it takes; `custom` is None but for ops that were added."""

    name: str
    family: str
    words: str
    expands: bool
    core_ml: bool  # whether Core ML has it, too
    parameters: list[OpParameter]
    custom: CustomInfo | None


def info() -> Info:
    """The version of the library, what it was built with, and the machine it runs on."""
    found: Info = answer(lib.mlt_info)
    return found


def devices() -> list[DeviceInfo]:
    """Every device by name, those that this machine lacks included, with the reason."""
    found: list[DeviceInfo] = answer(lib.mlt_devices)
    return found


def ops() -> list[OpInfo]:
    """The whole op table, and the custom ops there are now."""
    found: list[OpInfo] = answer(lib.mlt_ops)
    return found


def set_num_threads(count: int) -> None:
    """Sets how many threads one run may take; 0 takes every processor this process may use.

    Raises:
        InvalidArgumentError: `count` is not one of 0 to 256.
        WrongTypeError: `count` is not an integer.
    """
    check(lib.mlt_set_num_threads(thread_count(count)))


def get_num_threads() -> int:
    """How many threads one run may take."""
    out = ffi.new("int32_t *")
    check(lib.mlt_num_threads(out))
    return int(out[0])
