/* SPDX-License-Identifier: Apache-2.0 — chunked.c: the decoder of aws-chunked.
 *
 *   HEADER   "size[;chunk-signature=hex]" CR LF, gathered in `line`
 *   BYTES    payload, handed through and hashed
 *   BYTES_END CR LF behind it; the signature is verified before its first byte is read
 *   TRAILER  "name:value" lines and the empty line that ends everything
 *   DRAIN    one more CR LF, which botocore sends
 *
 * The chain: each chunk's signature covers the one before, the first the request's; the last, empty
 * chunk is signed and verified like the others, and so is the trailer, over "name:value\n" lines.
 * Lines end with CR LF; a chunk's header never with LF alone. Trailers are laxer, because minio-go
 * ends them with LF CR LF: a bare LF ends a line, and one empty line may stand in front of
 * x-amz-trailer-signature. Only declared trailers are taken, each once, and none may be missing.
 *
 * The size of the payload is known before: a chunk that leads past it is refused when its header is
 * read, so no byte too many is ever handed out. A signed chunk below 8 KiB must be the last, as on
 * AWS; unsigned ones may be smaller, since SDKs frame whatever their streams give them. */
#include "s3gw/body/chunked.h"

#include <assert.h>

#define EMPTY_SHA256      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SIZE_HEX_MAX      16
#define SIGNATURE         "chunk-signature="
#define TRAILER_SIGNATURE "x-amz-trailer-signature"

static bool is_signed(const struct chunked *c) {
    return c->mode == AUTH_PAYLOAD_CHUNKS || c->mode == AUTH_PAYLOAD_CHUNKS_TRAILER;
}

static bool has_trailer(const struct chunked *c) { return c->mode != AUTH_PAYLOAD_CHUNKS; }

bool chunked_applies(enum s3_auth_payload mode) {
    return mode == AUTH_PAYLOAD_CHUNKS || mode == AUTH_PAYLOAD_CHUNKS_TRAILER ||
           mode == AUTH_PAYLOAD_UNSIGNED_CHUNKS_TRAILER;
}

static int broken_frame(struct s3_error *x) {
    return s3_fail_with(x, S3_INVALID_REQUEST,
                        "The body is not framed as aws-chunked says: a chunk's header is broken");
}

static int bad_trailer(struct s3_error *x, const char *what) {
    return s3_fail_with(x, S3_MALFORMED_TRAILER, "The trailer is malformed: %s", what);
}

/* Without blanks at both ends; other control characters stay, and are refused or not signed. */
static struct str trim_blanks(struct str s) {
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) s = str_sub(s, 1, s.n);
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) s.n--;
    return s;
}

/* A header that may come once; .p NULL when absent. */
static int one_header(const struct s3_request *r, const char *name, struct str *out,
                      struct s3_error *x) {
    *out = STR_NONE;
    for (size_t i = 0; i < r->header_count; i++) {
        if (!str_eq_nocase(r->headers[i].name, str_of(name))) continue;
        if (out->p)
            return s3_fail_with(x, S3_INVALID_ARGUMENT, "The header %s may come only once", name);
        *out = str_trim(r->headers[i].value);
        if (!out->p) *out = STR("");
    }
    return 0;
}

/* A part of a list "a, b" by any case; false when it is none. */
static bool list_has(struct str list, struct str name) {
    struct str part;
    while (str_next(&list, ',', &part))
        if (str_eq_nocase(str_trim(part), name)) return true;
    return false;
}

static int check_declared(const struct chunked *c, struct s3_error *x) {
    struct str list = c->declared;
    struct str part;
    size_t n = 0;
    while (str_next(&list, ',', &part)) {
        struct str name = str_trim(part);
        struct str prefix = STR("x-amz-checksum-");
        n++;
        if (n > CHUNKED_TRAILERS_MAX || name.n <= prefix.n ||
            !str_eq_nocase(str_sub(name, 0, prefix.n), prefix))
            return s3_fail_with(x, S3_INVALID_REQUEST,
                                "The value specified in the x-amz-trailer header is not supported");
    }
    return 0;
}

