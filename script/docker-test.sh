#!/usr/bin/env bash
# Builds the images, brings both stacks up and tries them: the suite, a node that dies and comes back.
# Then does what the guide says of containers. Nothing is pulled. Uses the Docker engine that runs; where
# none does, starts one of its own (root, dockerd) and ends it. DOCKER=skip leaves all of it out;
# PROFILE=dev|release is how the programs are built.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${DOCKER:-}" = skip ]; then
    echo "docker-test: SKIPPED, as DOCKER=skip asks: no image was built and no stack tried"
    exit 0
fi

export PROFILE=${PROFILE:-dev}
export TAG=test-$$ IMAGE_PREFIX=open-optimump2p-test/
export P2P_NODE_VERSION=$TAG PROXY_VERSION=$TAG CLUSTER_ID=docker-test-$$ LOG_LEVEL=debug
BUSYBOX=open-optimump2p-test/busybox:$TAG
SERVICES=(p2pnode-1 p2pnode-2 p2pnode-3 p2pnode-4 proxy-1 proxy-2)
PORTS=(8081 8082 50051 50052 {33221..33224} {7071..7074} {6061..6064} {9091..9094})
# How long anything may take that should happen, in seconds.
PATIENCE=60

work=$(mktemp -d)
engine=
compose=()
listeners=()
made=

fail() {
    echo "docker-test: $*" >&2
    exit 1
}

say() {
    echo "-- $*"
}

