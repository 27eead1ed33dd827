#!/usr/bin/env bash
# Runs all op cases and the tests of tensors, layers and models with the narrower instruction sets of x86-64.
#
# usage: scripts/long/isa.sh [ARGUMENT of pytest...]; without arguments as said above
#
# MK_ISA_LIMIT chooses our kernels, ONEDNN_MAX_CPU_ISA oneDNN's: what a processor without AVX2, or without AVX-512, runs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[[ $(uname -m) = x86_64 ]] || {
    echo "our kernels have several instruction sets on x86-64 only" >&2
    exit 1
}
./build.sh

tests=("$@")
if [[ ${#tests[@]} = 0 ]]; then
    tests=(tests/python/test_cases.py tests/python/test_fuzz.py tests/python/test_linalg.py tests/python/test_array_api.py
        tests/python/test_functional.py tests/python/test_packed_weights.py tests/python/test_state.py
        tests/python/test_nn.py tests/python/test_models.py tests/python/test_isa.py tests/python/test_tensor_*.py)
fi

result=0
# level NUMBER NAME: the tests with our kernels of that level, and oneDNN's of that name.
level() {
    export MK_ISA_LIMIT=$1 ONEDNN_MAX_CPU_ISA=$2
    printf '\n== MK_ISA_LIMIT=%s (%s), ONEDNN_MAX_CPU_ISA=%s\n' "$1" \
        "$(.venv/bin/python -c 'import martlet; print(martlet.info()["isa"])')" "$2"
    .venv/bin/python -m pytest -q -p no:cacheprovider -n auto "${tests[@]}" || result=1
}
level 0 SSE41
level 1 AVX2
exit $result
