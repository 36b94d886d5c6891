/* redis_link.c - see redis_link.h. */
#include "clients/redis_link.h"

#include "ring/system.h"

#include <await.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define SEND_SIZE_MAX ((size_t)1 << 20) /* in one call */
#define KEEPALIVE_IDLE_S 30
#define KEEPALIVE_INTERVAL_S 10
#define KEEPALIVE_PROBES 3
#define UNACKNOWLEDGED_MAX_MS                                           \
    30000 /* sent bytes the peer's kernel does not confirm for so long: \
             dead */

/* A peer that vanished without a word (power cut, firewall) must not hold its commands for ever. */
static int watch_peer(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKNOWLEDGED_MAX_MS},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        int result = system_set_option(fd, options[i].level, options[i].name, &options[i].value,
                                       sizeof options[i].value);
        if (result < 0)
            return result;
    }
    return 0;
}

static int connect_to(const struct redis_endpoint *endpoint, struct aw_error *reterr)
{
    struct aw_error error = {0};
    int fd = endpoint->path[0] ? aw_connect_unix(endpoint->path, &error)
                               : aw_connect_tcp(endpoint->host, endpoint->port, &error);
    if (fd < 0)
        return aw_error_set(reterr, fd,
                            "cannot connect to %s: %s; is it running, and is the "
                            "URI right?",
                            endpoint->label, error.message[0] ? error.message : aw_error_text(fd));
    int result = endpoint->path[0] ? 0 : watch_peer(fd);
    if (result < 0) {
        aw_close(fd);
        return aw_error_set(reterr, result, "cannot set keepalive on the connection to %s: %s",
                            endpoint->label, aw_error_text(result));
    }
    return fd;
}

/* Takes the descriptor over, also when it fails. */
static int start_tls(struct redis_link *link, const struct redis_endpoint *endpoint,
                     struct aw_error *reterr)
{
    struct aw_error error = {0};
    int fd = link->fd;
    link->fd = -1;
    int result = aw_stream_open(&link->stream, fd, NULL);
    if (result < 0) {
        aw_close(fd);
        return aw_error_set(reterr, result, "no memory for TLS");
    }
    result = aw_stream_start_tls(link->stream, endpoint->tls, endpoint->host, &error);
    if (result == 0)
        return 0;
    redis_link_close(link);
    return aw_error_set(reterr, result, "no TLS with %s: %s", endpoint->label,
                        error.message[0] ? error.message : aw_error_text(result));
}

int redis_link_open(struct redis_link *link, const struct redis_endpoint *endpoint,
                    struct aw_error *reterr)
{
    *link = (struct redis_link){.fd = -1};
    int fd = connect_to(endpoint, reterr);
    if (fd < 0)
        return fd;
    link->fd = fd;
    return endpoint->tls ? start_tls(link, endpoint, reterr) : 0;
}

int redis_link_receive(struct redis_link *link, void *buffer, size_t size)
{
    return link->stream ? aw_stream_read_some(link->stream, buffer, size)
                        : aw_receive(link->fd, buffer, size);
}

int redis_link_send(struct redis_link *link, const void *data, size_t size, size_t *ret_attempted)
{
    size_t piece = size < SEND_SIZE_MAX ? size : SEND_SIZE_MAX;
    *ret_attempted = 0;
    int result;
    if (link->stream) {
        *ret_attempted = piece;
        result = aw_stream_write_all(link->stream, data, piece);
        return result < 0 ? result : (int)piece;
    }
    result = aw_send(link->fd, data, piece);
    return result == 0 ? -EPIPE : result;
}

int redis_link_send_all(struct redis_link *link, const void *data, size_t size)
{
    for (size_t sent = 0; sent < size;) {
        size_t attempted;
        int result = redis_link_send(link, (const char *)data + sent, size - sent, &attempted);
        if (result < 0)
            return result;
        sent += (size_t)result;
    }
    return 0;
}

void redis_link_close(struct redis_link *link)
{
    if (link->stream)
        aw_stream_abort(link->stream);
    if (link->fd >= 0)
        aw_close(link->fd);
    link->stream = NULL;
    link->fd = -1;
}
