#!/bin/sh
# Real nodes over shaped links, protocol beside protocol: builds and measures.
# Arguments go to the lab; --help lists them.
set -eu
cd "$(dirname "$0")/.."
if [ "$(id -u)" != 0 ]; then
    echo "the lab makes network namespaces and needs root" >&2
    exit 1
fi
cargo build --release --workspace --quiet --bin p2pnode --bin lab --bin lab-gossipsub
# All nodes alike go before what else this machine does.
exec nice -n -10 "${CARGO_TARGET_DIR:-target}/release/lab" "$@"
