"""The words that `docs/vocabulary.md` retired stay away."""

import re
import subprocess

import pytest
from conftest import ROOT

PAGES = {"docs/vocabulary.md", "tests/python/test_vocabulary.py"}
"""These name the retired words."""

RETIRED = {
    "whole number": "integer",
    "truth value": "boolean",
}
"""Those that are gone everywhere. `docs/vocabulary.md` names more, whose last uses are still to be replaced."""


def tracked() -> list[str]:
    """The text files of the repository."""
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, check=False)
    if listed.returncode:
        pytest.skip("this copy is not a git checkout, so what belongs to the project is not known")
    ends = (".swift", ".c", ".h", ".inc", ".py", ".pyi", ".md", ".sh", ".toml", ".yaml", ".ipynb")
    return [name for name in listed.stdout.splitlines() if name.endswith(ends) and name not in PAGES]


@pytest.mark.parametrize("word", RETIRED)
def test_retired_words_stay_away(word):
    pattern = re.compile(rf"\b{word}s?\b".replace(" ", r"[\s/#*-]+"), re.IGNORECASE)
    found = []
    for name in tracked():
        text = (ROOT / name).read_text(errors="replace")
        found += [f"{name}:{text[: match.start()].count(chr(10)) + 1}" for match in pattern.finditer(text)]
    assert not found, f"'{word}' is retired (say: {RETIRED[word]}): {found}"
