#!/bin/sh
# Builds programs that need nothing of the system they run on, not even a C library (musl, linked in),
# and copies them into one folder:
#
#   OUT=dist/image sh script/static.sh p2pnode proxy
#
# PROFILE=dev|release (release), TARGET=<triple> (this machine's CPU), STRIP=<program>.
set -eu

[ $# -gt 0 ] || {
    echo "static: name the programs to build, for example: sh script/static.sh p2pnode proxy" >&2
    exit 1
}
out=${OUT:?static: OUT must name the folder to copy to}
case $out in /*) ;; *) out=$PWD/$out ;; esac
cd "$(dirname "$0")/.."

profile=${PROFILE:-release}
cpu=$(uname -m)
target=${TARGET:-$cpu-unknown-linux-musl}
[ "$profile" = dev ] && built=debug || built=$profile
cargo=${CARGO:-cargo}
strip=${STRIP:-strip}

# The folder is named whether the target is installed or not.
[ -d "$(rustc --print target-libdir --target "$target")" ] || {
    echo "static: Rust has no $target here; rustup target add $target" >&2
    exit 1
}
if [ "$target" = "$cpu-unknown-linux-musl" ]; then
    # Ciphers and the allocator are C.
    command -v musl-gcc >/dev/null || {
        echo "static: musl-gcc is missing; apt-get install musl-tools" >&2
        exit 1
    }
fi

# What a debugger needs would be made, linked and then cut off again below.
export CARGO_PROFILE_DEV_DEBUG=false CARGO_PROFILE_RELEASE_DEBUG=false

# Where this was built and where crates came from is nobody's business, and two folders give the same
# programs. Crates are unpacked first, so that the folder of each registry is known.
home=${CARGO_HOME:-$HOME/.cargo}
$cargo fetch --locked --quiet --target "$target"
rust_flags=$(printf %s "${RUSTFLAGS:-}" | tr ' ' '\037')
c_flags=
# rename FROM TO: in what compilers write of file names; the last that fits counts.
rename() {
    rust_flags=${rust_flags:+$rust_flags$(printf '\037')}--remap-path-prefix=$1=$2
    c_flags="$c_flags -ffile-prefix-map=$1=$2"
}
rename "$home" /cargo
for registry in "$home"/registry/src/*; do
    rename "$registry" /crates
done
[ -z "${CARGO_TARGET_DIR:-}" ] || rename "$CARGO_TARGET_DIR" /source/target
rename "$PWD" /source
variable=CFLAGS_$(printf %s "$target" | tr - _)
export "$variable=$(printenv "$variable" || true)$c_flags" CARGO_ENCODED_RUSTFLAGS="$rust_flags"

bins=
for program in "$@"; do
    bins="$bins --bin $program"
done
# shellcheck disable=SC2086 # a list of words
$cargo build --locked --quiet --workspace --profile "$profile" --target "$target" $bins
mkdir -p "$out"
for program in "$@"; do
    # In one step, so that one that runs can be replaced; names for a backtrace stay in.
    cp "${CARGO_TARGET_DIR:-target}/$target/$built/$program" "$out/.$program"
    command -v "$strip" >/dev/null && "$strip" --strip-debug "$out/.$program"
    mv "$out/.$program" "$out/$program"
done
