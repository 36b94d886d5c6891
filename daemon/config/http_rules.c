/* http_rules.c - see http_rules.h. */
#include "config/http_rules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BLANKS " \t,"

/* --- hosts ------------------------------------------------------------------------------------ */

struct host_word {
    const char *host;
    size_t size;
    unsigned port; /* 0: any */
    bool wildcard; /* "*.domain": host is ".domain"; "*": host is "" */
};

static bool parse_port(const char *text, size_t size, unsigned *ret_port)
{
    unsigned port = 0;
    if (size == 0 || size > 5)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    *ret_port = port;
    return port > 0 && port <= 65535;
}

/* "[::1]:80", "[::1]", "a.example:80", "*.example", "*" */
static bool parse_word(const char *text, size_t size, struct host_word *ret_word)
{
    struct host_word word = {.host = text, .size = size};
    const char *end = text + size;
    const char *host_end = text;
    if (text[0] == '[') {
        host_end = memchr(text, ']', size);
        if (!host_end)
            return false;
        word.host = text + 1;
        word.size = (size_t)(host_end - word.host);
        host_end++;
    } else {
        host_end = memchr(text, ':', size);
        host_end = host_end ? host_end : end;
        word.size = (size_t)(host_end - text);
    }
    if (host_end < end &&
        (*host_end != ':' || !parse_port(host_end + 1, (size_t)(end - host_end - 1), &word.port)))
        return false;
    word.wildcard = word.size > 0 && word.host[0] == '*';
    if (word.wildcard) {
        word.host++;
        word.size--;
        if (word.size > 0 && (word.size < 2 || word.host[0] != '.'))
            return false;
    } else if (word.size == 0) {
        return false;
    }
    for (size_t i = 0; i < word.size; i++)
        if (strchr("/*@?#[]\\ ", word.host[i]) || (unsigned char)word.host[i] < ' ')
            return false;
    *ret_word = word;
    return true;
}

static bool next_word(const char **text, const char **ret_word, size_t *ret_size)
{
    *ret_word = *text + strspn(*text, BLANKS);
    *ret_size = strcspn(*ret_word, BLANKS);
    *text = *ret_word + *ret_size;
    return *ret_size > 0;
}

static bool word_matches(const struct host_word *word, const struct aw_http_origin *origin)
{
    size_t length = strlen(origin->host);
    if (word->port != 0 && word->port != origin->port)
        return false;
    if (word->wildcard)
        return length > word->size &&
               strncasecmp(origin->host + length - word->size, word->host, word->size) == 0;
    return length == word->size && strncasecmp(origin->host, word->host, word->size) == 0;
}

static int check_hosts(const char *hosts, char reason[HTTP_RULES_REASON_SIZE])
{
    const char *word;
    size_t size;
    size_t count = 0;
    while (next_word(&hosts, &word, &size)) {
        struct host_word parsed;
        count++;
        if (parse_word(word, size, &parsed))
            continue;
        snprintf(reason, HTTP_RULES_REASON_SIZE,
                 "must be words such as api.example, api.example:8080, *.example or *, got '%.*s'",
                 (int)(size < 60 ? size : 60), word);
        return -EINVAL;
    }
    if (count > 0)
        return 0;
    snprintf(reason, HTTP_RULES_REASON_SIZE, "names no host");
    return -EINVAL;
}

/* --- the base --------------------------------------------------------------------------------- */

static int check_uri(struct http_rules *rules, char reason[HTTP_RULES_REASON_SIZE])
{
    if (aw_http_origin_of(rules->uri, &rules->base) == 0 && !strpbrk(rules->uri, "?#"))
        return 0;
    /* not shown: it may hold a password */
    snprintf(reason, HTTP_RULES_REASON_SIZE,
             "must be http://host[:port][/path] or https://..., without ? and #");
    return -EINVAL;
}

/* --- headers ---------------------------------------------------------------------------------- */

static char *trim(char *text)
{
    text += strspn(text, " \t");
    size_t size = strlen(text);
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t'))
        text[--size] = '\0';
    return text;
}

static int parse_headers(struct http_rules *rules, const char *headers,
                         char reason[HTTP_RULES_REASON_SIZE])
{
    rules->header_text = strdup(headers);
    if (!rules->header_text)
        return -ENOMEM;
    rules->header_text_size = strlen(headers);
    char *rest = rules->header_text;
    for (char *field; (field = strsep(&rest, "|")) != NULL;) {
        char *colon = strchr(field, ':');
        if (!colon || rules->header_count == HTTP_RULES_HEADERS_MAX) {
            snprintf(reason, HTTP_RULES_REASON_SIZE,
                     "must be 'Name: value', several (at most %u) separated by |",
                     HTTP_RULES_HEADERS_MAX);
            return -EINVAL;
        }
        *colon = '\0';
        rules->headers[rules->header_count++] =
            (struct aw_http_header){.name = trim(field), .value = trim(colon + 1)};
    }
    struct aw_http_request request = {.url = "http://localhost/", .headers = rules->headers,
                                      .header_count = rules->header_count};
    struct aw_error error;
    int result = aw_http_check(&request, &error);
    if (result == -EINVAL)
        snprintf(reason, HTTP_RULES_REASON_SIZE, "cannot be: %.180s", error.message);
    return result;
}

/* --- all of it -------------------------------------------------------------------------------- */

int http_rules_parse(struct http_rules *ret_rules, const char *uri, const char *hosts,
                     const char *headers, enum http_rules_part *ret_part,
                     char reason[HTTP_RULES_REASON_SIZE])
{
    struct http_rules rules = {.uri = uri, .hosts = hosts};
    *ret_part = HTTP_RULES_URI;
    int result = uri ? check_uri(&rules, reason) : 0;
    if (result == 0 && hosts) {
        *ret_part = HTTP_RULES_HOSTS;
        result = check_hosts(hosts, reason);
    }
    if (result == 0 && headers) {
        *ret_part = HTTP_RULES_HEADERS;
        result = parse_headers(&rules, headers, reason);
    }
    if (result < 0) {
        http_rules_free(&rules);
        return result;
    }
    *ret_rules = rules;
    return 0;
}

void http_rules_free(struct http_rules *rules)
{
    if (rules->header_text) /* may hold a token */
        explicit_bzero(rules->header_text, rules->header_text_size);
    free(rules->header_text);
    *rules = (struct http_rules){0};
}

static bool is_base(const struct http_rules *rules, const struct aw_http_origin *origin)
{
    return rules->uri && rules->base.tls == origin->tls && rules->base.port == origin->port &&
           strcmp(rules->base.host, origin->host) == 0;
}

bool http_rules_is_base(const struct http_rules *rules, const char *url)
{
    struct aw_http_origin origin;
    return aw_http_origin_of(url, &origin) == 0 && is_base(rules, &origin);
}

bool http_rules_allow(const struct http_rules *rules, const char *url)
{
    struct aw_http_origin origin;
    if (aw_http_origin_of(url, &origin) < 0)
        return false;
    if (is_base(rules, &origin))
        return true;
    const char *rest = rules->hosts ? rules->hosts : "";
    const char *word;
    size_t size;
    while (next_word(&rest, &word, &size)) {
        struct host_word parsed;
        if (parse_word(word, size, &parsed) && word_matches(&parsed, &origin))
            return true;
    }
    return false;
}
