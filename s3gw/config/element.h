/* SPDX-License-Identifier: Apache-2.0 — element.h: a configuration document as a tree, and the
 * checks that all of them share.
 *
 * xml_in.h reads it, so namespaces are dropped, a DOCTYPE is an error, everything is limited. The
 * tree and its texts live in the arena. What is not in a table of rules is an error: an element
 * that is passed over would be a promise that is not kept. The order of elements is free, as it is
 * on AWS. Errors are MalformedXML. Immutable once read; any thread. */
#pragma once

#include "base/arena.h"
#include "s3gw/error.h"
#include "s3gw/xml_in.h"

/* Enough for every configuration that XML_LIMITS lets in, and what is made of it. */
#define CONFIG_ARENA_BYTES ((size_t)8 << 20)
#define ELEMENT_ANY_COUNT  UINT32_MAX

struct element {
    struct str name, text; /* text: never NULL; empty when there are children */
    struct str type;       /* the attribute xsi:type; .p NULL: none */
    const struct element *first, *next;
};

/* A child that may be there: min to max times. A table ends with a NULL name. */
struct element_rule {
    const char *name;
    uint32_t min, max;
    bool is_leaf; /* text and no children; otherwise children and no text */
};

struct element_schema {
    const char *root;                 /* its name */
    const struct element_rule *rules; /* of its children */
    const struct xml_limits *limits;  /* NULL: XML_LIMITS */
};

/* Reads a document and checks its first level; element_check() does the same for those below. */
int element_parse(struct arena *a, struct str document, const struct element_schema *schema,
                  const struct element **out, struct s3_error *x) MUST_CHECK;
int element_check(const struct element *e, const struct element_rule *rules,
                  struct s3_error *x) MUST_CHECK;

/* The first of that name, or NULL; the one behind it; and how many there are. */
const struct element *element_child(const struct element *e, const char *name);
const struct element *element_after(const struct element *e, const char *name);
size_t element_count(const struct element *e, const char *name);
/* Text of the first child of that name; .p NULL: there is none. */
struct str element_text(const struct element *e, const char *name);

/* Children as values: 1; 0 when absent (*out unchanged); -1 when they are none. */
int element_u64(const struct element *e, const char *name, uint64_t *out,
                struct s3_error *x) MUST_CHECK;
int element_bool(const struct element *e, const char *name, bool *out,
                 struct s3_error *x) MUST_CHECK; /* true, false, TRUE, FALSE */
/* Index of the child's text in the list, which ends with NULL; -1 also when it is absent. */
int element_choice(const struct element *e, const char *name, const char *const *choices,
                   struct s3_error *x) MUST_CHECK;

/* The error for an arena that is full. Returns -1. */
int element_no_memory(struct s3_error *x);
