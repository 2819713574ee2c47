#!/usr/bin/env bash
# Checks that a running stack answers as clients expect: `make up` in one terminal, this in another.
# PROXY, PROXY_2, PROXY_GRPC and NODE name another stack. Needs curl. Deliveries are checked by
# mump2p and proxy-client, of BIN_DIR or where `make build` and cargo put them, and by wscat (npm);
# what is missing is skipped. Ends with 0 only if nothing failed.
set -u

PROXY=${PROXY:-http://localhost:8081}
PROXY_2=${PROXY_2:-http://localhost:8082}
PROXY_GRPC=${PROXY_GRPC:-localhost:50051}
NODE=${NODE:-http://localhost:9091}
HERE=$(cd "$(dirname "$0")" && pwd)
CLIENT=test-client-$(date +%s)
TOPIC=example-topic

if [ -t 1 ]; then
    green=$'\033[32m' red=$'\033[31m' yellow=$'\033[33m' plain=$'\033[0m'
else
    green='' red='' yellow='' plain=''
fi
passed=0 failed=0 skipped=0

pass() {
    echo "${green}[PASS]${plain} $1"
    passed=$((passed + 1))
}

fail() {
    echo "${red}[FAIL]${plain} $1: $2"
    failed=$((failed + 1))
}

skip() {
    echo "${yellow}[SKIP]${plain} $1: $2"
    skipped=$((skipped + 1))
}

# The body of an answer, of a long one its beginning.
short() {
    local body=${1:-nothing}
    echo "${body:0:500}"
}

# expect NAME BODY TEXT [TEXT]: the body contains one of the texts.
expect() {
    local name=$1 body=$2 text
    shift 2
    for text in "$@"; do
        case $body in
            *"$text"*)
                pass "$name"
                return
                ;;
        esac
    done
    fail "$name" "expected $*, got $(short "$body")"
}

# expect_all NAME BODY TEXT...: the body contains all of the texts.
expect_all() {
    local name=$1 body=$2 text
    shift 2
    for text in "$@"; do
        case $body in
            *"$text"*) ;;
            *)
                fail "$name" "expected $text, got $(short "$body")"
                return
                ;;
        esac
    done
    pass "$name"
}

get() {
    curl -sS --max-time 20 "$1" 2>&1
}

post() {
    curl -sS --max-time 20 -H 'Content-Type: application/json' -d "$2" "$1" 2>&1
}

# subscribe TOPIC [CLIENT THRESHOLD]
subscribe() {
    post "$PROXY/api/v1/subscribe" \
        "{\"client_id\":\"${2:-$CLIENT}\",\"topic\":\"$1\",\"threshold\":${3:-0.7}}"
}

# publish TOPIC MESSAGE [PROXY]
publish() {
    post "${3:-$PROXY}/api/v1/publish" "{\"client_id\":\"$CLIENT\",\"topic\":\"$1\",\"message\":\"$2\"}"
}

# own NAME: where our program of that name is.
own() {
    local folder
    for folder in ${BIN_DIR:+"$BIN_DIR"} "$HERE/bin" "$HERE/target/release" "$HERE/target/debug" \
        "$HERE/grpc_proxy_client"; do
        if [ -x "$folder/$1" ]; then
            echo "$folder/$1"
            return
        fi
    done
    command -v "$1"
}

# What receivers print, each in a file of its own; also the home of mump2p, to leave the user's alone.
files=$(mktemp -d) || exit 1
# Nobody writes there, so a receiver that reads its input waits.
mkfifo "$files/silence" && exec 3<>"$files/silence" || exit 1
receiver=
end_receiver() {
    [ -z "$receiver" ] && return
    kill "$receiver" 2>/dev/null
    wait "$receiver" 2>/dev/null
    receiver=
}
trap 'end_receiver; rm -rf "$files"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# receive COMMAND...: starts what prints the messages that it is sent.
receive() {
    # proxy-client prints on stderr.
    HOME=$files "$@" >"$files/received" 2>&1 <&3 &
    receiver=$!
}

# What the receiver was sent. A WebSocket carries a JSON object a message, with the payload in base64.
received() {
    local payload
    cat "$files/received"
    sed -n 's/.*"message":"\([A-Za-z0-9+\/=]*\)".*/\1/p' "$files/received" |
        while read -r payload; do
            printf '%s' "$payload" | base64 -d
            echo
        done
}

# has_received PATTERN: whether a message was received, whole and as it was published.
has_received() {
    received >"$files/payloads"
    grep -qE "(^| )$1\$" "$files/payloads"
}

