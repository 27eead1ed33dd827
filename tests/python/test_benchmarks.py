"""The benchmarks run and compare what they say; no times are judged."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from benchmarks.contest import Contender, Contest, markdown, median_ratio, percentile_90
from benchmarks.hide_avx512 import (
    COMPILERS,
    HidingError,
    Sampler,
    environment,
    find_tool,
    has_avx512,
    obstacle,
)
from benchmarks.models import doubt, libraries_at, libraries_of
from benchmarks.quota import PERIOD, Quota, QuotaError
from tests.models.catalog import MODELS

needs_model = pytest.mark.skipif(
    MODELS["basic_pitch"].folder() is None or importlib.util.find_spec("onnxruntime") is None,
    reason="not built: python tests/models/build.py basic_pitch (needs onnxruntime)",
)


def run(script: str, *arguments: str) -> tuple[int, dict]:
    command = [sys.executable, f"benchmarks/{script}", "--models", "basic_pitch", "--seconds", "0.001", *arguments]
    done = subprocess.run([*command, "--json", "-"], capture_output=True, text=True, cwd=ROOT, timeout=600)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@needs_model
@pytest.mark.parametrize("build", ["library", "package"])
def test_two_builds_take_turns(build):
    package = ROOT / "python/martlet"
    (library,) = [*package.glob("libmartlet.so"), *package.glob("libmartlet.dylib")]
    path = library if build == "library" else package
    status, answer = run("models.py", "--against", str(path), "--rounds", "2", "--loads", "2")
    ours, old = answer["results"]
    assert (ours["title"], old["title"]) == ("this build", "old build")
    assert "reason" not in ours | old
    assert len(ours["rounds_ms"]) == len(old["rounds_ms"]) == 2
    assert old["ratio"]["latency"] == 1
    ratio = median_ratio(ours["rounds_ms"], old["rounds_ms"])
    assert ours["ratio"]["latency"] == ratio
    assert status == (1 if ratio > 1.02 else 0)


@needs_model
def test_the_old_build_is_another(tmp_path):
    """A library that does not load is the old build's fault alone."""
    (tmp_path / "libmartlet.so").write_text("no library")
    status, answer = run("models.py", "--against", str(tmp_path / "libmartlet.so"), "--rounds", "1", "--loads", "1")
    ours, old = answer["results"]
    assert status == 1
    assert "reason" not in ours
    assert "cannot be loaded" in old["reason"]


def test_what_is_no_build_is_refused(tmp_path):
    command = [sys.executable, "benchmarks/models.py", "--against", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=100)
    assert done.returncode == 2
    assert "neither a libmartlet nor a built python/martlet" in done.stderr


@needs_model
def test_neighbours():
    _, answer = run("neighbours.py", "--rounds", "2", "--conditions", "alone", "busy")
    assert len(answer["results"]) == 2 * 3
    for result in answer["results"]:
        assert "reason" not in result
        assert len(result["p50_ms"]) == len(result["p90_ms"]) == 2
    ours = answer["results"][0]
    there = next(each for each in answer["results"] if each["contender"] == "onnxruntime")
    assert ours["ratio"]["onnxruntime"]["p50"] == median_ratio(ours["p50_ms"], there["p50_ms"])


def test_a_contender_that_fails_drops_out(tmp_path):
    """A runtime that is not installed, and one whose process ends without a message."""
    lost = Contender("lost", "lost", "onnxruntime_of_nowhere", 1)
    silent = Contender("silent", "silent", "numpy", 1, launcher=("/bin/sh", "-c", "exit 3"))
    with Contest([lost, silent], "basic_pitch", tmp_path) as contest:
        assert contest.load() == {}
        assert contest.round(0, 0.1) == {}
    assert contest.reasons == {"lost": "not installed", "silent": "the process ended with status 3"}


# Quotas


@pytest.fixture
def hierarchy(tmp_path):
    """Mounts of version 1 or 2 as /proc/self/mountinfo lists them, with a folder instead of the file system."""

    def make(version: int) -> tuple[Path, Path]:
        place, mounts = tmp_path / f"cgroup{version}", tmp_path / f"mountinfo{version}"
        place.mkdir()
        if version == 1:
            line = f"30 25 0:26 / {place} rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
        else:
            line = f"30 25 0:26 / {place} rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n"
            (place / "cgroup.controllers").write_text("cpuset cpu io memory\n")
            (place / "cgroup.subtree_control").write_text("memory\n")
        mounts.write_text("20 1 8:1 / / rw - ext4 /dev/root rw\n" + line)
        return place, mounts

    return make