stop_listeners() {
    [ ${#listeners[@]} -eq 0 ] || kill "${listeners[@]}" 2>/dev/null || true
    listeners=()
}

finish() {
    local code=$?
    trap - EXIT
    set +e
    stop_listeners
    if [ ${#compose[@]} -gt 0 ]; then
        if [ $code -ne 0 ]; then
            say "the last lines of each container"
            "${compose[@]}" logs --no-color --tail=15 2>&1 | cut -c1-400
        fi
        "${compose[@]}" down --volumes --timeout 5 >/dev/null 2>&1
    fi
    if [ -n "$engine" ]; then
        kill "$engine" 2>/dev/null
        wait "$engine" 2>/dev/null
        rm -rf --one-file-system "$work/engine"
    else
        docker image ls --quiet --filter "reference=$IMAGE_PREFIX*:$TAG*" 2>/dev/null | sort -u |
            xargs -r docker image rm --force >/dev/null 2>&1
    fi
    # What the guide made in this folder, unless it was there before.
    [ -z "$made" ] || rm -rf $made
    rm -rf "$work"
    exit $code
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# wait_for WHAT COMMAND...: until the command is true.
wait_for() {
    local what=$1 deadline=$((SECONDS + PATIENCE))
    shift
    until "$@"; do
        [ $SECONDS -lt $deadline ] || fail "not within $PATIENCE s: $what"
        sleep 0.5
    done
}

# The engine: the one that is there, else one of ours.

start_engine() {
    local options=("$@") folder=$work/engine
    mkdir -p "$folder"
    dockerd --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/pid" \
        --host "unix://$folder/socket" "${options[@]}" >"$work/dockerd.log" 2>&1 &
    engine=$!
    export DOCKER_HOST=unix://$folder/socket
    local deadline=$((SECONDS + PATIENCE))
    while kill -0 "$engine" 2>/dev/null && [ $SECONDS -lt $deadline ]; do
        docker info >/dev/null 2>&1 && return
        sleep 0.5
    done
    kill "$engine" 2>/dev/null || true
    wait "$engine" 2>/dev/null || true
    engine=
    rm -rf --one-file-system "$folder"
    return 1
}

find_engine() {
    command -v docker >/dev/null ||
        fail "no docker here; apt-get install docker.io, or DOCKER=skip leaves this out"
    if docker info >/dev/null 2>&1; then
        say "the engine that runs: $(docker version --format '{{.Server.Version}}')"
        return
    fi
    command -v dockerd >/dev/null ||
        fail "no Docker engine runs and there is no dockerd to start; apt-get install docker.io, or DOCKER=skip leaves this out"
    [ "$(id -u)" = 0 ] ||
        fail "no Docker engine runs and only root can start one; start it, or DOCKER=skip leaves this out"
    local options
    # What a kernel or a container around us may lack: overlay file systems, packet filters.
    for options in "" "--storage-driver=vfs" "--iptables=false --ip6tables=false" \
        "--storage-driver=vfs --iptables=false --ip6tables=false"; do
        # shellcheck disable=SC2086 # a list of words
        if start_engine $options; then
            say "an engine of our own: $(docker version --format '{{.Server.Version}}') $options"
            return
        fi
    done
    tail -n 5 "$work/dockerd.log" >&2
    fail "no Docker engine can be started here (its last words are above); DOCKER=skip leaves this out"
}

find_composes() {
    v1=$(command -v docker-compose || true)
    [ -n "$v1" ] && "$v1" version --short 2>/dev/null | grep -q '^1\.' ||
        fail "docker-compose 1.29 is missing, which must read the files too; apt-get install docker-compose (Debian 12)"
    v2=$(sh script/compose-v2.sh) || fail "no docker-compose 2, which must read the files too"
    say "docker-compose $("$v1" version --short) and $("$v2" version --short)"
}

# Ports and names that the files fix.
look_around() {
    local port taken=
    for port in "${PORTS[@]}"; do
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            taken="$taken $port"
        fi
    done
    [ -z "$taken" ] || fail "in use on this machine, and the stack needs them:$taken (make up, or another stack?)"
    local service
    for service in "${SERVICES[@]}"; do
        [ -z "$(docker ps --all --quiet --filter "name=^/$service\$")" ] ||
            fail "a container $service is there already; docker-compose down ends its stack"
    done
}

# The images.

local_busybox() {
    local busybox folder=$work/busybox
    busybox=$(command -v busybox) || fail "busybox is missing; apt-get install busybox-static"
    mkdir -p "$folder/bin"
    cp "$busybox" "$folder/bin/busybox"
    ln -s busybox "$folder/bin/sh"
    ln -s busybox "$folder/bin/nc"
    tar --create --directory "$folder" . | docker import - "$BUSYBOX" >/dev/null
}

check_images() {
    local name said
    for name in p2pnode proxy; do
        docker run --rm "$IMAGE_PREFIX$name:$TAG" --version
        docker run --rm --user 4321:4321 "$IMAGE_PREFIX$name:$TAG" --check >/dev/null ||
            fail "$name does not run as any user"
        said=$(docker run --rm --entrypoint /bin/sh "$IMAGE_PREFIX$name:$TAG-debug" -c 'nc --help' 2>&1 || true)
        [[ $said == *BusyBox* ]] || fail "$name:$TAG-debug has no shell or no nc: $said"
        [ "$(docker inspect --format '{{index .Config.Labels "org.opencontainers.image.revision"}}' "$IMAGE_PREFIX$name:$TAG")" \
            = "$(git rev-parse --short=7 HEAD 2>/dev/null || echo unknown)" ] || fail "$name is not labelled with the commit"
    done
}

# A stack.

# use COMPOSE FILE: what `compose` speaks to from here on. Its folder is ours, with a key of its own,
# so that the identity and the .env of whoever runs this are left alone.
use() {
    compose=("$1" --project-name docker-test --project-directory "$work/project" --file "$PWD/$2")
}

# health SERVICE: healthy, starting, …
health() {
    docker inspect --format '{{.State.Health.Status}}' "$1" 2>/dev/null
}

all_healthy() {
    local service
    for service in "$@"; do
        [ "$(health "$service")" = healthy ] || return 1
    done
}

# peers NODE COUNT: whether the node has so many.
has_peers() {
    curl -s --max-time 5 "http://localhost:909$1/api/v1/p2p-snapshot" | grep -q "\"total_peer_count\":$2\b"
}

ready() {
    curl -sf --max-time 5 "http://localhost:$1/readyz" >/dev/null
}

up() {
    # Without monitoring: its images are somebody else's.
    "${compose[@]}" up --detach --no-build "${SERVICES[@]}" 2>"$work/up.log" || {
        cat "$work/up.log" >&2
        fail "the stack does not come up"
    }
    wait_for "all containers are healthy" all_healthy "${SERVICES[@]}"
    local number
    for number in 1 2 3 4; do
        wait_for "node $number has three peers" has_peers "$number" 3
    done
    wait_for "proxy 1 is ready" ready 8081
    wait_for "proxy 2 is ready" ready 8082
}

down() {
    stop_listeners
    "${compose[@]}" down --volumes --timeout 10 2>/dev/null
    compose=()
}

# Deliveries.

# listen PORT CLIENT FILE: writes what the proxy says on a WebSocket. Frames of a server are not masked,
# so the JSON stands in them as it is.
listen() {
    (
        exec 3<>"/dev/tcp/127.0.0.1/$1"
        printf 'GET /api/v1/ws?client_id=%s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ZG9ja2VyLXRlc3QtMTIzNA==\r\n\r\n' "$2" >&3
        exec cat <&3 >"$3"
    ) &
    listeners+=($!)
}

subscribe() {
    curl -sf --max-time 20 "http://localhost:$1/api/v1/subscribe" -d "{\"client_id\":\"$2\",\"topic\":\"$3\",\"threshold\":0.1}" >/dev/null
}

publish() {
    curl -s --max-time 20 "http://localhost:$1/api/v1/publish" -d "{\"client_id\":\"publisher\",\"topic\":\"$2\",\"message\":\"$3\"}"
}

# Whether a new message through proxy 1 arrives at proxy 2 and, by gRPC, at node 4.
passes() {
    local text
    text="message $RANDOM$RANDOM"
    publish 8081 "$topic" "$text" | grep -q '"status":"published"' || return 1
    local deadline=$((SECONDS + 5))
    until grep -qa "$(printf %s "$text" | base64)" "$work/websocket" && grep -q "$text" "$work/sidecar"; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.1
    done
}

deliveries() {
    topic=$1
    subscribe 8082 reader "$topic"
    listen 8082 reader "$work/websocket"
    "$work/bin/p2p-client" -mode=subscribe "-topic=$topic" -addr=127.0.0.1:33224 >"$work/sidecar" 2>&1 &
    listeners+=($!)
    wait_for "a message from proxy 1 reaches proxy 2 and node 4" passes
}

node_dies_and_comes_back() {
    docker kill p2pnode-1 >/dev/null
    wait_for "node 2 sees that node 1 is gone" has_peers 2 2
    wait_for "a message passes without node 1" passes
    say "delivered without node 1"
    docker start p2pnode-1 >/dev/null
    wait_for "node 1 is healthy again" all_healthy p2pnode-1
    wait_for "node 1 has its peers again" has_peers 1 3
    "$work/bin/p2p-client" -mode=subscribe "-topic=$topic" -addr=127.0.0.1:33221 >"$work/back" 2>&1 &
    listeners+=($!)
    reaches_node_1() { passes && grep -q "Recv message" "$work/back"; }
    wait_for "a message reaches node 1 again" reaches_node_1
    say "node 1 is back and has the messages"
}

whole_stack() {
    say "the optimum stack by docker-compose $("$1" version --short)"
    use "$1" docker-compose-optimum.yml
    up
    ./test_suite.sh
    deliveries "docker-test"
    say "delivered from proxy 1 to proxy 2 and node 4"
    node_dies_and_comes_back
    down
}

gossipsub_stack() {
    say "the gossipsub stack by docker-compose $("$1" version --short)"
    use "$1" docker-compose-gossipsub.yml
    up
    deliveries "docker-test"
    say "delivered from proxy 1 to proxy 2 and node 4"
    down
}

# The commands of the guide, as they are typed there, with the names of images that are ours. It goes
# easy on a key and an .env that are there, and what was not is removed at the end.
guide() {
    say "the guide's commands, with docker-compose $(docker-compose version --short)"
    local file
    for file in .env identity; do
        [ -e $file ] || made="$made $file"
    done
    # What is left over if this is ended in the middle is taken down like the stacks before.
    compose=(docker-compose --project-name docker-test --file docker-compose-optimum.yml)
    cargo build --workspace --quiet --bin run-guide
    CI=true COMPOSE_PROJECT_NAME=docker-test PATH=$PWD/dist/image:$PATH env --unset=BOOTSTRAP_PEER_ID \
        "${CARGO_TARGET_DIR:-target}/debug/run-guide" --only docker docs/guide.md
    compose=()
}

find_engine
find_composes
look_around
local_busybox
OUT="$work/bin" sh script/static.sh p2p-client p2pnode proxy keygen
DEBUG_BASE=$BUSYBOX sh script/images.sh
check_images

# The key as a person makes it: readable by its owner alone, who is not root.
mkdir -p "$work/project/keygen" "$work/project/identity"
BOOTSTRAP_PEER_ID=$(cd "$work/project/keygen" && "$OLDPWD/dist/image/keygen" | sed -n 's/^Peer ID: //p')
export BOOTSTRAP_PEER_ID
[ "$(id -u)" = 0 ] && chown -R 4321:4321 "$work/project/identity"

whole_stack "$v1"
whole_stack "$v2"
gossipsub_stack "$v2"
guide
echo "docker-test: both stacks and the guide's commands work"
