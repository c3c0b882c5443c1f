#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# agent.sh: runs in the guest and does what vm.py on the host asks for, over a virtio serial port. One line per request:
#   run ID SECONDS BASE64          runs the shell script, answers `ID STATUS BASE64-STDOUT BASE64-STDERR`
#   put ID MODE BASE64-PATH SIZE   SIZE raw bytes follow; answers `ID STATUS - -`
# It says `ready BOOT-ID` first. `-` stands for nothing. busybox runs what it has by itself, which is much cheaper under TCG than
# executing programs; what the host asks for gets the system's own shell.
port=/dev/virtio-ports/gridlet
work=/run/vm-agent

encode() {
    if [ -s "$1" ]; then base64 -w 0 "$1"; else printf -; fi
}

run() {
    printf %s "$3" | base64 -d >"$work/script"
    /usr/bin/timeout -k 5 "$2" /bin/sh "$work/script" >"$work/out" 2>"$work/err" </dev/null 3>&-
    status=$?
    printf '%s %s %s %s\n' "$1" "$status" "$(encode "$work/out")" "$(encode "$work/err")" >&3
}

put() {
    path=$(printf %s "$3" | base64 -d)
    mkdir -p "$(dirname "$path")"
    head -c "$4" <&3 >"$work/put" && chmod "$2" "$work/put" && mv "$work/put" "$path"
    printf '%s %s - -\n' "$1" $? >&3
}

mkdir -p "$work"
exec 3<>"$port"
printf 'ready %s - -\n' "$(cat /proc/sys/kernel/random/boot_id)" >&3
while read -r verb id argument text size <&3; do
    case $verb in
    run) run "$id" "$argument" "$text" ;;
    put) put "$id" "$argument" "$text" "$size" ;;
    esac
done
