"""Inspection functions of the Python array API: what this namespace can do."""

from __future__ import annotations

import numpy as np

from martlet._arguments import check_device
from martlet.data_types import ALL, DEFAULTS, DType, isdtype

__all__ = ["__array_api_version__", "__array_namespace_info__"]

__array_api_version__ = "2024.12"


class NamespaceInfo:
    """What `__array_namespace_info__` answers."""

    __module__ = "martlet"

    def capabilities(self) -> dict[str, bool | int | None]:
        """Masks as indices and shapes that depend on elements work; the number of axes has no limit of its own."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """Where tensors are made."""
        return "cpu"

    def devices(self) -> list[str]:
        """Where tensors can be. Which device an op runs on is chosen for each call; all read the same memory."""
        return ["cpu"]

    def default_dtypes(self, *, device: str | None = None) -> dict[str, DType]:
        """The element types that results have where nothing else decides."""
        check_device(device)
        return {
            "real floating": DEFAULTS[float],
            "complex floating": DEFAULTS[complex],
            "integral": DEFAULTS[int],
            "indexing": np.dtype("int32"),
        }

    def dtypes(self, *, device: str | None = None, kind: str | tuple[str, ...] | None = None) -> dict[str, DType]:
        """The element types of the standard by name, of one kind or several."""
        check_device(device)
        standard = (dtype for dtype in ALL if dtype != np.float16)
        return {dtype.name: dtype for dtype in standard if kind is None or isdtype(dtype, kind)}


def __array_namespace_info__() -> NamespaceInfo:
    """What this namespace can do: `capabilities`, `default_device`, `devices`, `default_dtypes`, `dtypes`."""
    return NamespaceInfo()
