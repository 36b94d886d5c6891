/* http_internal.h - the parts of the HTTP client to each other.
 *
 *   http_client.c    options, opening and closing
 *   http_loop.c      libcurl's sockets and timer on the ring; which transfers have ended
 *   http_origin.c    hosts: their addresses, resolved off the loop, and places for connections
 *   http_proxy.c     which hosts are reached without the proxy
 *   http_message.c   what is sent (checks, header lists) and the head of what comes back
 *   http_transfer.c  one exchange with one server: start, callbacks, stop
 *   http_upload.c    a request's body that is written piece by piece
 *   http_exchange.c  an exchange with its redirects, under its deadline
 *   http_request.c   whole responses, and helpers
 *   http_form.c      fields of queries and forms
 *   http_json.c      JSON over requests; json.h is the values
 *   http_stream.c    responses read piece by piece
 *   http_error.c     what libcurl's codes mean
 *
 * Who owns what: a transfer belongs to the task that started it (later to its stream) and lives as
 * long as its easy handle is in the multi handle. libcurl calls back only from inside a call of
 * ours; a callback never suspends and never calls libcurl's multi functions, it only notes. */
#ifndef CLIENTS_HTTP_INTERNAL_H
#define CLIENTS_HTTP_INTERNAL_H

#include <await.h>
#include <await/http.h>
#include "clients/http_curl.h"
#include "clients/http_text.h"
#include <sys/queue.h>

#define HTTP_HEADERS_MAX 256u
#define HTTP_HEADERS_SIZE_MAX (64u * 1024u)       /* of a request */
#define HTTP_HEAD_SIZE_MAX (256u * 1024u)         /* of a response */
#define HTTP_UPLOAD_HIGH_BYTES (128u * 1024u)     /* of a body, waiting for the server */
#define HTTP_STREAM_HIGH_BYTES (128u * 1024u)     /* above it a stream pauses ... */
#define HTTP_STREAM_LOW_BYTES (32u * 1024u)       /* ... and below it goes on */
#define HTTP_REDIRECT_BODY_MAX (64u * 1024u)      /* of a redirect: read to keep the connection */
#define HTTP_ADDRESSES_FRESH_NS (30 * AW_NS_PER_S) /* then a name is resolved again */
#define HTTP_ORIGINS_KEPT 256u                    /* without users */
#define HTTP_HOST_SIZE AW_HTTP_HOST_SIZE

struct http_client_call { /* a task inside the client: closing it ends the scope */
    LIST_ENTRY(http_client_call) link;
    struct aw_scope scope;
};

/* One host and port: who may connect to it, and where it is. */
struct http_origin {
    TAILQ_ENTRY(http_origin) link;
    struct aw_http_origin name;
    uint32_t users;                /* transfers that hold or wait for a place */
    struct aw_semaphore places;
    struct aw_lock resolving;      /* one task asks, the others take its answer */
    uint64_t asked_ns;             /* when the answer below came; 0: never asked */
    int failure;                   /* of the answer */
    struct aw_address addresses[AW_ADDRESSES_MAX];
    int address_count;
};
TAILQ_HEAD(http_origins, http_origin);

struct http_watch { /* one socket that libcurl wants to hear of; see http_loop.c */
    struct aw_http_client *client;
    curl_socket_t fd;
    unsigned events;  /* POLLIN, POLLOUT; 0: none now */
    bool removed;     /* libcurl has forgotten it: do not tell it anything any more */
    bool polling;     /* inside `wait` */
    struct aw_scope wait;
};

LIST_HEAD(http_client_calls, http_client_call);
LIST_HEAD(http_transfers, http_transfer);

struct aw_http_client {
    CURLM *multi;
    struct aw_group group;         /* the timer's task and the watches' */
    struct aw_event timer_changed;
    uint64_t timer_ns;             /* AW_NEVER: none */
    uint64_t timer_wait_ns;        /* what the timer's task waits for now */

