#!/usr/bin/env bash
# A separate Swift package that depends on a checkout of Martlet builds, and its program runs without being told where the
# libraries are.
#
# usage: tests/package/run.sh [CHECKOUT]
# CHECKOUT is a folder that build.sh prepared; without it, a copy of this repository's files that nothing prepared.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
checkout=${1:-}
if [[ ! $checkout ]]; then
    checkout=$work/martlet
    mkdir "$checkout"
    git -C "$root" ls-files -z Package.swift Sources tests | (cd "$root" && xargs -0 tar -c) | tar -x -C "$checkout"
fi

mkdir -p "$work/app/Sources/app"
cat >"$work/app/Package.swift" <<SWIFT
// swift-tools-version:6.0
import PackageDescription

let package = Package(
    name: "app",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "martlet", path: "$(cd "$checkout" && pwd)")],
    targets: [.executableTarget(name: "app", dependencies: [.product(name: "Martlet", package: "martlet")])]
)
SWIFT
cat >"$work/app/Sources/app/main.swift" <<'SWIFT'
import Martlet

let (a, b) = (Tensor([1, 2, 3, 4] as [Float], shape: [2, 2]), Tensor([5, 6, 7, 8] as [Float], shape: [2, 2]))
print(try a.matmul(b).array(of: Float.self))
SWIFT

# A user sets none of our variables.
unset MARTLET_ONEDNN LD_LIBRARY_PATH
cd "$work/app"
swift build --build-system native >"$work/log" 2>&1 || {
    tail -n 40 "$work/log" >&2
    exit 1
}
printed=$(env -i .build/debug/app)
for number in 19 22 43 50; do
    [[ $printed = *"$number.0"* ]] || { echo "the program printed: $printed" >&2; exit 1; }
done
echo "a Swift package that depends on ${1:-an unprepared checkout}: 1 passed, 0 failed"
