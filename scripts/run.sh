#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh: from a bare Debian 12 to a running node with a container on it. Run again, it does only what is missing.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/run.sh [--image IMAGE] [--root DIR] [--run DIR]
       scripts/run.sh --stop [--root DIR] [--run DIR]
Installs what the build needs, builds gridlet, starts a node, runs a container and shows its log. Needs root.
  --image IMAGE  what to run; without it an image is made from Debian's busybox-static and served by a registry here
  --root DIR     the node's lasting folder       (/var/lib/gridlet)
  --run DIR      the node's folder until reboot  (/run/gridlet)
  --stop         removes all containers of the node and ends it; images stay
USAGE
}

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/progress.sh
. scripts/progress.sh

BIN=$PWD/build/release/bin
NAME=hello           # the container
REGISTRY_PORT=5177   # of the registry that serves our own image, while it is pulled
READY_S_MAX=30
STOP_S_MAX=30
LOG_S_MAX=3
root=/var/lib/gridlet run=/run/gridlet image='' stop=no

fail() {
    say "FAILED: $*" >&2
    exit 1
}

gridlet() { "$BIN/gridlet" --run "$run" "$@"; }

# The daemon's pid, when one works on this run folder.
daemon_pid() {
    local pid
    pid=$(cat "$run/gridletd.lock" 2>/dev/null) || return 1
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = gridletd ] && printf '%s\n' "$pid"
}

build() {
    local log=build/run-build.log
    mkdir -p build
    say "building gridlet (log: $log)"
    compile >"$log" 2>&1 &
    wait_for_build $! "$log" || { tail -n 30 "$log" && fail "gridlet does not build"; }
}

compile() {
    cmake --preset release &&
        cmake --build --preset release -j "$(nproc)"
}

# Says every five seconds how far the build is.
wait_for_build() {
    local pid=$1 log=$2
    while sleep 1 && kill -0 "$pid" 2>/dev/null; do
        [ $((SECONDS % 5)) != 0 ] || say "... built $(grep -oE '^\[[0-9]+/[0-9]+\]' "$log" | tail -n 1)"
    done
    wait "$pid"
}

start_node() {
    local log=$run/gridletd.log pipe
    if daemon_pid >/dev/null; then
        say "the node runs already (pid $(daemon_pid))"
        return
    fi
    say "starting gridletd (log: $log)"
    mkdir -p "$run" "$root"
    pipe=$(mktemp -u "$run/ready.XXXXXX")
    mkfifo -m 0600 "$pipe"
    exec 8<>"$pipe"
    rm "$pipe"
    setsid "$BIN/gridletd" --root "$root" --run "$run" --ready-fd 8 </dev/null >>"$log" 2>&1 &
    disown
    read -rt "$READY_S_MAX" -u 8 || { tail -n 10 "$log" && fail "gridletd does not come up in $READY_S_MAX s"; }
    exec 8>&-
}

# ---- an image of our own ----

# store FILE: puts it as a blob into the registry's folder and prints its digest without "sha256:".
store() {
    local sum
    sum=$(sha256sum <"$1" | cut -d' ' -f1)
    mkdir -p "$blobs/${sum:0:2}/$sum"
    cp "$1" "$blobs/${sum:0:2}/$sum/data"
    printf '%s\n' "$sum"
}

# link DIGEST FOLDER: how the registry notes that a repository has it.
link() {
    mkdir -p "$repository/$2"
    printf 'sha256:%s' "$1" >"$repository/$2/link"
}

# Lays out busybox and a greeting as an image in the folder format of docker-registry (its "filesystem" driver, version 2).
make_image() {
    local dir=$1 tree=$1/tree layer config manifest name
    local blobs=$dir/registry/docker/registry/v2/blobs/sha256 repository=$dir/registry/docker/registry/v2/repositories/gridlet/hello
    mkdir -p "$tree/bin" "$tree/tmp" "$tree/etc"
    cp /bin/busybox "$tree/bin/busybox"
    for name in $(/bin/busybox --list); do [ -e "$tree/bin/$name" ] || ln "$tree/bin/busybox" "$tree/bin/$name"; done
    echo 'root:x:0:0:root:/:/bin/sh' >"$tree/etc/passwd"
    tar -C "$tree" --owner=0 --group=0 --numeric-owner --sort=name --mtime=@0 -cf "$dir/layer" .
    layer=$(store "$dir/layer")
    cat >"$dir/config" <<JSON
{"architecture": "$(dpkg --print-architecture)", "os": "linux",
 "config": {"Env": ["PATH=/bin"], "Cmd": ["sh", "-c",
  "echo \"Hello from \$(hostname), \$(uname -sr).\"; echo \"My address is \$(hostname -i).\"; exec sleep 1000000"]},
 "rootfs": {"type": "layers", "diff_ids": ["sha256:$layer"]}}
JSON
    config=$(store "$dir/config")
    cat >"$dir/manifest" <<JSON
{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
 "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "sha256:$config", "size": $(stat -c %s "$dir/config")},
 "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": "sha256:$layer", "size": $(stat -c %s "$dir/layer")}]}
