/* http_rules.h - what a target of type http may call, and what it adds: the settings uri, hosts and
 * headers, parsed. Pure: it looks nothing up.
 *
 *   uri      http://host[:port][/prefix]; jobs may then give "/path" alone
 *   hosts    words: host, host:port, *.domain (not the domain itself), or * for any host. A word
 *            without a port means every port. The uri's own host and port need no word
 *   headers  "Name: value | Name: value" */
#ifndef CONFIG_HTTP_RULES_H
#define CONFIG_HTTP_RULES_H

#include <await.h>

#define HTTP_RULES_HEADERS_MAX 64u

struct http_rules {
    const char *uri;   /* as given; NULL: none */
    struct aw_http_origin base;
    const char *hosts; /* as given; NULL: none */
    char *header_text; /* what `headers` points into */
    size_t header_text_size;
    struct aw_http_header headers[HTTP_RULES_HEADERS_MAX];
    size_t header_count;
};

enum http_rules_part { HTTP_RULES_URI, HTTP_RULES_HOSTS, HTTP_RULES_HEADERS };

/* Each text may be NULL; they must live as long as the rules. 0; -ENOMEM; -EINVAL with the part
 * that is wrong and what it must be ("must be ..."). */
#define HTTP_RULES_REASON_SIZE 200
AW_MUST_CHECK int http_rules_parse(struct http_rules *ret_rules, const char *uri,
                                   const char *hosts, const char *headers,
                                   enum http_rules_part *ret_part,
                                   char reason[HTTP_RULES_REASON_SIZE]);
void http_rules_free(struct http_rules *rules);

/* Whether a URL may be called; whether it goes to the uri's own scheme, host and port. */
bool http_rules_allow(const struct http_rules *rules, const char *url);
bool http_rules_is_base(const struct http_rules *rules, const char *url);

#endif
