/* http.h - an HTTP/1.1 client: requests, redirects, streamed bodies, connection reuse. JSON is in
 * http_json.h, forms and queries in http_form.h.
 *
 *     result = aw_http_get(client, "http://localhost:8000/a", &response, &error);
 *     if (result == 0 && response.status == 200)
 *         use(response.body, response.body_size);
 *     aw_http_response_free(&response);
 *
 * A client keeps open connections and serves any number of tasks of one loop. Requests above its
 * limits of connections wait in the order they came. Any status the server gives, 404 as well as
 * 200, is a success of the function: look at `status`.
 *
 * An interrupted request (cancelled, or past its scope's deadline) closes its connection and leaves
 * nothing behind. Errors of a request, with what is known in error->code:
 *
 *   -EINVAL        "REQUEST"    the request cannot be: its URL, method or a header
 *   -ENOENT, -EAGAIN "RESOLVE"  the host's name has no address, or the resolver did not answer
 *   -ECONNREFUSED and other errnos of connect(2), -ETIMEDOUT "CONNECT"  no connection
 *   -EKEYREJECTED, -EPROTO, -ENOENT "TLS"  the certificate does not hold, no TLS, no ca_file
 *   -ECONNRESET    "LOST"       the server closed the connection before its response was complete
 *   -EPROTO        "PROTOCOL"   what it sent is not HTTP
 *   -EMSGSIZE      "TOOBIG"     the response is larger than the limit
 *   -ELOOP         "REDIRECTS"  more redirects than allowed
 *   -EPERM         "REFUSED"    check_url refused a redirect
 *   -ETIMEDOUT     "TIMEOUT"    timeout_ms is over
 *   -ECANCELED, -ETIME "WITHDRAWN" interrupted, and nothing of the request had been sent
 *   -ECANCELED, -ETIME "STOPPED"   interrupted later
 *   -ESHUTDOWN     "CLOSED"     the client was closed meanwhile
 *   -ENOMEM, -EMFILE, -EIO ...  "FAILED"
 *
 * With REQUEST, RESOLVE, CONNECT, TLS and WITHDRAWN no server has seen the request; with the others
 * it may have been obeyed. A proxy that does not let a https:// request through is a CONNECT too:
 * -EACCES when it wants other credentials (407), else -ECONNREFUSED.
 *
 * A kept connection may turn out to be closed by the server only when the next request is sent on
 * it: if no byte of a response has come, that request is sent again on another connection, at most
 * five times, until it was on a new one. `fresh_connection` rules that out for requests that must
 * not be sent twice. */
#ifndef AWAIT_HTTP_H
#define AWAIT_HTTP_H

#include <await/base.h>
#include <await/error.h>

struct aw_http_client;
struct aw_http_stream;

struct aw_http_options {
    uint32_t connections_max;          /* at once; 0: 256; at most 65,536 */
    uint32_t connections_per_host_max; /* of these to one scheme, host and port; 0: 32 */
    uint32_t connect_timeout_ms;       /* with the TLS handshake; 0: 10,000 */
    uint32_t timeout_ms;               /* of a request as a whole, with its wait for a connection
                                          and its redirects; of a stream up to its first byte; 0:
                                          only what scopes say */
    int32_t redirects_max;             /* followed for a request; 0: 10; -1: none; at most 100 */
    uint64_t response_size_max;        /* bytes of a body; 0: 16 MiB; streams have no limit */
    const char *ca_file;    /* PEM file of trusted authorities; NULL: the system's. This file and
                               the next two are read when a connection is opened */
    const char *certificate; /* PEM file of the own certificate (chain), for servers that ask for
                                one; NULL: none */
    const char *key;        /* PEM file of its key; NULL: it is in `certificate` */
    const char *proxy;      /* "http://[user:password@]host:port", https://, socks5h:// or
                               socks4a://; NULL: none. The environment is not looked at */
    const char *no_proxy;   /* hosts that are reached without it, separated by commas or blanks:
                               "example.org" with all below it, "10.0.0.0/8", "*"; NULL: none */
    const char *user_agent; /* NULL: "libawait/<version>" */
    bool accept_anybody;    /* do not verify certificates: anyone can then listen in */
};

struct aw_http_header {
    const char *name;
    const char *value;
};

struct aw_http_body; /* of a request, while it is being written */

struct aw_http_request {
    const char *method;  /* NULL: GET. As HTTP has it: "POST", not "post" */
    const char *url;     /* http:// or https:// */
    const struct aw_http_header *headers; /* at most 256 and 64 KiB. Not Content-Length and not
                                             Transfer-Encoding, they follow from the body */
    size_t header_count;
    const void *body;    /* NULL: none. Must stay until the call returns */
    size_t body_size;
    /* In place of `body`: writes it piece by piece with aw_http_body_write, in the calling task;
     * then body_size is what it will write, 0: not known (sent in chunks). It goes out on a new
     * connection. Called again when a redirect wants the body again (307, 308). Its negative result
     * ends the request ("FAILED"). */
    int (*write_body)(struct aw_http_body *body, void *context);
    const char *user;    /* Basic authentication; without ':'. NULL: none */
    const char *password; /* with `user`; NULL: "" */
    const char *bearer;  /* a token: "Authorization: Bearer ..."; NULL: none */
    uint32_t timeout_ms; /* 0: the client's */
    uint64_t response_size_max; /* 0: the client's */
    bool fresh_connection; /* on a new connection, so that it is never sent twice */
    /* Asked before a redirect is followed, with its absolute URL: 0, or negative to refuse (-EPERM
     * "REFUSED"). Must not suspend. NULL: all of http:// and https:// are followed. */
    int (*check_url)(const char *url, void *context);
    void *context; /* of write_body and check_url */
};

