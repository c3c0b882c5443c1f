/* SPDX-License-Identifier: Apache-2.0 — list_test.c: the rules of the listings one by one: what
 * stands in the documents, which parameters are refused and how. */
#include "s3gw/checksum/checksum.h"
#include "s3gw/list/list_rig.h"

#define QUERY_MAX (16 << 10)

static void expect(void **state, const char *path, const char *query, const char *part) {
    rig_expect(*state, &(struct rig_ask){.method = "GET", .path = path, .query = query}, 200, part);
}

static void refuse(void **state, const char *query, const char *part) {
    rig_expect(*state, &(struct rig_ask){.method = "GET", .path = "/photos", .query = query}, 400,
               part);
}

static void expect_not(void **state, const char *path, const char *query, const char *part) {
    AUTO(rig_reply_done) struct rig_reply reply;
    rig_ask(*state, &(struct rig_ask){.method = "GET", .path = path, .query = query}, &reply);
    assert_int_equal(reply.status, 200);
    if (str_contains(reply.body, str_of(part)))
        fail_msg("%s?%s: has '%s': %.*s", path, query, part, STR_ARG(reply.body));
}

/* "photos": a, b/1, b/2, c d+e; b/2 has a checksum, the ETag of an upload and an owner. */
static int setup(void **state) {
    if (rig_setup(state) != 0) return -1;
    list_bucket(*state, STR("photos"), META_UNVERSIONED);
    list_bucket(*state, STR("empty"), META_UNVERSIONED);
    (void)list_put(*state, STR("photos"), STR("a"));
    (void)list_put(*state, STR("photos"), STR("b/1"));
    (void)list_put(*state, STR("photos"), STR("c d+e"));
    (void)list_run(*state, (struct meta_op){
                               .verb = META_PUT,
                               .bucket = STR("photos"),
                               .key = STR("b/2"),
                               .put = {.data = STR("four"),
                                       .size_bytes = 4,
                                       .etag = {.md5 = {0xab, 1}, .parts = 3},
                                       .attributes = {.owner = STR("ann"),
                                                      .checksum_kind = 1 + CHECKSUM_CRC32C + 16}}});
    return 0;
}

/* ---- documents ---- */

static void an_entry_has_date_tag_checksum_size_owner_and_class(void **state) {
    expect(state, "/photos", "prefix=b%2F2",
           "<Contents><Key>b/2</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
           "<ETag>&quot;ab010000000000000000000000000000-3&quot;</ETag>"
           "<ChecksumAlgorithm>CRC32C</ChecksumAlgorithm>"
           "<ChecksumType>FULL_OBJECT</ChecksumType><Size>4</Size><Owner><ID>ann</ID></Owner>"
           "<StorageClass>STANDARD</StorageClass></Contents>");
    expect_not(state, "/photos", "prefix=a", "Checksum");
    expect(state, "/photos", "prefix=a",
           "<ETag>&quot;00000000000000000000000000000000&quot;</ETag>");
    expect(state, "/photos", "prefix=a", "</ID><DisplayName>");
}

static void an_empty_bucket_lists_nothing(void **state) {
    expect(state, "/empty", NULL,
           "<Name>empty</Name><Prefix></Prefix><Marker></Marker><MaxKeys>1000</MaxKeys>"
           "<IsTruncated>false</IsTruncated></ListBucketResult>");
    expect(state, "/empty", "list-type=2",
           "<Name>empty</Name><Prefix></Prefix><MaxKeys>1000</MaxKeys><KeyCount>0</KeyCount>"
           "<IsTruncated>false</IsTruncated></ListBucketResult>");
    expect(state, "/empty", "versions=",
           "<ListVersionsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
           "<Name>empty</Name><Prefix></Prefix><KeyMarker></KeyMarker>"
           "<VersionIdMarker></VersionIdMarker><MaxKeys>1000</MaxKeys>"
           "<IsTruncated>false</IsTruncated></ListVersionsResult>");
    expect(state, "/empty", "uploads=",
           "<Bucket>empty</Bucket><KeyMarker></KeyMarker><UploadIdMarker></UploadIdMarker>"
           "<Prefix></Prefix><MaxUploads>1000</MaxUploads><IsTruncated>false</IsTruncated>"
           "</ListMultipartUploadsResult>");
}

static void a_bucket_that_is_not_there_is_no_such_bucket(void **state) {
    const char *const queries[] = {NULL, "list-type=2", "versions=", "uploads="};
    for (size_t i = 0; i < COUNT(queries); i++)
        rig_expect(*state,
                   &(struct rig_ask){.method = "GET", .path = "/absent", .query = queries[i]}, 404,
                   "<Code>NoSuchBucket</Code>");
}

