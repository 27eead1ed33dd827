"""What `import martlet` brings, and how names that are imported at their first use look from outside."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import martlet

# What is needed to find out that the library works; everything else waits until it is used.
AT_IMPORT = {
    "martlet",
    "martlet._martlet_abi",
    "martlet._native",
    "martlet._printable",
    "martlet.errors",
    "martlet.logs",
}
FOR_A_PREDICTION = AT_IMPORT | {"martlet.model", "martlet.plan", "martlet.ports", "martlet.state", "martlet.tables"}
HEAVY = {
    *(
        "asyncio",
        "click",
        "concurrent.futures",
        "difflib",
        "html",
        "matplotlib",
        "multiprocessing",
        "numpy.random",
        "pathlib",
    ),
    *("rich", "safetensors", "socket", "ssl", "subprocess", "tempfile", "tqdm", "urllib.parse"),
}

PREDICTION = """
model = martlet.parse("program(1.3) { func main<ios18>(tensor<fp32, [4]> x) { y = relu(x = x); } -> (y); }")
assert model.predict({"x": np.array([-1, 0, 1, 2], np.float32)})["y"].tolist() == [0, 0, 1, 2]
"""


def child(program: str) -> object:
    """What a fresh process prints as JSON."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.mark.parametrize(("work", "expected"), [("", AT_IMPORT), (PREDICTION, FOR_A_PREDICTION)], ids=["import", "run"])
def test_nothing_is_imported_that_is_not_needed(work: str, expected: set[str]) -> None:
    listing = "print(json.dumps(sorted(set(sys.modules) - before)))"
    added = set(
        child(f"import sys, json\nimport numpy as np\nbefore = set(sys.modules)\nimport martlet\n{work}\n{listing}")
    )
    assert {name for name in added if name.split(".")[0] == "martlet"} == expected
    assert added & HEAVY == set()


def test_all_names_are_there_and_stay_what_they_are() -> None:
    """Whichever module is imported first, and by whatever way: a name never turns into the module that has it."""
    program = """
import importlib, json, pkgutil
import martlet
first = {name: getattr(martlet, name) for name in martlet.__all__[::-1]}
for each in pkgutil.iter_modules(martlet.__path__):
    if not each.name.startswith("lib") or each.name == "library":
        importlib.import_module(f"martlet.{each.name}")
namespace = {}
exec("from martlet import *", namespace)
print(json.dumps([name for name in first if not first[name] is getattr(martlet, name) is namespace[name]]))
"""
    assert child(program) == []


def test_the_list_of_names() -> None:
    assert set(dir(martlet)) >= {*martlet.__all__, "abs", "bool", "sum", "nn", "fft", "linalg", "functional"}
    assert len(martlet.HOMES) == sum(len(names.split()) for names in martlet.NAMES.values())
    for name in ("sum", "load", "nn", "model", "_arguments", "__version__"):
        assert hasattr(martlet, name)
    for name in ("nothing", "_nothing", "__wrapped__", "explanation.explain"):
        assert not hasattr(martlet, name)
    with pytest.raises(AttributeError, match="module 'martlet' has no attribute 'nothing'"):
        martlet.nothing  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        from martlet import nothing  # noqa: F401


def test_help_shows_names_that_were_never_used() -> None:
    text = child("import json, pydoc, martlet\nprint(json.dumps(pydoc.plain(pydoc.render_doc(martlet))))")
    assert "Runs Core ML models anywhere" in text
    for words in ("load(path", "class Model", "matmul(", "tanh("):
        assert words in text
