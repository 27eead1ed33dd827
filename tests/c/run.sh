#!/bin/sh
# Tests the built library from C: the exports against martlet.h, then test_martlet.c.
#
# usage: tests/c/run.sh [LIBRARY [MODEL.mlpackage [INPUTS.bin EXPECTED.bin]]]
# LIBRARY is python/martlet/libmartlet.so (or .dylib), or libmartlet-c.so of a plain `swift build`; without it, the first of
# these that is there.
# CC, CFLAGS and LDFLAGS are passed on; for the thread sanitizer take the clang of the Swift toolchain,
# -fsanitize=thread, and -ldispatch -lBlocksRuntime of that toolchain.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

library=${1:-}
if [ -z "$library" ]; then
    for candidate in "$root"/python/martlet/libmartlet.* "$root"/.build/release/libmartlet-c.* \
        "$root"/.build/debug/libmartlet-c.*; do
        case $candidate in *.so | *.dylib) [ -e "$candidate" ] && library=$candidate && break ;; esac
    done
fi
[ -n "$library" ] || { echo "no library: run ./build.sh first" >&2; exit 1; }
[ $# -gt 0 ] && shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Every function of the header is exported, and no other function with its prefix.
grep -o 'mlt_[a-z0-9_]*(' "$root/Sources/CHeader/include/martlet.h" | tr -d '(' | sort -u > "$work/header"
case $library in *.so) dynamic=-D ;; *) dynamic= ;; esac
nm -g $dynamic "$library" | sed -n 's/.* T _\{0,1\}\(mlt_[a-z0-9_]*\)$/\1/p' | sort -u > "$work/exports"
if ! diff "$work/header" "$work/exports" > "$work/difference"; then
    echo "martlet.h (<) and the exports (>) differ:" >&2
    cat "$work/difference" >&2
    exit 1
fi

folder=$(cd "$(dirname "$library")" && pwd)
${CC:-cc} -std=c11 -Wall -Wextra -Werror -O1 -g ${CFLAGS:-} -I "$root/Sources/CHeader/include" \
    "$here/test_martlet.c" "$folder/$(basename "$library")" -Wl,-rpath,"$folder" -lm -lpthread ${LDFLAGS:-} -o "$work/test_martlet"
TEST_FOLDER=$work TEST_DATA=$root/tests/python/data "$work/test_martlet" "$@"
