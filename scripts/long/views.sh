#!/usr/bin/env bash
# Runs random chains of views into every kernel that takes views, against NumPy, for an hour.
#
# usage: scripts/long/views.sh [ARGUMENT of view_fuzz.py...], such as --seed 1
#
# MARTLET_FUZZ_SECONDS: how long, 3600 by default.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
fuzz=tests/python/view_fuzz.py
[[ -e $fuzz ]] || {
    echo "this checkout has no $fuzz" >&2
    exit 1
}
./build.sh

export MARTLET_FUZZ_SECONDS=${MARTLET_FUZZ_SECONDS:-3600}
printf '\n== views for %s seconds\n' "$MARTLET_FUZZ_SECONDS"
# It names each program before it runs; of those only the last is worth keeping, in case it ended the process.
result=0
.venv/bin/python "$fuzz" "$@" 2> >(tail -n 100 >.build/logs/views.log) || result=$?
[[ $result = 0 ]] || echo "ended with $result; the last program is in .build/logs/views.log"
exit $result
