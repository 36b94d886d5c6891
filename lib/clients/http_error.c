/* http_error.c - what libcurl's codes mean to a caller: an errno, a word that says what is known,
 * and a line for a person. */
#include "clients/http_internal.h"

#include <errno.h>
#include <string.h>

struct meaning {
    CURLcode code;
    int number;
    const char *word;
};

static const struct meaning meanings[] = {
    {CURLE_COULDNT_RESOLVE_HOST, -ENOENT, "RESOLVE"},
    {CURLE_COULDNT_RESOLVE_PROXY, -ENOENT, "RESOLVE"},
    {CURLE_COULDNT_CONNECT, -ECONNREFUSED, "CONNECT"},
    {CURLE_PROXY, -ECONNREFUSED, "CONNECT"},
    {CURLE_OPERATION_TIMEDOUT, -ETIMEDOUT, "CONNECT"}, /* no other time is set */
    {CURLE_PEER_FAILED_VERIFICATION, -EKEYREJECTED, "TLS"},
    {CURLE_SSL_ISSUER_ERROR, -EKEYREJECTED, "TLS"},
    {CURLE_SSL_INVALIDCERTSTATUS, -EKEYREJECTED, "TLS"},
    {CURLE_SSL_CACERT_BADFILE, -ENOENT, "TLS"},
    {CURLE_SSL_CERTPROBLEM, -ENOENT, "TLS"}, /* the own certificate or its key */
    {CURLE_SSL_CONNECT_ERROR, -EPROTO, "TLS"},
    {CURLE_SSL_CIPHER, -EPROTO, "TLS"},
    {CURLE_USE_SSL_FAILED, -EPROTO, "TLS"},
    {CURLE_GOT_NOTHING, -ECONNRESET, "LOST"},
    {CURLE_PARTIAL_FILE, -ECONNRESET, "LOST"},
    {CURLE_RECV_ERROR, -ECONNRESET, "LOST"},
    {CURLE_SEND_ERROR, -ECONNRESET, "LOST"},
    {CURLE_WEIRD_SERVER_REPLY, -EPROTO, "PROTOCOL"},
    {CURLE_UNSUPPORTED_PROTOCOL, -EPROTO, "PROTOCOL"}, /* HTTP/0.9; the URL's own was checked */
    {CURLE_BAD_CONTENT_ENCODING, -EPROTO, "PROTOCOL"},
    {CURLE_URL_MALFORMAT, -EINVAL, "REQUEST"},
    {CURLE_OUT_OF_MEMORY, -ENOMEM, "FAILED"},
};

static struct meaning meaning_of(CURLcode code)
{
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
        if (meanings[i].code == code)
            return meanings[i];
    return (struct meaning){.code = code, .number = -EIO, .word = "FAILED"};
}

/* A URL for a message: nothing in it that may be secret. */
void http_url_show(const char *url, char *text, size_t size)
{
    const char *authority = strstr(url, "://");
    authority = authority != NULL ? authority + 3 : url;
    size_t length = strcspn(authority, "/?#");
    const char *at = memrchr(authority, '@', length);
    const char *rest = at != NULL ? at + 1 : authority;
    size_t scheme = (size_t)(authority - url);
    size_t shown = strcspn(rest, "?#");
    if (scheme + shown >= size)
        shown = scheme < size ? size - 1 - scheme : 0;
    if (scheme >= size)
        scheme = 0;
    memcpy(text, url, scheme);
    memcpy(text + scheme, rest, shown);
    text[scheme + shown] = '\0';
}

static int own_failure(const struct http_transfer *transfer, const char *url,
                       struct aw_error *reterr)
{
    switch (transfer->failure) {
    case -EMSGSIZE:
        if (!transfer->head.complete)
            return aw_error_set_code(reterr, -EMSGSIZE, "TOOBIG",
                                     "the head of the response from %s has more than %u bytes", url,
                                     HTTP_HEAD_SIZE_MAX);
        return aw_error_set_code(reterr, -EMSGSIZE, "TOOBIG",
                                 "the response from %s has more than %llu bytes", url,
                                 (unsigned long long)transfer->body_max);
    case -EPROTO:
        return aw_error_set_code(reterr, -EPROTO, "PROTOCOL",
                                 "the response from %s holds a NUL in a header", url);
    case -ESHUTDOWN:
        return aw_error_set_code(reterr, -ESHUTDOWN, "CLOSED", "the HTTP client was closed");
    default:
        return aw_error_set_code(reterr, transfer->failure, "FAILED", "the request to %s: %s", url,
                                 aw_error_text(transfer->failure));
    }
}

/* The proxy's answer to CONNECT, before any server was reached. */
static struct meaning meaning_of_proxy(long status)
{
    return (struct meaning){.number = status == 407 ? -EACCES : -ECONNREFUSED, .word = "CONNECT"};
}

int http_transfer_outcome(const struct http_transfer *transfer, const char *full_url,
                          struct aw_error *reterr)
{
    char url[160];
    http_url_show(full_url, url, sizeof url);
    if (transfer->failure < 0)
        return own_failure(transfer, url, reterr);
    if (transfer->code == CURLE_OK)
        return 0;
    struct meaning meaning = meaning_of(transfer->code);
    const char *why = transfer->message[0] != '\0' ? transfer->message
                                                   : http_curl.easy_strerror(transfer->code);
    if (!transfer->reached && transfer->proxy_status >= 300)
        meaning = meaning_of_proxy(transfer->proxy_status);
    else if (!http_transfer_sent(transfer) && strcmp(meaning.word, "LOST") == 0)
        meaning.word = "CONNECT";
    if (http_transfer_sent(transfer) && strcmp(meaning.word, "PROTOCOL") != 0)
        meaning.word = "LOST";
    if (meaning.number == -ECONNREFUSED && transfer->os_error > 0)
        meaning.number = -(int)transfer->os_error;
    return aw_error_set_code(reterr, meaning.number, meaning.word, "cannot talk to %s: %s", url,
                             why);
}