int chunked_init(struct chunked *c, const struct s3_auth_result *auth, const struct s3_request *r,
                 struct s3_error *x) {
    struct str length;
    assert(chunked_applies(auth->payload));
    *c = (struct chunked){.mode = auth->payload, .hash = SHA256_NONE};
    if (one_header(r, "x-amz-decoded-content-length", &length, x) < 0 ||
        one_header(r, "x-amz-trailer", &c->declared, x) < 0)
        return -1;
    if (!length.p) return s3_fail(x, S3_MISSING_CONTENT_LENGTH);
    if (str_u64(length, &c->payload_left) < 0 || c->payload_left > INT64_MAX)
        return s3_fail_with(x, S3_INVALID_ARGUMENT,
                            "x-amz-decoded-content-length must be a number of bytes");
    if (!has_trailer(c) && c->declared.p)
        return s3_fail_with(x, S3_INVALID_REQUEST,
                            "x-amz-trailer needs an x-amz-content-sha256 that ends in -TRAILER");
    if (c->declared.n == 0) c->declared = STR_NONE;
    if (check_declared(c, x) < 0) return -1;
    c->seed = auth->seed;
    sha256_init(&c->hash);
    return 0;
}

void chunked_done(struct chunked *c) {
    secret_wipe(&c->seed, sizeof c->seed);
    sha256_done(&c->hash);
}

uint64_t chunked_payload_bytes(const struct chunked *c) { return c->payload_left + c->left; }

/* Signs the hash that was gathered, compares, and makes it the one before. */
static int verify(struct chunked *c, bool trailer, struct str claimed, struct s3_error *x) {
    char hex[DIGEST_HEX_CHARS + 1];
    char text[512];
    uint8_t mac[HASH_BYTES_MAX];
    struct digest d = sha256_final(&c->hash);
    sha256_init(&c->hash);
    int n = snprintf(text, sizeof text, "AWS4-HMAC-SHA256-%s\n%s\n%s\n%s\n%s%s",
                     trailer ? "TRAILER" : "PAYLOAD", c->seed.timestamp, c->seed.scope,
                     c->seed.signature, trailer ? "" : EMPTY_SHA256 "\n", digest_hex(&d, hex));
    assert(n > 0 && (size_t)n < sizeof text);
    struct str key = str_make((const char *)c->seed.signing_key, DIGEST_BYTES);
    (void)hmac(HASH_SHA256, key, str_make(text, (size_t)n), mac);
    (void)hex_encode(mac, DIGEST_BYTES, c->seed.signature);
    if (!digest_eq_secret(str_of(c->seed.signature), claimed))
        return s3_fail(x, S3_SIGNATURE_DOES_NOT_MATCH);
    return 0;
}

static int hex_size(struct str s, uint64_t *out) {
    uint64_t v = 0;
    if (s.n == 0 || s.n > SIZE_HEX_MAX) return -1;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) return -1;
        v = v << 4 | (unsigned)digit;
    }
    *out = v;
    return 0;
}

/* "400;chunk-signature=..." or "400". */
static int parse_header(struct chunked *c, struct str line, uint64_t *size, struct s3_error *x) {
    ptrdiff_t semicolon = str_find(line, ';');
    if (!is_signed(c)) {
        if (semicolon >= 0 || hex_size(line, size) < 0) return broken_frame(x);
        return 0;
    }
    struct str extension = str_sub(line, semicolon < 0 ? line.n : (size_t)semicolon + 1, line.n);
    if (hex_size(str_sub(line, 0, semicolon < 0 ? line.n : (size_t)semicolon), size) < 0)
        return broken_frame(x);
    struct str signature = str_sub(extension, strlen(SIGNATURE), extension.n);
    if (!str_starts(extension, STR(SIGNATURE)) || signature.n != AUTH_SIGNATURE_HEX)
        return s3_fail(x, S3_SIGNATURE_DOES_NOT_MATCH);
    memcpy(c->claimed, signature.p, signature.n);
    return 0;
}

/* The last, empty chunk: everything must be there; its signature is over nothing. */
static int last_chunk(struct chunked *c, struct s3_error *x) {
    if (c->payload_left > 0)
        return s3_fail_with(x, S3_INCOMPLETE_BODY,
                            "The chunks have fewer bytes than x-amz-decoded-content-length says");
    if (is_signed(c) && verify(c, false, str_of(c->claimed), x) < 0) return -1;
    c->state = has_trailer(c) ? CHUNKED_TRAILER : CHUNKED_BYTES_END;
    return 0;
}

