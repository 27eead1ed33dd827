"""Hides AVX-512 from processes that are started with `environment`, and counts where a process runs it nevertheless.

Runtimes ask the processor itself (`cpuid`) for what it has, and few let themselves be told otherwise. So the `cpuid`
instructions of their libraries are replaced in memory, when the dynamic linker has mapped a library and before any of
its code has run, and answered without AVX-512, AMX, AVX10 and APX; all else is as the processor has it. glibc, whose
`memcpy` uses AVX-512 too, is told by GLIBC_TUNABLES. Files are left as they are.

Where the instructions are, a disassembler says: their two bytes also occur within other instructions. This needs Linux
on x86-64, glibc 2.35 (older ones slow down all calls between libraries that an audit module watches), a C compiler
and objdump; `obstacle` says what is missing. `hide_avx512.c` is what runs in the process.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "hide_avx512"
SOURCE = Path(__file__).with_suffix(".c")

CPUID = b"\x0f\xa2"
INSTRUCTION = re.compile(rb"^ *([0-9a-f]+):\s+cpuid\s*$", re.MULTILINE)
COMPILERS = ("cc", "clang", "gcc", "/opt/swift/usr/bin/clang")
DISASSEMBLERS = ("objdump", "llvm-objdump", "/opt/swift/usr/bin/llvm-objdump")
OLDEST_GLIBC = (2, 35)
TUNABLE = "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX512DQ,-AVX512CD"


class HidingError(Exception):
    """AVX-512 cannot be hidden, and why."""


def has_avx512() -> bool:
    """Whether this processor has AVX-512: without, there is nothing to hide."""
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and "avx512f" in cpuinfo.read_text().split()


def obstacle() -> str | None:
    """Why AVX-512 cannot be hidden on this system, or None."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return "only on Linux on x86-64"
    name, version = platform.libc_ver()
    if name != "glibc" or tuple(map(int, version.split(".")[:2])) < OLDEST_GLIBC:
        return "glibc is older than 2.35, or the C library is another"
    if not find_tool(COMPILERS):
        return "no C compiler"
    if not find_tool(DISASSEMBLERS):
        return "no objdump (binutils or llvm)"
    return None


def find_tool(names: Iterable[str]) -> str | None:
    return next((found for name in names if (found := shutil.which(name))), None)


def compiled() -> Path:
    """The library made from `hide_avx512.c`, compiled where it is missing."""
    library = CACHE / f"hide_avx512-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]}.so"
    if not library.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            made = Path(folder) / "made.so"
            command = [find_tool(COMPILERS), "-std=gnu11", "-O2", "-Wall", "-fPIC", "-shared", "-o", made, SOURCE]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise HidingError(f"{SOURCE.name} does not compile: {done.stderr}")
            made.replace(library)
    return library


def libraries_of(module: str) -> set[Path]:
    """The shared libraries of a Python package: in its folder, or in the one that auditwheel puts beside it.

    There are none if the package is not installed.
    """
    spec = find_spec(module)
    folders = [Path(each) for each in (spec.submodule_search_locations or [])] if spec else []
    folders += [each.with_name(each.name + ".libs") for each in folders]
    return {file for folder in folders for file in folder.rglob("*.so*") if file.is_file()}


def cpuid_addresses(library: Path) -> list[str]:
    """The addresses of a library's `cpuid` instructions, in hexadecimal."""
    if CPUID not in library.read_bytes():
        return []  # most have none, and disassembling takes seconds
    command = [find_tool(DISASSEMBLERS), "-d", "--no-show-raw-insn", library]
    found, rest = [], b""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        # Millions of lines: far faster than one by one.
        while part := process.stdout.read(1 << 20):
            lines, newline, rest = (rest + part).rpartition(b"\n")
            found += INSTRUCTION.findall(lines + newline)
    if process.returncode:
        raise HidingError(f"{library} cannot be disassembled")
    return [address.decode() for address in found]


def key(library: Path) -> str:
    """What tells whether a line of the list is about this very file, as `hide_avx512.c` has it."""
    status = library.stat()
    return f"{status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns}"


def listed(libraries: Iterable[Path]) -> Path:
    """The list of all `cpuid` instructions, with these libraries in it. Known ones are not disassembled again."""
    path = CACHE / "cpuid"
    lines = path.read_text().splitlines() if path.exists() else []
    known = {" ".join(line.split()[:4]) for line in lines}
    missing = {key(each): each for each in libraries if key(each) not in known}
    if missing:
        lines += [" ".join([each, *cpuid_addresses(library)]) for each, library in missing.items()]
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            file.write("".join(f"{line}\n" for line in lines))
        os.replace(file.name, path)
    return path


def environment(libraries: Iterable[Path]) -> dict[str, str]:
    """The variables that hide AVX-512 from these libraries, and from glibc, in a process that is started with them."""
    if reason := obstacle():
        raise HidingError(reason)
    audit = compiled()
    tunables = [*filter(None, [os.environ.get("GLIBC_TUNABLES")]), TUNABLE]
    return {
        "LD_AUDIT": str(audit),
        "HIDE_AVX512_LIST": str(listed(libraries)),
        "GLIBC_TUNABLES": ":".join(tunables),
    }


def is_hidden() -> bool:
    """Whether this process was started with `environment`."""
    return "HIDE_AVX512_LIST" in os.environ


class Sampler:
    """Looks where the threads of this process are at each millisecond that they compute: `samples` times, of these
    `evex` times at an instruction encoded as those of AVX-512 are, whatever the vectors' length.

    Threads that start later are not seen.
    """

    def __init__(self) -> None:
        self.library = ctypes.CDLL(str(compiled()))
        self.samples = self.evex = 0

    def __enter__(self) -> Sampler:
        if self.library.sample_start():
            raise HidingError("the system does not let a process watch itself (perf_event_open)")
        return self

    def __exit__(self, *_: object) -> None:
        samples, evex = ctypes.c_long(), ctypes.c_long()
        self.library.sample_stop(ctypes.byref(samples), ctypes.byref(evex))
        self.samples, self.evex = samples.value, evex.value
