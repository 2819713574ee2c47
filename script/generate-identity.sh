#!/bin/sh
# Makes the identity of the first node, ./identity/p2p.key, and says its peer id.
#
# From the root of a checkout:  ./script/generate-identity.sh
# For the variable as well:     . ./script/generate-identity.sh
# Anywhere:                     curl -sSL <address of this file> | sh
#
# Any shell will do: no function has variables of its own, so all are named _identity_….
# A sourced script must not end its shell, nor leave options behind: hence no `exit`, no `set`.
# Everything is in functions, so that a piped script is read whole before anything runs.

_identity_file=./identity/p2p.key
_identity_image=${P2P_NODE_IMAGE:-getoptimum/p2pnode:${P2P_NODE_VERSION:-latest}}

_identity_say() {
    case $1 in
        INFO) _identity_colour='0;34' ;;
        SUCCESS) _identity_colour='0;32' ;;
        WARNING) _identity_colour='1;33' ;;
        *) _identity_colour='0;31' ;;
    esac
    printf '\033[%sm[%s] %s\033[0m\n' "$_identity_colour" "$1" "$2"
}

# Says the peer id of the file. The checksum before the JSON may hold any byte, NUL too.
_identity_id() {
    LC_ALL=C tr -d '\000' <"$_identity_file" | LC_ALL=C sed -n 's/.*"ID":"\([0-9A-Za-z]*\)".*/\1/p'
}

# Lets the node make its identity, in a container that is ended when the file is there.
_identity_by_node() {
    _identity_tries=0
    _identity_container=$(docker run --detach --rm --user "$(id -u):$(id -g)" --volume "$PWD/identity:/identity" \
        --env IDENTITY_DIR=/identity --env CLUSTER_ID=keygen "$_identity_image") || return
    while [ ! -s "$_identity_file" ] && [ "$_identity_tries" -lt 100 ]; do
        sleep 0.1
        _identity_tries=$((_identity_tries + 1))
    done
    docker kill "$_identity_container" >/dev/null 2>&1
    [ -s "$_identity_file" ]
}

# Makes the file by the first way there is. keygen writes ../identity: it is run in identity/.
_identity_make() {
    for _identity_program in "$(command -v keygen)" ./keygen/keygen ./target/release/keygen ./target/debug/keygen; do
        if [ -f "$_identity_program" ] && [ -x "$_identity_program" ]; then
            _identity_say INFO "Using existing keygen script..."
            _identity_program=$(cd "$(dirname "$_identity_program")" && pwd)/keygen
            _identity_say INFO "Generating P2P keypair..."
            (cd identity && "$_identity_program" >/dev/null)
            return
        fi
    done
    if command -v cargo >/dev/null && [ -f ./crates/cli/Cargo.toml ]; then
        _identity_say INFO "Using existing keygen script..."
        _identity_say INFO "Generating P2P keypair..."
        (cd identity && cargo run --quiet --manifest-path ../Cargo.toml --package cli --bin keygen >/dev/null)
        return
    fi
    if command -v docker >/dev/null && docker version >/dev/null 2>&1; then
        _identity_say INFO "Using the node image $_identity_image..."
        _identity_say INFO "Generating P2P keypair..."
        _identity_by_node
        return
    fi
    _identity_say ERROR "Nothing here makes a keypair: put keygen on the PATH, or install Rust (https://rustup.rs) and run this in a checkout, or install and start Docker"
    return 1
}

_identity_generate() {
    _identity_say INFO "Generating P2P Bootstrap Identity..."
    _identity_say INFO "Creating identity directory..."
    if ! mkdir -p identity; then
        _identity_say ERROR "The directory ./identity cannot be made"
        return 1
    fi
    if ! _identity_make || [ -z "$(_identity_id)" ]; then
        _identity_say ERROR "No P2P identity was made at $_identity_file"
        return 1
    fi
    _identity_say SUCCESS "Generated P2P identity successfully!"
    _identity_say SUCCESS "Identity saved to: $_identity_file"
    _identity_say SUCCESS "Peer ID: $(_identity_id)"
    echo
    _identity_say INFO "To use in docker-compose:"
    echo "export BOOTSTRAP_PEER_ID=$(_identity_id)"
    echo
    _identity_say SUCCESS "Done! Your OptimumP2P peer ID: $(_identity_id)"
}

# Reads the answer from stdin: one key where the shell can, a line elsewhere.
_identity_ask() {
    printf 'Delete existing identity and generate new one? (y/N): ' >&2
    if [ -n "${BASH_VERSION:-}" ]; then
        # shellcheck disable=SC3045
        read -r -n 1 _identity_answer
    else
        read -r _identity_answer
    fi
}

# Whether somebody wants another identity. The terminal is asked: stdin may be this script.
_identity_is_unwanted() {
    _identity_answer=
    if [ "${CI:-}" = true ] || [ "${GITHUB_ACTIONS:-}" = true ]; then
        _identity_say INFO "CI environment detected - using existing identity"
        return 1
    fi
    if [ -t 0 ]; then
        _identity_ask
    elif (: </dev/tty) 2>/dev/null; then
        _identity_ask </dev/tty
    fi
    echo
    [ "$_identity_answer" = y ] || [ "$_identity_answer" = Y ]
}

_identity_main() {
    if [ -e "$_identity_file" ]; then
        _identity_say WARNING "P2P identity already exists at $_identity_file"
        if _identity_is_unwanted; then
            rm -f "$_identity_file" || return
            _identity_generate || return
        elif [ -z "$(_identity_id)" ]; then
            _identity_say ERROR "$_identity_file is no identity; delete it to make a new one"
            return 1
        else
            _identity_say SUCCESS "BOOTSTRAP_PEER_ID=$(_identity_id)"
            echo "export BOOTSTRAP_PEER_ID=$(_identity_id)"
        fi
    else
        _identity_generate || return
    fi
    BOOTSTRAP_PEER_ID=$(_identity_id)
    export BOOTSTRAP_PEER_ID
}

_identity_forget() {
    unset -v _identity_file _identity_image _identity_colour _identity_tries _identity_container \
        _identity_program _identity_answer
    unset -f _identity_say _identity_id _identity_by_node _identity_make _identity_generate \
        _identity_ask _identity_is_unwanted _identity_main _identity_forget
}

# The last command: its status is that of the script.
if _identity_main; then
    _identity_forget
else
    _identity_forget
    false
fi