    struct http_origins origins;   /* the one used last first */
    uint32_t origin_count;
    struct aw_semaphore places;    /* connections_max */

    struct http_client_calls calls;
    struct http_transfers transfers;
    struct aw_event idle;          /* no call */
    bool closing;

    uint32_t connections_per_host_max;
    uint32_t connect_timeout_ms;
    uint32_t timeout_ms;
    uint32_t redirects_max;
    uint64_t response_size_max;
    char *ca_file;
    char *certificate;
    char *key;
    char *proxy;
    char *no_proxy;
    char *user_agent;
    struct http_origin *proxy_origin; /* only its addresses count */
    bool accept_anybody;
};

/* What comes back, piece by piece. */
struct http_head {
    struct aw_http_response response; /* without body */
    char *text;                       /* its fields, each with a NUL behind */
    size_t text_size;
    size_t text_capacity;
    size_t size_bytes;                /* of all lines so far */
    bool complete;                    /* the blank line has come */
};

enum http_body_mode {
    HTTP_BODY_COLLECT, /* all of it, up to a limit */
    HTTP_BODY_STREAM,  /* paused above a mark */
    HTTP_BODY_DROP,    /* of a redirect */
};

/* A body that is written while it is sent. */
struct aw_http_body {
    struct http_transfer *transfer;
    char *bytes;          /* HTTP_UPLOAD_HIGH_BYTES; NULL: the body is not written piece by piece */
    size_t size;          /* in `bytes` */
    size_t sent;          /* of these */
    uint64_t dropped;     /* before them */
    uint64_t promised;    /* 0: not known */
    bool ended;           /* nothing more comes */
    bool paused;          /* libcurl waits for more */
    bool writing;         /* inside write_body */
};

/* An exchange of a request for a response with one server, without redirects. */
struct http_transfer {
    LIST_ENTRY(http_transfer) link;
    struct aw_http_client *client; /* NULL once it was closed */
    CURL *easy;
    struct curl_slist *headers;
    struct curl_slist *resolve;
    struct http_origin *origin;    /* whose place it holds */
    struct http_origin *proxy;     /* that it goes through; NULL: none */
    bool added;                    /* to the multi handle */
    struct aw_http_body upload;

    struct http_head head;
    enum http_body_mode body_mode;
    bool follows;                  /* a redirect's body is dropped */
    uint64_t body_max;
    char *body;                    /* COLLECT: all; STREAM: what waits for the reader */
    size_t body_size;
    size_t body_start;             /* STREAM: the reader's place */
    size_t body_capacity;
    uint64_t dropped;
    bool paused;
    bool reading;

    int failure;                   /* of a callback of ours: -EMSGSIZE, -ENOMEM; outranks code */
    bool done;
    bool reached;                  /* a connection to the server stands */
    bool sent;                     /* done: bytes of the request went out */
    bool reused;                   /* done: it went out on a kept connection */
    long proxy_status;             /* done: its answer to CONNECT, 0: there was none */
    CURLcode code;
    long os_error;
    char message[CURL_ERROR_SIZE];
    struct aw_event progress;      /* head complete, bytes, done */
};

/* A request under way: what the next hop sends. */
struct http_exchange {
    const struct aw_http_request *request;
    const char *method;
    char *url;
    bool has_body;                 /* the request's; not after a redirect that drops it */
    bool fresh;                    /* on a new connection */
    bool left_home;                /* another origin than the first: no credentials */
    uint32_t hops;
};

/* --- http_loop.c */
AW_MUST_CHECK int http_loop_start(struct aw_http_client *client);
/* Tells libcurl that something happened, and ends the transfers that are done. */
void http_loop_act(struct aw_http_client *client, curl_socket_t fd, int events);
void http_loop_collect(struct aw_http_client *client);

/* --- http_origin.c */
AW_MUST_CHECK int http_origin_get(struct aw_http_client *client, const struct aw_http_origin *name,
                                  struct http_origin **ret_origin);
