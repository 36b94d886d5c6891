/* redis_uri.c - see redis_uri.h. Every part of the URI is percent-decoded after it was split. */
#include "clients/redis_uri.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_URI "redis://127.0.0.1:6379/0"
#define DEFAULT_PORT 6379

static int refuse(struct aw_error *reterr, const char *why)
{
    return aw_error_set(reterr, -EINVAL, "cannot use the Redis URI: %s; write "
                        "redis://[[user]:password@]host[:port][/database] (rediss:// for TLS) or "
                        "unix:///path/of/socket[?db=n]", why);
}

static int hex_digit(char character)
{
    if (character >= '0' && character <= '9') return character - '0';
    if (character >= 'a' && character <= 'f') return character - 'a' + 10;
    if (character >= 'A' && character <= 'F') return character - 'A' + 10;
    return -1;
}

/* Copies text[0 .. length) percent-decoded; false when it does not fit, has a bad escape or a NUL.
 * */
bool redis_uri_decode(char *target, size_t target_size, const char *text, size_t length)
{
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        int character = (unsigned char)text[i];
        if (character == '%') {
            if (i + 2 >= length) return false;
            int high = hex_digit(text[i + 1]);
            int low = hex_digit(text[i + 2]);
            if (high < 0 || low < 0) return false;
            character = high * 16 + low;
            i += 2;
        }
        if (character == 0 || used + 1 >= target_size) return false;
        target[used++] = (char)character;
    }
    target[used] = '\0';
    return true;
}

bool redis_uri_number(const char *text, size_t length, uint32_t max, uint32_t *ret_number)
{
    if (length == 0 || length > 7) return false;
    uint32_t number = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        number = number * 10 + (uint32_t)(text[i] - '0');
    }
    if (number > max) return false;
    *ret_number = number;
    return true;
}

/* "user:password@", "user@" or ":password@" in text[0 .. length), the @ not included. */
int redis_uri_user(struct redis_endpoint *endpoint, const char *text, size_t length,
                   struct aw_error *reterr)
{
    const char *colon = memchr(text, ':', length);
    size_t user_length = colon ? (size_t)(colon - text) : length;
    if (!redis_uri_decode(endpoint->user, sizeof endpoint->user, text, user_length))
        return refuse(reterr, "the user name is too long or has a bad %-escape");
    if (colon && !redis_uri_decode(endpoint->password, sizeof endpoint->password, colon + 1,
                         length - user_length - 1))
        return refuse(reterr, "the password is too long or has a bad %-escape");
    return 0;
}

/* "host", "host:port", "[v6]" or "[v6]:port". */
int redis_uri_host(struct redis_endpoint *endpoint, const char *text, size_t length,
                   uint16_t default_port, struct aw_error *reterr)
{
    const char *end = text + length;
    const char *host = text;
    const char *host_end;
    if (length > 0 && text[0] == '[') {
        host++;
        host_end = memchr(host, ']', length - 1);
        if (!host_end) return refuse(reterr, "the ] after the IPv6 address is missing");
        text = host_end + 1;
    } else {
        const char *colon = memchr(text, ':', length);
        host_end = colon ? colon : end;
        text = host_end;
    }
    if (host == host_end) return refuse(reterr, "the host is missing");
    if (!redis_uri_decode(endpoint->host, sizeof endpoint->host, host, (size_t)(host_end - host)))
        return refuse(reterr, "the host is too long or has a bad %-escape");
    uint32_t port = default_port;
    if (text < end && (*text != ':' || !redis_uri_number(text + 1, (size_t)(end - text - 1), 65535,
                                                     &port)))
        return refuse(reterr, "the port is no number from 1 to 65535");
    if (port == 0) return refuse(reterr, "the port is no number from 1 to 65535");
    endpoint->port = (uint16_t)port;
    return 0;
}

/* "?db=n", the only parameter there is. */
static int parse_query(struct redis_endpoint *endpoint, const char *query, struct aw_error *reterr)
{
    if (*query == '\0') return 0;
    if (strncmp(query, "?db=", 4) != 0 ||
        !redis_uri_number(query + 4, strlen(query + 4), REDIS_DATABASE_MAX, &endpoint->database))
        return refuse(reterr, "after the ? only db=<number> is known");
    return 0;
}

