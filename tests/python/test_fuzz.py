"""Random programs of one op: each either runs or is refused by an exception; none ends the process."""

from __future__ import annotations

import os
import subprocess
import sys

from conftest import ROOT

PROGRAMS = int(os.environ.get("MARTLET_FUZZ", "1500"))


def test_random_programs_run_or_are_refused():
    command = [sys.executable, str(ROOT / "tests/python/fuzz.py"), "11", str(PROGRAMS)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=600)
    last = done.stderr[-3000:]
    assert done.returncode == 0, f"ended with {done.returncode} at the last of:\n{last}"
    assert int(done.stdout) > PROGRAMS // 20, "hardly any of the programs ran"
