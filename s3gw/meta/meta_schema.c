/* SPDX-License-Identifier: Apache-2.0 — meta_schema.c: the tables.
 *
 * current   the newest version of each key whose newest is no delete marker, and only what a list
 *           shows: narrow rows, clustered by bucket and key, so a page of a list is a few pages of
 *           the file whatever else the bucket holds
 * history   all other versions and all delete markers, newest first (ord = -version)
 * detail    the rest of a version, and the bytes of a small one: appended by version number, so the
 *           versions of one commit share pages
 * body      what several versions may share (copies): chunks, or the parts of the upload with the
 *           same number
 * part      the parts of uploads; those of a completed one stay as they are and belong to its body
 * intent    a bit for each chunk id that was given out and is not part of anything yet
 * garbage   chunk lists (or the parts of an upload) that the engine is to delete
 *
 * Invariants, checked by meta_check():
 *   a chunk id is in exactly one of: intent, a body, a part, garbage, or is deleted
 *   a key has a row in current exactly when its newest version is no delete marker
 *   each version but delete markers has one detail; refs of a body = details that name it
 *   usage = what counting gives */
#include "s3gw/meta/meta_internal.h"

const char meta_schema[] =
    "CREATE TABLE sequence(one INTEGER PRIMARY KEY CHECK(one = 1), next INTEGER NOT NULL,"
    " chunk INTEGER NOT NULL);"
    "INSERT INTO sequence VALUES(1, 1, 64);"
    "CREATE TABLE bucket(id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, owner BLOB NOT NULL,"
    " created INTEGER NOT NULL, versioning INTEGER NOT NULL, lock INTEGER NOT NULL,"
    " quota_bytes INTEGER NOT NULL, quota_objects INTEGER NOT NULL);"
    "CREATE TABLE usage(bucket INTEGER PRIMARY KEY, objects INTEGER NOT NULL,"
    " versions INTEGER NOT NULL, bytes INTEGER NOT NULL, uploads INTEGER NOT NULL,"
    " upload_bytes INTEGER NOT NULL);"
    "CREATE TABLE document(bucket INTEGER NOT NULL, kind INTEGER NOT NULL, bytes BLOB NOT NULL,"
    " PRIMARY KEY(bucket, kind)) WITHOUT ROWID;"
    "CREATE TABLE current(bucket INTEGER NOT NULL, key BLOB NOT NULL, seq INTEGER NOT NULL,"
    " is_null INTEGER NOT NULL, modified INTEGER NOT NULL, size INTEGER NOT NULL,"
    " md5 BLOB NOT NULL, parts INTEGER NOT NULL, class INTEGER NOT NULL, sums INTEGER NOT NULL,"
    " owner BLOB, PRIMARY KEY(bucket, key)) WITHOUT ROWID;"
    "CREATE TABLE history(bucket INTEGER NOT NULL, key BLOB NOT NULL, ord INTEGER NOT NULL,"
    " is_null INTEGER NOT NULL, is_marker INTEGER NOT NULL, modified INTEGER NOT NULL,"
    " since INTEGER NOT NULL, size INTEGER NOT NULL, md5 BLOB NOT NULL, parts INTEGER NOT NULL,"
    " class INTEGER NOT NULL, sums INTEGER NOT NULL, owner BLOB,"
    " PRIMARY KEY(bucket, key, ord)) WITHOUT ROWID;"
    "CREATE UNIQUE INDEX history_null ON history(bucket, key) WHERE is_null = 1;"
    "CREATE TABLE detail(seq INTEGER PRIMARY KEY, headers BLOB, checksums BLOB, tags BLOB,"
    " acl BLOB, sse BLOB, lock_mode INTEGER NOT NULL, lock_until INTEGER NOT NULL,"
    " lock_hold INTEGER NOT NULL, body INTEGER NOT NULL, data BLOB);"
    "CREATE TABLE body(id INTEGER PRIMARY KEY, refs INTEGER NOT NULL, form INTEGER NOT NULL,"
    " list BLOB NOT NULL);"
    "CREATE TABLE upload(bucket INTEGER NOT NULL, key BLOB NOT NULL, id INTEGER NOT NULL,"
    " created INTEGER NOT NULL, owner BLOB, initiator BLOB, class INTEGER NOT NULL,"
    " sums INTEGER NOT NULL, headers BLOB, checksums BLOB, tags BLOB, acl BLOB, sse BLOB,"
    " lock_mode INTEGER NOT NULL, lock_until INTEGER NOT NULL, lock_hold INTEGER NOT NULL,"
    " PRIMARY KEY(bucket, key, id)) WITHOUT ROWID;"
    "CREATE TABLE part(upload INTEGER NOT NULL, number INTEGER NOT NULL, modified INTEGER NOT NULL,"
    " size INTEGER NOT NULL, md5 BLOB NOT NULL, checksums BLOB, sse BLOB, list BLOB NOT NULL,"
    " PRIMARY KEY(upload, number)) WITHOUT ROWID;"
    "CREATE TABLE intent(word INTEGER PRIMARY KEY, open INTEGER NOT NULL);"
    "CREATE TABLE garbage(id INTEGER PRIMARY KEY, at INTEGER NOT NULL, form INTEGER NOT NULL,"
    " list BLOB NOT NULL);"
    "CREATE TABLE record(kind INTEGER NOT NULL, name BLOB NOT NULL, parent BLOB NOT NULL,"
    " expires INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY(kind, name)) WITHOUT ROWID;"
    "CREATE INDEX record_parent ON record(kind, parent, name);";
