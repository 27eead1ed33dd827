"""The library as a system sees it: what it exports, its name, how old a Linux may be, and the flags that link it."""

import json
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from binaries import dynamic, exports, too_new
from click.testing import CliRunner
from conftest import ROOT

import martlet
from martlet import cli

PACKAGE = ROOT / "python" / "martlet"
LIBRARY = PACKAGE / "libmartlet.so"
linux = pytest.mark.skipif(sys.platform != "linux", reason="ELF is the format of Linux")

PROGRAM = """
#include <martlet.h>
#include <stdio.h>
int main(void) { return puts(mlt_version()) < 0; }
"""


@linux
def test_exports_are_the_functions_of_the_header():
    declared = set(re.findall(r"\b(mlt_\w+)\(", (PACKAGE / "include" / "martlet.h").read_text()))
    assert exports(LIBRARY) == declared


@linux
def test_soname():
    assert dynamic(LIBRARY, "SONAME") == ["libmartlet.so"]


@linux
@pytest.mark.parametrize("library", ["libmartlet.so", "_operators.abi3.so"])
def test_symbols_of_glibc_2_28(library):
    assert too_new(PACKAGE / library) == []


def test_flags_compile_and_link_a_c_program(tmp_path):
    found = CliRunner().invoke(cli.main, ["info", "--cflags", "--libs"])
    assert found.exit_code == 0, found.output
    source, program = tmp_path / "version.c", tmp_path / "version"
    source.write_text(PROGRAM)
    compiler = shutil.which("cc") or "clang"
    subprocess.run([compiler, source, *shlex.split(found.output), "-o", program], check=True)
    ran = subprocess.run([program], check=True, capture_output=True, text=True, env={})
    assert ran.stdout.strip() == martlet.info()["version"]


def test_pkg_config_file():
    found = CliRunner().invoke(cli.main, ["info", "--pkg-config-path", "--json"])
    assert json.loads(found.output) == {"pkg_config_path": [str(PACKAGE)]}
    text = (PACKAGE / "martlet.pc").read_text()
    assert f"Version: {martlet.__version__}\n" in text
