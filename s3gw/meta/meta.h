/* SPDX-License-Identifier: Apache-2.0 — meta.h: what the S3 gateway knows: buckets, objects with
 * their versions, uploads, identities, and which chunks of the engine belong to whom.
 *
 * Changes are `struct meta_op`s, queued by meta_submit() and applied by one thread; what queued up
 * in the meantime shares one transaction and one sync (group commit). An op is answered once, after
 * it is durable: on the loop by op->done(), or by the return of meta_run(), which blocks and is
 * for command lines, tests and jobs. One op's refusal changes nothing for the others.
 *
 * Reads return at once what was committed, see one moment each, and may be called from any thread,
 * beside writes; those of the gateway run as jobs on workers. What they hand out lives in the
 * caller's arena.
 *
 * Nothing here shows what is behind: versions, uploads and bodies are opaque 64-bit numbers, unique
 * in the store, never 0, below 2^63, never used twice, and in no order that a caller may rely on.
 * Names of buckets, identities, documents are the caller's to check; the layer checks sizes.
 *
 * Order of keys is byte order (memcmp), of versions newest first (AWS: ListObjectVersions).
 * Semantics of versioning, conditions and locks: AWS S3 User Guide, "Using versioning", "Deleting
 * object versions", "Conditional requests", "Object Lock". */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/loop.h"

#define META_BUCKET_BYTES_MAX   63
#define META_KEY_BYTES_MAX      1024
#define META_OWNER_BYTES_MAX    128
#define META_FIELD_BYTES_MAX    (16 * 1024) /* headers, tags, acl, checksums, sse: each */
#define META_DOCUMENT_BYTES_MAX (1024 * 1024)
#define META_RECORD_BYTES_MAX   (64 * 1024)
#define META_NAME_BYTES_MAX     256        /* of a record */
#define META_INLINE_BYTES_MAX   (8 * 1024) /* of an object that is kept here, not in the engine */
#define META_CHUNKS_MAX         8192       /* of one put or part: 5 GiB and some */
#define META_PARTS_MAX          10000      /* AWS: part numbers 1 to 10,000 */
#define META_PAGE_MAX           1000       /* of a listing */
#define META_QUEUE_MAX          8192       /* ops that wait */
#define META_BATCH_MAX          256        /* ops of one transaction */
#define META_IDS_MAX            256        /* of one meta_chunk_ids() */
#define META_TOKENS_MAX         1024

/* An arena for one listing of META_PAGE_MAX entries with the longest names. */
#define META_PAGE_ARENA_BYTES ((size_t)2 * 1024 * 1024)

struct meta;

struct meta_options {
    const char *folder;     /* must exist; holds meta.db and what belongs to it */
    struct loop *loop;      /* where done() is called; NULL: only meta_run() */
    unsigned readers;       /* connections, 1 to 64; as many as workers is enough */
    uint64_t reserve_bytes; /* kept for a full disk; 0: META_RESERVE_BYTES */
};
#define META_RESERVE_BYTES (UINT64_C(48) * 1024 * 1024)

/* Chunks that were given out and belong to nothing become garbage here: their writers are dead.
 * BUSY: another process has it; CORRUPT: damaged; UNSUPPORTED: of another version. */
int meta_open(const struct meta_options *o, struct meta **out, struct err *e) MUST_CHECK;
/* Answers everything that is queued first. The loop must still be there; no reads may run. */
void meta_close(struct meta *m);

/* ---- vocabulary ---- */

/* What a version is asked for by, beside its number. */
#define META_LATEST       UINT64_C(0)
#define META_NULL_VERSION UINT64_MAX

struct meta_etag {
    uint8_t md5[16];
    uint32_t parts; /* "md5-parts"; 0: no multipart upload */
};

struct meta_chunk {
    uint64_t id; /* of meta_chunk_ids() */
    uint32_t size_bytes;
};
struct meta_chunks {
    const struct meta_chunk *p;
    size_t count;
};

enum meta_lock_mode { META_LOCK_NONE, META_LOCK_GOVERNANCE, META_LOCK_COMPLIANCE };
struct meta_lock {
    enum meta_lock_mode mode;
    uint64_t until_ms;
    bool hold;
};

