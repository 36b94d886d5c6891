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

#endif
