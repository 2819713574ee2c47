#!/bin/sh
# Builds the images p2pnode and proxy from static programs that are built here, and with DEBUG_BASE
# (an image with a busybox) their -debug tags too. Nothing is pulled unless DEBUG_BASE must be.
#
# PROFILE=dev|release (release), TAG=latest, IMAGE_PREFIX=, DEBUG_BASE=.
set -eu
cd "$(dirname "$0")/.."

tag=${TAG:-latest}
prefix=${IMAGE_PREFIX:-}
certificates=${CERTIFICATES:-/etc/ssl/certs/ca-certificates.crt}
folder=dist/image

[ -r "$certificates" ] || {
    echo "images: no root certificates at $certificates; apt-get install ca-certificates, or name a file of them with CERTIFICATES" >&2
    exit 1
}
OUT=$folder sh script/static.sh p2pnode proxy keygen
mkdir -p $folder/identity
cp -L "$certificates" $folder/ca-certificates.crt

commit=$(git rev-parse --short=7 HEAD 2>/dev/null || echo unknown)
version=$(git describe --tags --exact-match HEAD 2>/dev/null || echo dev)

# The stages that compile would be built too by the older builder.
dockerfile=$(sed '/^FROM .* AS source$/,/^FROM node AS node-from-binaries$/{/node-from-binaries/!d}' Dockerfile)

# image TARGET NAME [BASE]
image() {
    # What the builder says of itself is of no interest unless it fails.
    said=$(printf "%s\n" "$dockerfile" | docker build --quiet --file - --target "$1" --tag "$2" \
        --build-arg "VERSION=$version" \
        --build-arg "COMMIT=$commit" --build-arg "BASE_IMAGE=${3:-scratch}" . 2>&1) || {
        echo "$said" >&2
        exit 1
    }
    echo "$2 $(docker image inspect --format '{{.Size}}' "$2" | awk '{ printf "%.1f MB", $1 / 1e6 }')"
}

image node-from-binaries "${prefix}p2pnode:$tag"
image proxy-from-binaries "${prefix}proxy:$tag"
if [ -n "${DEBUG_BASE:-}" ]; then
    image node-from-binaries "${prefix}p2pnode:$tag-debug" "$DEBUG_BASE"
    image proxy-from-binaries "${prefix}proxy:$tag-debug" "$DEBUG_BASE"
fi
