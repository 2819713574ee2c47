#!/bin/sh
# The coding crates beside others: builds, measures on one core, writes docs/benchmarks.md.
# Arguments go to the benchmark; --help lists them.
set -eu
cd "$(dirname "$0")/.."
# The C kernel of reed-solomon-erasure is built for this CPU, as all the others choose theirs.
RUST_REED_SOLOMON_ERASURE_ARCH=native \
    cargo build --release --quiet --manifest-path testing/bench-coding/Cargo.toml
bench="${CARGO_TARGET_DIR:-testing/bench-coding/target}/release/bench-coding"
# A process that moves to another core finds cold caches there.
if command -v taskset >/dev/null; then
    last=$(taskset -cp $$ | sed 's/.*[-, ]//')
    bench="taskset -c $last $bench"
fi
$bench --write docs/benchmarks.md "$@"
