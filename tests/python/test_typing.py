"""Types: what checkers say about a user's program and about the package, and hints that resolve at run time."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT

import martlet

PACKAGE = ROOT / "python" / "martlet"
USER = ROOT / "tests" / "python" / "data" / "typed_user.py"


def checked(tool: str, *arguments: object, folder: Path) -> str:
    """What a type checker prints; it runs in a folder of its own, where no settings are."""
    pytest.importorskip(tool, reason=f"{tool} is not installed; ./build.sh test installs it")
    command = [sys.executable, "-m", tool, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=folder, check=False)
    return (done.stdout + done.stderr).strip() if done.returncode else ""


# What the library's door answers has no type: a function of the package may return it as what it is declared to be.
MYPY = """
[mypy]
strict = True
ignore_missing_imports = True
[mypy-martlet.*]
warn_return_any = False
warn_unused_ignores = False
"""


def test_a_users_program_and_the_package_pass_mypy_strict(tmp_path: Path) -> None:
    (tmp_path / "mypy.ini").write_text(MYPY)
    assert checked("mypy", USER, PACKAGE, folder=tmp_path) == ""


def test_a_users_program_passes_pyright(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(USER.read_text())
    assert checked("pyright", "--pythonpath", sys.executable, program, folder=tmp_path) == ""


def test_a_users_program_runs() -> None:
    done = subprocess.run([sys.executable, "-W", "error", USER], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# Hints at run time


def modules() -> Iterator[Any]:
    yield martlet
    for found in pkgutil.walk_packages(martlet.__path__, "martlet."):
        parts = found.name.split(".")
        if not any(each.startswith("_") or each in ("libmartlet", "libdnnl", "libmk_tbb") for each in parts):
            yield importlib.import_module(found.name)


def functions(value: Any) -> Iterator[Any]:
    """A function; a class and its methods and properties."""
    if inspect.isclass(value):
        yield value
        for member in vars(value).values():
            member = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            member = getattr(member, "func", member)  # a cached property
            if inspect.isfunction(member):
                yield member
    elif inspect.isfunction(value):
        yield value


def test_hints_of_everything_public_resolve() -> None:
    failed, count = {}, 0
    for module in modules():
        names = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
        for name in names:
            for each in functions(getattr(module, name)):
                count += 1
                try:
                    typing.get_type_hints(each)
                except Exception as error:
                    failed[f"{module.__name__}.{each.__qualname__}"] = str(error)
    assert failed == {}
    assert count > 900


def test_hints_name_the_types_themselves() -> None:
    assert typing.get_type_hints(martlet.Tensor.sum)["return"] is martlet.Tensor
    assert typing.get_type_hints(martlet.Tensor.__getitem__)["return"] is martlet.Tensor
    assert typing.get_type_hints(martlet.zeros)["dtype"] == np.dtype[Any] | None
    assert typing.get_type_hints(martlet.load)["return"] is martlet.Model
    assert typing.get_type_hints(martlet.functional.relu)["return"] is martlet.Tensor


# The stubs


def declared(stub: Path) -> set[str]:
    tree = ast.parse(stub.read_text())
    operators = next(node for node in tree.body if isinstance(node, ast.ClassDef))
    return {node.name for node in operators.body if isinstance(node, ast.FunctionDef)}


def test_the_stub_of_the_type_in_c_names_what_it_has() -> None:
    in_c = (types.WrapperDescriptorType, types.MethodDescriptorType)
    own = {name for name, value in vars(martlet.Tensor).items() if isinstance(value, in_c)}
    in_place = {f"__i{name}__" for name in martlet.tensor.IN_PLACE}
    # Python 3.12 and newer show the buffer's slots.
    assert declared(PACKAGE / "_operators.pyi") - {"__buffer__"} == (own | in_place) - {
        "__buffer__",
        "__release_buffer__",
    }


def test_the_stub_of_the_package_names_what_it_has() -> None:
    lines = (PACKAGE / "__init__.pyi").read_text().splitlines()
    imported = {line.rsplit(" as ", 1)[1]: line.split()[1] for line in lines if line.startswith("from ")}
    homes = {name: f"martlet.{home}" for name, home in martlet.HOMES.items()}
    assert imported == homes | dict.fromkeys(martlet.MODULES, "martlet")
    listed = next(line for line in lines if line.startswith("__all__"))
    assert ast.literal_eval(listed.split(" = ")[1]) == martlet.__all__