static int parse_tcp(struct redis_endpoint *endpoint, const char *text, struct aw_error *reterr)
{
    size_t authority = strcspn(text, "/?");
    const char *at = memrchr(text, '@', authority);
    if (at) {
        int result = redis_uri_user(endpoint, text, (size_t)(at - text), reterr);
        if (result < 0) return result;
    }
    const char *host = at ? at + 1 : text;
    int result = redis_uri_host(endpoint, host, (size_t)(text + authority - host), DEFAULT_PORT,
                                reterr);
    if (result < 0) return result;
    text += authority;
    if (*text == '/') {
        size_t length = strcspn(++text, "?");
        if (length > 0 && !redis_uri_number(text, length, REDIS_DATABASE_MAX, &endpoint->database))
            return refuse(reterr, "the database after the / is no number");
        text += length;
    }
    return parse_query(endpoint, text, reterr);
}

static int parse_unix(struct redis_endpoint *endpoint, const char *text, struct aw_error *reterr)
{
    const char *slash = strchr(text, '/');
    if (!slash) return refuse(reterr, "the path of the socket must begin with /");
    if (slash > text) {
        if (slash[-1] != '@') return refuse(reterr, "unix: needs three slashes before the path");
        int result = redis_uri_user(endpoint, text, (size_t)(slash - text - 1), reterr);
        if (result < 0) return result;
    }
    size_t length = strcspn(slash, "?");
    if (!redis_uri_decode(endpoint->path, sizeof endpoint->path, slash, length))
        return refuse(reterr, "the path of the socket is longer than 107 bytes or has a bad "
                              "%-escape");
    return parse_query(endpoint, slash + length, reterr);
}

static void set_label(struct redis_endpoint *endpoint)
{
    if (endpoint->path[0])
        snprintf(endpoint->label, sizeof endpoint->label, "Redis at %s", endpoint->path);
    else if (strchr(endpoint->host, ':'))
        snprintf(endpoint->label, sizeof endpoint->label, "Redis at [%s]:%u", endpoint->host,
                 (unsigned)endpoint->port);
    else
        snprintf(endpoint->label, sizeof endpoint->label, "Redis at %s:%u", endpoint->host,
                 (unsigned)endpoint->port);
}

bool redis_endpoint_place(struct redis_endpoint *endpoint, const char *host, size_t host_size,
                          uint16_t port)
{
    if (host_size == 0 || host_size >= sizeof endpoint->host || port == 0)
        return false;
    memcpy(endpoint->host, host, host_size);
    endpoint->host[host_size] = '\0';
    endpoint->port = port;
    set_label(endpoint);
    return true;
}

int redis_uri_password(struct redis_endpoint *endpoint, const char *password,
                       struct aw_error *reterr)
{
    if (password) {
        if (strlen(password) >= sizeof endpoint->password)
            return refuse(reterr, "the password is longer than 1023 bytes");
        strcpy(endpoint->password, password);
    }
    if (endpoint->user[0] && !endpoint->password[0])
        return refuse(reterr, "there is a user name but no password");
    return 0;
}

int redis_endpoint_parse(struct redis_endpoint *endpoint, const char *uri, const char *password,
                         struct aw_error *reterr)
{
    *endpoint = (struct redis_endpoint){0};
    if (!uri) uri = DEFAULT_URI;
    int result;
    if (strncmp(uri, "redis://", 8) == 0)
        result = parse_tcp(endpoint, uri + 8, reterr);
    else if (strncmp(uri, "unix://", 7) == 0)
        result = parse_unix(endpoint, uri + 7, reterr);
    else if ((endpoint->is_tls = strncmp(uri, "rediss://", 9) == 0))
        result = parse_tcp(endpoint, uri + 9, reterr);
    else
        return refuse(reterr, "it begins with none of redis://, rediss:// and unix://");
    if (result == 0)
        result = redis_uri_password(endpoint, password, reterr);
    if (result < 0) return result;
    set_label(endpoint);
    return 0;
}
