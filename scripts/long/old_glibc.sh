#!/usr/bin/env bash
# Runs the wheel on an old glibc: Debian 11 has 2.31, the oldest that Debian's archive serves. First the C test, compiled
# there with what `martlet.pc` says, then the op cases in a Python 3.11 that is built there from Debian 12's source.
#
# usage: ./build.sh wheel; scripts/long/old_glibc.sh [c | python [ARGUMENT of pytest...]]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
source "$root/scripts/roots.sh"
wheel=$(ls "$root"/dist/martlet-*.whl 2>/dev/null) || fail "no wheel in dist: ./build.sh wheel"

make_root bullseye ca-certificates,clang-16,gcc,libc6-dev,libstdc++6,make,pkg-config,xz-utils,zlib1g-dev,libffi-dev
old=$roots/bullseye
rm -rf "$old/wheel"
mkdir -p "$old/wheel" "$old/site"
python3 -m zipfile -e "$wheel" "$old/wheel"

c_test() {
    say c "tests/c on glibc $(enter "$old" 'ldd --version | sed -n "1s/.* //p"')"
    # Metal kernels on the CPU need _Float16, which clang has from 15 on.
    enter "$old" 'export PKG_CONFIG_PATH=/wheel/martlet MARTLET_CLANG=/usr/bin/clang++-16
        gcc -std=c11 /martlet/tests/c/test_martlet.c $(pkg-config --cflags --libs martlet) -lm -lpthread -o /build/test_martlet
        mkdir -p /build/folder && TEST_FOLDER=/build/folder /build/test_martlet'
}

python_tests() {
    if [[ ! -x $old/python/bin/python3.11 ]]; then
        say build "Python 3.11 for Debian 11"
        enter "$old" 'echo "deb-src '"$mirror"' bookworm main" >/etc/apt/sources.list.d/source.list
            apt-get update && cd /build && apt-get --download-only source python3.11
            tar -xf python3.11_*.orig.tar.* && cd Python-3.11* && ./configure --prefix=/python --without-ensurepip
            make -j"$(nproc)" && make install' >"$roots/python.log" 2>&1 ||
            fail "Python cannot be built; see $roots/python.log"
    fi
    say fetch "what the tests import"
    python3 -m venv "$roots/venv"
    "$roots/venv/bin/python" -m pip install --quiet --disable-pip-version-check --target "$old/site" --upgrade \
        --only-binary=:all: --python-version 3.11 --implementation cp --abi cp311 --abi abi3 --abi none \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --platform any \
        numpy cffi click rich safetensors tqdm pytest
    say python "the op cases"
    enter "$old" "cd /martlet && PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/wheel:/site:/martlet \
        /python/bin/python3.11 -m pytest -p no:cacheprovider -q -rs $(printf '%q ' "${@:-tests/python/test_cases.py}")"
}

case ${1:-all} in
c) c_test ;;
python) python_tests "${@:2}" ;;
all)
    c_test
    python_tests
    ;;
*) fail "usage: old_glibc.sh [c | python [ARGUMENT of pytest...]]" ;;
esac