/* What belongs to an object beside its bytes. Texts are opaque here. */
struct meta_attributes {
    struct str owner;     /* empty: the bucket's */
    struct str headers;   /* content headers, user metadata */
    struct str tags, acl; /* changed by META_UPDATE */
    struct str checksums; /* values */
    struct str sse;       /* sealed keys, nonces */
    struct meta_lock lock;
    uint8_t storage_class;
    uint8_t checksum_kind; /* algorithm and type, as lists show them */
};

enum meta_versioning { META_UNVERSIONED, META_ENABLED, META_SUSPENDED };

/* Why an op or a read was refused; err says it in words. */
enum meta_why {
    META_OK,
    META_FAILED,  /* the machine: err.kind is LIMIT (full), IO, CORRUPT, BUSY */
    META_INVALID, /* a limit or a rule of this header */
    META_NO_BUCKET,
    META_BUCKET_EXISTS, /* op->is_own says whose */
    META_BUCKET_NOT_EMPTY,
    META_NO_KEY, /* or its newest version is a delete marker: op->is_marker */
    META_NO_VERSION,
    META_NO_UPLOAD,
    META_NO_DOCUMENT,
    META_NO_RECORD,
    META_RECORD_EXISTS,
    META_RECORD_IN_USE, /* others name it as their parent */
    META_PRECONDITION,
    META_LOCKED, /* by retention or legal hold */
    META_QUOTA,
    META_PART_INVALID, /* not there, or not what the list says: op->part */
    META_PART_ORDER,
    META_PART_SMALL,
    META_WRONG_SIZE, /* the parts' sum is not what was announced */
};

/* ---- changes ---- */

enum meta_verb {
    META_BUCKET_CREATE,
    META_BUCKET_DELETE, /* empty ones only */
    META_BUCKET_SET,    /* versioning, object lock, quotas */
    META_DOCUMENT_SET,
    META_PUT,    /* an object: put or copy */
    META_DELETE, /* an object or one version */
    META_UPDATE, /* tags, acl, retention, legal hold of a version */
    META_UPLOAD_BEGIN,
    META_PART_PUT,
    META_UPLOAD_COMPLETE,
    META_UPLOAD_ABORT,
    META_RECORD_SET, /* identities, cursors */
    META_DISCARD,    /* chunks that never became an object */
    META_RECLAIMED,  /* garbage that the engine has deleted */
    META_VERBS
};

/* All that are set must hold for the newest version (a delete marker counts as nothing). */
struct meta_conditions {
    bool none_may_exist;                      /* If-None-Match: * */
    bool one_must_exist;                      /* If-Match: * */
    const struct meta_etag *match;            /* If-Match */
    const struct meta_etag *none_match;       /* If-None-Match */
    const uint64_t *modified_ms, *size_bytes; /* of DELETE: x-amz-if-match-... */
};

enum { META_SET_VERSIONING = 1, META_SET_LOCK = 2, META_SET_QUOTA = 4, META_SET_OWNER = 8 };
struct meta_bucket_in {
    unsigned which; /* META_SET_*; of META_BUCKET_SET */
    struct str owner;
    enum meta_versioning versioning;
    bool lock_enabled;                   /* cannot be taken back; needs versioning */
    uint64_t quota_bytes, quota_objects; /* 0: none */
};

struct meta_document_in {
    uint32_t kind;    /* the caller's: policy, cors, lifecycle, ... */
    struct str bytes; /* .p == NULL: remove */
};

/* Where a copy's bytes come from: the body is shared, nothing is written to the engine. */
struct meta_source {
    struct str bucket, key; /* bucket empty: none */
    uint64_t version;
    const struct meta_etag *match; /* what the caller saw; otherwise PRECONDITION */
};

struct meta_put_in {
    struct meta_conditions conditions;
    struct meta_attributes attributes;
    struct meta_etag etag;
    uint64_t size_bytes;
    /* One of the three. A copy takes size and body from the source, the rest from here. */
    struct str data;
    struct meta_chunks chunks;
    struct meta_source source;
};

