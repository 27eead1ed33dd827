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
    "extra-swiftc-flags": ["-resource-dir", "/arm64/usr/libexec/swift/lib/swift", "-use-ld=lld"],
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
        tar -C /martlet -c Package.swift Sources tests/swift tests/shims scripts python LICENSE | tar -x
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