static void strangers_see_no_list(void **state) {
    const char *const queries[] = {NULL, "list-type=2", "versions=", "uploads="};
    for (size_t i = 0; i < COUNT(queries); i++)
        rig_expect(*state,
                   &(struct rig_ask){
                       .method = "GET", .path = "/photos", .query = queries[i], .secret = ""},
                   403, "<Code>AccessDenied</Code>");
}

static void the_owner_is_in_version_2_only_when_it_is_fetched(void **state) {
    expect_not(state, "/photos", "list-type=2", "<Owner>");
    expect_not(state, "/photos", "fetch-owner=false&list-type=2", "<Owner>");
    expect(state, "/photos", "fetch-owner=true&list-type=2", "<Owner><ID>ann</ID></Owner>");
}

static void a_delete_marker_has_neither_tag_nor_size(void **state) {
    list_bucket(*state, STR("marked"), META_ENABLED);
    (void)list_put(*state, STR("marked"), STR("k"));
    (void)list_run(*state,
                   (struct meta_op){.verb = META_DELETE, .bucket = STR("marked"), .key = STR("k")});
    expect(state, "/marked", "versions=",
           "<IsLatest>true</IsLatest><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
           "<Owner>");
    expect(state, "/marked", "versions=", "</DeleteMarker><Version><Key>k</Key><VersionId>");
    expect(state, "/marked", NULL, "<IsTruncated>false</IsTruncated></ListBucketResult>");
}

static void versions_of_a_bucket_without_versioning_are_null(void **state) {
    expect(state, "/photos", "prefix=a&versions=",
           "<Version><Key>a</Key><VersionId>null</VersionId><IsLatest>true</IsLatest>");
}

/* ---- markers ---- */

static void a_list_without_a_delimiter_has_no_next_marker(void **state) {
    expect_not(state, "/photos", "max-keys=1", "NextMarker");
    expect(state, "/photos", "delimiter=%2F&max-keys=1", "<NextMarker>a</NextMarker>");
    expect_not(state, "/photos", "delimiter=%2F&max-keys=3", "NextMarker");
}

static void a_common_prefix_as_marker_leaves_that_prefix_out(void **state) {
    expect(state, "/photos", "delimiter=%2F&max-keys=2", "<NextMarker>b/</NextMarker>");
    expect_not(state, "/photos", "delimiter=%2F&marker=b%2F", "CommonPrefixes");
    expect(state, "/photos", "delimiter=%2F&marker=b%2F", "<Key>c d+e</Key>");
}

static void a_token_wins_over_start_after_and_both_are_echoed(void **state) {
    AUTO(rig_reply_done) struct rig_reply reply;
    list_get(*state, "photos", "list-type=2&max-keys=1&start-after=a", &reply);
    struct str token = list_first(reply.body, "NextContinuationToken");
    assert_true(token.n > 0);
    AUTO_FREE char *next =
        xasprintf("continuation-token=%.*s&list-type=2&max-keys=1&start-after=a", STR_ARG(token));
    AUTO_FREE char *echo = xasprintf("<ContinuationToken>%.*s</ContinuationToken>", STR_ARG(token));
    expect(state, "/photos", next, "<Key>b/2</Key>");
    expect(state, "/photos", next, "<StartAfter>a</StartAfter>");
    expect(state, "/photos", next, echo);
}

static void a_token_that_is_empty_begins_at_the_start(void **state) {
    expect(state, "/photos", "continuation-token=&list-type=2",
           "<ContinuationToken></ContinuationToken>");
    expect(state, "/photos", "continuation-token=&list-type=2", "<Key>a</Key>");
}

static void tokens_of_others_are_refused(void **state) {
    AUTO(rig_reply_done) struct rig_reply reply;
    list_get(*state, "photos", "list-type=2&max-keys=1", &reply);
    struct str token = list_first(reply.body, "NextContinuationToken");
    AUTO_FREE char *query = xasprintf("continuation-token=%.*s&list-type=2", STR_ARG(token));
    rig_expect(*state, &(struct rig_ask){.method = "GET", .path = "/empty", .query = query}, 400,
               "<Message>The continuation token provided is incorrect</Message>");
    refuse(state, "continuation-token=YQ&list-type=2",
           "<ArgumentName>continuation-token</ArgumentName>");
}