struct meta_delete_in {
    struct meta_conditions conditions; /* without a version only */
    bool bypass_governance;
};

enum { META_SET_TAGS = 1, META_SET_ACL = 2, META_SET_RETENTION = 4, META_SET_HOLD = 8 };
struct meta_update_in {
    unsigned which; /* META_SET_* of the lines above */
    struct str tags, acl;
    struct meta_lock lock;
    bool bypass_governance;
};

struct meta_upload_in {
    struct meta_attributes attributes; /* of the object to be */
    struct str initiator;
};

struct meta_part_in {
    uint64_t upload;
    uint32_t number;
    struct meta_etag etag;
    uint64_t size_bytes;
    struct str checksums, sse;
    struct meta_chunks chunks;
};

struct meta_part_named {
    uint32_t number;
    struct meta_etag etag;
    struct str checksums; /* .p == NULL: not compared */
};
struct meta_complete_in {
    uint64_t upload;
    struct meta_conditions conditions;
    const struct meta_part_named *parts; /* as the client lists them */
    size_t parts_count;
    uint64_t part_bytes_min;        /* of all but the last */
    const uint64_t *size_announced; /* x-amz-mp-object-size */
    struct meta_etag etag;          /* of the object */
    struct str checksums;           /* of the object; .p == NULL: those of the upload */
    uint8_t checksum_kind;          /* with checksums */
};

/* Records: whatever else must be kept: users, keys, policies, sessions, cursors. */
enum meta_record_must { META_RECORD_ANY, META_RECORD_ABSENT, META_RECORD_PRESENT };
struct meta_record {
    uint32_t kind;       /* the caller's */
    struct str name;     /* unique in its kind */
    struct str parent;   /* e.g. the user of a key; empty: none */
    uint64_t expires_ms; /* 0: never; nothing is removed by itself */
    struct str bytes;    /* sealed by the caller; .p == NULL in an op: remove */
};
struct meta_record_in {
    struct meta_record record;
    enum meta_record_must must;
    uint32_t child_kind; /* of a removal: IN_USE when records of this kind have it as parent */
};

struct meta_token {
    uint64_t id;
    uint32_t part;
};
struct meta_reclaimed_in {
    const struct meta_token *tokens;
    size_t count;
};

struct meta_op {
    /* The caller's; borrowed until the answer. */
    enum meta_verb verb;
    struct str bucket, key;
    uint64_t version; /* META_LATEST where it has no meaning */
    uint64_t now_ms;  /* since 1970 */
    union {
        struct meta_bucket_in create, settings;
        struct meta_document_in document;
        struct meta_put_in put;
        struct meta_delete_in remove;
        struct meta_update_in update;
        struct meta_upload_in begin;
        struct meta_part_in part_put;
        struct meta_complete_in complete;
        uint64_t abort; /* the upload */
        struct meta_record_in record;
        struct meta_chunks discard;
        struct meta_reclaimed_in reclaimed;
    };
    void (*done)(struct meta_op *op); /* from the loop; may free or submit it again */

    /* The answer. */
    enum meta_why why;
    struct err error;
    uint64_t new_version; /* put, copy, complete, a new delete marker, the version that was hit */
    uint64_t upload;      /* begin */
    uint64_t size_bytes;  /* put, copy, complete: of the object */
    uint64_t modified_ms;
    struct meta_etag etag;
    uint32_t part;  /* complete: the number that is wrong */
    bool is_null;   /* new_version is the null version */
    bool is_marker; /* new_version is a delete marker (made or removed) */
    bool was_found; /* delete, abort: there was something */
    bool is_own;    /* BUCKET_EXISTS: of the same owner */
    /* The chunks are accounted for: part of an object or in the garbage. When it is false (the op
     * FAILED or was never queued) they are still the caller's, who discards them or dies. */
    bool chunks_taken;

    /* Ours. */
    struct task task;
    struct meta_op *next;
    void (*finish)(struct meta_op *op);
    void *finish_user;
};

