"""The wheel: what is in it, what it asks of a system, and an environment of its own without Swift or the repository.

Run by CI after `./build.sh wheel`: MARTLET_TEST_WHEEL=1 pytest tests/python/test_wheel.py
"""

import os
import re
import shlex
import subprocess
import sys
import zipfile

import pytest
from binaries import dynamic, exports, too_new
from conftest import ROOT, SUM, WEIGHTS

pytestmark = pytest.mark.skipif(
    os.environ.get("MARTLET_TEST_WHEEL") != "1", reason="set MARTLET_TEST_WHEEL=1 after ./build.sh wheel"
)
linux = pytest.mark.skipif(sys.platform != "linux", reason="manylinux is for Linux")

PREDICT = """
import sys
import numpy as np
import martlet

model = martlet.load(sys.argv[1])
a = np.arange(6, dtype=np.float32).reshape(2, 3)
assert (model(a=a, b=a)["sum"] == 2 * a).all()
model = martlet.load(sys.argv[2])
assert np.isfinite(model(x=[[1, 2, 3, 4]])["y"]).all()
print(martlet.info())
if sys.platform == "linux":
    ours = {line.split()[-1] for line in open("/proc/self/maps") if "libmartlet" in line or "libdnnl" in line}
    assert ours and all(path.startswith(sys.prefix) for path in ours), ours
"""


@pytest.fixture(scope="module")
def wheel():
    wheels = list((ROOT / "dist").glob("martlet-*.whl"))
    assert len(wheels) == 1, "./build.sh wheel leaves one"
    return wheels[0]


@pytest.fixture(scope="module")
def unpacked(wheel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def clean(wheel, tmp_path_factory):
    """A virtual environment with the wheel and what it requires."""
    folder = tmp_path_factory.mktemp("clean")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    install = [
        folder / "bin/python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        wheel,
        "pkgconf",
    ]
    subprocess.run(install, check=True)
    return folder


def run(command, tmp_path, **environment):
    """Runs a command with no variable of ours, outside the repository; answers what it prints."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TMPDIR": str(tmp_path)} | environment
    done = subprocess.run(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_pip_installs_a_clone(package, tmp_path):
    """In pip's isolated environment: the hook asks build.sh for the library, which is there already in CI."""
    own = tmp_path / "own"
    subprocess.run([sys.executable, "-m", "venv", own], check=True)
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "TMPDIR": os.environ.get("TMPDIR", "/tmp")}
    run([own / "bin/python", "-m", "pip", "install", "--quiet", ROOT / "python"], tmp_path, **environment)
    run([own / "bin/python", "-c", PREDICT, package(SUM), package(WEIGHTS)], tmp_path)


def test_name_and_size(wheel):
    assert "-cp310-abi3-" in wheel.name
    assert "none-any" not in wheel.name
    assert wheel.stat().st_size < 60_000_000


@linux
def test_platform_is_one_that_pip_of_any_distribution_takes(wheel, unpacked):
    found = re.findall(r"manylinux_2_(\d+)_", wheel.name)
    newest = max((int(minor) for minor in found), default=None)
    assert newest is not None, wheel.name
    assert newest <= 28, wheel.name


def test_contents(unpacked):
    names = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    assert sum("libmartlet" in name for name in names) == 1
    assert sum("libdnnl" in name for name in names) <= 1
    wanted = {"_martlet_abi.py", "functional.py", "py.typed", "include/martlet.h", "martlet.pc"}
    assert {f"martlet/{name}" for name in wanted} <= names
    assert any(name.endswith("/LICENSE") for name in names)


@linux
def test_libraries(unpacked):
    libraries = {path for path in unpacked.rglob("*.so*") if path.is_file()}
    assert {path.name for path in libraries if path.parent.name == "martlet"} == {"libmartlet.so", "_operators.abi3.so"}
    for library in libraries:
        assert too_new(library) == [], library.name
        places = dynamic(library, "RPATH") + dynamic(library, "RUNPATH")
        assert all(place.startswith("$ORIGIN") for entry in places for place in entry.split(":")), (library, places)
        if library.parent.name == "martlet.libs":
            # No other package's library of the same name is taken for ours.
            assert re.search(r"-[0-9a-f]{8}\.", library.name), library.name
            assert dynamic(library, "SONAME") == [library.name]
    assert dynamic(unpacked / "martlet/libmartlet.so", "SONAME") == ["libmartlet.so"]
    assert all(name.startswith("mlt_") for name in exports(unpacked / "martlet/libmartlet.so"))


def test_clean_environment(clean, package, tmp_path):
    run([clean / "bin/python", "-c", PREDICT, package(SUM), package(WEIGHTS)], tmp_path)
    assert "cpu" in run([clean / "bin/martlet", "devices"], tmp_path)


@pytest.mark.parametrize("tool", ["martlet", "pkgconf"])
def test_c_program(clean, tool, tmp_path):
    command = [clean / "bin/martlet", "info"]
    if tool == "martlet":
        flags = run([*command, "--cflags", "--libs"], tmp_path)
    else:
        place = shlex.split(run([*command, "--pkg-config-path"], tmp_path))[0]
        flags = run([clean / "bin/pkgconf", "--cflags", "--libs", "martlet"], tmp_path, PKG_CONFIG_PATH=place)
    assert str(ROOT) not in flags
    source, program = ROOT / "tests" / "c" / "test_martlet.c", tmp_path / "test_martlet"
    run(["cc", "-std=c11", source, *shlex.split(flags), "-lm", "-lpthread", "-o", program], tmp_path)
    run([program], tmp_path, TEST_FOLDER=str(tmp_path))
