#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check_valgrind.sh LOGS NAME: runs one unit test or corpus replay of preset `plain` under valgrind; adds its result to
# LOGS/totals. Lists the tests to run when it is given no name.
#
# Left out are tests that valgrind cannot follow: it does not know the new mount, pidfd and clone calls, so what starts
# programs, makes namespaces, mounts or cgroups is left to the sanitizers, as is what only waits for sockets.
set -euo pipefail

LEFT_OUT='^(proc|grpc|loop|admin|http_client|http_interop|netlink|link|nft|hostport|pod_network|pod_network_recovery|ruleset|ipam|'
LEFT_OUT+='layer|image|image_file|power_cut|store|sqlite|trash|pull.*|registry|auth|unpack|implied|tree|confine|gunzip|tar|disk_usage|pod_files|'
LEFT_OUT+='cgroup.*|shim|launch|init.*|cri.*|seccomp.*|keeper.*|exec|recovery|node|node_records|call|daemon|cli.*|container_.*)_test$|'
LEFT_OUT+='^zdb_(client|compact|compact_fault|disk|fault|namespace|node|power|redis|reserve|scrub|torture|vectors)_test$|'
LEFT_OUT+='^zdbd_(session|settings)_test$|^tar_fuzz$|^meta_(crash|full)_test$'
# These need openat2, which valgrind answers with ENOSYS: they fail in it, so only what it finds itself counts.
OPENAT2='^(file|hosts|docker_config|config|settings)_test$'

cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ $# = 0 ]; then
    find base storage net cri s3gw agent -name '*_test.c' -o -name '*_fuzz.c' | sed 's,.*/,,; s,\.c$,,' |
        sort | grep -vE "$LEFT_OUT"
    exit
fi

logs=$1 name=$2
log=$logs/valgrind-$name.log
leaks=definite corpus=() status=0
case $name in *_fuzz) corpus=("tests/fuzz/${name%_fuzz}") ;; esac
if [[ $name =~ $OPENAT2 ]]; then leaks=none; fi
GRIDLET_BIN=$PWD/build/plain/bin valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=$leaks \
    --errors-for-leak-kinds=$leaks --child-silent-after-fork=yes \
    "build/plain/tests/$name" "${corpus[@]}" >"$log" 2>&1 || status=$?
if [ $status = 0 ] || { [ $leaks = none ] && [ $status != 99 ]; }; then
    echo "1 0 0" >>"$logs/totals"
else
    echo "0 1 0" >>"$logs/totals"
    printf '  FAILED valgrind %s (%s)\n' "$name" "$log"
    { grep -E '^==|FAILED|ERROR' "$log" || tail -n 5 "$log"; } | sed -n '1,30s/^/    /p'
fi
