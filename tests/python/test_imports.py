"""Which Swift module may import which: the layers of ARCHITECTURE.md, and no engine knows another."""

from __future__ import annotations

import re

import pytest
from conftest import ROOT

MAY_IMPORT = {
    "MIL": set(),
    "Passes": {"MIL"},
    "ModelFiles": {"MIL", "Passes"},
    "Runtime": {"MIL", "Passes"},
    "CPUEngine": {"Runtime", "MIL", "Passes", "CKernels", "COneDNN"},
    "MSL": {"Runtime", "MIL"},
    "MetalEngine": {"Runtime", "MIL", "Passes"},
    "CoreMLEngine": {"Runtime", "MIL", "ModelFiles", "Passes"},
    "Martlet": {"MIL", "Passes", "ModelFiles", "Runtime", "MSL", "CPUEngine", "MetalEngine", "CoreMLEngine"},
    "CInterface": {"MIL", "ModelFiles", "Runtime", "CPUEngine", "MSL", "Martlet", "CHeader"},
}
# Of the system, anybody may import the C library and atomics; Apple's frameworks belong to their engines.
SYSTEM = {"Glibc", "Musl", "Darwin", "Synchronization"}
GPU = {"Metal", "MetalPerformanceShadersGraph", "Foundation", "CoreGraphics"}
APPLE = {"MetalEngine": GPU, "CoreMLEngine": {"CoreML", "CoreVideo"}}


@pytest.mark.parametrize("module", MAY_IMPORT)
def test_imports_follow_the_layers(module):
    allowed = MAY_IMPORT[module] | SYSTEM | APPLE.get(module, set())
    sources = list((ROOT / "Sources" / module).rglob("*.swift"))
    assert sources
    for source in sources:
        found = set(
            re.findall(r"^\s*(?:@\w+ )*(?:public |internal |private )?import (?:\w+ )?(\w+)", source.read_text(), re.M)
        )
        assert found <= allowed, f"{source.relative_to(ROOT)} imports {sorted(found - allowed)}"


def test_every_module_is_listed():
    swift = {path.name for path in (ROOT / "Sources").iterdir() if any(path.rglob("*.swift"))}
    assert swift == set(MAY_IMPORT)
