/* SPDX-License-Identifier: Apache-2.0 — methods.h: the calls that this runtime answers, one
 * function each.
 *
 * Loop thread. Each leads to exactly one answer. The table that names them is in cri.c; what is not
 * in it answers UNIMPLEMENTED. What each must do: ../docs and k8s.io/cri-api's api.proto. */
#pragma once

#include "cri/call.h"
#include "cri/proto/api.pb-c.h"

/* runtime_info.c */
call_handler version_call, status_call, runtime_config_call, update_runtime_config_call;
/* pod_run.c, pod_stop.c, pod_query.c */
call_handler pod_run_call, pod_stop_call, pod_remove_call, pod_status_call, pod_list_call,
    pod_update_resources_call;
/* container_create.c, container_start.c, container_stop.c, container_query.c, container_update.c */
call_handler container_create_call, container_start_call, container_stop_call,
    container_remove_call, container_status_call, container_list_call, container_update_call,
    container_reopen_log_call;
/* exec.c */
call_handler exec_sync_call;
/* stats.c */
call_handler container_stats_call, container_stats_list_call, pod_stats_call, pod_stats_list_call;
/* image_service.c */
call_handler image_list_call, image_status_call, image_pull_call, image_remove_call,
    image_fs_info_call;
