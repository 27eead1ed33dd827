"""`docs/environment.md` has every variable that the project reads, and no other."""

import re

from conftest import ROOT, tracked

OWN = re.compile(r"\b(MARTLET_[A-Z_]+|MK_ISA_LIMIT)\b")
READS = re.compile(
    r"(?:System\.environment\(|getenv\(|environ(?:\.get\(|\[)|environment\[)"
    r"\"((?:MARTLET|MK)_[A-Z_]+)\"|\$\{?(MARTLET_[A-Z_]+)"
)


def sources() -> list[str]:
    return tracked(".swift", ".c", ".h", ".py", ".sh")


def documented() -> set[str]:
    """The names in the first columns of the page's tables."""
    rows = (ROOT / "docs/environment.md").read_text().splitlines()
    return {match.group() for row in rows if row.startswith("| `") for match in OWN.finditer(row.split("|")[1])}


def test_every_variable_that_is_read_is_documented():
    read = set()
    for name in sources():
        text = (ROOT / name).read_text()
        for match in READS.finditer(text):
            read |= {each for each in match.groups() if each}
    assert len(read) > 10
    assert not read - documented()


def test_every_documented_variable_is_used():
    used = set()
    for name in sources():
        if name != "tests/python/test_environment.py":
            used |= set(OWN.findall((ROOT / name).read_text()))
    assert len(documented()) > 15
    assert not documented() - used