static int begin_chunk(struct chunked *c, struct str line, struct s3_error *x) {
    uint64_t size = 0;
    if (parse_header(c, line, &size, x) < 0) return -1;
    c->chunk_bytes = size;
    if (size == 0) return last_chunk(c, x);
    if (c->short_chunk) return s3_fail(x, S3_INVALID_CHUNK_SIZE);
    if (size > c->payload_left)
        return s3_fail_with(x, S3_INCOMPLETE_BODY,
                            "The chunks have more bytes than x-amz-decoded-content-length says");
    c->short_chunk = is_signed(c) && size < CHUNKED_SIGNED_MIN;
    c->payload_left -= size;
    c->left = size;
    c->state = CHUNKED_BYTES;
    return 0;
}

static bool is_repeated(const struct chunked *c, struct str name) {
    for (size_t i = 0; i < c->trailers; i++) {
        const struct chunked_trailer *t = &c->trailer[i];
        if (str_eq_nocase(str_make(c->texts + t->name_at, t->name_bytes), name)) return true;
    }
    return false;
}

static uint16_t keep(struct chunked *c, struct str s, bool lower) {
    size_t at = c->text_bytes;
    for (size_t i = 0; i < s.n; i++) {
        char k = s.p[i];
        c->texts[at + i] = (char)(lower && k >= 'A' && k <= 'Z' ? k + ('a' - 'A') : k);
    }
    c->text_bytes += s.n;
    return (uint16_t)at;
}

static int add_trailer(struct chunked *c, struct str name, struct str value, struct s3_error *x) {
    if (!list_has(c->declared, name)) return bad_trailer(x, "x-amz-trailer does not announce it");
    if (is_repeated(c, name)) return bad_trailer(x, "it comes twice");
    if (c->trailers == CHUNKED_TRAILERS_MAX || value.n == 0 ||
        name.n + value.n > CHUNKED_TRAILER_BYTES - c->text_bytes)
        return bad_trailer(x, "it is empty or too long");
    struct chunked_trailer *t = &c->trailer[c->trailers++];
    t->name_bytes = (uint16_t)name.n;
    t->name_at = keep(c, name, true);
    t->value_bytes = (uint16_t)value.n;
    t->value_at = keep(c, value, false);
    sha256_update(&c->hash, c->texts + t->name_at, name.n);
    sha256_update(&c->hash, ":", 1);
    sha256_update(&c->hash, c->texts + t->value_at, value.n);
    sha256_update(&c->hash, "\n", 1);
    return 0;
}

/* How many trailers were announced: each name counts, and all names are different ones once all
 * have come, since none may come twice. */
static bool all_came(const struct chunked *c) {
    struct str list = c->declared;
    struct str part;
    while (str_next(&list, ',', &part))
        if (!is_repeated(c, str_trim(part))) return false;
    return true;
}

static int end_of_trailers(struct chunked *c, struct s3_error *x) {
    bool needs_signature = c->mode == AUTH_PAYLOAD_CHUNKS_TRAILER;
    if (needs_signature && !c->trailer_signed) {
        if (c->blank_seen || c->trailers == 0) return bad_trailer(x, "its signature is missing");
        c->blank_seen = true; /* minio-go's, in front of the signature */
        return 0;
    }
    if (!all_came(c)) return bad_trailer(x, "a trailer that was announced is missing");
    c->state = CHUNKED_DRAIN;
    return 0;
}

static int trailer_line(struct chunked *c, struct str line, struct s3_error *x) {
    ptrdiff_t colon = str_find(line, ':');
    if (line.n == 0) return end_of_trailers(c, x);
    if (colon <= 0 || c->trailer_signed) return bad_trailer(x, "it has no name, or is unsigned");
    struct str name = str_sub(line, 0, (size_t)colon);
    struct str value = trim_blanks(str_sub(line, (size_t)colon + 1, line.n));
    if (c->mode == AUTH_PAYLOAD_CHUNKS_TRAILER && str_eq_nocase(name, STR(TRAILER_SIGNATURE))) {
        if (verify(c, true, value, x) < 0) return -1;
        c->trailer_signed = true;
        return 0;
    }
    if (c->blank_seen) return bad_trailer(x, "it comes behind the end");
    return add_trailer(c, name, value, x);
}

