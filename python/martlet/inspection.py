"""Inspection functions of the Python array API: what this namespace can do."""

from __future__ import annotations

import numpy as np

from martlet import library
from martlet.data_types import ALL, DEFAULTS, DType, isdtype
from martlet.errors import InvalidArgumentError

__all__ = ["__array_api_version__", "__array_namespace_info__"]

__array_api_version__ = "2024.12"


class NamespaceInfo:
    """What `__array_namespace_info__` answers. The extensions `fft` and `linalg` are attributes of the namespace."""

    __module__ = "martlet"

    def __repr__(self) -> str:
        return f"<NamespaceInfo of martlet: array API {__array_api_version__}>"

    def capabilities(self) -> dict[str, bool | int | None]:
        """Masks as indices and shapes that depend on elements work; the number of axes has no limit of its own."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """Where tensors are made: the selector chooses a device for each call."""
        return "auto"

    def devices(self) -> list[str]:
        """What tensors can be bound to: the devices that this machine has, or `auto`. All read the same memory."""
        return ["auto", *(each["name"] for each in library.devices() if each["available"])]

    def default_dtypes(self, *, device: str | None = None) -> dict[str, DType]:
        """The element types that results have where nothing else decides."""
        self._check(device)
        return {
            "real floating": DEFAULTS[float],
            "complex floating": DEFAULTS[complex],
            "integral": DEFAULTS[int],
            "indexing": np.dtype("int32"),
        }

    def dtypes(self, *, device: str | None = None, kind: str | tuple[str, ...] | None = None) -> dict[str, DType]:
        """The element types of the standard by name, of one kind or several."""
        self._check(device)
        standard = (dtype for dtype in ALL if dtype != np.float16)
        return {dtype.name: dtype for dtype in standard if kind is None or isdtype(dtype, kind)}

    def _check(self, device: str | None) -> None:
        if device is not None and device not in self.devices():
            raise InvalidArgumentError(f"There is no device {device!r} here; there are {', '.join(self.devices())}.")


def __array_namespace_info__() -> NamespaceInfo:
    """What this namespace can do: `capabilities`, `default_device`, `devices`, `default_dtypes`, `dtypes`."""
    return NamespaceInfo()
