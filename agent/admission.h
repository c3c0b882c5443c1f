/* SPDX-License-Identifier: Apache-2.0 — admission.h: the built-in contract over the whole node.
 *
 * Until there is a ledger, everything runs under one contract that is as large as the machine. It
 * never refuses what a scheduler has placed here: limits are promises of what is not exceeded, not
 * reservations, so their sum may be larger than the node. Storage is the exception: bytes that are
 * promised to a namespace must be there, so their sum stays below the file system's size. What it
 * does is keep account: who holds which grant, and how much has been promised. Any thread. */
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
    uint64_t storage_bytes, promised_storage_bytes; /* of 0-db namespaces; 0: not known */
    size_t namespaces, namespaces_unlimited;
};

/* Reads the machine's size. */
struct node_contract *node_contract_new(void);
void node_contract_free(struct node_contract *c); /* NULL-safe; nobody may ask any more */
/* How large the file system is that namespaces lie on: together they are granted no more.
 * Before anybody asks. */
void node_contract_set_storage(struct node_contract *c, uint64_t bytes);
/* The same, of the file system that the folder lies on. */
void node_contract_measure_storage(struct node_contract *c, int dir);
/* The interface that cri/ asks; valid as long as c. */
struct admission node_contract_admission(struct node_contract *c);
void node_contract_usage(struct node_contract *c, struct admission_usage *out);
