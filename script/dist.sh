#!/bin/sh
# A release, into target/dist: for each CPU an archive of static programs, with man pages, completions,
# licences of everything in them and a bill of materials (CycloneDX); and the sums of all archives.
#
# PROFILE=release|dev, CPUS="x86_64 aarch64" (what of them builds here). Needs what static.sh needs, and
# cargo-cyclonedx: cargo install --locked cargo-cyclonedx.
set -eu
cd "$(dirname "$0")/.."

cargo=${CARGO:-cargo}
out=$PWD/target/dist
registry=${CARGO_HOME:-$HOME/.cargo}/registry/src
# The terms of what is linked in beside crates: Rust's library and the C library.
rust=$(rustc --print sysroot)/share/doc/rust
musl=${MUSL_COPYRIGHT:-/usr/share/doc/musl/copyright}
commit=$(git rev-parse --short=7 HEAD 2>/dev/null || echo unknown)
version=$(git describe --tags --exact-match HEAD 2>/dev/null || echo "dev-$commit")
# The time in archives and bills is the commit's, so that equal programs give equal archives.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH

"$cargo" cyclonedx --version >/dev/null 2>&1 || {
    echo "dist: cargo-cyclonedx is missing; cargo install --locked cargo-cyclonedx" >&2
    exit 1
}

for text in "$rust/COPYRIGHT-library.html" "$rust/licenses/MIT.txt" "$musl"; do
    [ -f "$text" ] || {
        echo "dist: $text is missing, which has terms of what is linked in (MUSL_COPYRIGHT names musl's)" >&2
        exit 1
    }
done

# What is for people to run, and the programs in each: those that the manifest names, or one of its name.
packages='node proxy cli mump2p'
programs=
for package in $packages; do
    named=$(awk '/^\[/ { bin = /^\[\[bin\]\]/ } bin && $1 == "name" { gsub(/"/, ""); print $3 }' "crates/$package/Cargo.toml")
    programs="$programs ${named:-$package}"
done

# can_build CPU: whether its target is installed, and something that compiles C for it.
can_build() {
    [ -d "$(rustc --print target-libdir --target "$1-unknown-linux-musl")" ] || return 1
    [ "$1" = "$(uname -m)" ] || command -v "$1-linux-gnu-gcc" >/dev/null
}

# build CPU FOLDER
build() {
    if [ "$1" != "$(uname -m)" ]; then
        # The C library comes with Rust; its headers are GNU's, whose checked variants musl has not.
        variable=$(echo "${1}_unknown_linux_musl" | tr '[:lower:]' '[:upper:]')
        export "CARGO_TARGET_${variable}_LINKER=$1-linux-gnu-gcc" \
            "CC_${1}_unknown_linux_musl=$1-linux-gnu-gcc" \
            "CFLAGS_${1}_unknown_linux_musl=-U_FORTIFY_SOURCE" STRIP="$1-linux-gnu-strip"
    fi
    # shellcheck disable=SC2086 # a list of words
    TARGET=$1-unknown-linux-musl OUT=$2/bin sh script/static.sh $programs
    for program in $programs; do
        # Whatever asks for an interpreter is not static.
        ! LC_ALL=C readelf --program-headers "$2/bin/$program" | grep -q INTERP || {
            echo "dist: $program of $1 is not static" >&2
            exit 1
        }
    done
}

