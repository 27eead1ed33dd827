#!/usr/bin/env bash
# Runs the public suite of the Python array API on this tree. It downloads nothing: ARRAY_API_TESTS names a checkout of
# data-apis/array-api-tests with its submodule array-api; where it is not set there is nothing to do.
#
#   ARRAY_API_TESTS=/path/to/array-api-tests PYTHON=python tests/array_api/run.sh [arguments of pytest]
#
# PYTHON must have pytest, pytest-json-report, hypothesis and ndindex. MODULE=numpy runs NumPy instead, for comparison.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [[ -z "${ARRAY_API_TESTS:-}" ]]; then
    echo "ARRAY_API_TESTS is not set: the suite of the array API is left out."
    exit 0
fi
python=${PYTHON:-$here/../../.venv/bin/python}
module=${MODULE:-martlet}
exceptions=()
[[ "$module" == martlet ]] && exceptions=(--xfails-file "$here/xfails.txt")
export PYTHONPATH="$here/../../python${PYTHONPATH:+:$PYTHONPATH}"
export ARRAY_API_TESTS_MODULE="$module" ARRAY_API_TESTS_VERSION=2024.12
cd "$ARRAY_API_TESTS"
exec "$python" -m pytest array_api_tests --max-examples "${EXAMPLES:-20}" --derandomize --disable-deadline \
    -p no:cacheprovider -q "${exceptions[@]}" "$@"
