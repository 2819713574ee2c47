#!/bin/sh
# What `make subscribe`, `make publish` and `make dashboard` do with their words:
#
#     ARGUMENTS="<words>" make-client.sh [check-]subscribe|[check-]publish|dashboard [<process id of make>]
#
# With check- it only says what is wrong with them. Nothing in the words is expanded again.
#
# make hands its words over in one line, where "Version 2" is two words, and takes some for itself: -n and
# a=b. So they are read from its process where the system shows that.
set -euf

name=${1#check-}
checks=no
[ "$1" = "$name" ] || checks=yes
make=${2:-}

fail() {
    echo "make $name: $1" >&2
    exit 1
}

# usage WORDS EXAMPLE
usage() {
    echo "Usage: make $name $1" >&2
    echo "Example: make $name $2" >&2
    exit 1
}

is_number() {
    case $1 in '' | *[!0-9]*) return 1 ;; esac
}

newline='
'

# Prints the words behind `make publish`, a line each with a mark in front: + for one that make reads for
# options, = for one behind two dashes. A newline in a word is a byte 1. Fails where the system shows none.
own_words() {
    [ -n "$make" ] && [ -r "/proc/$make/cmdline" ] || return 1
    tr '\000\n' '\n\001' <"/proc/$make/cmdline" | {
        mark=
        while IFS= read -r word; do
            case $mark$word in
                "$name") mark=+ ;;
                +--) mark='=' ;;
                [+=]*) printf '%s\n' "$mark$word" ;;
            esac
        done
        [ -n "$mark" ]
    }
}

# Refuses a word that make does not only hand on. Fails for a setting of make's.
is_ours() {
    case $1 in
        [+=]CARGO=* | [+=]PROFILE=* | [+=]MUMP2P=* | [+=]CARGO_TARGET_DIR=*) return 1 ;;
        +-*) fail "${1#+} is an option to make; behind two dashes it is a word: make $name <addr> <topic> -- ${1#+}" ;;
        ?*=*) fail "${1#?} is a variable to make, since it has an equals sign; call $CLIENT, which takes any text" ;;
    esac
}

is_whole=no
if words=$(own_words); then
    is_whole=yes
    IFS=$newline
    # shellcheck disable=SC2086
    set -- $words
    unset IFS
    for word in "$@"; do
        shift
        if is_ours "$word"; then
            set -- "$@" "$(printf '%s' "${word#?}" | tr '\001' '\n')"
        fi
    done
else
    # shellcheck disable=SC2086
    set -- ${ARGUMENTS:-}
fi

# The client, unless the words were only to be checked.
client() {
    [ "$checks" = no ] || exit 0
    exec "$CLIENT" "$@"
}

subscribe() {
    [ $# -eq 2 ] || usage "<addr> <topic>" "127.0.0.1:33221 mytopic"
    client -mode=subscribe -addr="$1" -topic="$2"
}

publish_usage() {
    usage "<addr> <topic> <message|random> [count] [sleep]" "127.0.0.1:33221 mytopic random 10 1s"
}

# Words behind the third that are no count are the rest of the message.
publish() {
    [ $# -ge 3 ] || publish_usage
    addr=$1 topic=$2
    shift 2
    if [ $# -ge 2 ] && ! is_number "$2"; then
        client -mode=publish -addr="$addr" -topic="$topic" -msg="$*"
    fi
    if [ $# -ge 2 ] && [ "$1" != random ]; then
        [ "$is_whole" = yes ] ||
            fail "whether $2 is a count or a part of the message is not seen here; call $CLIENT, which takes any text"
        [ "$2" -le 1 ] || [ "$checks" = yes ] ||
            echo "make publish: with a count every message is random; the text \"$1\" is not published" >&2
    fi
    [ $# -le 3 ] || publish_usage
    sleep=${3:-0s}
    # A number alone is seconds.
    case $sleep in *[0-9]) sleep=${sleep}s ;; esac
    client -mode=publish -addr="$addr" -topic="$topic" -msg="$1" -count="${2:-1}" -sleep="$sleep"
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
