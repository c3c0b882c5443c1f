# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# progress.sh: sourced by scripts that take long. Sets nothing but functions; the clock starts when it is sourced.

progress_started=$SECONDS

# say TEXT: a line with the time since the start.
say() { printf '[%4d s] %s\n' $((SECONDS - progress_started)) "$*"; }

# beat SECONDS WHAT COMMAND...: runs a long command, and says every so many seconds that it is still at it.
beat() {
    local every=$1 what=$2 ticker status=0
    shift 2
    (
        trap 'kill "$!"; exit' TERM
        while :; do
            sleep "$every" &
            wait "$!"
            say "... $what"
        done
    ) &
    ticker=$!
    "$@" || status=$?
    kill "$ticker"
    wait "$ticker" || true
    return "$status"
}