# arrives TOPIC TEXT SECONDS: whether the receiver prints this message, published until it does. The
# first ones may be lost: a receiver needs time to subscribe, and nodes to become neighbours in a topic.
arrives() {
    local number text tries=$(($3 * 4))
    for ((number = 1; number <= tries; number++)); do
        # Nodes know a message by its payload alone: never the same, whatever the topic.
        text="$2 to $1, $number"
        publish "$1" "$text" "$PROXY_2" >"$files/answer"
        sleep 0.25
        has_received "$2 to $1, [0-9]+" && return
        kill -0 "$receiver" 2>/dev/null || return 1
    done
    return 1
}

# delivers WORD NAME COMMAND...: what is published at the other proxy, in a topic with this word in its
# name, comes out of the command, which is told the topic where it has TOPIC. Then `check`, if it is set,
# is asked about the topic; it says what is wrong.
delivers() {
    local topic=delivery-$CLIENT-$1 name=$2 wrong
    shift 2
    receive "${@//TOPIC/$topic}"
    if ! arrives "$topic" "$content" 15; then
        fail "$name" "nothing came; published: $(cat "$files/answer"); $(tail -n 3 "$files/received" | cut -c 1-300)"
    elif ! wrong=$(${check:-true} "$topic"); then
        fail "$name" "$wrong"
    else
        pass "$name"
    fi
    end_receiver
}

# comes TEXT SECONDS: whether the receiver prints this message in that time.
comes() {
    local tries=$(($2 * 4))
    for ((; tries > 0; tries--)); do
        has_received "$1" && return
        kill -0 "$receiver" 2>/dev/null || return 1
        sleep 0.25
    done
    return 1
}

# thresholds TOPIC: what the proxy counts: deliveries in the topic below the client's threshold; seconds
# until messages were delivered; seconds until all nodes had them.
thresholds() {
    get "$PROXY/metrics" | awk -v topic="topic=\"$1\"" '
        index($0, "fallback_deliveries_total{") == 1 && index($0, topic) { below += $NF }
        index($0, "optimum_proxy_delivery_wait_seconds_sum{") == 1 { waited = $NF }
        index($0, "optimum_proxy_spread_seconds_sum{") == 1 { spread = $NF }
        END { printf "%d %.9f %.9f\n", below, waited, spread }'
}

# waits_for_all TOPIC: whether messages come when all nodes have them: none below the threshold, and
# together not sooner than the last node told of them. It says what is wrong. Messages from before, when
# nodes were still becoming neighbours, and nodes that are slow may spoil a try, but not each.
waits_for_all() {
    local try number text before after verdict
    for try in 1 2 3; do
        before=$(thresholds "$1")
        for number in 1 2 3 4 5; do
            text="try $try, message $number in $1"
            publish "$1" "$text" "$PROXY_2" >"$files/answer"
            if ! comes "$text" 10; then
                echo "nothing came; published: $(cat "$files/answer")"
                return 1
            fi
        done
        after=$(thresholds "$1")
        # Sums of decimals are not exact.
        verdict=$(echo "$before $after" | awk '{
            below = $4 - $1; waited = $5 - $2; spread = $6 - $3
            if (below > 0) print "came below the threshold: " below " of 5"
            else if (spread == 0) print "the proxy counts none that all nodes had"
            else if (waited < spread - 0.000001)
                print "came after " waited " s, but only after " spread " s all nodes had them"
        }')
        [ -z "$verdict" ] && return
    done
    echo "$verdict"
    return 1
}

published='"status":"published"'
again='"status":"deduplicated"'

echo "=========================================="
echo " OptimumP2P API Test Suite "
echo "=========================================="

expect "subscribe" "$(subscribe "$TOPIC")" '"status":"subscribed"'
expect "subscribe to an empty topic" "$(subscribe "")" "missing topic"
sleep 1
expect "publish" "$(publish "$TOPIC" "Hello, world!")" "$published" "$again"
expect "publish to a topic that nobody subscribed" "$(publish non-existent-topic Test)" \
    "topic not assigned" "$again"

expect "node health" "$(get "$NODE/api/v1/health")" '"status":"ok"'
expect "node state" "$(get "$NODE/api/v1/node-state")" '"pub_key"'
expect "node version" "$(get "$NODE/api/v1/version")" '"commit_hash"'
expect "proxy health" "$(get "$PROXY/api/v1/health")" '"status":"ok"'
expect "proxy version" "$(get "$PROXY/api/v1/version")" '"commit_hash"'
expect "proxy topics" "$(get "$PROXY/api/v1/topics?client_id=$CLIENT")" "\"$TOPIC\""
expect "countries of the nodes" "$(get "$PROXY/api/v1/node-countries")" '"count":'

