/* tls_context.c - certificates and rules for TLS; see await/tls.h. */
#include "io/tls_internal.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

static int fail(struct aw_error *reterr, const char *what, const char *file)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(code);
    int number = ERR_SYSTEM_ERROR(code) ? -ENOENT : -EBADMSG;
    for (unsigned long one; (one = ERR_get_error()) != 0;)
        if (ERR_SYSTEM_ERROR(one) && ERR_GET_REASON(one) == ENOENT)
            number = -ENOENT;
    return aw_error_set(reterr, number, "TLS: cannot use %s%s%s: %s", what, file ? " " : "",
                        file ? file : "", reason ? reason : "unknown reason");
}

/* "h2,http/1.1" to 2 h 2 8 h t t p / 1 . 1 */
static int set_protocols(struct aw_tls_context *context, const char *list)
{
    size_t used = 0;
    while (list != NULL && *list != '\0') {
        size_t length = strcspn(list, ",");
        if (length == 0 || length > 255 || used + 1 + length > TLS_PROTOCOLS_BYTES)
            return -EINVAL;
        context->protocols[used++] = (unsigned char)length;
        memcpy(context->protocols + used, list, length);
        used += length;
        list += length + (list[length] == ',');
    }
    context->protocols_size = (unsigned)used;
    return 0;
}

static int choose_protocol(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_size,
                           const unsigned char *offered, unsigned offered_size, void *argument)
{
    (void)ssl;
    const struct aw_tls_context *context = argument;
    unsigned char *found = NULL;
    if (SSL_select_next_proto(&found, chosen_size, context->protocols, context->protocols_size,
                              offered, offered_size) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *chosen = found;
    return SSL_TLSEXT_ERR_OK;
}

static int load_files(struct aw_tls_context *context, const struct aw_tls_options *options,
                      struct aw_error *reterr)
{
    SSL_CTX *rules = context->rules;
    if (options->certificate != NULL &&
        SSL_CTX_use_certificate_chain_file(rules, options->certificate) != 1)
        return fail(reterr, "the certificate", options->certificate);
    if (options->key != NULL &&
        SSL_CTX_use_PrivateKey_file(rules, options->key, SSL_FILETYPE_PEM) != 1)
        return fail(reterr, "the key", options->key);
    if (options->certificate != NULL && SSL_CTX_check_private_key(rules) != 1)
        return fail(reterr, "the key", options->key);
    if (options->authorities != NULL) {
        if (SSL_CTX_load_verify_file(rules, options->authorities) != 1)
            return fail(reterr, "the authorities", options->authorities);
    } else if (!context->server && SSL_CTX_set_default_verify_paths(rules) != 1) {
        return fail(reterr, "the system's authorities", NULL);
    }
    return 0;
}

static void set_rules(struct aw_tls_context *context, const struct aw_tls_options *options)
{
    SSL_CTX *rules = context->rules;
    (void)SSL_CTX_set_min_proto_version(rules, TLS1_2_VERSION);
    /* without renegotiation writing never has to read, so reader and writer need no lock */
    (void)SSL_CTX_set_options(rules, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    (void)SSL_CTX_set_mode(rules, SSL_MODE_RELEASE_BUFFERS);
    /* a ticket that a client has not read when it closes would make the kernel reset the
     * connection, and take the client's last bytes with it */
    (void)SSL_CTX_set_num_tickets(rules, 0);
    if (context->server)
        SSL_CTX_set_verify(rules,
                           options->authorities ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
                                                : SSL_VERIFY_NONE,
                           NULL);
    else
        SSL_CTX_set_verify(rules, context->accept_anybody ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
                           NULL);
    if (context->protocols_size > 0 && context->server)
        SSL_CTX_set_alpn_select_cb(rules, choose_protocol, context);
}

static int create(struct aw_tls_context **ret_context, const struct aw_tls_options *options,
                  bool server, struct aw_error *reterr)
{
    static const struct aw_tls_options defaults = {0};
    if (options == NULL)
        options = &defaults;
    if (server && (options->certificate == NULL || options->key == NULL))
        return aw_error_set(reterr, -EINVAL, "TLS: a server needs a certificate and its key");
    struct aw_tls_context *context = calloc(1, sizeof *context);
    if (context == NULL)
        return aw_error_set(reterr, -ENOMEM, "TLS: no memory");
    context->server = server;
    context->accept_anybody = options->accept_anybody;
    context->rules = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    int result = context->rules ? 0 : aw_error_set(reterr, -ENOMEM, "TLS: no memory");
    if (result == 0 && set_protocols(context, options->protocols) < 0)
        result = aw_error_set(reterr, -EINVAL, "TLS: \"%s\" is no list of protocols",
                              options->protocols);
    if (result == 0) {
        set_rules(context, options);
        result = load_files(context, options, reterr);
    }
    /* 0 is success here, unlike everywhere else in OpenSSL */
    if (result == 0 && !server && context->protocols_size > 0 &&
        SSL_CTX_set_alpn_protos(context->rules, context->protocols, context->protocols_size) != 0)
        result = aw_error_set(reterr, -ENOMEM, "TLS: no memory");
    if (result < 0) {
        aw_tls_free(context);
        return result;
    }
    *ret_context = context;
    return 0;
}

int aw_tls_client(struct aw_tls_context **ret_context, const struct aw_tls_options *options,
                  struct aw_error *reterr)
{
    return create(ret_context, options, false, reterr);
}

int aw_tls_server(struct aw_tls_context **ret_context, const struct aw_tls_options *options,
                  struct aw_error *reterr)
{
    return create(ret_context, options, true, reterr);
}

void aw_tls_free(struct aw_tls_context *context)
{
    if (context == NULL)
        return;
    SSL_CTX_free(context->rules);
    free(context);
}
