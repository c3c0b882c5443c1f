/* SPDX-License-Identifier: Apache-2.0 — acl.c: documents, headers and evaluation.
 *
 * A grantee of a document has a type (xsi:type) and the one child that goes with it; without a type
 * the child says which it is. Ids are checked to be words without blanks, controls or markup, so
 * that the lines of the stored form need no escapes. Canned lists are a table of grants; the
 * owner's FULL_CONTROL is written out, as AWS shows it, and the two rights that an owner cannot
 * lose are not: acl_permits() knows them. aws-exec-read is private, since nobody here is EC2. */
#include "s3gw/config/acl.h"

#include <errno.h>

#define GROUPS "http://acs.amazonaws.com/groups/"
#define XSI    "http://www.w3.org/2001/XMLSchema-instance"

static const struct {
    const char *name, *header;
    enum acl_rights rights;
} PERMISSIONS[] = {
    {"READ", "x-amz-grant-read", ACL_MAY_READ},
    {"WRITE", "x-amz-grant-write", ACL_MAY_WRITE},
    {"READ_ACP", "x-amz-grant-read-acp", ACL_MAY_READ_ACP},
    {"WRITE_ACP", "x-amz-grant-write-acp", ACL_MAY_WRITE_ACP},
    {"FULL_CONTROL", "x-amz-grant-full-control", ACL_MAY_ALL},
};
static const struct {
    const char *uri, *word;
} GRANTEES[] = {
    [ACL_TO_ID] = {NULL, "id"},
    [ACL_TO_ALL] = {GROUPS "global/AllUsers", "all"},
    [ACL_TO_AUTHENTICATED] = {GROUPS "global/AuthenticatedUsers", "authenticated"},
    [ACL_TO_LOG_DELIVERY] = {GROUPS "s3/LogDelivery", "log-delivery"},
};

static const struct element_rule RULES[] = {
    {"Owner", 1, 1, false}, {"AccessControlList", 1, 1, false}, {NULL, 0, 0, false}};
static const struct element_schema ROOT = {.root = "AccessControlPolicy", .rules = RULES};
static const struct element_rule OWNER_RULES[] = {
    {"ID", 1, 1, true}, {"DisplayName", 0, 1, true}, {NULL, 0, 0, false}};
static const struct element_rule LIST_RULES[] = {{"Grant", 0, ACL_GRANTS_MAX, false},
                                                 {NULL, 0, 0, false}};
static const struct element_rule GRANT_RULES[] = {
    {"Grantee", 1, 1, false}, {"Permission", 1, 1, true}, {NULL, 0, 0, false}};
static const struct element_rule GRANTEE_RULES[] = {{"ID", 0, 1, true},
                                                    {"DisplayName", 0, 1, true},
                                                    {"URI", 0, 1, true},
                                                    {"EmailAddress", 0, 1, true},
                                                    {NULL, 0, 0, false}};

static const char *rights_name(enum acl_rights rights) {
    for (size_t i = 0; i < COUNT(PERMISSIONS); i++)
        if (PERMISSIONS[i].rights == rights) return PERMISSIONS[i].name;
    return "";
}

static int rights_of_name(struct str name, enum acl_rights *out) {
    for (size_t i = 0; i < COUNT(PERMISSIONS); i++)
        if (str_eq(name, str_of(PERMISSIONS[i].name))) {
            *out = PERMISSIONS[i].rights;
            return 0;
        }
    return -EINVAL;
}

static bool is_id(struct str id) {
    if (id.n == 0 || id.n > ACL_ID_CHARS_MAX) return false;
    for (size_t i = 0; i < id.n; i++)
        if (id.p[i] <= ' ' || id.p[i] > '~' || strchr("<>&\"',;=", id.p[i])) return false;
    return true;
}

static int bad_argument(struct s3_error *x, const char *text, const char *name, struct str value) {
    (void)s3_fail_with(x, S3_INVALID_ARGUMENT, "%s", text);
    (void)s3_detail(x, "ArgumentName", str_of(name));
    return s3_detail(x, "ArgumentValue", value);
}

static int to_id(struct str id, struct acl_grant *g, struct s3_error *x) {
    if (!is_id(id)) return bad_argument(x, "Invalid id", "CanonicalUser/ID", id);
    g->to = ACL_TO_ID;
    g->id = id;
    return 0;
}

static int to_group(struct str uri, struct acl_grant *g, struct s3_error *x) {
    for (size_t i = ACL_TO_ALL; i < COUNT(GRANTEES); i++)
        if (str_eq(uri, str_of(GRANTEES[i].uri))) {
            g->to = (enum acl_grantee)i;
            g->id = STR_NONE;
            return 0;
        }
    return bad_argument(x, "Invalid group uri", "Group/URI", uri);
}

