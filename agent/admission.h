/* SPDX-License-Identifier: Apache-2.0 — admission.h: the built-in contract over the whole node.
 *
 * Until there is a ledger, everything runs under one contract that is as large as the machine. It
 * never refuses what a scheduler has placed here: limits are promises of what is not exceeded, not
 * reservations, so their sum may be larger than the node. What it does is keep account: who holds
 * which grant, and how much has been promised. Any thread. */
#pragma once

#include "cri/admission.h"

#define ADMISSION_GRANTS_MAX 8192
#define ADMISSION_CONTRACT   "node" /* the only contract there is */

struct node_contract;

struct admission_usage {
    const char *contract;
    uint64_t memory_bytes, cpu_milli;                   /* the node's capacity */
    uint64_t promised_memory_bytes, promised_cpu_milli; /* sums of the containers' limits */
    size_t pods, containers;                            /* grants that are held */
    size_t unlimited; /* containers without a memory limit: they may use all of it */
};

/* Reads the machine's size. */
struct node_contract *node_contract_new(void);
void node_contract_free(struct node_contract *c); /* NULL-safe; nobody may ask any more */
/* The interface that cri/ asks; valid as long as c. */
struct admission node_contract_admission(struct node_contract *c);
void node_contract_usage(struct node_contract *c, struct admission_usage *out);
