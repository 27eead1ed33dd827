"""`pip install ./python`, as far as it goes without building the library: what is refused, and how."""

import os
import subprocess
import sys

import pytest
from conftest import ROOT

BUILD = "import sys; from hatchling import build; getattr(build, sys.argv[1])(sys.argv[2])"


def hook(kind, target, folder=ROOT / "python", **environment):
    """Runs a hook of the build backend as pip does; answers status and what was said."""
    environment = {name: value for name, value in os.environ.items() if name != "MARTLET_PREBUILT"} | environment
    command = [sys.executable, "-c", BUILD, kind, target]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def one_line(said):
    assert "Traceback" not in said
    (line,) = said.strip().splitlines()
    return line


def test_sdist_is_refused_in_one_line(tmp_path):
    status, said = hook("build_sdist", str(tmp_path))
    assert status == 1
    assert "no sdist" in one_line(said)
    assert "./build.sh wheel" in said
    assert not list(tmp_path.iterdir())


def test_the_folder_alone_is_refused_in_one_line(tmp_path):
    """What an sdist of other makers would hold."""
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "martlet/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / "python" / name).read_bytes())
    (tmp_path / "martlet" / "LICENSE").write_text("MIT")
    status, said = hook("build_wheel", str(tmp_path / "dist"), tmp_path)
    assert status == 1
    assert "a whole clone" in one_line(said)


def test_what_the_build_lacks_is_said_in_one_line(tmp_path):
    """A clone on a machine with neither Swift nor a package manager that has it."""
    clone = tmp_path / "clone"
    clone.mkdir()
    listed = ["build.sh", "python/pyproject.toml", "python/hatch_build.py", "python/README.md", "python/martlet"]
    names = subprocess.run(["git", "ls-files", *listed, "Sources/CHeader"], cwd=ROOT, capture_output=True, text=True)
    if names.returncode:
        pytest.skip("git lists the files of a clone")
    for name in names.stdout.splitlines():
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_bytes((ROOT / name).read_bytes())
    (clone / "python/martlet/LICENSE").write_text("MIT")
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("bash", "cat", "dirname", "grep", "head", "id", "mkdir", "sed", "tail", "uname"):
        found = next(path for path in ("/bin", "/usr/bin") if os.path.exists(f"{path}/{tool}"))
        (tools / tool).symlink_to(f"{found}/{tool}")
    build = (clone / "build.sh").read_text().replace("/opt/swift", "/nowhere")  # where this machine may have one
    (clone / "build.sh").write_text(build)
    status, said = hook("build_wheel", str(tmp_path / "dist"), clone / "python", PATH=str(tools), HOME=str(tmp_path))
    assert status == 1
    assert one_line(said).startswith("no Swift 6.0 or newer: install it from")
