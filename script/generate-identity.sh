#!/usr/bin/env bash
# Makes the identity of the first node, ./identity/p2p.key, and says its peer id.
#
# From the root of a checkout:  ./script/generate-identity.sh
# For the variable as well:     source ./script/generate-identity.sh
# Anywhere:                     curl -sSL <address of this file> | bash
#
# A sourced script must not end its shell, nor leave options behind: hence no `exit`, no `set`.
# Everything is in functions, so that a piped script is read whole before anything runs.

_identity_file=./identity/p2p.key
_identity_image=${P2P_NODE_IMAGE:-getoptimum/p2pnode:${P2P_NODE_VERSION:-latest}}

_identity_say() {
    local colour
    case $1 in
        INFO) colour='\033[0;34m' ;;
        SUCCESS) colour='\033[0;32m' ;;
        WARNING) colour='\033[1;33m' ;;
        *) colour='\033[0;31m' ;;
    esac
    printf "${colour}[%s] %s\033[0m\n" "$1" "$2"
}

# Says the peer id of the file. The checksum before the JSON may hold any byte, NUL too.
_identity_id() {
    LC_ALL=C tr -d '\000' <"$_identity_file" | LC_ALL=C sed -n 's/.*"ID":"\([0-9A-Za-z]*\)".*/\1/p'
}

# Lets the node make its identity, in a container that is ended when the file is there.
_identity_by_node() {
    local container tries=0
    container=$(docker run --detach --rm --user "$(id -u):$(id -g)" --volume "$PWD/identity:/identity" \
        --env IDENTITY_DIR=/identity --env CLUSTER_ID=keygen "$_identity_image") || return
    while [ ! -s "$_identity_file" ] && [ "$tries" -lt 100 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    docker kill "$container" >/dev/null 2>&1
    [ -s "$_identity_file" ]
}

# Makes the file by the first way there is. keygen writes ../identity: it is run in identity/.
_identity_make() {
    local program
    for program in "$(type -P keygen)" ./keygen/keygen ./target/release/keygen ./target/debug/keygen; do
        if [ -n "$program" ] && [ -x "$program" ]; then
            _identity_say INFO "Using existing keygen script..."
            program=$(cd "$(dirname "$program")" && pwd)/keygen
            _identity_say INFO "Generating P2P keypair..."
            (cd identity && "$program" >/dev/null)
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
    local id
    id=$(_identity_id)
    _identity_say SUCCESS "Generated P2P identity successfully!"
    _identity_say SUCCESS "Identity saved to: $_identity_file"
    _identity_say SUCCESS "Peer ID: $id"
    echo
    _identity_say INFO "To use in docker-compose:"
    echo "export BOOTSTRAP_PEER_ID=$id"
    echo
    _identity_say SUCCESS "Done! Your OptimumP2P peer ID: $id"
}

# Whether somebody wants another identity. The terminal is asked: stdin may be this script.
_identity_is_unwanted() {
    local answer=
    if [ "${CI:-}" = true ] || [ "${GITHUB_ACTIONS:-}" = true ]; then
        _identity_say INFO "CI environment detected - using existing identity"
        return 1
    fi
    if [ -t 0 ]; then
        read -r -n 1 -p "Delete existing identity and generate new one? (y/N): " answer
    elif { : </dev/tty; } 2>/dev/null; then
        read -r -n 1 -p "Delete existing identity and generate new one? (y/N): " answer </dev/tty
    fi
    echo
    [ "$answer" = y ] || [ "$answer" = Y ]
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

# The last command: its status is that of the script.
if _identity_main; then
    unset -v _identity_file _identity_image
    unset -f _identity_say _identity_id _identity_by_node _identity_make _identity_generate \
        _identity_is_unwanted _identity_main
else
    unset -v _identity_file _identity_image
    unset -f _identity_say _identity_id _identity_by_node _identity_make _identity_generate \
        _identity_is_unwanted _identity_main
    false
fi
