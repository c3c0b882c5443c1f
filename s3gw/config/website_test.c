/* SPDX-License-Identifier: Apache-2.0 — website_test.c */
#include "s3gw/config/website.h"

#include "s3gw/config/config_expect_rig.h"

#define INDEX "<IndexDocument><Suffix>index.html</Suffix></IndexDocument>"
#define RULE(c, r)                                                                                 \
    "<RoutingRule><Condition>" c "</Condition><Redirect>" r "</Redirect></RoutingRule>"
#define RULES(x)  INDEX "<RoutingRules>" x "</RoutingRules>"
#define PREFIX(x) "<KeyPrefixEquals>" x "</KeyPrefixEquals>"
#define HOST(x)   "<HostName>" x "</HostName>"
#define CODE(x)   "<HttpRedirectCode>" x "</HttpRedirectCode>"
#define TO(x)     "<ReplaceKeyPrefixWith>" x "</ReplaceKeyPrefixWith>"
#define TO_KEY(x) "<ReplaceKeyWith>" x "</ReplaceKeyWith>"
#define ERR(x)    "<HttpErrorCodeReturnedEquals>" x "</HttpErrorCodeReturnedEquals>"
static const struct rig_round R = {"WebsiteConfiguration", round_website};

static void configurations_are_given_back(void **state) {
    (void)state;
    gives_body(&R, INDEX);
    gives_body(&R, INDEX "<ErrorDocument><Key>error.html</Key></ErrorDocument>");
    gives_body(&R, "<RedirectAllRequestsTo>" HOST("example.com") "<Protocol>https</Protocol>"
                                                                 "</RedirectAllRequestsTo>");
    gives_body(&R, RULES(RULE(PREFIX("docs/"), TO("documents/") CODE("301")) RULE(
                       ERR("404"),
                       HOST("e.com") "<Protocol>http</Protocol>" TO_KEY("report") CODE("307"))));
}

static void what_leads_nowhere_is_refused(void **state) {
    (void)state;
    refuses_body(&R, "", S3_INVALID_ARGUMENT);
    refuses_body(&R, "<IndexDocument><Suffix/></IndexDocument>", S3_INVALID_ARGUMENT);
    refuses_body(&R, "<IndexDocument><Suffix>a/b</Suffix></IndexDocument>", S3_INVALID_ARGUMENT);
    refuses_body(&R, INDEX "<ErrorDocument><Key/></ErrorDocument>", S3_INVALID_ARGUMENT);
    refuses_body(&R, INDEX "<RedirectAllRequestsTo>" HOST("e.com") "</RedirectAllRequestsTo>",
                 S3_INVALID_ARGUMENT);
    refuses_body(&R, "<RedirectAllRequestsTo>" HOST("e.com&#13;&#10;x") "</RedirectAllRequestsTo>",
                 S3_INVALID_ARGUMENT);
    refuses_body(&R,
                 "<RedirectAllRequestsTo>" HOST("e.com") "<Protocol>ftp</Protocol>"
                                                         "</RedirectAllRequestsTo>",
                 S3_INVALID_REQUEST);
    refuses_body(&R, RULES(""), S3_MALFORMED_XML);
    refuses_body(&R, RULES(RULE("", HOST("e"))), S3_MALFORMED_XML);
    refuses_body(&R, RULES(RULE(PREFIX("a"), "")), S3_MALFORMED_XML);
    refuses_body(&R, RULES(RULE(PREFIX("a"), TO("b") TO_KEY("c"))), S3_INVALID_REQUEST);
    refuses_body(&R, RULES(RULE(PREFIX("a"), CODE("300"))), S3_INVALID_REQUEST);
    refuses_body(&R, RULES(RULE(PREFIX("a"), CODE("400"))), S3_INVALID_REQUEST);
    refuses_body(&R, RULES(RULE(ERR("200"), HOST("e"))), S3_INVALID_REQUEST);
    AUTO_FREE char *rule = times(WEBSITE_RULES_MAX, RULE(PREFIX("a"), HOST("e") CODE("301")));
    AUTO_FREE char *fits = xasprintf(RULES("%s"), rule);
    AUTO_FREE char *over = xasprintf(RULES("%s" RULE(PREFIX("a"), HOST("e"))), rule);
    gives_body(&R, fits);
    refuses_body(&R, over, S3_INVALID_REQUEST);
    AUTO_FREE char *key = times(WEBSITE_KEY_MAX + 1, "k");
    AUTO_FREE char *longer = xasprintf(RULES(RULE(PREFIX("a"), TO_KEY("%s"))), key);
    refuses_body(&R, longer, S3_INVALID_ARGUMENT);
    AUTO_FREE char *host = times(WEBSITE_HOST_MAX + 1, "h");
    AUTO_FREE char *far = xasprintf(RULES(RULE(PREFIX("a"), HOST("%s"))), host);
    refuses_body(&R, far, S3_INVALID_ARGUMENT);
}

static const struct website *of(struct arena *a, const char *body) {
    AUTO_FREE char *in = xasprintf("<WebsiteConfiguration>%s</WebsiteConfiguration>", body);
    const struct website *s = NULL;
    struct s3_error x = {0};
    assert_int_equal(website_parse(a, str_of(in), &s, &x), 0);
    return s;
}

static void leads(const struct website *s, const char *key, unsigned error, const char *want) {
    AUTO(buf_done) struct buf b = BUF(WEBSITE_LOCATION_BYTES_MAX);
    AUTO(buf_done) struct buf got = BUF(WEBSITE_LOCATION_BYTES_MAX);
    struct website_question q = {str_of(key), STR("http"), STR("b.web:80"), error};
    unsigned status = 0;
    int r = website_redirects(s, &q, &b, &status);
    assert_int_equal(r, want != NULL);
    if (!want) return;
    assert_int_equal(buf_fmt(&got, "%u %s", status, buf_c(&b)), 0);
    assert_string_equal(buf_c(&got), want);
}

static void redirects_are_those_of_the_first_rule_that_applies(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(CONFIG_ARENA_BYTES);
    const struct website *s = of(
        &a, RULES(RULE(PREFIX("docs/"), TO("documents/")) RULE(
                PREFIX("img/") ERR("404"), HOST("e.com") "<Protocol>https</Protocol>" CODE("302"))
                      RULE(ERR("404"), TO_KEY("a b.html"))));
    leads(s, "docs/x y", 0, "301 http://b.web:80/documents/x%20y");
    leads(s, "img/1", 0, NULL);
    leads(s, "img/1", 404, "302 https://e.com/img/1");
    leads(s, "other", 404, "301 http://b.web:80/a%20b.html");
    leads(s, "other", 403, NULL);
    leads(s, "docs/\r\nx: y", 0, "301 http://b.web:80/documents/%0D%0Ax%3A%20y");
    s = of(&a, "<RedirectAllRequestsTo>" HOST("e.com") "</RedirectAllRequestsTo>");
    leads(s, "a/b", 0, "301 http://e.com/a/b");
}

static void folders_show_their_index(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(CONFIG_ARENA_BYTES);
    const struct website *s = of(&a, INDEX);
    assert_true(str_eq(website_key(&a, s, STR("")), STR("index.html")));
    assert_true(str_eq(website_key(&a, s, STR("a/")), STR("a/index.html")));
    assert_true(str_eq(website_key(&a, s, STR("a")), STR("a")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configurations_are_given_back),
        cmocka_unit_test(what_leads_nowhere_is_refused),
        cmocka_unit_test(redirects_are_those_of_the_first_rule_that_applies),
        cmocka_unit_test(folders_show_their_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
