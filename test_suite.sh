#!/usr/bin/env bash
# Checks that a running stack answers as clients expect: `make up` in one terminal, this in another.
# PROXY, PROXY_2 and NODE name another stack. Needs curl; the WebSocket check needs wscat and timeout.
# Ends with 0 only if nothing failed.
set -u

PROXY=${PROXY:-http://localhost:8081}
PROXY_2=${PROXY_2:-http://localhost:8082}
NODE=${NODE:-http://localhost:9091}
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
    fail "$name" "expected $*, got ${body:-nothing}"
}

get() {
    curl -sS --max-time 20 "$1" 2>&1
}

post() {
    curl -sS --max-time 20 -H 'Content-Type: application/json' -d "$2" "$1" 2>&1
}

subscribe() {
    post "$PROXY/api/v1/subscribe" "{\"client_id\":\"$CLIENT\",\"topic\":\"$1\",\"threshold\":0.7}"
}

# publish TOPIC MESSAGE [PROXY]
publish() {
    post "${3:-$PROXY}/api/v1/publish" "{\"client_id\":\"$CLIENT\",\"topic\":\"$1\",\"message\":\"$2\"}"
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

if command -v wscat >/dev/null && command -v timeout >/dev/null; then
    timeout 2 wscat -c "${PROXY/http/ws}/api/v1/ws?client_id=$CLIENT" >/dev/null 2>&1 </dev/null
    code=$?
    # 124: it was still open after two seconds.
    if [ "$code" -eq 0 ] || [ "$code" -eq 124 ]; then
        pass "WebSocket"
    else
        fail "WebSocket" "wscat ended with $code"
    fi
else
    skip "WebSocket" "wscat or timeout is missing; npm install -g wscat"
fi

expect "subscribe without a client" \
    "$(post "$PROXY/api/v1/subscribe" "{\"client_id\":\"\",\"topic\":\"$TOPIC\"}")" "missing client ID"
message="either message or message_length must be provided"
expect "publish an empty message" "$(publish "$TOPIC" "")" "$message"
expect "publish without a topic" \
    "$(post "$PROXY/api/v1/publish" "{\"client_id\":\"$CLIENT\",\"message\":\"x\"}")" "missing topic"
expect "publish without a message" \
    "$(post "$PROXY/api/v1/publish" "{\"client_id\":\"$CLIENT\",\"topic\":\"$TOPIC\"}")" "$message"

metrics=$(get "$PROXY/metrics")
for name in nodes_active_total optimum_proxy_ws_clients_active published_messages_by_client_total; do
    expect "metric $name" "$metrics" "$name"
done

echo "------------------------------------------"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
