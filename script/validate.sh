#!/bin/sh
# Lets docker-compose read the stacks' files, which it checks; nothing is started.
set -eu
cd "$(dirname "$0")/.."

if docker compose version >/dev/null 2>&1; then
    compose="docker compose"
elif command -v docker-compose >/dev/null; then
    compose=docker-compose
else
    echo "neither docker compose nor docker-compose is here to read the compose files; apt-get install docker-compose" >&2
    exit 1
fi
# Any id will do to read them.
export BOOTSTRAP_PEER_ID="${BOOTSTRAP_PEER_ID:-12D3KooWD5RtEPmMR9Yb2ku5VuxqK7Yj1Y5Gv8DmffJ6Ei8maU44}"
for file in docker-compose-*.yml; do
    $compose --file "$file" config >/dev/null
    echo "$file is valid"
done
