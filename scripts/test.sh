#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test.sh: installs what the tests need, builds, runs them, and ends with a line "N passed, N failed, N skipped".
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/test.sh [unit|e2e|soak|all]     (default: all, which is what the CI runs; needs root)
  unit   the quick part: checks of layers, sizes and text, unit tests and fuzz corpora under sanitizers, valgrind
  e2e    whole nodes: crictl, critest, the CLI, bad registries, kills, and stock Debian in a virtual machine
  soak   the long one that the CI leaves out: many rounds of kills under load, and of power cuts
  all    unit and e2e
Logs lie in build/test/.
USAGE
}

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/progress.sh
. scripts/progress.sh
LOGS=build/test
TOTALS=$LOGS/totals
JOBS=$(nproc)

# result NAME COMMAND...: runs a check that passes or fails as one; its output is shown only when it fails.
result() {
    local name=$1 log
    shift
    log=$LOGS/${name//[^a-z0-9]/-}.log
    if "$@" >"$log" 2>&1; then
        echo "1 0 0" >>"$TOTALS"
        say "passed: $name"
    else
        echo "0 1 0" >>"$TOTALS"
        say "FAILED: $name ($log)"
        sed 's/^/    /' "$log" | tail -n 60
    fi
}

compile() {
    local preset=$1 log=$LOGS/build-$1.log
    shift
    cmake --preset "$preset" >"$log" 2>&1 &&
        nice cmake --build --preset "$preset" -j "$JOBS" ${1:+--target "$@"} >>"$log" 2>&1
}

# build PRESET [TARGET...]: ends the run when it fails, since nothing else would mean anything.
build() {
    local log=$LOGS/build-$1.log
    say "building preset $1"
    if ! beat 30 "building preset $1" compile "$@"; then
        grep -E 'FAILED:|error:|CMake Error' -A 5 "$log" | head -n 60
        say "FAILED: preset $1 does not build ($log)"
        echo "0 1 0" >>"$TOTALS"
        finish
    fi
}

shell_scripts() { git ls-files --cached --others --exclude-standard -- '*.sh' .ci/run; }

checks() {
    local scripts
    mapfile -t scripts < <(shell_scripts)
    say "checking layers, sizes and text"
    result "layers: includes and symbols point down" python3 scripts/check_layers.py --build build/dev
    result "sizes: files, functions, parameters" python3 scripts/check_sizes.py
    result "text: SPDX lines, no unfinished ends" python3 scripts/check_text.py
    result "clang accepts the banned names with fortified headers" clang -std=gnu11 -O2 -D_GNU_SOURCE \
        -D_FORTIFY_SOURCE=3 -Wall -Werror -I. -include base/banned.h -fsyntax-only base/err.c base/buf.c
    result "shellcheck" shellcheck -x -e SC2317 "${scripts[@]}"
}

run_ctest() {
    ctest --test-dir build/dev -j "$JOBS" --output-junit "$1" --no-tests=error --test-output-size-passed 1000000 \
        --test-output-size-failed 1000000 >"$LOGS/ctest.log" 2>&1 || true # the results file tells
}

unit_tests() {
    local junit=$PWD/$LOGS/ctest.xml
    say "running unit tests and fuzz corpora under AddressSanitizer and UBSan"
    rm -f "$junit"
    beat 30 "unit tests" run_ctest "$junit"
    python3 scripts/check_results.py "$TOTALS" "$junit" || true
    say "unit tests are done"
}

valgrind_tests() {
    local tests
    mapfile -t tests < <(scripts/check_valgrind.sh)
    build plain "${tests[@]}"
    say "running ${#tests[@]} of the unit tests under valgrind"
    beat 30 "valgrind" xargs -P "$JOBS" -I{} scripts/check_valgrind.sh "$LOGS" {} < <(printf '%s\n' "${tests[@]}")
    say "valgrind is done"
}

end_to_end() {
    local junit=$PWD/$LOGS/pytest-$1.xml
    say "running end-to-end tests ($1)"
    rm -f "$junit"
    GRIDLET_BIN=$PWD/build/dev/bin GRIDLET_RELEASE_BIN=$PWD/build/release/bin \
        python3 -B -m pytest -p no:cacheprovider tests/e2e -m "$2" -v -rs --color=no -o console_output_style=count \
        --junitxml="$junit" 2>&1 | tee "$LOGS/pytest-$1.log" | grep --line-buffered -E '::|^tests/' || true
    python3 scripts/check_results.py "$TOTALS" "$junit" || true
    say "end-to-end tests are done"
}

finish() {
    local passed failed skipped
    read -r passed failed skipped < <(awk '{p += $1; f += $2; s += $3} END {print p + 0, f + 0, s + 0}' "$TOTALS")
    say "finished"
    printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
    [ "$failed" = 0 ] && [ "$passed" -gt 0 ] && exit 0
    exit 1
}

main() {
    local what=${1:-all}
    case $what in
    unit | e2e | soak | all) ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
    esac
    [ "$(id -u)" = 0 ] || { echo "test.sh: must run as root: the tests make namespaces, mounts and cgroups" >&2 && exit 1; }
    mkdir -p "$LOGS"
    : >"$TOTALS"
    say "installing what the tests need"
    scripts/deps.sh test
    build dev
    case $what in unit | all) checks && unit_tests && valgrind_tests ;; esac
    case $what in unit) finish ;; esac
    build release
    case $what in e2e | all) end_to_end e2e "not soak" ;; esac
    case $what in soak)
        end_to_end soak soak
        result "5000 power cuts of a 0-db, replayed" env ZDB_FAULT_CUTS=5000 build/dev/tests/zdb_fault_test
        result "power cuts of a 0-db's disk" env ZDB_POWER_SECONDS=600 build/dev/tests/zdb_power_test
        ;;
    esac
    finish
}

main "$@"
