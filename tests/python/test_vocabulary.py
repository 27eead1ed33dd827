"""The words that `docs/vocabulary.md` retired stay away."""

import re

import pytest
from conftest import ROOT, tracked

PAGES = {"docs/vocabulary.md", "tests/python/test_vocabulary.py"}
"""These name the retired words."""

RETIRED = {
    "whole number": "integer",
    "truth value": "boolean",
}
"""Those that are gone everywhere. `docs/vocabulary.md` names more, whose last uses are still to be replaced."""


ENDS = (".swift", ".c", ".h", ".inc", ".py", ".pyi", ".md", ".sh", ".toml", ".yaml", ".ipynb")


@pytest.mark.parametrize("word", RETIRED)
def test_retired_words_stay_away(word):
    pattern = re.compile(rf"\b{word}s?\b".replace(" ", r"[\s/#*-]+"), re.IGNORECASE)
    found = []
    for name in set(tracked(*ENDS)) - PAGES:
        text = (ROOT / name).read_text(errors="replace")
        found += [f"{name}:{text[: match.start()].count(chr(10)) + 1}" for match in pattern.finditer(text)]
    assert not found, f"'{word}' is retired (say: {RETIRED[word]}): {found}"