/* 0: queued, and done() will be called once. -1 and LIMIT: META_QUEUE_MAX ops wait already. */
int meta_submit(struct meta *m, struct meta_op *op, struct err *e) MUST_CHECK;
/* The same and waits for it; 0, or -1 and *e is op->error. Not on the loop. */
int meta_run(struct meta *m, struct meta_op *op, struct err *e) MUST_CHECK;

/* count (1 to META_IDS_MAX) consecutive ids for chunks that are about to be written to the engine.
 * They are on disk as such: if this process dies they are garbage. Each must end in a put, a part
 * or a META_DISCARD. Waits for a sync once in some hundred; LIMIT on a full disk. */
int meta_chunk_ids(struct meta *m, uint32_t count, uint64_t *out_first, struct err *e) MUST_CHECK;

/* ---- reads: 0, or -1 with the reason in *why (may be NULL) and the words in *e ---- */

struct meta_bucket {
    struct str name, owner;
    uint64_t created_ms;
    enum meta_versioning versioning;
    bool lock_enabled;
    uint64_t quota_bytes, quota_objects;
    /* Kept exactly, with each change. */
    uint64_t objects;               /* keys whose newest version is no delete marker */
    uint64_t versions;              /* all, with delete markers */
    uint64_t bytes;                 /* of all versions */
    uint64_t uploads, upload_bytes; /* not completed */
};
struct meta_read {
    struct meta *m;
    struct arena *arena; /* of what is handed out; LIMIT when it is full */
    enum meta_why why;   /* out */
};
int meta_bucket(struct meta_read *r, struct str name, struct meta_bucket *out,
                struct err *e) MUST_CHECK;
struct meta_buckets {
    struct meta_bucket *p;
    size_t count;
    bool truncated;
};
/* Names above `after` that begin with prefix; owner empty: of all. */
struct meta_buckets_query {
    struct str owner, prefix, after;
    uint32_t max; /* at most META_PAGE_MAX */
};
int meta_buckets(struct meta_read *r, const struct meta_buckets_query *q, struct meta_buckets *out,
                 struct err *e) MUST_CHECK;
int meta_document(struct meta_read *r, struct str bucket, uint32_t kind, struct str *out,
                  struct err *e) MUST_CHECK;

struct meta_name {
    struct str bucket, key;
    uint64_t version; /* or META_LATEST, META_NULL_VERSION */
};
struct meta_object {
    uint64_t version, modified_ms, size_bytes;
    bool is_null, is_latest;
    bool is_marker; /* then there are no attributes and no bytes */
    struct meta_etag etag;
    struct meta_attributes attributes;
    struct str data; /* the bytes, when body is 0 */
    uint64_t body;   /* else: for meta_body_chunks(), meta_parts() */
    uint32_t parts;  /* of the body; 0: not from an upload */
};
/* NO_KEY with out filled in when the newest version is a delete marker (out->is_marker). */
int meta_object(struct meta_read *r, const struct meta_name *name, struct meta_object *out,
                struct err *e) MUST_CHECK;

/* The chunks of a body from the one that holds the byte `offset` on, at most max (1 to
 * META_CHUNKS_MAX) and at least one unless offset is at the end. */
struct meta_span {
    uint64_t body, offset;
    size_t max;
};
struct meta_span_chunks {
    struct meta_chunk *p;
    size_t count;
    uint64_t first_offset; /* of the first chunk's first byte in the body */
};
int meta_body_chunks(struct meta_read *r, const struct meta_span *s, struct meta_span_chunks *out,
                     struct err *e) MUST_CHECK;

struct meta_part {
    uint32_t number;
    uint64_t size_bytes, modified_ms;
    uint64_t offset; /* in the object; of a completed upload only */
    struct meta_etag etag;
    struct str checksums, sse;
};
/* Of an upload (name it), or of a body with parts (bucket empty). */
struct meta_parts_query {
    struct str bucket, key;
    uint64_t id;    /* upload or body */
    uint32_t after; /* part number */
    uint32_t max;   /* at most META_PAGE_MAX, or META_PARTS_MAX for one who completes */
};
struct meta_parts {
    struct meta_part *p;
    size_t count;
    bool truncated;
};
int meta_parts(struct meta_read *r, const struct meta_parts_query *q, struct meta_parts *out,
               struct err *e) MUST_CHECK;
