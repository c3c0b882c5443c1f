#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# critest.sh: builds crictl, critest and ginkgo (critest --parallel wants it) as tests/e2e/go.mod pins them, into the
# cache, and prints the folder that holds them as its last line. Instant when they are there.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=go.sh
. "$here/go.sh"

module=sigs.k8s.io/cri-tools
version=$(sed -n "s,^\s*$module \(v[^ ]*\).*,\1,p; s,^require $module \(v[^ ]*\).*,\1,p" "$here/../go.mod")
bin="$CACHE/cri-tools-$version/bin"

# Builds into a folder of its own and renames it, so that an interrupted build is never taken for a whole one.
build() {
    local go tmp flags="-s -w -X $module/pkg/version.Version=${version#v}"
    go=$(find_go)
    mkdir -p "$(dirname "$bin")"
    tmp=$(mktemp -d "$(dirname "$bin")/build.XXXXXX")
    trap 'rm -rf "$tmp"' EXIT
    export CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-mod=readonly
    cd "$here/.."
    printf 'tools: building crictl, critest and ginkgo (%s) with %s\n' "$version" "$($go env GOVERSION)" >&2
    nice "$go" build -trimpath -ldflags "$flags" -o "$tmp/" "$module/cmd/crictl" github.com/onsi/ginkgo/v2/ginkgo
    nice "$go" test -c -trimpath -ldflags "$flags" -o "$tmp/critest" "$module/cmd/critest"
    chmod 0755 "$tmp"
    rm -rf "$bin"
    mv "$tmp" "$bin"
    trap - EXIT
}

[ -x "$bin/critest" ] || build
printf '%s\n' "$bin"