/* ---- documents ---- */

static int parse_grantee(const struct element *e, struct acl_grant *g, struct s3_error *x) {
    static const struct {
        const char *type, *child;
    } KINDS[] = {
        {"CanonicalUser", "ID"}, {"Group", "URI"}, {"AmazonCustomerByEmail", "EmailAddress"}};
    if (element_check(e, GRANTEE_RULES, x) < 0) return -1;
    size_t found = 0, kind = 0;
    for (size_t i = 0; i < COUNT(KINDS); i++) {
        if (!element_child(e, KINDS[i].child)) continue;
        found++;
        kind = i;
    }
    if (found != 1 || (e->type.p && !str_eq(e->type, str_of(KINDS[kind].type))))
        return s3_fail_with(x, S3_MALFORMED_XML,
                            "a Grantee is a CanonicalUser with ID or a Group with URI");
    if (kind == 2) return s3_fail(x, S3_UNRESOLVABLE_GRANT);
    struct str who = element_text(e, KINDS[kind].child);
    return kind == 0 ? to_id(who, g, x) : to_group(who, g, x);
}

int acl_grant_of_element(const struct element *e, struct acl_grant *out, struct s3_error *x) {
    struct acl_grant g = {0};
    if (element_check(e, GRANT_RULES, x) < 0) return -1;
    if (rights_of_name(element_text(e, "Permission"), &g.rights) < 0)
        return s3_fail_with(x, S3_MALFORMED_XML, "%.*s is not a Permission",
                            STR_ARG(element_text(e, "Permission")));
    if (parse_grantee(element_child(e, "Grantee"), &g, x) < 0) return -1;
    *out = g;
    return 0;
}

static int parse_policy(struct arena *a, struct str document, struct acl *out, struct s3_error *x) {
    const struct element *root = NULL;
    if (element_parse(a, document, &ROOT, &root, x) < 0) return -1;
    const struct element *owner = element_child(root, "Owner");
    const struct element *list = element_child(root, "AccessControlList");
    if (element_check(owner, OWNER_RULES, x) < 0) return -1;
    if (element_check(list, LIST_RULES, x) < 0) return -1;
    struct acl_grant *grants = arena_array(a, ACL_GRANTS_MAX, sizeof *grants);
    if (!grants) return element_no_memory(x);
    struct acl l = {element_text(owner, "ID"), grants, 0};
    if (!is_id(l.owner)) return bad_argument(x, "Invalid id", "CanonicalUser/ID", l.owner);
    for (const struct element *e = list->first; e; e = e->next)
        if (acl_grant_of_element(e, &grants[l.count++], x) < 0) return -1;
    *out = l;
    return 0;
}

int acl_parse(struct arena *a, struct str document, struct acl *out, struct s3_error *x) {
    int r = parse_policy(a, document, out, x);
    if (r < 0 && x->code == S3_MALFORMED_XML) x->code = S3_MALFORMED_ACL;
    return r;
}

static struct str display_name(const struct acl_names *names, struct str id) {
    struct str name = names ? names->name(names->user, id) : STR_NONE;
    return name.n ? name : id;
}

static void write_user(struct xml_out *w, const struct acl_names *names, struct str id) {
    xml_out_str(w, "ID", id);
    xml_out_str(w, "DisplayName", display_name(names, id));
}

void acl_write_grant(const struct acl_grant *g, const struct acl_names *names, struct xml_out *w) {
    xml_out_open(w, "Grant");
    xml_out_open_with(w, "Grantee", "xmlns:xsi=\"" XSI "\" xsi:type",
                      g->to == ACL_TO_ID ? STR("CanonicalUser") : STR("Group"));
    if (g->to == ACL_TO_ID)
        write_user(w, names, g->id);
    else
        xml_out_c(w, "URI", GRANTEES[g->to].uri);
    xml_out_close(w);
    xml_out_c(w, "Permission", rights_name(g->rights));
    xml_out_close(w);
}

int acl_write(const struct acl *l, const struct acl_names *names, struct buf *to) {
    struct xml_out w = XML_OUT(to);
    xml_out_declaration(&w);
    xml_out_open_ns(&w, ROOT.root, XML_OUT_S3);
    xml_out_open(&w, "Owner");
    write_user(&w, names, l->owner);
    xml_out_close(&w);
    xml_out_open(&w, "AccessControlList");
    for (size_t i = 0; i < l->count; i++) acl_write_grant(&l->grants[i], names, &w);
    xml_out_close(&w);
    xml_out_close(&w);
    return xml_out_end(&w);
}

/* ---- evaluation ---- */

