"""Comparing a runtime's answers with the expected ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def largest_error(got: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The error of every expected output: max |got - expected| / max |expected|.

    A missing output, a wrong shape and any value that is not finite are raised as `AssertionError`: no tolerance
    may hide them. The arithmetic is float64, whatever the arrays' own types are.
    """
    errors = {}
    for name, wanted in expected.items():
        assert name in got, f"output {name!r} is missing; there are {sorted(got)}"
        answer = np.asarray(got[name])
        assert answer.shape == wanted.shape, f"output {name!r} has shape {answer.shape}, expected {wanted.shape}"
        assert np.isfinite(answer).all(), f"output {name!r} holds values that are not finite"
        difference = np.abs(answer.astype(np.float64) - wanted.astype(np.float64)).max()
        errors[name] = float(difference / np.abs(wanted.astype(np.float64)).max())
    return errors
