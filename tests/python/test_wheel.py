"""The wheel in an environment of its own: no Swift on the path, no repository, nothing but what pip installs.

Run by `./build.sh wheel` and CI: MARTLET_TEST_WHEEL=1 pytest tests/python/test_wheel.py
"""

import os
import subprocess
import sys
import zipfile

import pytest
from conftest import ROOT, SUM, WEIGHTS

pytestmark = pytest.mark.skipif(
    os.environ.get("MARTLET_TEST_WHEEL") != "1", reason="set MARTLET_TEST_WHEEL=1 after ./build.sh wheel"
)

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


def test_name_and_size(wheel):
    assert "-cp310-abi3-" in wheel.name
    assert "none-any" not in wheel.name
    assert wheel.stat().st_size < 60_000_000


def test_contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert sum("libmartlet" in name for name in names) == 1
    assert sum("libdnnl" in name for name in names) <= 1
    assert {"martlet/_martlet_abi.py", "martlet/functional.py"} <= set(names)
    assert "martlet/py.typed" in names
    assert any(name.endswith("/LICENSE") for name in names)


def test_clean_environment(wheel, package, tmp_path):
    clean = tmp_path / "clean"
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-m", "venv", clean], check=True)
    install = [clean / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel]
    subprocess.run(install, check=True)
    command = [clean / "bin/python", "-c", PREDICT, package(SUM), package(WEIGHTS)]
    subprocess.run(command, check=True, cwd=tmp_path, env=environment)
    subprocess.run([clean / "bin/martlet", "devices"], check=True, cwd=tmp_path, env=environment)