static void a_version_marker_needs_a_key_marker_and_a_version(void **state) {
    refuse(state, "version-id-marker=null&versions=",
           "A version-id marker cannot be specified without a key marker.");
    refuse(state, "key-marker=a&version-id-marker=xyz&versions=", "Invalid version id specified");
    expect(state, "/photos", "key-marker=a&version-id-marker=null&versions=", "<Key>b/1</Key>");
    expect(state, "/photos", "key-marker=&version-id-marker=&versions=", "<Key>a</Key>");
}

static void an_upload_marker_without_a_key_marker_means_nothing(void **state) {
    expect(state, "/photos", "upload-id-marker=xyz&uploads=", "<IsTruncated>false");
    refuse(state, "key-marker=a&upload-id-marker=xyz&uploads=", "Invalid uploadId marker");
    refuse(state, "key-marker=a&upload-id-marker=null&uploads=", "Invalid uploadId marker");
}

/* ---- parameters ---- */

static void counts_that_are_no_counts_are_refused(void **state) {
    const char *const bad[] = {
        "-1", "blah", "1.5", "%2B1", "0x10", "2147483648", "99999999999999999999999"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        AUTO_FREE char *keys = xasprintf("max-keys=%s", bad[i]);
        AUTO_FREE char *keys2 = xasprintf("list-type=2&max-keys=%s", bad[i]);
        AUTO_FREE char *versions = xasprintf("max-keys=%s&versions=", bad[i]);
        AUTO_FREE char *uploads = xasprintf("max-uploads=%s&uploads=", bad[i]);
        refuse(state, keys, "<Code>InvalidArgument</Code>");
        refuse(state, keys2, "<ArgumentName>max-keys</ArgumentName>");
        refuse(state, versions, "<Code>InvalidArgument</Code>");
        refuse(state, uploads, "<ArgumentName>max-uploads</ArgumentName>");
    }
}

static void none_is_a_count_and_great_ones_are_cut(void **state) {
    expect(state, "/photos", "max-keys=0",
           "<MaxKeys>0</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>");
    expect(state, "/photos", "list-type=2&max-keys=0", "<KeyCount>0</KeyCount><IsTruncated>false");
    expect(state, "/photos", "max-keys=0&versions=", "<IsTruncated>false</IsTruncated></List");
    expect(state, "/photos", "max-uploads=0&uploads=", "<MaxUploads>0</MaxUploads>");
    expect(state, "/photos", "max-keys=1001", "<MaxKeys>1000</MaxKeys>");
    expect(state, "/photos", "max-keys=2147483647", "<MaxKeys>1000</MaxKeys>");
    expect(state, "/photos", "max-keys=", "<MaxKeys>1000</MaxKeys>");
}

static void other_encodings_and_types_of_lists_are_refused(void **state) {
    refuse(state, "encoding-type=base64", "Invalid Encoding Method specified in Request");
    refuse(state, "encoding-type=URL", "<ArgumentName>encoding-type</ArgumentName>");
    refuse(state, "list-type=3", "<ArgumentName>list-type</ArgumentName>");
    refuse(state, "list-type=", "<Code>InvalidArgument</Code>");
}

static void what_is_longer_than_a_key_is_refused(void **state) {
    const char *const names[] = {"prefix", "marker"};
    struct buf q = BUF(QUERY_MAX);
    char text[META_KEY_BYTES_MAX + 2] = {0};
    memset(text, 'a', META_KEY_BYTES_MAX + 1);
    for (size_t i = 0; i < COUNT(names); i++) {
        buf_clear(&q);
        list_param(&q, names[i], str_make(text, META_KEY_BYTES_MAX + 1));
        refuse(state, buf_c(&q), "<Code>KeyTooLongError</Code>");
        buf_clear(&q);
        list_param(&q, names[i], str_make(text, META_KEY_BYTES_MAX));
        expect(state, "/photos", buf_c(&q), NULL);
    }
    buf_clear(&q);
    list_param(&q, "delimiter", str_make(text, META_KEY_BYTES_MAX + 1));
    refuse(state, buf_c(&q), "<ArgumentName>delimiter</ArgumentName>");
    buf_done(&q);
}

static void an_empty_delimiter_is_none_and_is_not_echoed(void **state) {
    expect_not(state, "/photos", "delimiter=", "Delimiter");
    expect(state, "/photos", "delimiter=d%2B",
           "<CommonPrefixes><Prefix>c d+</Prefix></CommonPrefixes>");
}

static void the_order_that_nobody_needs_changes_nothing(void **state) {
    expect(state, "/photos", "allow-unordered=true&delimiter=%2F", "<Key>a</Key>");
}

/* ---- escaping ---- */

