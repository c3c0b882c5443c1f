#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check_valgrind.sh LOGS NAME: runs one unit test or corpus replay of preset `plain` under valgrind; adds its result to
# LOGS/totals. Lists the tests to run when it is given no name.
#
# Left out are tests that valgrind cannot follow: it does not know the new mount, pidfd and clone calls, so what starts
# programs, makes namespaces, mounts or cgroups is left to the sanitizers, as is what only waits for sockets.
set -euo pipefail

# One a line, sorted: each a whole name, as a regular expression.
LEFT_OUT=(
    'admin_test'
    'auth_test'
    'call_test'
    'cgroup.*_test'
    'cli.*_test'
    'confine_test'
    'container_.*_test'
    'cri.*_test'
    'daemon_test'
    'disk_usage_test'
    'exec_test'
    'gateway_test'
    'grpc_test'
    'gunzip_test'
    'hostport_test'
    'http_client_test'
    'http_interop_test'
    'image_file_test'
    'image_test'
    'implied_test'
    'init.*_test'
    'ipam_test'
    'keeper.*_test'
    'launch_test'
    'layer_test'
    'link_test'
    'list_paging_test'
    'list_test'
    'loop_test'
    'meta_crash_test'
    'meta_full_test'
    'netlink_test'
    'nft_test'
    'node_records_test'
    'node_test'
    'object_test'
    'pod_files_test'
    'pod_network_recovery_test'
    'pod_network_test'
    'power_cut_test'
    'proc_test'
    'pull.*_test'
    'recovery_test'
    'registry_test'
    'ruleset_test'
    'seccomp.*_test'
    'shim_test'
    'sqlite_test'
    'store_test'
    'tar_fuzz'
    'tar_test'
    'trash_test'
    'tree_test'
    'unpack_test'
    'zdb_client_test'
    'zdb_compact_fault_test'
    'zdb_compact_test'
    'zdb_disk_test'
    'zdb_fault_test'
    'zdb_namespace_test'
    'zdb_node_test'
    'zdb_power_test'
    'zdb_redis_test'
    'zdb_reserve_test'
    'zdb_scrub_test'
    'zdb_torture_test'
    'zdb_vectors_test'
    'zdbd_session_test'
    'zdbd_settings_test'
)
# These need openat2, which valgrind answers with ENOSYS: they fail in it, so only what it finds itself counts.
OPENAT2='^(file|hosts|docker_config|config|settings)_test$'

cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ $# = 0 ]; then
    find base storage net cri s3gw agent -name '*_test.c' -o -name '*_fuzz.c' | sed 's,.*/,,; s,\.c$,,' |
        sort | grep -vxE "$(IFS='|' && echo "${LEFT_OUT[*]}")"
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