void http_origin_put(struct http_origin *origin);
void http_origins_free(struct aw_http_client *client);
/* Addresses that are fresh. */
AW_MUST_CHECK AW_SUSPENDS int http_origin_resolve(struct http_origin *origin,
                                                  struct aw_error *reterr);
/* Adds them to the list that CURLOPT_RESOLVE takes. A numeric host needs none. */
AW_MUST_CHECK int http_origin_list(const struct http_origin *origin, struct curl_slist **list);
/* Of a proxy's URL: -EINVAL when it is none that we can use. */
AW_MUST_CHECK int http_origin_of_proxy(const char *url, struct aw_http_origin *ret_origin);
bool http_same_origin(const struct aw_http_origin *one, const struct aw_http_origin *other);

/* --- http_proxy.c */
/* Whether a list like aw_http_options.no_proxy holds that host; -EINVAL: it holds what is none. */
AW_MUST_CHECK int http_proxy_skips(const char *list, const char *host);

/* --- http_message.c */
AW_MUST_CHECK int http_message_list(const struct http_exchange *exchange,
                                    struct curl_slist **ret_list);
/* One line of a response's head; 0, -ENOMEM, -EMSGSIZE. */
AW_MUST_CHECK int http_head_line(struct http_head *head, const char *line, size_t size);

/* --- http_transfer.c */
/* Waits for its places and addresses, and starts it. */
AW_MUST_CHECK AW_SUSPENDS int http_transfer_start(struct http_transfer *transfer,
                                                  struct aw_http_client *client,
                                                  const struct http_exchange *exchange,
                                                  struct aw_error *reterr);
/* libcurl has finished with it: gives its places back and wakes its task. */
void http_transfer_done(struct http_transfer *transfer, CURLcode code);
/* Ends it wherever it is. */
void http_transfer_end(struct http_transfer *transfer);
/* Takes it out of the client, which is going; it can then only be ended. */
void http_transfer_detach(struct http_transfer *transfer);
/* Waits until `come` says so, or the task is interrupted. */
AW_MUST_CHECK AW_SUSPENDS int http_transfer_wait(struct http_transfer *transfer,
                                                 bool (*come)(const struct http_transfer *));
/* Whether bytes of the request have gone out. */
bool http_transfer_sent(const struct http_transfer *transfer);
bool http_is_redirect(int status);

/* --- http_upload.c */
CURLcode http_upload_set_up(struct http_transfer *transfer, const struct aw_http_request *request);
/* Has the caller write the body: 0 when all is written or no more is wanted, or why it ended. */
AW_MUST_CHECK AW_SUSPENDS int http_upload_run(struct http_transfer *transfer,
                                              const struct aw_http_request *request,
                                              struct aw_error *reterr);

/* --- http_exchange.c */
/* Runs the request up to the head of the last response (COLLECT: to its end). On success the
 * transfer is the caller's to end. */
AW_MUST_CHECK AW_SUSPENDS int http_exchange_run(struct aw_http_client *client,
                                                const struct aw_http_request *request,
                                                enum http_body_mode mode,
                                                struct http_transfer *transfer,
                                                struct aw_error *reterr);

/* --- http_client.c: being inside a client, so that closing it reaches the caller */
void http_call_enter(struct aw_http_client *client, struct http_client_call *call,
                     uint64_t deadline_ns);
void http_call_leave(struct aw_http_client *client, struct http_client_call *call);
/* What an interruption (-ECANCELED, -ETIME) inside the call means to its caller. */
int http_call_interrupted(const struct aw_http_client *client, const struct http_client_call *call,
                          int interruption, bool sent, struct aw_error *reterr);

/* --- http_error.c */
/* A URL for messages: without credentials and query, cut to the size. */
void http_url_show(const char *url, char *text, size_t size);
/* A transfer that has ended: 0 or what its failure is called. */
AW_MUST_CHECK int http_transfer_outcome(const struct http_transfer *transfer, const char *url,
                                        struct aw_error *reterr);

#endif