static void the_url_encoding_escapes_all_that_comes_from_keys(void **state) {
    list_bucket(*state, STR("escapes"), META_UNVERSIONED);
    (void)list_put(*state, STR("escapes"), STR("foo+1/bar"));
    (void)list_put(*state, STR("escapes"), STR("quux ab/thud"));
    (void)list_put(*state, STR("escapes"), STR("t(3)~*.\x01"));
    (void)list_put(*state, STR("escapes"), STR("asdf+b"));
    const char *q = "delimiter=%2F&encoding-type=url";
    expect(state, "/escapes", q, "<Delimiter>/</Delimiter><EncodingType>url</EncodingType>");
    expect(state, "/escapes", q, "<Key>asdf%2Bb</Key>");
    expect(state, "/escapes", q, "<Key>t%283%29~%2A.%01</Key>");
    expect(state, "/escapes", q, "<Prefix>foo%2B1/</Prefix>");
    expect(state, "/escapes", q, "<Prefix>quux%20ab/</Prefix>");
    expect(state, "/escapes", "delimiter=%20%2B&encoding-type=url&list-type=2&start-after=%20",
           "<StartAfter>%20</StartAfter>");
    expect(state, "/escapes", "delimiter=%20&encoding-type=url", "<Delimiter>%20</Delimiter>");
}

static void a_character_that_xml_cannot_hold_does_not_break_the_document(void **state) {
    expect(state, "/escapes", "prefix=t", "<Key>t(3)~*.\xEF\xBF\xBD</Key>");
    expect(state, "/photos", "prefix=%00%FF", "<Prefix>\xEF\xBF\xBD\xEF\xBF\xBD</Prefix>");
}

/* Quotes grow most when they are escaped. */
static void a_page_of_the_longest_keys_fits_into_a_reply(void **state) {
    char key[META_KEY_BYTES_MAX];
    AUTO(rig_reply_done) struct rig_reply reply;
    memset(key, '"', sizeof key);
    list_bucket(*state, STR("longest"), META_UNVERSIONED);
    for (unsigned i = 0; i <= META_PAGE_MAX; i++) {
        char number[8];
        (void)snprintf(number, sizeof number, "%04u", i);
        memcpy(key, number, 4);
        (void)list_put(*state, STR("longest"), str_make(key, sizeof key));
    }
    list_get(*state, "longest", "list-type=2", &reply);
    assert_true(str_eq(list_first(reply.body, "KeyCount"), STR("1000")));
    assert_true(str_eq(list_first(reply.body, "IsTruncated"), STR("true")));
    assert_true(str_ends(reply.body, STR("</ListBucketResult>")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_has_date_tag_checksum_size_owner_and_class),
        cmocka_unit_test(an_empty_bucket_lists_nothing),
        cmocka_unit_test(a_bucket_that_is_not_there_is_no_such_bucket),
        cmocka_unit_test(strangers_see_no_list),
        cmocka_unit_test(the_owner_is_in_version_2_only_when_it_is_fetched),
        cmocka_unit_test(a_delete_marker_has_neither_tag_nor_size),
        cmocka_unit_test(versions_of_a_bucket_without_versioning_are_null),
        cmocka_unit_test(a_list_without_a_delimiter_has_no_next_marker),
        cmocka_unit_test(a_common_prefix_as_marker_leaves_that_prefix_out),
        cmocka_unit_test(a_token_wins_over_start_after_and_both_are_echoed),
        cmocka_unit_test(a_token_that_is_empty_begins_at_the_start),
        cmocka_unit_test(tokens_of_others_are_refused),
        cmocka_unit_test(a_version_marker_needs_a_key_marker_and_a_version),
        cmocka_unit_test(an_upload_marker_without_a_key_marker_means_nothing),
        cmocka_unit_test(counts_that_are_no_counts_are_refused),
        cmocka_unit_test(none_is_a_count_and_great_ones_are_cut),
        cmocka_unit_test(other_encodings_and_types_of_lists_are_refused),
        cmocka_unit_test(what_is_longer_than_a_key_is_refused),
        cmocka_unit_test(an_empty_delimiter_is_none_and_is_not_echoed),
        cmocka_unit_test(the_order_that_nobody_needs_changes_nothing),
        cmocka_unit_test(the_url_encoding_escapes_all_that_comes_from_keys),
        cmocka_unit_test(a_character_that_xml_cannot_hold_does_not_break_the_document),
        cmocka_unit_test(a_page_of_the_longest_keys_fits_into_a_reply),
    };
    return cmocka_run_group_tests(tests, setup, rig_teardown);
}
