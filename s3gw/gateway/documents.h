/* SPDX-License-Identifier: Apache-2.0 — documents.h: the kinds of documents that a bucket has.
 *
 * Numbers are in the metadata for ever: never change one, add at the end. */
#pragma once

enum bucket_document {
    DOCUMENT_POLICY = 1,
    DOCUMENT_ACL = 2, /* as acl.h writes it */
    DOCUMENT_CORS = 3,
    DOCUMENT_LIFECYCLE = 4,
    DOCUMENT_TAGGING = 5,
    DOCUMENT_ENCRYPTION = 6,
    DOCUMENT_WEBSITE = 7,
    DOCUMENT_LOGGING = 8,
    DOCUMENT_OWNERSHIP = 9,
    DOCUMENT_PUBLIC_ACCESS = 10,
    DOCUMENT_OBJECT_LOCK = 11,
    DOCUMENT_NOTIFICATION = 12,
    DOCUMENT_REQUEST_PAYMENT = 13,
};
