#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# containerd.sh: builds the containerd that gridlet is measured against into the cache, and prints the folder that holds it
# as its last line. For benchmarks only. runc, crun and the CNI plugins come from Debian: scripts/deps.sh bench.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=go.sh
. "$here/go.sh"

module=github.com/containerd/containerd/v2
version=v2.4.2
bin="$CACHE/containerd-$version/bin"

build() {
    local go tmp name flags="-s -w -X $module/version.Version=$version"
    go=$(find_go)
    mkdir -p "$(dirname "$bin")"
    tmp=$(mktemp -d "$(dirname "$bin")/build.XXXXXX")
    trap 'rm -rf "$tmp"' EXIT
    printf 'tools: building containerd %s with %s\n' "$version" "$("$go" env GOVERSION)" >&2
    for name in containerd containerd-shim-runc-v2 ctr; do
        CGO_ENABLED=0 GOTOOLCHAIN=local GOBIN=$tmp nice "$go" install -trimpath -tags no_btrfs,no_devmapper,no_zfs \
            -ldflags "$flags" "$module/cmd/$name@$version"
    done
    chmod 0755 "$tmp"
    rm -rf "$bin"
    mv "$tmp" "$bin"
    trap - EXIT
}

[ -x "$bin/ctr" ] || build
printf '%s\n' "$bin"