/* The attributes that META_UPLOAD_BEGIN gave. */
struct meta_upload {
    struct meta_attributes attributes;
    struct str initiator;
    uint64_t created_ms;
};
int meta_upload(struct meta_read *r, const struct meta_name *name /* version: the upload */,
                struct meta_upload *out, struct err *e) MUST_CHECK;

/* Listings: `what` says of what; the rest means the same for all. */
enum meta_listed { META_LIST_OBJECTS, META_LIST_VERSIONS, META_LIST_UPLOADS };
struct meta_list_query {
    enum meta_listed what;
    struct str bucket;
    struct str prefix;
    struct str delimiter; /* any bytes; empty: none */
    struct str after_key; /* a key or a common prefix; what is not above it is left out */
    uint64_t after_id;    /* version or upload of after_key (META_NULL_VERSION, too): go on behind
                             it; 0: behind all of after_key's */
    uint32_t max;         /* at most META_PAGE_MAX */
};
struct meta_entry {
    struct str key; /* or the common prefix, and then nothing else is set */
    bool is_prefix, is_null, is_latest, is_marker;
    uint8_t storage_class, checksum_kind;
    uint64_t id;          /* version or upload */
    uint64_t modified_ms; /* or when the upload began */
    uint64_t since_ms;    /* when it stopped to be the newest; 0: it is */
    uint64_t size_bytes;
    struct meta_etag etag;
    struct str owner;     /* empty: the bucket's */
    struct str initiator; /* of an upload */
};
struct meta_page {
    struct meta_entry *p;
    size_t count;
    bool truncated; /* go on with the last entry's key and id */
};
/* Costs what the page costs: common prefixes are skipped by one seek each, and neither old versions
 * nor delete markers are read for a list of objects. */
int meta_list(struct meta_read *r, const struct meta_list_query *q, struct meta_page *out,
              struct err *e) MUST_CHECK;

int meta_record(struct meta_read *r, uint32_t kind, struct str name, struct meta_record *out,
                struct err *e) MUST_CHECK;
struct meta_records_query {
    uint32_t kind;
    struct str parent; /* .p == NULL: all */
    struct str after;
    uint32_t max; /* at most META_PAGE_MAX */
};
struct meta_records {
    struct meta_record *p;
    size_t count;
    bool truncated;
};
int meta_records(struct meta_read *r, const struct meta_records_query *q, struct meta_records *out,
                 struct err *e) MUST_CHECK;

/* Garbage that came about at or before before_ms, from behind `after` on. Each item goes back by
 * its token in META_RECLAIMED when the engine has deleted its chunks for good; until then it is
 * handed out again. A chunk may never have been written. token.id is the body that it was, for
 * those who still read it. */
struct meta_garbage_query {
    uint64_t before_ms;
    struct meta_token after;
    size_t chunks_max; /* at least META_CHUNKS_MAX; items are whole */
};
struct meta_garbage_item {
    struct meta_token token;
    struct meta_chunks chunks;
};
struct meta_garbage {
    struct meta_garbage_item *p;
    size_t count;
    bool truncated;
};
int meta_garbage(struct meta_read *r, const struct meta_garbage_query *q, struct meta_garbage *out,
                 struct err *e) MUST_CHECK;

/* Reads and compares everything: pages, counters, references. found() is told each problem; the
 * result is their number, or -1 when it could not be done. Long: a thread of its own. */
struct meta_check_report {
    void (*found)(void *user, const char *problem);
    void *user;
};
int meta_check(struct meta *m, const struct meta_check_report *report, struct err *e) MUST_CHECK;

/* For metrics. */
struct meta_stats {
    uint64_t ops, commits, refused_queue, refused_full;
    uint64_t wal_pages;
    bool is_full; /* writes that grow are refused */
};
void meta_stats(struct meta *m, struct meta_stats *out);