def test_quota_of_version_1(hierarchy):
    place, mounts = hierarchy(1)
    quota = Quota(0.5, mounts)
    assert quota.folder.parent == place
    assert (quota.folder / "cpu.cfs_quota_us").read_text() == str(PERIOD // 2)
    assert (quota.folder / "cpu.cfs_period_us").read_text() == str(PERIOD)


def test_quota_of_version_2(hierarchy):
    place, mounts = hierarchy(2)
    quota = Quota(1, mounts)
    assert (place / "cgroup.subtree_control").read_text() == "+cpu"
    assert (quota.folder / "cpu.max").read_text() == f"{PERIOD} {PERIOD}"


def test_a_command_runs_in_its_group(hierarchy):
    quota = Quota(1, hierarchy(1)[1])
    process = subprocess.run([*quota.launcher, "printf", "%s", "done"], capture_output=True, text=True, check=True)
    assert process.stdout == "done"
    assert int((quota.folder / "cgroup.procs").read_text()) > 1


def test_no_quota_without_control_groups(hierarchy, tmp_path):
    with pytest.raises(QuotaError, match="no control groups"):
        Quota(1, tmp_path / "missing")
    (tmp_path / "mounts").write_text("20 1 8:1 / / rw - ext4 /dev/root rw\n")
    with pytest.raises(QuotaError, match="no control group with a CPU controller"):
        Quota(1, tmp_path / "mounts")
    place, mounts = hierarchy(1)
    place.rmdir()  # root may write anywhere but in what is not there
    with pytest.raises(QuotaError, match=f"no control group can be made in {place}"):
        Quota(1, mounts)


def test_a_real_quota():
    """On a system that lets us: the process is in the group, which goes away with it."""
    try:
        quota = Quota(0.5)
    except QuotaError as error:
        pytest.skip(str(error))
    try:
        command = [*quota.launcher, "cat", "/proc/self/cgroup"]
        assert quota.folder.name in subprocess.run(command, capture_output=True, text=True, check=True).stdout
    finally:
        quota.close()
    assert not quota.folder.exists()


def test_percentiles_stay_among_the_times():
    assert percentile_90([3.0]) == 3
    assert percentile_90([1.0, 2.0, 4.0]) == pytest.approx(3.6)  # as np.percentile has it


def test_markdown():
    assert markdown(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


# AVX-512

CPUID = """
#include <cpuid.h>
static unsigned found[4];
__attribute__((constructor)) static void ask(void) { __cpuid_count(7, 0, found[0], found[1], found[2], found[3]); }
unsigned cpuid_7(int which) { return found[which]; }
unsigned cpuid_1(void) { unsigned a, b, c, d; __cpuid_count(1, 0, a, b, c, d); return c; }
#define LOOP(register) \\
    for (long i = 0; i < 20000000; i++) \\
        __asm__ volatile(".rept 20\\n vpaddd " register ", " register ", " register "\\n .endr" : : "r"(i) : "xmm0")
void wide(void) { LOOP("%%zmm0"); }
void narrow(void) { LOOP("%%ymm0"); }
"""
needs_avx512 = pytest.mark.skipif(
    not has_avx512() or obstacle() is not None,
    reason=f"AVX-512 is hidden where a processor has it and this is there: {obstacle() or 'AVX-512'}",
)


@pytest.fixture
def sampler():
    """A sampler, on systems that let a process watch itself; many containers do not."""
    try:
        with Sampler() as made:
            pass
    except HidingError as error:
        pytest.skip(str(error))
    return made


@pytest.fixture
def library(tmp_path):
    source, made = tmp_path / "probe.c", tmp_path / "probe.so"
    source.write_text(CPUID)
    subprocess.run([find_tool(COMPILERS), "-O1", "-shared", "-fPIC", "-o", made, source], check=True)
    return made


def probe(library: Path, script: str, **variables: str) -> list[int]:
    """What a script prints that has the functions of CPUID."""
    script = f"import ctypes\nlibrary = ctypes.CDLL({str(library)!r})\n{script}"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=os.environ | variables, check=True)
    return [int(each) & 0xFFFFFFFF for each in done.stdout.split()]


@needs_avx512
def test_avx512_is_hidden_and_all_else_is_not(library):
    ask = "print(*(library.cpuid_7(index) for index in range(4)), library.cpuid_1())"
    _, ebx, ecx, edx, first = probe(library, ask)
    hidden = probe(library, ask, **environment({library}))
    # Intel's manual, CPUID leaf 7: bits of AVX-512 (and AMX in EDX).
    for register, before, after, bits in (
        ("ebx", ebx, hidden[1], (16, 17, 21, 26, 27, 28, 30, 31)),
        ("ecx", ecx, hidden[2], (1, 6, 11, 12, 14)),
        ("edx", edx, hidden[3], (2, 3, 8, 22, 23, 24, 25)),
    ):
        mask = sum(1 << bit for bit in bits)
        assert after == before & ~mask, register
    assert ebx >> 16 & 1
    # Bits 24 to 31 of leaf 1's EBX name the processor that answers; ECX has AVX and FMA.
    assert hidden[4] == first


@needs_avx512
@pytest.mark.usefixtures("sampler")
@pytest.mark.parametrize(("function", "is_wide"), [("wide", True), ("narrow", False)])
def test_avx512_is_seen_where_it_runs(library, function, is_wide):
    script = f"""
import sys
sys.path.insert(0, "")
from benchmarks.hide_avx512 import Sampler
with Sampler() as sampler:
    library.{function}()
print(sampler.samples, sampler.evex)
"""
    samples, evex = probe(library, script)
    assert samples > 3
    assert evex > samples / 4 if is_wide else evex == 0


def test_an_old_build_is_limited_with_what_lies_beside_it(tmp_path):
    """Its oneDNN is another file than this build's."""
    for name in ("libmartlet.so", "libdnnl.so.3", "notes"):
        (tmp_path / name).touch()
    (tmp_path / "folder.so").mkdir()
    expected = {tmp_path / "libmartlet.so", tmp_path / "libdnnl.so.3"}
    assert libraries_at(tmp_path) == libraries_at(tmp_path / "libmartlet.so") == expected


def test_a_package_that_is_not_installed_has_no_libraries():
    assert libraries_of("there_is_no_such_package") == set()


def test_what_is_not_shown_is_doubted():
    """No samples show nothing: the process may have failed before, or the system does not let it watch itself."""
    assert doubt({"samples": 800, "avx512_samples": 0}) is None
    assert doubt({"samples": 800, "avx512_samples": 1}) == "at an instruction of AVX-512 in 1 of 800 samples"
    assert doubt({"samples": 4, "avx512_samples": 0}) == "seen in 4 samples alone"
    assert doubt({"reason": "the process ended with signal SIGILL"}) == "seen in 0 samples alone"


# Forgets the libraries of the old build.
HALF_HIDDEN = """
import sys
from benchmarks import models
models.libraries_at = lambda build: set()
sys.exit(models.main())
"""


@needs_model
@needs_avx512
@pytest.mark.usefixtures("sampler")
def test_what_runs_avx512_has_no_numbers(tmp_path):
    for library in (ROOT / "python/martlet").glob("lib*.so*"):
        shutil.copy(library, tmp_path)  # a link would be the same file, whose instructions may be known
    options = ["--models", "basic_pitch", "--isa", "avx2", "--against", str(tmp_path / "libmartlet.so")]
    options += ["--rounds", "1", "--loads", "1", "--json", "-", "--markdown", str(tmp_path / "table")]
    command = [sys.executable, "-c", HALF_HIDDEN, *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=600)
    ours, old = json.loads(done.stdout)["results"]
    assert "reason" not in ours
    assert old["avx512_samples"] > 0
    assert old["reason"] == old["doubt"] == doubt(old)
    assert "ratio" not in ours | old
    assert done.returncode == 1
    table = (tmp_path / "table").read_text()
    assert f"old build: {old['doubt']}" in table
    assert table.splitlines()[2].endswith("| - | - |")


@needs_model
@needs_avx512
@pytest.mark.usefixtures("sampler")
def test_every_runtime_is_limited_to_avx2():
    status, answer = run("models.py", "--isa", "avx2", "--rounds", "2", "--loads", "2")
    rows = [result for result in answer["results"] if "reason" not in result]
    assert {row["runtime"] for row in rows} >= {"martlet", "onnxruntime"}
    assert status == 0
    for row in rows:
        assert "doubt" not in row
        assert row["avx512_samples"] == 0
        assert row["largest_error"] < 1e-4
