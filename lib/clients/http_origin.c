/* http_origin.c - hosts by scheme, name and port: places for connections and addresses.
 *
 * Names are resolved by aw_resolve and handed to libcurl, whose own resolver would start a thread
 * for each. An answer, also a negative one, serves all who ask within a while. Origins without
 * users stay, up to a limit, for the sake of their addresses. */
#include "clients/http_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FAILURE_FRESH_NS AW_NS_PER_S

/* --- URLs ------------------------------------------------------------------------------------- */

static int part_of(CURLU *parsed, CURLUPart part, unsigned flags, char *ret_text, size_t size)
{
    char *text = NULL;
    CURLUcode code = http_curl.url_get(parsed, part, &text, flags);
    if (code != CURLUE_OK)
        return code == CURLUE_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
    int result = strlen(text) < size ? 0 : -EINVAL;
    if (result == 0)
        memcpy(ret_text, text, strlen(text) + 1);
    http_curl.free(text);
    return result;
}

static void tidy_host(char *host)
{
    size_t length = strlen(host);
    if (length > 1 && host[0] == '[' && host[length - 1] == ']') {
        memmove(host, host + 1, length - 2);
        host[length - 2] = '\0';
    }
    for (char *at = host; *at != '\0'; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at - 'A' + 'a');
}

/* The default of port_text is the scheme's own port, if it has one. */
static int split(const char *url, char scheme[16], char port_text[8],
                 struct aw_http_origin *ret_origin)
{
    int result = http_curl_load(NULL); /* addresses are looked at where there is no client yet */
    if (result < 0)
        return result;
    CURLU *parsed = http_curl.url();
    if (parsed == NULL)
        return -ENOMEM;
    unsigned host_flags = 0;
#ifdef CURLU_PUNYCODE
    host_flags = CURLU_PUNYCODE; /* as libcurl itself will look for it */
#endif
    *ret_origin = (struct aw_http_origin){0};
    CURLUcode code = http_curl.url_set(parsed, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);
    result = code == CURLUE_OK ? 0 : code == CURLUE_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
    if (result == 0)
        result = part_of(parsed, CURLUPART_SCHEME, 0, scheme, 16);
    if (result == 0)
        result = part_of(parsed, CURLUPART_HOST, host_flags, ret_origin->host, HTTP_HOST_SIZE);
    if (result == 0 && part_of(parsed, CURLUPART_PORT, CURLU_DEFAULT_PORT, port_text, 8) < 0)
        port_text[0] = '\0';
    http_curl.url_cleanup(parsed);
    if (result == 0)
        tidy_host(ret_origin->host);
    return result == 0 && ret_origin->host[0] == '\0' ? -EINVAL : result;
}

int aw_http_origin_of(const char *url, struct aw_http_origin *ret_origin)
{
    struct aw_http_origin origin;
    char scheme[16];
    char port[8];
    int result = split(url, scheme, port, &origin);
    if (result < 0)
        return result;
    if (strcasecmp(scheme, "http") != 0 && strcasecmp(scheme, "https") != 0)
        return -EINVAL;
    origin.tls = strlen(scheme) == 5;
    origin.port = (uint16_t)strtoul(port, NULL, 10);
    if (origin.port == 0)
        return -EINVAL;
    *ret_origin = origin;
    return 0;
}

int http_origin_of_proxy(const char *url, struct aw_http_origin *ret_origin)
{
    /* those that are given names, not addresses */
    static const char *const schemes[] = {"http", "https", "socks5h", "socks4a"};
    char scheme[16];
    char port[8];
    struct aw_http_origin origin;
    if (strstr(url, "://") == NULL)
        return -EINVAL;
    int result = split(url, scheme, port, &origin);
    if (result < 0)
        return result;
    bool known = false;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        known = known || strcasecmp(scheme, schemes[i]) == 0;
    /* a port is demanded: the usual one of a proxy is nowhere agreed */
    const char *authority = strstr(url, "://") + 3;
    size_t length = strcspn(authority, "/?#");
    const char *at = memrchr(authority, '@', length); /* a password may hold a colon */
    length -= at != NULL ? (size_t)(at + 1 - authority) : 0;
    authority = at != NULL ? at + 1 : authority;
    const char *colon = memrchr(authority, ':', length);
    const char *bracket = memrchr(authority, ']', length);
    bool has_port = colon != NULL && (bracket == NULL || colon > bracket);
    origin.port = (uint16_t)strtoul(port, NULL, 10);
    if (!known || !has_port || origin.port == 0)
        return -EINVAL;
    *ret_origin = origin;
    return 0;
}

static int join(CURLU *parsed, const char *base, const char *link, char **ret_url)
{
    char *text = NULL;
    CURLUcode code = http_curl.url_set(parsed, CURLUPART_URL, base, 0);
    if (code == CURLUE_OK)
        code = http_curl.url_set(parsed, CURLUPART_URL, link, CURLU_URLENCODE);
    if (code == CURLUE_OK)
        code = http_curl.url_get(parsed, CURLUPART_URL, &text, 0);
    if (code != CURLUE_OK)
        return code == CURLUE_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
    struct aw_http_origin origin;
    int result = aw_http_origin_of(text, &origin);
    if (result == 0) {
        *ret_url = strdup(text);
        result = *ret_url != NULL ? 0 : -ENOMEM;
    }
    http_curl.free(text);
    return result;
}

