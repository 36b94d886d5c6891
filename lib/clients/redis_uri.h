/* redis_uri.h - where a Redis server is and who we are to it, out of a URI.
 *
 * The label is what messages show: it never holds the password. */
#ifndef CLIENTS_REDIS_URI_H
#define CLIENTS_REDIS_URI_H

#include <await/base.h>
#include <await/error.h>

struct aw_tls_context;

#define REDIS_HOST_SIZE 254
#define REDIS_PATH_SIZE 108 /* sockaddr_un.sun_path */
#define REDIS_SECRET_SIZE 1024
#define REDIS_USER_SIZE 256
#define REDIS_DATABASE_MAX 1000000

struct redis_endpoint {
    char host[REDIS_HOST_SIZE]; /* "" for a Unix socket */
    uint16_t port;
    char path[REDIS_PATH_SIZE];
    char user[REDIS_USER_SIZE];         /* "": the default user */
    char password[REDIS_SECRET_SIZE];   /* "": no AUTH */
    uint32_t database;
    bool is_tls;
    struct aw_tls_context *tls; /* of the owner of the endpoint, when is_tls; else NULL */
    char label[400];
};

/* Parses `uri` (NULL: redis://127.0.0.1:6379/0); `password` (may be NULL) replaces the URI's.
 * -EINVAL with the reason. `tls` is left NULL. */
AW_MUST_CHECK int redis_endpoint_parse(struct redis_endpoint *endpoint, const char *uri,
                                       const char *password, struct aw_error *reterr);

/* Says where the endpoint is from now on, in the label too. False: the host is too long. */
AW_MUST_CHECK bool redis_endpoint_place(struct redis_endpoint *endpoint, const char *host,
                                        size_t host_size, uint16_t port);

/* The parts of a URI, for redis_site.c; text[0 .. length). */
AW_MUST_CHECK bool redis_uri_decode(char *target, size_t target_size, const char *text,
                                    size_t length);
AW_MUST_CHECK bool redis_uri_number(const char *text, size_t length, uint32_t max,
                                    uint32_t *ret_number);
AW_MUST_CHECK int redis_uri_user(struct redis_endpoint *endpoint, const char *text, size_t length,
                                 struct aw_error *reterr);
AW_MUST_CHECK int redis_uri_host(struct redis_endpoint *endpoint, const char *text, size_t length,
                                 uint16_t default_port, struct aw_error *reterr);
AW_MUST_CHECK int redis_uri_password(struct redis_endpoint *endpoint, const char *password,
                                     struct aw_error *reterr);

#endif
