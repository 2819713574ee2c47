#!/bin/sh
# Everything that must hold, each step with its time. What could not run for want of a tool stands
# in the last lines; with CI=true that is a failure.
set -u

cd "$(dirname "$0")/.." || exit 1
skipped=""
failed=""

step() {
    name=$1
    shift
    echo "== $name"
    begin=$(date +%s)
    if "$@"; then
        echo "== $name: ok, $(($(date +%s) - begin)) s"
    else
        echo "== $name: FAILED, $(($(date +%s) - begin)) s"
        failed="$failed $name"
    fi
}

skip() {
    skipped="$skipped
  $1: $2"
}

step format make --no-print-directory lint
step documentation make --no-print-directory doc

if cargo deny --version >/dev/null 2>&1; then
    step licences make --no-print-directory deny
else
    skip licences "cargo-deny is missing; cargo install --locked cargo-deny"
fi

step "fuzz corpus" make --no-print-directory fuzz-replay

if cargo +nightly fuzz --version >/dev/null 2>&1 && command -v c++ >/dev/null; then
    step fuzzing make --no-print-directory fuzz
else
    skip fuzzing "nightly Rust, cargo-fuzz or a C++ compiler (g++) is missing; rustup toolchain install nightly && cargo install --locked cargo-fuzz"
fi

# Last, so that the tests' own summary is near the end.
step tests make --no-print-directory unit

if [ -n "$skipped" ]; then
    echo "Skipped:$skipped"
    [ "${CI:-}" = true ] && failed="$failed skipped"
fi
if [ -n "$failed" ]; then
    echo "Failed:$failed"
    exit 1
fi
echo "Everything that ran passed."
