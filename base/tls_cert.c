/* SPDX-License-Identifier: Apache-2.0 — tls_cert.c: one key, one certificate, with OpenSSL.
 *
 * The names are put into the extension as values, never through OpenSSL's configuration language,
 * in which a comma in a name would make a second one. It is no CA: clients that trust it trust this
 * server and nobody else. */
#include "base/tls_cert.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define SERIAL_BITS   159  /* RFC 5280 section 4.1.2.2: 20 octets, positive */
#define BACKDATED_S   3600 /* for clients whose clocks are late */
#define SECONDS_A_DAY 86400
#define NS_PER_S      1000000000

static void must(int ok) {
    if (!ok) abort(); /* out of memory: the process is crash-only */
}

static bool is_host_name(struct str s) {
    if (s.n == 0 || s.n > TLS_CERT_NAME_BYTES_MAX) return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '.' && c != '-' && c != '_' && c != '*') return false;
    }
    return true;
}

static bool add_address(GENERAL_NAMES *names, struct str s) {
    char text[INET6_ADDRSTRLEN];
    unsigned char bytes[sizeof(struct in6_addr)];
    if (s.n >= sizeof text) return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    int n = inet_pton(AF_INET, text, bytes) == 1    ? 4
            : inet_pton(AF_INET6, text, bytes) == 1 ? 16
                                                    : 0;
    if (n == 0) return false;
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    must(name && value && ASN1_OCTET_STRING_set(value, bytes, n));
    GENERAL_NAME_set0_value(name, GEN_IPADD, value);
    must(sk_GENERAL_NAME_push(names, name));
    return true;
}

static void add_host(GENERAL_NAMES *names, struct str s) {
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *value = ASN1_IA5STRING_new();
    must(name && value && ASN1_STRING_set(value, s.p, (int)s.n));
    GENERAL_NAME_set0_value(name, GEN_DNS, value);
    must(sk_GENERAL_NAME_push(names, name));
}

static int add_names(X509 *x, const struct str *names, size_t count, struct err *e) {
    if (count == 0 || count > TLS_CERT_NAMES_MAX)
        return err_set(e, ERR_INVALID, "make a certificate: it needs 1 to %d names",
                       TLS_CERT_NAMES_MAX);
    GENERAL_NAMES *list = sk_GENERAL_NAME_new_null();
    must(list != NULL);
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++) {
        if (names[i].n && add_address(list, names[i])) continue;
        if (is_host_name(names[i]))
            add_host(list, names[i]);
        else
            r = err_set(e, ERR_INVALID, "make a certificate: '%.*s' is no host name or address",
                        STR_ARG(names[i]));
    }
    if (r == 0) must(X509_add1_ext_i2d(x, NID_subject_alt_name, list, 0, X509V3_ADD_DEFAULT));
    sk_GENERAL_NAME_pop_free(list, GENERAL_NAME_free);
    return r;
}

static void add_extension(X509 *x, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, x, x, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    must(extension && X509_add_ext(x, extension, -1));
    X509_EXTENSION_free(extension);
}

static void set_serial(X509 *x) {
    BIGNUM *serial = BN_new();
    must(serial && BN_rand(serial, SERIAL_BITS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) &&
         BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(x)));
    BN_free(serial);
}

static int fill_in(X509 *x, EVP_PKEY *key, unsigned days, struct err *e) {
    if (days == 0 || days > TLS_CERT_DAYS_MAX)
        return err_set(e, ERR_INVALID, "make a certificate: it is valid for 1 to %d days",
                       TLS_CERT_DAYS_MAX);
    time_t now = (time_t)(clock_wall_ns() / NS_PER_S);
    X509_NAME *subject = X509_get_subject_name(x);
    static const unsigned char common[] = "gridlet";
    must(X509_set_version(x, X509_VERSION_3) && X509_set_pubkey(x, key) &&
         ASN1_TIME_set(X509_getm_notBefore(x), now - BACKDATED_S) &&
         ASN1_TIME_set(X509_getm_notAfter(x), now + (time_t)days * SECONDS_A_DAY) &&
         X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_ASC, common,
                                    sizeof common - 1, -1, 0) &&
         X509_set_issuer_name(x, subject));
    set_serial(x);
    add_extension(x, NID_basic_constraints, "critical,CA:FALSE");
    add_extension(x, NID_key_usage, "critical,digitalSignature");
    add_extension(x, NID_ext_key_usage, "serverAuth");
    /* All of ours have the same subject: a client that trusts several tells them apart by these. */
    add_extension(x, NID_subject_key_identifier, "hash");
    add_extension(x, NID_authority_key_identifier, "keyid:always");
    return 0;
}

/* The text of a memory BIO, which is freed. */
static struct buf take_text(BIO *bio) {
    char *text = NULL;
    long n = BIO_get_mem_data(bio, &text);
    struct buf b = BUF(TLS_CERT_PEM_BYTES_MAX);
    must(n > 0 && buf_append(&b, text, (size_t)n) == 0);
    OPENSSL_cleanse(text, (size_t)n);
    BIO_free(bio);
    return b;
}

int tls_cert_make(const struct str *names, size_t count, unsigned days, struct buf *out_cert,
                  struct buf *out_key, struct err *e) {
    X509 *x = X509_new();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    must(x && key);
    int r = fill_in(x, key, days, e);
    if (r == 0) r = add_names(x, names, count, e);
    if (r == 0) {
        BIO *cert_pem = BIO_new(BIO_s_mem()), *key_pem = BIO_new(BIO_s_mem());
        must(cert_pem && key_pem && X509_sign(x, key, EVP_sha256()) &&
             PEM_write_bio_X509(cert_pem, x) &&
             PEM_write_bio_PrivateKey(key_pem, key, NULL, NULL, 0, NULL, NULL));
        *out_cert = take_text(cert_pem);
        *out_key = take_text(key_pem);
    }
    X509_free(x);
    EVP_PKEY_free(key);
    return r;
}