JSON
    manifest=$(store "$dir/manifest")
    link "$layer" "_layers/sha256/$layer"
    link "$config" "_layers/sha256/$config"
    link "$manifest" "_manifests/revisions/sha256/$manifest"
    link "$manifest" "_manifests/tags/1/current"
    link "$manifest" "_manifests/tags/1/index/sha256/$manifest"
}

stop_registry() {
    [ -z "${registry_pid:-}" ] || kill "$registry_pid" 2>/dev/null || true
    [ -z "${scratch:-}" ] || rm -rf "$scratch"
}

# Serves the image until this script ends; sets `image`.
serve_own_image() {
    say "making an image from busybox-static and serving it on localhost:$REGISTRY_PORT"
    scratch=$(mktemp -d)
    trap stop_registry EXIT
    make_image "$scratch"
    cat >"$scratch/config.yml" <<YAML
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $scratch/registry}}
http: {addr: "127.0.0.1:$REGISTRY_PORT"}
YAML
    docker-registry serve "$scratch/config.yml" >"$scratch/log" 2>&1 &
    registry_pid=$!
    until (exec 3<>"/dev/tcp/127.0.0.1/$REGISTRY_PORT") 2>/dev/null; do
        kill -0 "$registry_pid" 2>/dev/null || { cat "$scratch/log" && fail "the local registry does not start"; }
        sleep 0.1
    done
    image=localhost:$REGISTRY_PORT/gridlet/hello:1
}

# ---- the two verbs ----

# Waits for the first line; some programs never write one.
show_log() {
    local deadline=$((SECONDS + LOG_S_MAX))
    until [ -n "$(gridlet logs "$NAME")" ] || [ $SECONDS -ge $deadline ]; do sleep 0.1; done
    say "its log:"
    gridlet logs "$NAME" 2>&1 | sed 's/^/    /'
}

run_container() {
    if gridlet rm -f "$NAME" >/dev/null 2>&1; then say "removed the container of the last run"; fi
    say "pulling $image"
    gridlet pull "$image" || fail "'$image' cannot be pulled; without --image an image is made here"
    say "running it as '$NAME'"
    gridlet run -d --name "$NAME" "$image"
    show_log
}

hint() {
    local at='' stop_at=''
    [ "$run" = /run/gridlet ] || at=" --run $run"
    [ "$root$run" = /var/lib/gridlet/run/gridlet ] || stop_at=" --root $root --run $run"
    cat <<HINT

The node runs. Talk to it:
    $BIN/gridlet$at ps                  containers; also: status, pods, images, logs, exec, run, stop, --help
    $BIN/gridlet$at exec -it $NAME sh
    crictl --runtime-endpoint unix://$run/cri.sock ps     as Kubernetes does, where crictl is installed
Stop it:
    scripts/run.sh --stop$stop_at
HINT
}

stop_node() {
    local pid names deadline
    pid=$(daemon_pid) || { say "no node runs on $run" && return 0; }
    mapfile -t names < <(gridlet ps -a -o json | grep -oE '"id": *"[0-9a-f]{64}"' | grep -oE '[0-9a-f]{64}')
    if [ ${#names[@]} != 0 ]; then
        say "removing ${#names[@]} containers"
        gridlet rm -f "${names[@]}" >/dev/null
    fi
    say "stopping gridletd (pid $pid)"
    kill "$pid"
    deadline=$((SECONDS + STOP_S_MAX))
    while kill -0 "$pid" 2>/dev/null; do
        [ $SECONDS -lt $deadline ] || fail "gridletd does not stop in $STOP_S_MAX s"
        sleep 0.1
    done
    say "the node has ended"
}

main() {
    local need
    while [ $# -gt 0 ]; do
        case $1 in
        --image | --root | --run) [ $# -ge 2 ] || { usage >&2 && exit 2; } ;;&
        --image) image=$2 && shift ;;
        --root) root=$2 && shift ;;
        --run) run=$2 && shift ;;
        --stop) stop=yes ;;
        -h | --help) usage && exit 0 ;;
        *) usage >&2 && exit 2 ;;
        esac
        shift
    done
    [ "$(id -u)" = 0 ] || fail "must run as root: a node makes namespaces, mounts and cgroups"
    if [ $stop = yes ]; then
        stop_node
        return
    fi
    say "installing what the build needs"
    if [ -n "$image" ]; then need=build; else need=run; fi
    beat 5 "installing packages" scripts/deps.sh "$need"
    build
    start_node
    [ -n "$image" ] || serve_own_image
    run_container
    hint
}

main "$@"
