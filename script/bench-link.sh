#!/bin/sh
# Frame delay and goodput over a shaped link: builds, measures, writes docs/benchmarks.md.
# Arguments go to the benchmark; --help lists them.
set -eu
cd "$(dirname "$0")/.."
if [ "$(id -u)" != 0 ]; then
    echo "bench-link makes network namespaces and needs root" >&2
    exit 1
fi
cargo build --release -p lab --bin bench-link
"${CARGO_TARGET_DIR:-target}/release/bench-link" --write docs/benchmarks.md "$@"