static bool is_to(const struct acl_grant *g, const struct acl_question *q) {
    switch (g->to) {
    case ACL_TO_ID: return q->id.n && str_eq(g->id, q->id);
    case ACL_TO_ALL: return !q->ignore_public;
    case ACL_TO_AUTHENTICATED: return q->id.n && !q->ignore_public;
    case ACL_TO_LOG_DELIVERY: return false; /* nobody who asks is in it */
    }
    return false;
}

bool acl_permits(const struct acl *l, const struct acl_question *q) {
    bool is_owner = q->id.n && str_eq(q->id, l->owner);
    if (is_owner && (q->right == ACL_MAY_READ_ACP || q->right == ACL_MAY_WRITE_ACP)) return true;
    for (size_t i = 0; i < l->count; i++)
        if ((l->grants[i].rights & q->right) && is_to(&l->grants[i], q)) return true;
    return false;
}

bool acl_is_public(const struct acl *l) {
    for (size_t i = 0; i < l->count; i++)
        if (l->grants[i].to == ACL_TO_ALL || l->grants[i].to == ACL_TO_AUTHENTICATED) return true;
    return false;
}

int acl_check_ownership(enum ownership o, const struct acl_asked *asked, struct str bucket_owner,
                        struct s3_error *x) {
    if (o != OWNERSHIP_ENFORCED || !asked->is_given) return 0;
    if (str_eq(asked->canned, STR("bucket-owner-full-control"))) return 0;
    const struct acl_grant *g = asked->acl.grants;
    if (!asked->canned.n && asked->acl.count == 1 && g->to == ACL_TO_ID &&
        g->rights == ACL_MAY_ALL && str_eq(g->id, bucket_owner))
        return 0;
    return s3_fail(x, S3_ACCESS_CONTROL_LIST_NOT_SUPPORTED);
}

/* ---- the form in which they are kept ---- */

int acl_store(const struct acl *l, struct buf *to) {
    if (buf_fmt(to, "owner %.*s\n", STR_ARG(l->owner)) < 0) return -ENOSPC;
    for (size_t i = 0; i < l->count; i++) {
        const struct acl_grant *g = &l->grants[i];
        if (buf_fmt(to, "%s %s%s%.*s\n", rights_name(g->rights), GRANTEES[g->to].word,
                    g->to == ACL_TO_ID ? " " : "", STR_ARG(g->id)) < 0)
            return -ENOSPC;
    }
    return 0;
}

static int load_grant(struct str line, struct acl_grant *out) {
    struct str permission = STR_NONE, word = STR_NONE;
    struct acl_grant g = {0};
    if (!str_next(&line, ' ', &permission) || rights_of_name(permission, &g.rights) < 0)
        return -EINVAL;
    if (!str_next(&line, ' ', &word)) return -EINVAL;
    size_t to = 0;
    while (to < COUNT(GRANTEES) && !str_eq(word, str_of(GRANTEES[to].word))) to++;
    if (to == COUNT(GRANTEES) || (to == ACL_TO_ID ? !is_id(line) : line.p != NULL)) return -EINVAL;
    g.to = (enum acl_grantee)to;
    g.id = line;
    *out = g;
    return 0;
}

int acl_load(struct arena *a, struct str stored, struct acl *out) {
    struct str line = STR_NONE;
    if (!str_ends(stored, STR("\n")) || !str_next(&stored, '\n', &line) ||
        !str_starts(line, STR("owner ")) || !is_id(str_sub(line, 6, line.n)))
        return -EINVAL;
    struct acl_grant *grants = arena_array(a, ACL_GRANTS_MAX, sizeof *grants);
    if (!grants) return -ENOSPC;
    struct acl l = {str_sub(line, 6, line.n), grants, 0};
    while (stored.n && str_next(&stored, '\n', &line)) {
        if (l.count == ACL_GRANTS_MAX || load_grant(line, &grants[l.count]) < 0) return -EINVAL;
        l.count++;
    }
    *out = l;
    return 0;
}

/* ---- headers ---- */

static int add(struct acl_grant *grants, size_t *count, struct acl_grant g, struct s3_error *x) {
    if (*count == ACL_GRANTS_MAX)
        return s3_fail_with(x, S3_INVALID_REQUEST, "an ACL has at most %d grants", ACL_GRANTS_MAX);
    grants[(*count)++] = g;
    return 0;
}

