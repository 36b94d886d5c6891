/* http_proxy.c - which hosts are reached without the proxy.
 *
 * Decided here and not by libcurl, since what is resolved by us depends on it: the proxy's name or
 * the host's. */
#include "clients/http_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SEPARATORS ", \t"

struct network {
    int family;
    unsigned char bytes[sizeof(struct in6_addr)];
    unsigned bits;
};

static int parse_address(const char *text, struct network *ret_network)
{
    *ret_network = (struct network){.family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET};
    ret_network->bits = ret_network->family == AF_INET6 ? 128 : 32;
    return inet_pton(ret_network->family, text, ret_network->bytes) == 1 ? 0 : -EINVAL;
}

/* "10.0.0.0/8" */
static int parse_network(char *word, struct network *ret_network)
{
    char *slash = strchr(word, '/');
    char *end = NULL;
    *slash = '\0';
    int result = parse_address(word, ret_network);
    unsigned long bits = strtoul(slash + 1, &end, 10);
    if (result < 0 || slash[1] < '0' || slash[1] > '9' || *end != '\0' ||
        bits > ret_network->bits)
        return -EINVAL;
    ret_network->bits = (unsigned)bits;
    return 0;
}

static bool is_inside(const struct network *address, const struct network *network)
{
    size_t whole = network->bits / 8;
    unsigned left = network->bits % 8;
    unsigned mask = left == 0 ? 0 : 0xffu << (8 - left) & 0xffu;
    return address->family == network->family &&
           memcmp(address->bytes, network->bytes, whole) == 0 &&
           (mask == 0 || (address->bytes[whole] & mask) == (network->bytes[whole] & mask));
}

/* "example.org" and ".example.org": the host itself and all below it. */
static bool is_below(const char *host, const char *domain)
{
    domain += domain[0] == '.';
    size_t host_size = strlen(host);
    size_t size = strlen(domain);
    host_size -= host_size > 0 && host[host_size - 1] == '.';
    if (size == 0 || host_size < size ||
        strncasecmp(host + host_size - size, domain, size) != 0)
        return false;
    return host_size == size || host[host_size - size - 1] == '.';
}

static int word_holds(char *word, const char *host)
{
    struct network network;
    struct network address;
    bool is_numeric = parse_address(host, &address) == 0;
    if (strcmp(word, "*") == 0)
        return 1;
    if (strchr(word, '/') != NULL) {
        int result = parse_network(word, &network);
        return result < 0 ? result : is_numeric && is_inside(&address, &network);
    }
    if (is_numeric)
        return parse_address(word, &network) == 0 && is_inside(&address, &network);
    return is_below(host, word);
}

int http_proxy_skips(const char *list, const char *host)
{
    while (*(list += strspn(list, SEPARATORS)) != '\0') {
        char word[HTTP_HOST_SIZE];
        size_t size = strcspn(list, SEPARATORS);
        if (size >= sizeof word)
            return -EINVAL;
        snprintf(word, sizeof word, "%.*s", (int)size, list);
        int result = word_holds(word, host);
        if (result != 0)
            return result;
        list += size;
    }
    return 0;
}
