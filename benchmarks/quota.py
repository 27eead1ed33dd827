"""Control groups of Linux that limit the CPU time of a process, as container engines use them."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

PERIOD = 100_000  # microseconds, the default of Docker and Kubernetes


class QuotaError(Exception):
    """Why there can be no quota here."""


class Quota:
    """A control group with the CPU time of `cpus` CPUs. `launcher` runs a command inside it; `close` removes it."""

    def __init__(self, cpus: float = 1, mounts: Path = Path("/proc/self/mountinfo")) -> None:
        parent, is_unified = find_parent(mounts)
        self.folder = parent / f"martlet-benchmark-{os.getpid()}-{time.monotonic_ns()}"
        quota = round(cpus * PERIOD)
        try:
            if is_unified and "cpu" not in (parent / "cgroup.subtree_control").read_text().split():
                (parent / "cgroup.subtree_control").write_text("+cpu")
            self.folder.mkdir()
            if is_unified:
                (self.folder / "cpu.max").write_text(f"{quota} {PERIOD}")
            else:
                (self.folder / "cpu.cfs_period_us").write_text(str(PERIOD))
                (self.folder / "cpu.cfs_quota_us").write_text(str(quota))
        except OSError as error:
            self.close()
            raise QuotaError(f"no control group can be made in {parent}: {error.strerror}; try as root") from error
        self.launcher = ("/bin/sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self.folder / "cgroup.procs"))

    def close(self) -> None:
        """Removes the group. A process that has just ended may keep it busy for a moment."""
        for _ in range(20):
            with contextlib.suppress(FileNotFoundError, OSError):
                self.folder.rmdir()
            if not self.folder.exists():
                return
            time.sleep(0.05)


def find_parent(mounts: Path) -> tuple[Path, bool]:
    """Where groups with a CPU quota can be made, and whether that is version 2 (one hierarchy for all controllers)."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError as error:
        raise QuotaError("this system has no control groups") from error
    for line in lines:
        # man 5 proc: ID, parent, device, root, mount point, options, optional fields, "-", type, source, options
        before, _, after = line.partition(" - ")
        place, kind, options = Path(before.split()[4]), after.split()[0], after.split()[-1]
        if kind == "cgroup" and "cpu" in options.split(","):
            return place, False
        controllers = place / "cgroup.controllers"
        if kind == "cgroup2" and controllers.exists() and "cpu" in controllers.read_text().split():
            return place, True
    raise QuotaError("no control group with a CPU controller is mounted")