int acl_canned_list(struct arena *a, struct str name, const struct acl_place *place,
                    struct acl *out, struct s3_error *x) {
    static const struct {
        const char *name;
        struct acl_grant grants[2]; /* beside the owner's; rights 0: none */
    } LISTS[] = {
        {"private", {{0}}},
        {"public-read", {{.to = ACL_TO_ALL, .rights = ACL_MAY_READ}}},
        {"public-read-write",
         {{.to = ACL_TO_ALL, .rights = ACL_MAY_READ}, {.to = ACL_TO_ALL, .rights = ACL_MAY_WRITE}}},
        {"authenticated-read", {{.to = ACL_TO_AUTHENTICATED, .rights = ACL_MAY_READ}}},
        {"aws-exec-read", {{0}}},
        {"bucket-owner-read", {{.to = ACL_TO_ID, .rights = ACL_MAY_READ}}},
        {"bucket-owner-full-control", {{.to = ACL_TO_ID, .rights = ACL_MAY_ALL}}},
        {"log-delivery-write",
         {{.to = ACL_TO_LOG_DELIVERY, .rights = ACL_MAY_WRITE},
          {.to = ACL_TO_LOG_DELIVERY, .rights = ACL_MAY_READ_ACP}}},
    };
    size_t at = 0;
    while (at < COUNT(LISTS) && !str_eq(name, str_of(LISTS[at].name))) at++;
    if (at == COUNT(LISTS)) return bad_argument(x, "Invalid canned ACL", "x-amz-acl", name);
    struct acl_grant *grants = arena_array(a, 1 + COUNT(LISTS[at].grants), sizeof *grants);
    if (!grants) return element_no_memory(x);
    grants[0] = (struct acl_grant){ACL_TO_ID, place->owner, ACL_MAY_ALL};
    size_t count = 1;
    for (size_t i = 0; i < COUNT(LISTS[at].grants) && LISTS[at].grants[i].rights; i++) {
        struct acl_grant g = LISTS[at].grants[i];
        if (g.to == ACL_TO_ID) g.id = place->bucket_owner;
        if (g.to == ACL_TO_LOG_DELIVERY && !place->is_bucket) continue;
        if (g.to == ACL_TO_ID && (place->is_bucket || str_eq(g.id, place->owner))) continue;
        grants[count++] = g;
    }
    *out = (struct acl){place->owner, grants, count};
    return 0;
}

/* `id="..."`, `uri="..."`, `emailAddress="..."`; quotes may be missing. */
static int header_grantee(struct str item, struct acl_grant *g, const char *header,
                          struct s3_error *x) {
    struct str key = STR_NONE, value = item;
    if (!str_next(&value, '=', &key) || !value.p)
        return bad_argument(x, "Argument format not recognized", header, item);
    key = str_trim(key);
    value = str_trim(value);
    if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
        value = str_sub(value, 1, value.n - 1);
    if (str_eq_nocase(key, STR("id"))) return to_id(value, g, x);
    if (str_eq_nocase(key, STR("uri"))) return to_group(value, g, x);
    if (str_eq_nocase(key, STR("emailAddress"))) return s3_fail(x, S3_UNRESOLVABLE_GRANT);
    return bad_argument(x, "Argument format not recognized", header, item);
}

static int grants_of_headers(struct arena *a, const struct s3_request *rq, struct acl *l,
                             struct s3_error *x) {
    struct acl_grant *grants = NULL;
    size_t count = 0;
    for (size_t i = 0; i < rq->header_count; i++)
        for (size_t p = 0; p < COUNT(PERMISSIONS); p++) {
            if (!str_eq_nocase(rq->headers[i].name, str_of(PERMISSIONS[p].header))) continue;
            if (!grants && !(grants = arena_array(a, ACL_GRANTS_MAX, sizeof *grants)))
                return element_no_memory(x);
            struct str rest = rq->headers[i].value, item = STR_NONE;
            while (str_next(&rest, ',', &item)) {
                struct acl_grant g = {.rights = PERMISSIONS[p].rights};
                if (header_grantee(item, &g, PERMISSIONS[p].header, x) < 0) return -1;
                if (add(grants, &count, g, x) < 0) return -1;
            }
        }
    l->grants = grants;
    l->count = count;
    return 0;
}

int acl_of_headers(struct arena *a, const struct s3_request *rq, const struct acl_place *place,
                   struct acl_asked *out, struct s3_error *x) {
    struct str canned = STR_NONE;
    struct acl_asked asked = {.acl = {.owner = place->owner}};
    for (size_t i = 0; i < rq->header_count; i++) {
        if (!str_eq_nocase(rq->headers[i].name, STR("x-amz-acl"))) continue;
        if (canned.p)
            return bad_argument(x, "The header came twice", "x-amz-acl", rq->headers[i].value);
        canned = rq->headers[i].value;
    }
    if (grants_of_headers(a, rq, &asked.acl, x) < 0) return -1;
    if (canned.p && asked.acl.count)
        return s3_fail_with(x, S3_INVALID_REQUEST,
                            "Specifying both Canned ACLs and Header Grants is not allowed");
    asked.is_given = canned.p || asked.acl.count;
    asked.canned = canned;
    if (!asked.acl.count &&
        acl_canned_list(a, canned.p ? canned : STR("private"), place, &asked.acl, x) < 0)
        return -1;
    *out = asked;
    return 0;
}
