#!/usr/bin/env bash
# Prints how libmartlet is linked, an argument of `swift build` a line: mlt_* alone is exported, the library has a name of
# its own, and on Linux it binds to the C library of 2018 (see stubs.py).
#
# usage: scripts/link/flags.sh FOLDER, which keeps what is made for the linker
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)

pass() { printf -- '-Xlinker\n%s\n' "$@"; }

case $(uname -s) in
Darwin)
    pass -exported_symbol '_mlt_*' -install_name @rpath/libmartlet.dylib
    ;;
Linux)
    if [[ ! $folder/done -nt $here/stubs.py || ! $folder/done -nt $here/compat.c ]]; then
        "${PYTHON:-python3}" "$here/stubs.py" "$folder"
        ${CC:-clang} -O2 -fPIC -ffunction-sections -Wall -Wextra -Werror -Wno-unused-command-line-argument \
            -c "$here/compat.c" -o "$folder/compat.o"
        touch "$folder/done"
    fi
    printf -- '-Xswiftc\n%s\n' "-L$folder"
    pass "$folder/compat.o" -lpthread -ldl "--version-script=$here/exports.map" -soname=libmartlet.so
    ;;
esac
