#!/bin/sh
# Subscribes or publishes through a local proxy with proxy-client, which it builds first.
# PROFILE=dev builds it in a fraction of the time.
set -eu

name=$0
root=$(cd "$(dirname "$0")/.." && pwd)
client=$root/grpc_proxy_client/proxy-client

if command -v cargo >/dev/null 2>&1; then
    make --no-print-directory --silent -C "$root" build
elif [ ! -x "$client" ]; then
    echo "proxy-client is not built, and cannot be: install Rust (https://rustup.rs)" >&2
    exit 1
fi

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
