/* websocket_uri.c - see websocket_uri.h. */
#include "clients/websocket_uri.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
#define ADDRESS_LETTERS "0123456789abcdefABCDEF:."

static int refuse(struct aw_error *reterr, const char *why)
{
    return aw_error_set_code(reterr, -EINVAL, "REQUEST",
                             "cannot use the WebSocket URI: %s; write "
                             "ws://host[:port][/path][?query] (wss:// for TLS)",
                             why);
}

/* ":port" in text[0, size), or nothing. */
static bool parse_port(struct websocket_uri *uri, const char *text, size_t size)
{
    uint32_t number = 0;
    if (size == 0)
        return true;
    if (text[0] != ':' || size < 2 || size > 6)
        return false;
    for (size_t i = 1; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        number = number * 10 + (uint32_t)(text[i] - '0');
    }
    uri->port = (uint16_t)number;
    return number > 0 && number <= 65535;
}

static int parse_authority(struct websocket_uri *uri, const char *text, size_t size,
                           struct aw_error *reterr)
{
    bool address = size > 0 && text[0] == '[';
    const char *host = address ? text + 1 : text;
    size_t host_size = strspn(host, address ? ADDRESS_LETTERS : NAME_LETTERS);
    if (memchr(text, '@', size) != NULL)
        return refuse(reterr, "a name and password belong into an Authorization header");
    if (host_size > size - (size_t)(host - text))
        host_size = size - (size_t)(host - text);
    if (host_size == 0 || host_size >= WEBSOCKET_HOST_SIZE)
        return refuse(reterr, "the host is missing, too long or no name");
    const char *rest = host + host_size;
    if (address && (rest == text + size || *rest++ != ']'))
        return refuse(reterr, "the ] after the IPv6 address is missing");
    memcpy(uri->host, host, host_size);
    uint16_t usual = uri->tls ? 443 : 80;
    uri->port = usual;
    if (!parse_port(uri, rest, size - (size_t)(rest - text)))
        return refuse(reterr, "behind the host comes no port from 1 to 65535");
    char port[8] = "";
    if (uri->port != usual)
        snprintf(port, sizeof port, ":%u", uri->port);
    snprintf(uri->authority, sizeof uri->authority, "%s%s%s%s", address ? "[" : "", uri->host,
             address ? "]" : "", port);
    return 0;
}

int websocket_uri_parse(struct websocket_uri *ret_uri, const char *uri, struct aw_error *reterr)
{
    struct websocket_uri parsed = {0};
    if (uri == NULL)
        return refuse(reterr, "there is none");
    parsed.tls = strncasecmp(uri, "wss://", 6) == 0;
    if (!parsed.tls && strncasecmp(uri, "ws://", 5) != 0)
        return refuse(reterr, "it begins with neither ws:// nor wss://");
    uri += parsed.tls ? 6 : 5;
    size_t size = strcspn(uri, "/?#");
    parsed.target = uri + size;
    for (const char *at = parsed.target; *at != '\0'; at++) {
        if (*at == '#')
            return refuse(reterr, "a fragment (#) means nothing to the server");
        if (*at <= ' ' || *at > '~')
            return refuse(reterr, "its path holds a blank or a letter that must be %-encoded");
    }
    int result = parse_authority(&parsed, uri, size, reterr);
    if (result == 0)
        *ret_uri = parsed;
    return result;
}