/* Gathers a line from *in. 1: *out is whole, without its end. 0: more is needed. */
static int take_line(struct chunked *c, struct str *in, struct str *out, struct s3_error *x) {
    ptrdiff_t lf = str_find(*in, '\n');
    size_t take = lf < 0 ? in->n : (size_t)lf + 1;
    if (take > CHUNKED_LINE_MAX - c->line_bytes)
        return c->state == CHUNKED_TRAILER ? bad_trailer(x, "a line is too long") : broken_frame(x);
    if (take) memcpy(c->line + c->line_bytes, in->p, take);
    c->line_bytes += take;
    *in = str_sub(*in, take, in->n);
    if (lf < 0) return 0;
    struct str line = str_make(c->line, c->line_bytes - 1);
    bool crlf = line.n > 0 && line.p[line.n - 1] == '\r';
    if (crlf) line.n--;
    if (!crlf && c->state != CHUNKED_TRAILER) return broken_frame(x);
    if (memchr(line.p, '\r', line.n) || memchr(line.p, '\0', line.n))
        return c->state == CHUNKED_TRAILER ? bad_trailer(x, "a stray CR or NUL") : broken_frame(x);
    c->line_bytes = 0;
    *out = line;
    return 1;
}

static int on_line(struct chunked *c, struct str line, struct s3_error *x) {
    switch (c->state) {
    case CHUNKED_HEADER: return begin_chunk(c, line, x);
    case CHUNKED_TRAILER: return trailer_line(c, line, x);
    case CHUNKED_BYTES_END:
        if (line.n > 0) return broken_frame(x);
        c->state = c->chunk_bytes ? CHUNKED_HEADER : CHUNKED_DRAIN;
        return 0;
    case CHUNKED_BYTES:
    case CHUNKED_DRAIN: break;
    }
    abort(); /* no line is read in these states */
}

static enum chunked_event payload(struct chunked *c, struct str *in, struct str *out,
                                  struct s3_error *x) {
    size_t n = in->n < c->left ? in->n : (size_t)c->left;
    struct str piece = str_sub(*in, 0, n);
    if (is_signed(c)) sha256_update(&c->hash, piece.p, n);
    c->left -= n;
    if (c->left == 0) {
        if (is_signed(c) && verify(c, false, str_of(c->claimed), x) < 0) return CHUNKED_ERROR;
        c->state = CHUNKED_BYTES_END;
    }
    *in = str_sub(*in, n, in->n);
    *out = piece;
    return CHUNKED_PIECE;
}

static enum chunked_event drain(struct chunked *c, struct str *in, struct s3_error *x) {
    for (size_t i = 0; i < in->n; i++) {
        if (c->drained == 2 || in->p[i] != "\r\n"[c->drained]) {
            (void)bad_trailer(x, "bytes follow behind its end");
            return CHUNKED_ERROR;
        }
        c->drained++;
    }
    *in = str_sub(*in, in->n, in->n);
    return CHUNKED_END;
}

enum chunked_event chunked_next(struct chunked *c, struct str *in, struct str *out_piece,
                                struct s3_error *x) {
    struct str line = STR_NONE;
    while (c->state != CHUNKED_DRAIN) {
        if (in->n == 0) return CHUNKED_NEED;
        if (c->state == CHUNKED_BYTES) return payload(c, in, out_piece, x);
        int r = take_line(c, in, &line, x);
        if (r == 0) return CHUNKED_NEED;
        if (r < 0 || on_line(c, line, x) < 0) return CHUNKED_ERROR;
    }
    return drain(c, in, x);
}

int chunked_finish(const struct chunked *c, struct s3_error *x) {
    if (c->state == CHUNKED_DRAIN && c->drained != 1) return 0;
    return s3_fail(x, S3_INCOMPLETE_BODY);
}

struct str chunked_trailer_value(const struct chunked *c, const char *name) {
    for (size_t i = 0; i < c->trailers; i++) {
        const struct chunked_trailer *t = &c->trailer[i];
        if (str_eq(str_make(c->texts + t->name_at, t->name_bytes), str_of(name)))
            return str_make(c->texts + t->value_at, t->value_bytes);
    }
    return STR_NONE;
}