/* What came back. All-zero before; aw_http_response_free afterwards. */
struct aw_http_response {
    int status;                     /* 200 ... */
    char *reason;                   /* "OK"; may be "" */
    struct aw_http_header *headers; /* in the order they came, without trailers */
    size_t header_count;
    char *body;                     /* with a NUL behind that body_size does not count */
    size_t body_size;
    char *url;                      /* the one that answered, after redirects */
};

/* Makes a client. `options` may be NULL. Connects to nothing. -EINVAL (limits, the proxy's URL),
 * -ENOMEM, -EAGAIN or -EPERM as aw_spawn. Never suspends. */
AW_API AW_MUST_CHECK int aw_http_client_open(struct aw_http_client **ret_client,
                                             const struct aw_http_options *options,
                                             struct aw_error *reterr);

/* Closes the connections and frees the client. Requests under way give -ESHUTDOWN and are waited
 * for; streams that are still open do so at their next read, and need their aw_http_stream_close.
 * Also when interrupted. NULL does nothing. */
AW_API AW_SUSPENDS void aw_http_client_close(struct aw_http_client *client);

/* Sends a request and takes the whole response. 0, or the errors above (*ret_response is untouched
 * then). 301, 302, 303, 307 and 308 with a Location are followed: 303 with GET, 301 and 302 of a
 * POST with GET, all others with the same method and body; Authorization and Cookie headers stay
 * behind when scheme, host or port change, as do user, password and bearer. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_http_request(struct aw_http_client *client,
                                                     const struct aw_http_request *request,
                                                     struct aw_http_response *ret_response,
                                                     struct aw_error *reterr);

/* aw_http_request with the usual arguments and the same results: `url` is http:// or https://,
 * `body` is body_size bytes and must stay until the call returns. content_type may be NULL: none is
 * sent. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_http_get(struct aw_http_client *client, const char *url,
                                                 struct aw_http_response *ret_response,
                                                 struct aw_error *reterr);
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_http_post(struct aw_http_client *client, const char *url,
                                                  const char *content_type, const void *body,
                                                  size_t body_size,
                                                  struct aw_http_response *ret_response,
                                                  struct aw_error *reterr);

/* Frees what the response holds and makes it all-zero. Never suspends. */
AW_API void aw_http_response_free(struct aw_http_response *response);

/* The value of the first header of that name, in any case; NULL: there is none. */
AW_API const char *aw_http_header(const struct aw_http_response *response, const char *name);

/* Checks a request as aw_http_request does before it sends: 0, or -EINVAL with the reason. Never
 * suspends. */
AW_API AW_MUST_CHECK int aw_http_check(const struct aw_http_request *request,
                                       struct aw_error *reterr);

/* Whether a client can use that proxy: 0 or -EINVAL. Never suspends. */
AW_API AW_MUST_CHECK int aw_http_check_proxy(const char *proxy, struct aw_error *reterr);

#define AW_HTTP_HOST_SIZE 256
struct aw_http_origin {
    bool tls;
    char host[AW_HTTP_HOST_SIZE]; /* lower case; an IPv6 address without its brackets */
    uint16_t port;
};

/* The parts of an http:// or https:// `url` that say whom it goes to: 0. -EINVAL: it is none, or
 * its host is longer than 255 bytes. -ENOENT: libcurl is not installed. Never suspends. */
AW_API AW_MUST_CHECK int aw_http_origin_of(const char *url, struct aw_http_origin *ret_origin);

/* Where a link leads that stands in the page at `base`: an absolute URL (RFC 3986, section 5.2) in
 * memory that the caller frees, its fragment included. -EINVAL: it is no http:// or https:// URL.
 * -ENOENT: libcurl is not installed. -ENOMEM. Never suspends. */
AW_API AW_MUST_CHECK int aw_http_url_join(const char *base, const char *link, char **ret_url);

/* --- streamed bodies -------------------------------------------------------------------------- */
/* Inside write_body: hands over bytes of the request's body. At most 128 KiB wait for the server:
 * above that it suspends until there is room. 0; -EPIPE: the server takes no more, perhaps because
 * it has answered already: return it, and the request gives what is known; -EINVAL: more than
 * body_size; -ECANCELED, -ETIME. What the server sends meanwhile counts towards response_size_max,
 * also of a stream. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_http_body_write(struct aw_http_body *body,
                                                        const void *data, size_t size);

/* Sends a request and waits for the head of its response; the body is then read piece by piece.
 * What the reader has not taken is held back at the server: at most 256 KiB are in memory. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_http_open(struct aw_http_client *client,
                                                  const struct aw_http_request *request,
                                                  struct aw_http_stream **ret_stream,
                                                  struct aw_error *reterr);

/* Status, headers and url of the response, the stream's; body is NULL. */
AW_API const struct aw_http_response *aw_http_stream_head(const struct aw_http_stream *stream);

/* Waits for bytes of the body and gives at most `size` (1 to INT_MAX): their number, 0 at its end,
 * or an error. -EBUSY: another task reads. An interrupted read loses nothing. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_http_stream_read(struct aw_http_stream *stream,
                                                         void *buffer, size_t size,
                                                         struct aw_error *reterr);

/* Frees the stream; one that was not read to its end loses its connection. NULL does nothing. Never
 * suspends. */
AW_API void aw_http_stream_close(struct aw_http_stream *stream);

#endif
