#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# build.sh: makes the programs that go into the test images, builds all images, and leaves a filled registry data folder in
# the cache. The last line of its output is that folder; registry.py serves it. Instant when nothing changed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CACHE=${GRIDLET_CACHE:-$HOME/.cache/gridlet}
big=0

usage() {
    cat <<'USAGE'
usage: tests/e2e/images/build.sh [--big]
  --big   also bench/big200:v1, the 200 MB image of the pull benchmark
USAGE
}

say() { printf 'images: %s\n' "$*" >&2; }

hash_of() { sha256sum | cut -c1-16; }

# Writes the machine's own package sources as source-package sources into folder $1.
write_source_lists() {
    local list
    mkdir -p "$1"
    for list in /etc/apt/sources.list.d/*.sources; do
        [ ! -f "$list" ] || sed 's/^Types:.*/Types: deb-src/' "$list" >"$1/${list##*/}"
    done
    for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ ! -f "$list" ] || sed -n 's/^deb\(-src\)\? /deb-src /p' "$list" | sort -u >"$1/${list##*/}.list"
    done
}

# apt-get with sources, lists and cache of its own below folder $1, so that the machine's configuration stays as it is.
private_apt() {
    local dir=$1
    shift
    apt-get -q -q -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$dir/sources.d" \
        -o "Dir::State::lists=$dir/lists" -o "Dir::Cache=$dir/cache" -o APT::Sandbox::User=root "$@"
}

fetch_busybox_source() {
    mkdir -p "$1/lists/partial" "$1/cache/archives/partial"
    write_source_lists "$1/sources.d"
    private_apt "$1" update >&2 || true
    (cd "$1" && private_apt "$1" source --download-only busybox >&2)
}

# A static busybox with every default applet: critest uses pgrep, ipcs, brctl and nc, which Debian's busybox-static lacks.
compile_busybox() {
    local dir=$1 dsc
    dsc=$(ls "$dir"/busybox_*.dsc)
    (cd "$dir" && dpkg-source --no-check -x "$dsc" src >"$dir/unpack.log")
    make -C "$dir/src" defconfig >"$dir/config.log" 2>&1
    # tc does not compile with newer kernel headers, and nothing here uses it.
    sed -i 's/^# CONFIG_STATIC is not set/CONFIG_STATIC=y/; s/^CONFIG_TC=y/# CONFIG_TC is not set/' "$dir/src/.config"
    yes '' | make -C "$dir/src" oldconfig >>"$dir/config.log" 2>&1 || true
    nice make -C "$dir/src" -j"$(nproc)" busybox >"$dir/build.log" 2>&1
}

# Prints the path of the busybox to use. Raise the recipe's number when the way it is built changes.
BUSYBOX_RECIPE=1
busybox() {
    local cached=$CACHE/images/busybox-$BUSYBOX_RECIPE dir
    if [ ! -x "$cached" ]; then
        dir=$(mktemp -d "$CACHE/images/busybox-build.XXXXXX")
        say "building a full static busybox from Debian's source package"
        if fetch_busybox_source "$dir" && compile_busybox "$dir"; then
            mv "$dir/src/busybox" "$cached"
            rm -rf "$dir"
        else
            say "WARNING: the busybox source package cannot be had or built (see $dir)."
            say "WARNING: using busybox-static: specs of critest that want pgrep, ipcs, brctl or nc will fail."
            cached=/bin/busybox
        fi
    fi
    printf '%s\n' "$cached"
}

# Gathers the programs for the images in folder $1.
build_programs() {
    local bin=$1 tmp name
    [ ! -d "$bin" ] || return 0
    tmp=$(mktemp -d "$CACHE/images/bin.XXXXXX")
    for name in pause nnp xattrs; do
        gcc -static -O2 -s -Wall -Wextra -o "$tmp/$name" "$here/$name.c"
    done
    install -m 0755 "$busybox" "$tmp/busybox"
    chmod 0755 "$tmp"
    mv "$tmp" "$bin"
}

# nginx is unpacked with the libraries that it loads; nothing is installed on this machine.
unpack_nginx() {
    local root=$1 tmp package packages
    [ ! -d "$root" ] || return 0
    say "unpacking nginx and its libraries"
    tmp=$(mktemp -d "$CACHE/images/nginx.XXXXXX")
    mkdir "$tmp/root" "$tmp/debs"
    mapfile -t packages < <(nginx_libraries)
    (cd "$tmp/debs" && apt-get -q -q -o APT::Sandbox::User=root download nginx nginx-common "${packages[@]}" >&2)
    for package in "$tmp"/debs/*.deb; do
        dpkg-deb -x "$package" "$tmp/root"
    done
    mv "$tmp/root" "$root"
    rm -rf "$tmp"
}

# The library packages that nginx depends on, without those that bring in only scripts.
nginx_libraries() {
    apt-cache depends --no-suggests --no-recommends nginx |
        sed -n 's/^ *Depends: \(lib[a-z0-9.+-]*\|zlib1g\)$/\1/p'
}

# Fills a new registry folder by running a registry on it.
fill_registry() {
    local data=$1 tmp options=()
    [ "$big" = 0 ] || options+=(--big)
    tmp=$(mktemp -d "$CACHE/images/registry.XXXXXX")
    say "building and pushing the images"
    nice python3 "$here/registry.py" run --data "$tmp" -- \
        python3 "$here/mkimages.py" --registry '{address}' --bin "$bin" --nginx-root "$nginx" "${options[@]}" >"$tmp/images.txt"
    chmod 0755 "$tmp"
    rm -rf "$data"
    mv "$tmp" "$data"
}

main() {
    local key data bin nginx busybox
    while [ $# -gt 0 ]; do
        case $1 in
        --big) big=1 ;;
        -h | --help) usage && exit 0 ;;
        *) usage >&2 && exit 2 ;;
        esac
        shift
    done
    export PYTHONDONTWRITEBYTECODE=1
    mkdir -p "$CACHE/images"
    exec 9>"$CACHE/images/.lock"
    flock 9
    # What an interrupted run left: nobody else builds now.
    rm -rf "$CACHE"/images/{registry,bin,nginx,busybox-build}.??????
    busybox=$(busybox)
    bin=$CACHE/images/bin-$(cat "$here"/{pause,nnp,xattrs}.c "$busybox" | hash_of)
    nginx=$CACHE/images/nginx
    build_programs "$bin"
    unpack_nginx "$nginx"
    key=$(cat "$here"/{mkimages,gridlet_images,hostile_images,hostile_layers,layers,push,tarball}.py "$bin"/* "$nginx/usr/sbin/nginx" | hash_of)
    data=$CACHE/images/registry-$key
    [ "$big" = 0 ] || data=$data-big
    [ -f "$data/images.txt" ] || fill_registry "$data"
    printf '%s\n' "$data"
}

main "$@"
