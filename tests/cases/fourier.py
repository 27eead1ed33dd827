"""Fourier transforms, against numpy.fft in float64."""

import numpy as np

from tests.cases import normal, one

BOTH = {"dtypes": ("fp32", "fp64"), "core_ml": False}
# Every small length, lengths with one large prime factor, primes, and lengths that are long.
LENGTHS = [*range(1, 65), 97, 127, 128, 211, 256, 331, 1000, 1009, 2 * 1013, 4096]


def noise(*shape):
    return normal(*shape) + 1j * normal(*shape, seed=1)


def transform(function):
    def reference(x, n=None, axis=-1, norm="backward"):
        return function(x, n, axis, norm)

    return reference


def cases(op, x, label="", scale=1.0, **arguments):
    """Rounding errors grow with the length as those of the largest number of the result do."""
    reference = transform(getattr(np.fft, op))
    largest = max(1.0, np.abs(reference(x, **arguments)).max(initial=0))
    return one(op, reference, label, x=x, tolerance=2e-7 * largest, double=2e-15 * largest, **arguments, **BOTH)


CASES = [
    *(
        case
        for n in LENGTHS
        for op, x in {
            "fft": noise(2, n),
            "ifft": noise(2, n),
            "rfft": normal(2, n),
            "irfft": noise(2, n // 2 + 1),
        }.items()
        for case in cases(op, x, **({"n": n} if op == "irfft" else {}))
    ),
    *(
        case
        for op, x in {
            "fft": noise(3, 6, 5),
            "ifft": noise(3, 6, 5),
            "rfft": normal(3, 6, 5),
            "irfft": noise(3, 6, 5),
        }.items()
        for arguments in (
            {"axis": 0},
            {"axis": 1},
            {"axis": -2, "norm": "ortho"},
            {"axis": 1, "norm": "forward"},
            {"axis": 2, "n": 3},
            {"axis": 2, "n": 8, "norm": "ortho"},
            {"axis": 0, "n": 7},
        )
        for case in cases(op, x, **arguments)
    ),
    # Long ones, and many at a time, so that threads share them.
    *(case for op in ("fft", "ifft") for n in (65537, 65536) for case in cases(op, noise(n))),
    *(case for op in ("fft", "ifft") for case in cases(op, noise(300, 61))),
    *(case for case in cases("fft", noise(60, 301), axis=0)),
    *(case for case in cases("rfft", normal(65537))),
    *(case for case in cases("irfft", noise(32769), n=65537)),
    # Without elements along another axis.
    *cases("fft", noise(0, 5)),
    *cases("rfft", normal(5, 0), axis=0),
]
