#!/bin/sh
# Makes Go packages of the proto files with the guide's lines, and builds the client of them. The
# plugins are those that go.mod pins.
set -eu

cd "$(dirname "$0")"
root=../..
mkdir -p bin
GOBIN=$PWD/bin
export GOBIN
go install google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
PATH=$GOBIN:$PATH

rm -rf gen
for folder in grpc_p2p_client grpc_proxy_client; do
    mkdir -p "gen/$folder"
    # As in the folder of the client itself, but for where the result goes.
    protoc --proto_path="$root/$folder" \
        --go_out="gen/$folder" --go_opt=paths=source_relative \
        --go-grpc_out="gen/$folder" --go-grpc_opt=paths=source_relative \
        "$root/$folder"/proto/*.proto
done
# What is made of both files compiles.
go vet ./...
go build -o bin/client .