int aw_http_url_join(const char *base, const char *link, char **ret_url)
{
    int result = http_curl_load(NULL);
    if (result < 0)
        return result;
    CURLU *parsed = http_curl.url();
    if (parsed == NULL)
        return -ENOMEM;
    result = join(parsed, base, link, ret_url);
    http_curl.url_cleanup(parsed);
    return result;
}

bool http_same_origin(const struct aw_http_origin *one, const struct aw_http_origin *other)
{
    return one->tls == other->tls && one->port == other->port &&
           strcmp(one->host, other->host) == 0;
}

/* --- the table -------------------------------------------------------------------------------- */

static void drop_oldest(struct aw_http_client *client)
{
    struct http_origin *origin;
    TAILQ_FOREACH_REVERSE(origin, &client->origins, http_origins, link)
    {
        if (origin->users > 0)
            continue;
        TAILQ_REMOVE(&client->origins, origin, link);
        client->origin_count--;
        free(origin);
        return;
    }
}

int http_origin_get(struct aw_http_client *client, const struct aw_http_origin *name,
                    struct http_origin **ret_origin)
{
    struct http_origin *origin;
    TAILQ_FOREACH(origin, &client->origins, link)
    {
        if (http_same_origin(&origin->name, name))
            break;
    }
    if (origin != NULL) {
        TAILQ_REMOVE(&client->origins, origin, link);
    } else {
        if (client->origin_count >= HTTP_ORIGINS_KEPT)
            drop_oldest(client);
        origin = calloc(1, sizeof *origin);
        if (origin == NULL)
            return -ENOMEM;
        origin->name = *name;
        aw_semaphore_init(&origin->places, client->connections_per_host_max);
        aw_lock_init(&origin->resolving);
        client->origin_count++;
    }
    TAILQ_INSERT_HEAD(&client->origins, origin, link);
    origin->users++;
    *ret_origin = origin;
    return 0;
}

void http_origin_put(struct http_origin *origin)
{
    origin->users--;
}

void http_origins_free(struct aw_http_client *client)
{
    for (struct http_origin *origin; (origin = TAILQ_FIRST(&client->origins)) != NULL;) {
        TAILQ_REMOVE(&client->origins, origin, link);
        free(origin);
    }
    client->origin_count = 0;
}

/* --- addresses -------------------------------------------------------------------------------- */

static bool is_numeric(const char *host)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return strchr(host, ':') != NULL || inet_pton(AF_INET, host, bytes) == 1;
}

static bool is_fresh(const struct http_origin *origin)
{
    uint64_t kept_ns = origin->failure < 0 ? FAILURE_FRESH_NS : HTTP_ADDRESSES_FRESH_NS;
    return origin->asked_ns != 0 && aw_now_ns() - origin->asked_ns < kept_ns;
}

static int ask(struct http_origin *origin, struct aw_error *reterr)
{
    struct aw_error error = {0};
    int result = aw_resolve(origin->name.host, origin->name.port, origin->addresses,
                            AW_ADDRESSES_MAX, &error);
    if (result == -ECANCELED || result == -ETIME)
        return result; /* no answer: the next one asks again */
    origin->failure = result < 0 ? result : 0;
    origin->address_count = result < 0 ? 0 : result;
    origin->asked_ns = aw_now_ns();
    if (result < 0)
        return aw_error_set_code(reterr, result, "RESOLVE", "%s", error.message);
    return 0;
}

int http_origin_resolve(struct http_origin *origin, struct aw_error *reterr)
{
    if (is_numeric(origin->name.host))
        return 0;
    int result = is_fresh(origin) ? 0 : aw_lock_acquire(&origin->resolving);
    if (result < 0)
        return result;
    bool locked = origin->resolving.owner == aw_current();
    if (is_fresh(origin)) {
        result = origin->failure;
        if (result < 0)
            aw_error_set_code(reterr, result, "RESOLVE", "cannot resolve host \"%s\": %s",
                              origin->name.host, aw_error_text(result));
    } else {
        result = ask(origin, reterr);
    }
    if (locked)
        aw_lock_release(&origin->resolving);
    return result;
}

int http_origin_list(const struct http_origin *origin, struct curl_slist **list)
{
    if (is_numeric(origin->name.host))
        return 0;
    char line[HTTP_HOST_SIZE + 16 + AW_ADDRESSES_MAX * (INET6_ADDRSTRLEN + 3)];
    /* "+": may be forgotten after the cache's time, not kept for ever */
    int length = snprintf(line, sizeof line, "+%s:%u", origin->name.host,
                          (unsigned)origin->name.port);
    for (int i = 0; i < origin->address_count; i++) {
        const struct aw_address *address = &origin->addresses[i];
        bool v6 = address->any.sa_family == AF_INET6;
        length += snprintf(line + length, sizeof line - (size_t)length, "%c%s%s%s",
                           i == 0 ? ':' : ',', v6 ? "[" : "", address->text, v6 ? "]" : "");
    }
    struct curl_slist *longer = http_curl.slist_append(*list, line);
    if (longer == NULL)
        return -ENOMEM;
    *list = longer;
    return 0;
}
