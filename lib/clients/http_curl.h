/* http_curl.h - libcurl, loaded when the first HTTP client is made.
 *
 * With the libraries it needs itself libcurl is 0.6 MiB of resident memory, which a program that
 * makes no HTTP client should not pay for. Its header is used, its library is not linked: every
 * function that lib/clients calls is in the table, and a name that is missing there does not link.
 */
#ifndef CLIENTS_HTTP_CURL_H
#define CLIENTS_HTTP_CURL_H

#include <await/error.h>

/* The checked macros of libcurl name its functions. */
#define CURL_DISABLE_TYPECHECK 1
#include <curl/curl.h>

#define HTTP_CURL_FUNCTIONS(X) \
    X(easy_cleanup) X(easy_getinfo) X(easy_init) X(easy_pause) X(easy_setopt) X(easy_strerror) \
    X(free) X(global_cleanup) X(global_init) X(multi_add_handle) X(multi_assign) \
    X(multi_cleanup) X(multi_info_read) X(multi_init) X(multi_remove_handle) X(multi_setopt) \
    X(multi_socket_action) X(slist_append) X(slist_free_all) X(url) X(url_cleanup) X(url_get) \
    X(url_set)

#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

struct http_curl {
#define HTTP_CURL_MEMBER(name) __typeof__(curl_##name) *name;
    HTTP_CURL_FUNCTIONS(HTTP_CURL_MEMBER)
#undef HTTP_CURL_MEMBER
};

/* Empty until http_curl_load has given 0. */
extern struct http_curl http_curl;

/* Loads the library once for the life of the process. -ENOENT: it is not installed, or lacks
 * something. */
AW_MUST_CHECK int http_curl_load(struct aw_error *reterr);

#endif
