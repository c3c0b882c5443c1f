#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# deps.sh: installs the Debian packages (and for tests Python packages, into a folder of their own) that building, testing or
# benchmarking gridlet needs. Needs root. Instant when all are there. Starts no service, and leaves the services of packages that
# it brings in disabled.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/deps.sh [build|run|test|bench]...     (default: build)
  build   compilers, libraries and tools to build gridlet
  run     build + what run.sh makes and serves its own image with
  test    build + what the unit, end-to-end and VM tests need
  bench   test + the container runtimes that gridlet is compared with
USAGE
}

BUILD=(
    gcc cmake ninja-build pkg-config make libc6-dev
    libuv1-dev libnghttp2-dev libprotobuf-c-dev protobuf-c-compiler protobuf-compiler
    libyajl-dev libseccomp-dev libcap-dev libarchive-dev libmnl-dev libisal-dev libzstd-dev
    zlib1g-dev libyaml-dev libcurl4-openssl-dev libssl-dev libsqlite3-dev libs3-dev libexpat1-dev
    libhiredis-dev
    musl-tools linux-libc-dev nftables iproute2 ca-certificates
)
RUN=(busybox-static docker-registry)
TEST=(
    libcmocka-dev clang libclang-rt-14-dev valgrind strace jq shellcheck git curl procps openssl
    python3 python3-pytest python3-pip universal-ctags
    docker-registry skopeo umoci buildah zstd libcap2-bin
    qemu-system-x86 qemu-utils busybox-static kmod debootstrap e2fsprogs
    dpkg-dev bzip2 xz-utils cpio
    redis-server redis-tools
    awscli s3cmd rclone
)
BENCH=(containerd runc crun containernetworking-plugins)

# What signs as SDKs do, newer than Debian's: into a folder of its own, which only the tests look into.
PYTHON=(boto3==1.43.11 botocore==1.43.11 s3transfer==0.17.0 jmespath==1.1.0 python-dateutil==2.9.0.post0 six==1.17.0 urllib3==2.7.0)
PYTHON_FOLDER=${GRIDLET_PYTHON_PACKAGES:-/var/cache/gridlet/python}

# Services that packages above bring along; nothing here wants them to run by themselves.
SERVICES=(docker-registry containerd redis-server)

say() { printf 'deps: %s\n' "$*"; }

# Prints those of the given packages that are not installed, in one call to dpkg.
missing() {
    comm -23 <(printf '%s\n' "$@" | sort -u) \
        <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p' | sort -u)
}

# A package that the local lists do not know, or know without a version to install, means the lists are old or absent.
lists_know() {
    local name
    for name in "$@"; do
        apt-cache policy "$name" 2>/dev/null | grep -q '^  Candidate: [^(]' || return 1
    done
}

apt() { DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=900 "$@"; }

# Keeps maintainer scripts from starting services, unless the machine has a policy of its own.
POLICY=/usr/sbin/policy-rc.d
forbid_services() {
    [ ! -e "$POLICY" ] || return 0
    printf '#!/bin/sh\nexit 101\n' >"$POLICY"
    chmod 0755 "$POLICY"
    trap 'rm -f "$POLICY"' EXIT
}

disable_new_services() {
    local name service
    command -v systemctl >/dev/null || return 0
    for service in "${SERVICES[@]}"; do
        for name in "$@"; do
            [ "$name" != "$service" ] || systemctl disable "$service" >/dev/null 2>&1 || true
        done
    done
}

install_all() {
    say "installing $# packages: $*"
    if ! lists_know "$@"; then
        say "updating the package lists"
        apt update >/dev/null
    fi
    forbid_services
    if ! apt install -y --no-install-recommends "$@" >/dev/null; then
        say "could not install: updating the package lists and trying once more"
        apt update >/dev/null
        apt install -y --no-install-recommends "$@" >/dev/null
    fi
    disable_new_services "$@"
}

# Instant when the folder was made for the same list. Replaced whole, so that no half of it is ever used.
install_python() {
    local new=$PYTHON_FOLDER.new
    [ "$(cat "$PYTHON_FOLDER/gridlet-list" 2>/dev/null)" != "${PYTHON[*]}" ] || return 0
    say "installing Python packages into $PYTHON_FOLDER: ${PYTHON[*]}"
    rm -rf "$new"
    mkdir -p "$new"
    python3 -m pip install -q --disable-pip-version-check --root-user-action=ignore --no-deps --target "$new" "${PYTHON[@]}"
    echo "${PYTHON[*]}" >"$new/gridlet-list"
    rm -rf "$PYTHON_FOLDER"
    mv "$new" "$PYTHON_FOLDER"
}

main() {
    local want=() what lacking python=no
    [ $# -gt 0 ] || set -- build
    for what in "$@"; do
        case $what in
        build) want+=("${BUILD[@]}") ;;
        run) want+=("${BUILD[@]}" "${RUN[@]}") ;;
        test) want+=("${BUILD[@]}" "${TEST[@]}") && python=yes ;;
        bench) want+=("${BUILD[@]}" "${TEST[@]}" "${BENCH[@]}") && python=yes ;;
        -h | --help) usage && exit 0 ;;
        *) usage >&2 && exit 2 ;;
        esac
    done
    mapfile -t lacking < <(missing "${want[@]}")
    if [ ${#lacking[@]} -eq 0 ]; then
        say "all ${#want[@]} packages are installed"
    else
        [ "$(id -u)" = 0 ] || { say "must run as root to install: ${lacking[*]}" >&2 && exit 1; }
        install_all "${lacking[@]}"
        say "installed ${#lacking[@]} packages"
    fi
    [ $python = no ] || install_python
}

main "$@"
