#!/bin/sh
# Everything that must hold, each step with its time. What could not run for want of a tool stands
# in the last lines; with CI=true that is a failure.
set -u

cd "$(dirname "$0")/.." || exit 1
skipped=""
failed=""

step() {
    name=$1
    shift
    echo "== $name"
    begin=$(date +%s)
    if "$@"; then
        echo "== $name: ok, $(($(date +%s) - begin)) s"
    else
        echo "== $name: FAILED, $(($(date +%s) - begin)) s"
        failed="$failed $name"
    fi
}

# Where nothing is built again, what only the last step needed goes: a runner's disk may be small.
forget() {
    [ "${CI:-}" = true ] || return 0
    rm -rf "$@"
    df -h . | awk 'NR == 2 { print "   disk: " $3 " used, " $4 " free" }'
}

skip() {
    skipped="$skipped
  $1: $2"
}

# Whether what the other CPUs need is there.
has_cross() {
    command -v qemu-aarch64-static >/dev/null || return 1
    command -v aarch64-linux-gnu-gcc >/dev/null || return 1
    [ -e /usr/aarch64-linux-gnu/lib/libc.so ] || return 1
    for target in aarch64-unknown-linux-gnu wasm32-unknown-unknown x86_64-pc-windows-gnu aarch64-apple-darwin; do
        # The folder is named whether it is there or not.
        [ -d "$(rustc --print target-libdir --target $target)" ] || return 1
    done
}

step format make --no-print-directory lint
step documentation make --no-print-directory doc

# It builds other libraries, which nobody needs but the benchmark itself.
if [ "${CI:-}" = true ]; then
    step "coding benchmark" make --no-print-directory bench-coding-check
    forget testing/bench-coding/target
fi

if cargo deny --version >/dev/null 2>&1; then
    step licences make --no-print-directory deny
else
    skip licences "cargo-deny is missing; cargo install --locked cargo-deny"
fi

step "fuzz corpus" make --no-print-directory fuzz-replay

if cargo +nightly fuzz --version >/dev/null 2>&1 && command -v c++ >/dev/null; then
    step fuzzing make --no-print-directory fuzz
else
    skip fuzzing "nightly Rust, cargo-fuzz or a C++ compiler (g++) is missing; rustup toolchain install nightly && cargo install --locked cargo-fuzz"
fi
forget testing/fuzz/target

if cargo +nightly miri --version >/dev/null 2>&1; then
    step interpreted make --no-print-directory miri
    forget target/vectors target/miri
else
    skip interpreted "nightly Rust with Miri is missing; rustup toolchain install nightly --component miri,rust-src"
fi

if has_cross; then
    step "other CPUs" make --no-print-directory cross
    forget target/aarch64-unknown-linux-gnu target/wasm32-unknown-unknown target/x86_64-pc-windows-gnu target/aarch64-apple-darwin
else
    skip "other CPUs" "an emulator, a linker or a target is missing; apt-get install qemu-user-static gcc-aarch64-linux-gnu libc6-dev-arm64-cross && rustup target add aarch64-unknown-linux-gnu wasm32-unknown-unknown x86_64-pc-windows-gnu aarch64-apple-darwin"
fi

# Tests ask them what they think of the metrics page, the rules and the dashboards, and pass where
# they are missing.
{ command -v promtool && command -v prometheus; } >/dev/null ||
    skip "metrics and dashboards" "prometheus or promtool is missing; apt-get install prometheus"

# Tests start one of their own to share state in, and pass where it is missing.
command -v redis-server >/dev/null ||
    skip "shared state" "redis-server is missing; apt-get install redis-server"

if command -v go >/dev/null && command -v npm >/dev/null; then
    step "other GossipSubs" make --no-print-directory interop
else
    skip "other GossipSubs" "Go or npm is missing"
fi

# The proto files as a user of Go takes them.
if command -v go >/dev/null && command -v protoc >/dev/null; then
    step "Go client" make --no-print-directory go-client
else
    skip "Go client" "Go or protoc is missing; apt-get install golang protobuf-compiler"
fi

if command -v chromium >/dev/null && command -v npm >/dev/null; then
    step "live page" make --no-print-directory page-test
else
    skip "live page" "chromium or npm is missing; apt-get install chromium npm"
fi

# Whether there is what a reader of the guide's pages needs.
has_guide() {
    for command in go protoc node curl; do
        command -v $command >/dev/null || return 1
    done
    python3 -c "import ensurepip" 2>/dev/null
}

if has_guide; then
    step guide make --no-print-directory guide
else
    skip guide "Go, protoc, Node.js, curl or Python's venv is missing; apt-get install golang protobuf-compiler nodejs curl python3-venv"
fi

if command -v go >/dev/null; then
    step Kubernetes make --no-print-directory kubernetes
else
    skip Kubernetes "Go is missing"
fi

# Where no engine can be had it fails: images that nobody tried are no images. DOCKER=skip says so.
if [ "${DOCKER:-}" = skip ]; then
    echo "== containers: SKIPPED, as DOCKER=skip asks: no image was built and no stack tried"
else
    step containers make --no-print-directory docker-test
    forget target/*-unknown-linux-musl
fi

# Last, so that the tests' own summary is near the end.
step tests make --no-print-directory unit

if [ -n "$skipped" ]; then
    echo "Skipped:$skipped"
    [ "${CI:-}" = true ] && failed="$failed skipped"
fi
if [ -n "$failed" ]; then
    echo "Failed:$failed"
    exit 1
fi
echo "Everything that ran passed."
