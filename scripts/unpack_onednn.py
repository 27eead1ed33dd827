"""Unpacks oneDNN's wheels: the headers, the library once under its real name, the licences.

    unpack_onednn.py WHEELS TARGET

The library is oneDNN's build for TBB, made with Intel's compiler. Three of the libraries that it names are replaced, by
names that are no longer than the old ones: TBB and Intel's helpers by `libmk_tbb.so` (Sources/COneDNN/mk_tbb.c),
Intel's mathematical functions by the C library's.
"""

import hashlib
import pathlib
import sys
import zipfile

DIGESTS = {
    "onednn_cpu_tbb": "3265b317e9d74ee42f3b7fe4ba0e6d8347a400f0e9c1531fa80b0bfa18d76b13",
    "onednn_devel_cpu_tbb": "d76b9ddf0ac717b5c5caa89e9922ec752d175e6f0492503f3baa8499607bec82",
}
LIBRARIES = {
    b"libtbb.so.12": b"libmk_tbb.so",
    b"libimf.so": b"libm.so.6",
    b"libintlc.so.5": b"libmk_tbb.so",
}
CHANGES = """\
libdnnl.so.3 is oneDNN 3.2 from the package onednn-cpu-tbb 2023.2.0, changed by Martlet in one respect: the names of
three libraries that it loads (libtbb.so.12, libimf.so, libintlc.so.5) are replaced by libmk_tbb.so and libm.so.6.
"""


def replace_libraries(library: bytes) -> bytes:
    """The library with other names in its table of strings; each stands there once, between two zero bytes."""
    for name, other in LIBRARIES.items():
        before = b"\0" + name + b"\0"
        if library.count(before) != 1:
            sys.exit(f"oneDNN's library does not name {name.decode()} exactly once")
        library = library.replace(before, b"\0" + other.ljust(len(name), b"\0") + b"\0")
    return library


def main(wheels: pathlib.Path, target: pathlib.Path) -> None:
    for wheel in sorted(wheels.glob("*.whl")):
        if hashlib.sha256(wheel.read_bytes()).hexdigest() != DIGESTS[wheel.name.split("-")[0]]:
            sys.exit(f"{wheel.name} is not the file that was expected (its SHA-256 differs)")
        with zipfile.ZipFile(wheel) as archive:
            for inside in archive.namelist():
                _, data, path = inside.partition(".data/data/")
                if not data or path in ("lib/libdnnl.so", "lib/libdnnl.so.3.2") or "cmake" in path:
                    continue
                file = target / path.replace("share/doc/onednn", "licenses")
                file.parent.mkdir(parents=True, exist_ok=True)
                content = archive.read(inside)
                file.write_bytes(replace_libraries(content) if path == "lib/libdnnl.so.3" else content)
    (target / "lib" / "libdnnl.so").symlink_to("libdnnl.so.3")
    (target / "licenses" / "CHANGES").write_text(CHANGES)


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:3]))
