"""Which devices there are, asked of the system and believed for 30 seconds; Core ML among them."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, TypedDict

from martlet._native import answer, lib
from martlet.errors import NotFoundError, OutOfRangeError, WrongTypeError
from martlet.library import DeviceInfo, devices
from martlet.model import name_or_null

__all__ = [
    "CoreMLDevice",
    "CoreMLDeviceInfo",
    "DeviceCache",
    "DeviceCacheStats",
    "DeviceStatus",
    "get_coreml_device_info",
    "is_coreml_available",
    "is_metal_available",
]


@dataclass(frozen=True)
class DeviceStatus:
    """Whether a device can be used; `reason` says why it cannot."""

    available: bool
    reason: str | None

    def __bool__(self) -> bool:
        return self.available


@dataclass(frozen=True)
class DeviceCacheStats:
    """What the cache holds and how often it could answer by itself.

    `valid_entries` are those younger than 30 seconds, `available_devices` those of them that can be used,
    `cache_hit_rate` is 0 to 1: answers from the cache by all questions.
    """

    total_entries: int
    valid_entries: int
    available_devices: int
    cache_hit_rate: float


class DeviceCache:
    """The statuses of all devices, one cache for the process; asking a GPU each time would be slow.

    Device names are those of `martlet.devices()`; any other raises `InvalidArgumentError`.
    """

    lifetime = 30.0
    """Seconds for which a status is believed."""

    @staticmethod
    def global_() -> DeviceCache:
        """The cache that the whole process shares."""
        return SHARED

    def warmup(self) -> None:
        """Asks every device once."""
        ask("warmup")

    def is_device_available(self, name: str) -> bool:
        """Whether a device can be used; it is asked only where the cache does not know."""
        return bool(ask("available", name))

    def cached_status(self, name: str) -> DeviceStatus | None:
        """The status kept for a device; None where there is none or it is older than 30 seconds."""
        return status(ask("status", name))

    get_cached_status = cached_status

    def update(self, name: str) -> DeviceStatus | None:
        """Asks a device again, and keeps what it says."""
        return status(ask("update", name))

    update_cache = update

    def cleanup_expired(self) -> int:
        """Removes what is too old and returns how many entries that were."""
        return int(ask("cleanup"))

    def get_stats(self) -> DeviceCacheStats:
        """What the cache holds and how often it could answer by itself."""
        return DeviceCacheStats(**ask("stats"))

    def __repr__(self) -> str:
        stats = self.get_stats()
        return f"<DeviceCache: {stats.valid_entries} valid of {stats.total_entries} entries>"


SHARED = DeviceCache()


def ask(action: str, name: str | None = None) -> Any:
    """What the cache of the library answers."""
    return answer(lib.mlt_device_cache, action.encode(), name_or_null(name, "name of the device"))


def status(found: dict[str, Any] | None) -> DeviceStatus | None:
    return None if found is None else DeviceStatus(**found)


def is_coreml_available() -> bool:
    """Whether this machine and this build can run programs on Core ML."""
    return SHARED.is_device_available("coreml")


def is_metal_available() -> bool:
    """Whether this machine and this build can run programs on a GPU through Metal."""
    return SHARED.is_device_available("metal")


class CoreMLDeviceInfo(TypedDict):
    """What the system reports about Core ML: bytes of memory, number of processors; 0 if there is no Core ML."""

    available: bool
    reason: str | None
    memory_limit: int
    compute_units: int
    devices: list[DeviceInfo]


def get_coreml_device_info() -> CoreMLDeviceInfo:
    """What the system reports about Core ML, with each of its processors as a device of its own."""
    found = [each for each in devices() if each["kind"] == "coreml"]
    whole = found[0]
    return {
        "available": whole["available"],
        "reason": whole["reason"],
        "memory_limit": whole["memory_limit"] or 0,
        "compute_units": whole["compute_units"] or 0,
        "devices": found,
    }


class CoreMLDevice:
    """Core ML as a device. It can be made anywhere; without Core ML it says that it is not available, and why.

    Args:
        device_id: A machine has one Core ML, number 0.

    Raises:
        OutOfRangeError: `device_id` is not 0.
        WrongTypeError: `device_id` is not an integer.
    """

    name = "coreml"

    def __init__(self, device_id: int = 0) -> None:
        try:
            self._id = operator.index(device_id)
        except TypeError:
            raise WrongTypeError(f"The device_id is {device_id!r}; it must be an integer.") from None
        if self._id != 0:
            raise OutOfRangeError(f"There is no Core ML device {self._id}; a machine has one, device 0.")

    def device_id(self) -> int:
        """Its number: 0."""
        return self._id

    def is_available(self) -> bool:
        """Whether programs can run on it here."""
        return is_coreml_available()

    def reason(self) -> str | None:
        """Why it is not available; None where it is."""
        return get_coreml_device_info()["reason"]

    def memory_limit(self) -> int:
        """Bytes of memory that it may use, as the system tells; 0 without Core ML, for the `reason()`."""
        return get_coreml_device_info()["memory_limit"]

    def compute_units_limit(self) -> int:
        """Processors that it may use: CPU, GPU and Neural Engine count as one each; 0 without Core ML."""
        return get_coreml_device_info()["compute_units"]

    def model_cache_size(self) -> int:
        """Bytes that models compiled for Core ML take on disk."""
        return kept("size")

    def cleanup_cache(self) -> int:
        """Removes the models compiled for Core ML from disk, and returns how many bytes that freed."""
        return kept("clear")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CoreMLDevice)

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        reason = self.reason()
        return f"<CoreMLDevice {self._id}: " + ("available>" if reason is None else f"not available: {reason}>")


def kept(action: str) -> int:
    """Bytes of compiled models on disk, before the action; 0 if there is no folder for caches."""
    try:
        size: int = answer(lib.mlt_disk_cache, action.encode(), b"model")["bytes"]
    except NotFoundError:
        return 0
    return size
