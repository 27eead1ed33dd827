"""What the library tells about its work, as lines of `logging.getLogger("martlet")`."""

from __future__ import annotations

import atexit
import logging
import os
import traceback
from typing import Any

from martlet._native import callback, ffi, lib

__all__ = ["logger"]

logger = logging.getLogger("martlet")
"""Compilations are told at `DEBUG`, fallbacks at `INFO`, or `WARNING` where a backend shall warn, ignored cache entries
at `WARNING`. `MARTLET_LOG` (debug, info, warning, error, off) sets its level at the start."""

LEVELS = {
    lib.MLT_LOG_ERROR: logging.ERROR,
    lib.MLT_LOG_WARNING: logging.WARNING,
    lib.MLT_LOG_INFO: logging.INFO,
    lib.MLT_LOG_DEBUG: logging.DEBUG,
}
WORDS = {
    "off": logging.CRITICAL + 1,
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}


class Lines(logging.StreamHandler):  # type: ignore[type-arg]
    """Shows the lines that `MARTLET_LOG` asks for, until the program sets up logging itself."""

    def emit(self, record: logging.LogRecord) -> None:
        if not logging.getLogger().handlers:
            super().emit(record)


@callback("void(int32_t, const char *, void *)")
def forward(level: int, message: Any, _: Any) -> None:
    """One line of the library's. Which ones are shown, Python's logging decides."""
    number = LEVELS.get(level, logging.DEBUG)
    try:
        if logger.isEnabledFor(number):
            logger.log(number, "%s", ffi.string(message).decode(errors="replace"))
    except Exception:
        # The line may come from a thread of the library, which has no caller in Python.
        traceback.print_exc()


def start() -> None:
    """Takes the library's lines from now until Python ends."""
    word = os.environ.get("MARTLET_LOG", "").strip().lower()
    if word in WORDS:
        logger.setLevel(WORDS[word])
        lines = Lines()
        lines.setFormatter(logging.Formatter("martlet: %(levelname)s: %(message)s"))
        logger.addHandler(lines)
    lib.mlt_set_log(forward, ffi.NULL, lib.MLT_LOG_DEBUG)
    atexit.register(stop)


def stop() -> None:
    """The library's lines go nowhere: Python is about to be gone."""
    lib.mlt_set_log(ffi.NULL, ffi.NULL, lib.MLT_LOG_OFF)


start()