# bill CPU FOLDER: one for each program. They are written beside the manifests, nowhere else.
bill() {
    "$cargo" cyclonedx --quiet --format json --spec-version 1.5 --describe binaries --target "$1-unknown-linux-musl"
    mkdir -p "$2/share/sbom"
    for program in $programs; do
        # Where it was built is nobody's business.
        sed "s|file://$PWD|file://|g" crates/*/"${program}_bin.cdx.json" >"$2/share/sbom/$program.cdx.json"
    done
    find . -name '*.cdx.json' -not -path './target/*' -delete
}

# licences CPU: name, version and licence of each crate that is linked in, and the texts it brings; then
# what is linked in beside crates.
licences() {
    crates=target/dist/crates
    # shellcheck disable=SC2046,SC2086 # a list of words
    "$cargo" tree --locked $(printf -- '--package %s ' $packages) --edges normal --target "$1-unknown-linux-musl" --prefix none \
        --format '{p}|{l}|{r}' | sed 's/ (\*)$//' | grep -v "($PWD\|^$" | LC_ALL=C sort -u >"$crates"
    echo "What these programs are made of, beside themselves, and under which terms."
    echo
    sed 's/|/  /g' "$crates"
    echo "Rust's standard library  MIT OR Apache-2.0  https://github.com/rust-lang/rust"
    echo "musl, the C library  MIT  https://musl.libc.org"
    : >"$crates.bare"
    sed 's/ (proc-macro)//; s/ v/-/' "$crates" | while IFS='|' read -r crate terms _; do
        found=
        for text in "$registry"/*/"$crate"/LICENSE* "$registry"/*/"$crate"/LICENCE* \
            "$registry"/*/"$crate"/LICENSES/* "$registry"/*/"$crate"/COPYING* "$registry"/*/"$crate"/NOTICE*; do
            [ -f "$text" ] || continue
            found=yes
            licence "$crate: $(basename "$text")" "$text"
        done
        case $found$terms in
            yes*) ;;
            *MIT*) printf '%s ' "$crate" >>"$crates.bare" ;;
            *)
                echo "dist: $crate brings no text of its terms, which are $terms" >&2
                exit 1
                ;;
        esac
    done
    licence "Rust's standard library" "$rust/COPYRIGHT-library.html" | sed 's/<[^>]*>//g' | cat -s
    licence musl "$musl"
    # Each of them names its authors in its repository.
    licence "MIT, as it is of those that bring no text: $(cat "$crates.bare")" "$rust/licenses/MIT.txt"
    rm "$crates" "$crates.bare"
}

# licence NAME FILE
licence() {
    printf '\n======== %s\n\n' "$1"
    cat "$2"
}

# manuals FOLDER: each program writes its own, and mump2p the completions; they must run on this CPU.
manuals() {
    mkdir -p "$1/share/man/man1" "$1/share/completions"
    for program in $programs; do
        "$1/bin/$program" man --out "$1/share/man/man1" >/dev/null
    done
    for shell in bash zsh fish; do
        "$1/bin/mump2p" completions "$shell" >"$1/share/completions/mump2p.$shell"
    done
}

rm -rf "$out"
mkdir -p "$out"
native=
for cpu in ${CPUS:-x86_64 aarch64}; do
    can_build "$cpu" || {
        echo "dist: left out $cpu: rustup target add $cpu-unknown-linux-musl and $cpu-linux-gnu-gcc" >&2
        continue
    }
    name=open-optimump2p-$version-$cpu-linux
    folder=$out/$name
    (build "$cpu" "$folder")
    bill "$cpu" "$folder"
    if [ "$cpu" = "$(uname -m)" ]; then
        native=$folder
        manuals "$folder"
    elif [ -d "$native/share/man" ]; then
        cp -R "$native/share/man" "$native/share/completions" "$folder/share/"
    fi
    licences "$cpu" >"$folder/THIRD-PARTY"
    cp LICENSE-APACHE LICENSE-MIT README.md CHANGELOG.md SECURITY.md "$folder/"
    tar --create --directory "$out" --sort=name --owner=0 --group=0 --numeric-owner \
        --mtime="@$SOURCE_DATE_EPOCH" "$name" | gzip --no-name >"$out/$name.tar.gz"
done
for folder in "$out"/*/; do
    rm -rf "$folder"
done
(cd "$out" && sha256sum ./*.tar.gz | sed 's| \./| |' | tee SHA256SUMS && ls -l ./*.tar.gz)
