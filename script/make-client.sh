#!/bin/sh
# What `make subscribe`, `make publish` and `make dashboard` do with their words:
#
#     ARGUMENTS="<words>" make-client.sh subscribe|publish|dashboard
#
# make hands its words over in one line; nothing in them is expanded again.
set -euf

name=$1
# shellcheck disable=SC2086
set -- ${ARGUMENTS:-}

# usage WORDS EXAMPLE
usage() {
    echo "Usage: make $name $1" >&2
    echo "Example: make $name $2" >&2
    exit 1
}

is_number() {
    case $1 in '' | *[!0-9]*) return 1 ;; esac
}

subscribe() {
    [ $# -eq 2 ] || usage "<addr> <topic>" "127.0.0.1:33221 mytopic"
    exec "$CLIENT" -mode=subscribe -addr="$1" -topic="$2"
}

# Words behind the third that are no count are the rest of the message.
publish() {
    [ $# -ge 3 ] || usage "<addr> <topic> <message|random> [count] [sleep]" "127.0.0.1:33221 mytopic random 10 1s"
    addr=$1 topic=$2
    shift 2
    if [ $# -ge 2 ] && ! is_number "$2"; then
        exec "$CLIENT" -mode=publish -addr="$addr" -topic="$topic" -msg="$*"
    fi
    [ $# -le 3 ] || usage "<addr> <topic> <message|random> [count] [sleep]" "127.0.0.1:33221 mytopic random 10 1s"
    sleep=${3:-0s}
    # A number alone is seconds.
    case $sleep in *[0-9]) sleep=${sleep}s ;; esac
    exec "$CLIENT" -mode=publish -addr="$addr" -topic="$topic" -msg="$1" -count="${2:-1}" -sleep="$sleep"
}

dashboard() {
    where=${1:-}
    [ $# -le 1 ] || where=wrong
    if [ -z "$where" ]; then
        where=local
        [ -z "${PROXY_BASE:-}${NODE_BASE:-}" ] || where=remote
    fi
    case $where in
        local) set -- --local ;;
        remote)
            [ -n "${PROXY_BASE:-}${NODE_BASE:-}" ] || where=wrong
            set --
            ;;
        *) where=wrong ;;
    esac
    [ "$where" != wrong ] || usage "[local|remote] [proxy-base=URL] [node-base=URL]" "remote proxy-base=proxy.example"
    [ -z "${PROXY_BASE:-}" ] || set -- "$@" --proxy-base "$PROXY_BASE"
    [ -z "${NODE_BASE:-}" ] || set -- "$@" --node-base "$NODE_BASE"
    # shellcheck disable=SC2086
    exec $MUMP2P dashboard "$@"
}

"$name" "$@"
