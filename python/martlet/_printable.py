"""Text out of files on its way to a terminal: names, metadata, labels, messages."""

from __future__ import annotations

import unicodedata

__all__ = ["printable"]

# Controls, halves of surrogate pairs, and breaks of lines and paragraphs, which terminals act on.
CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
# Characters that reverse the text around them.
DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def printable(text: str) -> str:
    r"""The text with an escape, as `\x1b`, for each character that could change more than its own place.

    Line feeds and tabs stay.
    """
    return text if text.isascii() and text.isprintable() else "".join(map(shown, text))


def shown(character: str) -> str:
    if character in "\n\t" or character.isprintable():
        return character
    if unicodedata.category(character) in CATEGORIES or unicodedata.bidirectional(character) in DIRECTIONS:
        return character.encode("unicode_escape", "backslashreplace").decode()
    return character
