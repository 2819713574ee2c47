#!/bin/sh
# Prints the path of a docker-compose 2. Where none is installed it is unpacked, not installed, from a
# newer Debian of the same mirror that apt is set up with: beside it the older one keeps its place.
set -eu

cd "$(dirname "$0")/.."
folder=$PWD/target/compose-v2

# Whether the command is a docker-compose 2 that starts.
is_v2() {
    "$1" version --short 2>/dev/null | grep -q '^v\?[2-9]'
}

fetch() {
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || {
        echo "compose-v2: no docker-compose 2 is installed and there is no apt to fetch one with" >&2
        return 1
    }
    # shellcheck disable=SC2016 # apt's own variables
    mirror=$(apt-get indextargets --format '$(CREATED_BY) $(ORIGIN) $(REPO_URI)' |
        awk '$1 == "Packages" && $2 == "Debian" && $3 !~ /security/ { print $3; exit }')
    [ -n "$mirror" ] || {
        echo "compose-v2: apt has no Debian mirror to fetch a docker-compose 2 from" >&2
        return 1
    }
    mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"
    # apt's own user reads the list of sources.
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$folder/sources.list"
    set -- -qq -o "Dir::Etc::SourceList=$folder/sources.list" -o Dir::Etc::SourceParts=- \
        -o "Dir::State::Lists=$folder/lists" -o "Dir::Cache=$folder/cache" \
        -o APT::Sandbox::User=root
    apt-get "$@" update >&2
    (cd "$folder" && apt-get "$@" download docker-compose >&2 && dpkg-deb -x docker-compose_*.deb .)
    rm -rf "$folder/lists" "$folder/cache" "$folder"/docker-compose_*.deb
}

# Prints the first that there is.
find_v2() {
    for command in docker-compose "${HOME:-/root}/.docker/cli-plugins/docker-compose" \
        /usr/libexec/docker/cli-plugins/docker-compose /usr/lib/docker/cli-plugins/docker-compose \
        "$folder/usr/libexec/docker/cli-plugins/docker-compose" "$folder/usr/bin/docker-compose"; do
        if is_v2 "$command"; then
            command -v "$command"
            return
        fi
    done
    return 1
}

find_v2 || {
    fetch
    find_v2 || {
        echo "compose-v2: what was fetched does not start here" >&2
        exit 1
    }
}
