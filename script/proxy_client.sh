#!/bin/sh
# Subscribes or publishes through a local proxy with proxy-client, which it builds where there is none;
# PROFILE=dev builds it in a fraction of the time. `make build` builds a newer one.
set -eu

name=$0
root=$(cd "$(dirname "$0")/.." && pwd)
client=$root/grpc_proxy_client/proxy-client

build() {
    command -v cargo >/dev/null 2>&1 || {
        echo "proxy-client is not built, and cannot be: install Rust (https://rustup.rs)" >&2
        return 1
    }
    cargo build --quiet --manifest-path "$root/Cargo.toml" --package cli --bin proxy-client --profile "$profile"
    mkdir -p "$root/grpc_proxy_client"
    install "${CARGO_TARGET_DIR:-$root/target}/$built/proxy-client" "$client"
}

profile=${PROFILE:-release}
# Where cargo puts what it builds.
case $profile in dev | test) built=debug ;; *) built=$profile ;; esac
[ -x "$client" ] || build

usage() {
    echo "Usage: $name (subscribe <topic> <threshold>)|(publish <topic> <threshold> <message-count>)" >&2
    echo "What follows is given to proxy-client, such as -proxy=localhost:50052 -rest=http://localhost:8082" >&2
    exit 1
}

[ $# -gt 0 ] || usage
mode=$1
shift
case $mode in
    subscribe)
        [ $# -ge 2 ] || usage
        topic=$1 threshold=$2
        shift 2
        exec "$client" -topic="$topic" -threshold="$threshold" -subscribeOnly "$@"
        ;;
    publish)
        [ $# -ge 3 ] || usage
        topic=$1 threshold=$2 count=$3
        shift 3
        exec "$client" -topic="$topic" -threshold="$threshold" -count="$count" "$@"
        ;;
    *)
        echo "Invalid mode: $mode" >&2
        exit 1
        ;;
esac
