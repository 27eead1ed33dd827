#!/usr/bin/env bash
# Runs random chains of views into every kernel that takes views, against NumPy, for an hour.
#
# usage: scripts/long/views.sh [ARGUMENT of pytest...]
#
# MARTLET_FUZZ_SECONDS: how long, 3600 by default.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
./build.sh

export MARTLET_FUZZ_SECONDS=${MARTLET_FUZZ_SECONDS:-3600}
printf '\n== views for %s seconds\n' "$MARTLET_FUZZ_SECONDS"
.venv/bin/python -m pytest -q -s -p no:cacheprovider tests/python/test_views.py "$@"