expect "subscribe with invalid JSON" "$(post "$PROXY/api/v1/subscribe" "invalid json")" "invalid JSON"
for number in 1 2 3 4 5; do
    expect "rapid publish $number" "$(publish "$TOPIC" "Rapid test $number")" "$published" "$again"
done
# Nobody has published this before, so that it can be told from a repetition.
expect "publish something new" "$(publish "$TOPIC" "new $CLIENT")" "$published"
expect "publish it again" "$(publish "$TOPIC" "new $CLIENT")" "$again"
expect "publish through the other proxy" "$(publish "$TOPIC" "other $CLIENT" "$PROXY_2")" \
    "$published"

# More than fits one packet, and not only ASCII.
content="Grüße, 世界 🎉 $(printf 'x%.0s' {1..3000}) of $CLIENT"

if command -v wscat >/dev/null; then
    # It does not subscribe by itself.
    subscribe "delivery-$CLIENT-wscat" "$CLIENT-wscat" 0.1 >/dev/null
    delivers "wscat" "WebSocket" wscat --no-color -c "${PROXY/http/ws}/api/v1/ws?client_id=$CLIENT-wscat"
else
    skip "WebSocket" "wscat is missing; npm install -g wscat"
fi

if mump2p=$(own mump2p); then
    flags=(--service-url "$PROXY" --disable-auth)
    delivers "mump2p" "WebSocket delivery" "$mump2p" "${flags[@]}" --client-id "$CLIENT-ws" \
        subscribe --topic TOPIC
    check=waits_for_all delivers "all" "delivery when all nodes have it" "$mump2p" "${flags[@]}" \
        --client-id "$CLIENT-all" subscribe --topic TOPIC --threshold 1
    delivers "grpc" "gRPC delivery" "$mump2p" "${flags[@]}" --client-id "$CLIENT-grpc" \
        subscribe --topic TOPIC --grpc --grpc-address "$PROXY_GRPC"
else
    for name in "WebSocket delivery" "delivery when all nodes have it" "gRPC delivery"; do
        skip "$name" "mump2p is missing; make build, or set BIN_DIR"
    done
fi

if proxy_client=$(own proxy-client); then
    delivers "client" "gRPC delivery to proxy-client" "$proxy_client" -topic=TOPIC -threshold=0.5 \
        -subscribeOnly "-proxy=$PROXY_GRPC" "-rest=$PROXY"
else
    skip "gRPC delivery to proxy-client" "proxy-client is missing; make build, or set BIN_DIR"
fi

expect "subscribe without a client" \
    "$(post "$PROXY/api/v1/subscribe" "{\"client_id\":\"\",\"topic\":\"$TOPIC\"}")" "missing client ID"
message="either message or message_length must be provided"
expect "publish an empty message" "$(publish "$TOPIC" "")" "$message"
expect "publish without a topic" \
    "$(post "$PROXY/api/v1/publish" "{\"client_id\":\"$CLIENT\",\"message\":\"x\"}")" "missing topic"
expect "publish without a message" \
    "$(post "$PROXY/api/v1/publish" "{\"client_id\":\"$CLIENT\",\"topic\":\"$TOPIC\"}")" "$message"

expect_all "snapshot of a node" "$(get "$NODE/api/v1/p2p-snapshot")" '"connected_peers":' \
    '"fully_decoded_message_hashes":' '"total_peer_count":'
expect_all "configuration of a node" "$(get "$NODE/api/v1/config")" '"cluster_id":' '"node_mode":'
expect_all "topics of a node" "$(get "$NODE/api/v1/topics?topic=$TOPIC&nodeinfo=true")" \
    '"count":1' "\"topic\":\"$TOPIC\"" '"peers":[{' '"connection_status":"connected"'

# Names of two generations of dashboards.
metrics=$(get "$PROXY/metrics")
for name in nodes_active_total total_p2pnodes_connections optimum_proxy_p2p_connections \
    optimum_proxy_ws_clients_active active_ws_clients \
    published_messages_by_client_total optimum_proxy_published_by_client_total \
    fallback_deliveries_total message_fallback_deliveries_total; do
    expect "proxy metric $name" "$metrics" "
$name{"
done
metrics=$(get "$NODE/metrics")
for name in optimum_p2p_messages_published_total delivered_messages_delay_seconds_count \
    optimum_p2p_active_topics process_resident_memory_bytes; do
    expect "node metric $name" "$metrics" "
$name{"
done
# By the mode of the node: one of both.
for name in total_peers delivered_messages_count; do
    expect "node metric $name" "$metrics" "
optimum_mump2p_$name{" "
optimum_gossip_p2p_$name{"
done

echo "------------------------------------------"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
