/* socket_connect.c - connecting to a Unix path or to a TCP host.
 *
 * A host may have several addresses: they are tried in the resolver's order. Each but the last has
 * CONNECT_STEP_MS to answer, so that one that swallows packets does not use up the whole deadline.
 * The descriptor is closed on every path that does not return it. */
#include <await/file.h>
#include <await/resolve.h>
#include <await/scope.h>
#include <await/socket.h>

#include "ring/request.h"
#include "ring/system.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/un.h>

#define CONNECT_STEP_MS 5000

/* A peer that has vanished without a word is noticed after about two minutes of silence. */
#define KEEPALIVE_IDLE_S 60
#define KEEPALIVE_INTERVAL_S 15
#define KEEPALIVE_PROBES 4

static int connect_descriptor(int fd, void *address, socklen_t length)
{
    int result = ring_perform(&(struct ring_request){
        .kind = RING_CONNECT,
        .fd = fd,
        .buffer = address,
        .size = length,
    });
    return result < 0 ? result : 0;
}

int aw_connect_unix(const char *path, struct aw_error *reterr)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length == 0)
        return aw_error_set(reterr, -EINVAL, "cannot connect to a Unix socket: its path is empty");
    if (length >= sizeof address.sun_path)
        return aw_error_set(reterr, -ENAMETOOLONG,
                            "cannot connect to Unix socket %s: its path has %zu bytes; at most %zu "
                            "are possible", path, length, sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, length + 1);
    int fd = system_socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result = fd;
    if (fd >= 0) {
        result = connect_descriptor(fd, &address, sizeof address);
        if (result < 0)
            aw_close(fd);
    }
    if (result < 0)
        return aw_error_set(reterr, result, "cannot connect to Unix socket %s: %s%s", path,
                            aw_error_text(result),
                            result == -ECONNREFUSED || result == -ENOENT
                                ? "; is the server running?"
                                : "");
    return fd;
}

static int set_tcp_options(int fd)
{
    static const struct {
        int level;
        int name;
        int value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        int result = system_set_option(fd, options[i].level, options[i].name, &options[i].value,
                                       sizeof options[i].value);
        if (result < 0)
            return result;
    }
    return 0;
}

static int connect_address(struct aw_address *address)
{
    int fd = system_socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    int result = set_tcp_options(fd);
    if (result >= 0)
        result = connect_descriptor(fd, &address->any, address->length);
    if (result < 0) {
        aw_close(fd);
        return result;
    }
    return fd;
}

static int connect_step(struct aw_address *address, bool last)
{
    struct aw_scope scope;
    aw_scope_enter(&scope, last ? AW_NEVER : aw_after_ms(CONNECT_STEP_MS));
    int result = connect_address(address);
    if (result == -ETIME && aw_scope_expired(&scope))
        result = -ETIMEDOUT;
    aw_scope_leave(&scope);
    return result;
}

static const char *advice(int error)
{
    switch (-error) {
    case ECONNREFUSED:
        return "; is the server running and listening on this address and port?";
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return "; check the network, its routes and firewalls";
    default:
        return "";
    }
}

int aw_connect_tcp(const char *host, uint16_t port, struct aw_error *reterr)
{
    struct aw_address addresses[AW_ADDRESSES_MAX];
    int count = aw_resolve(host, port, addresses, AW_ADDRESSES_MAX, reterr);
    if (count < 0)
        return count;
    if (count == 0)
        return aw_error_set(reterr, -ENOENT, "cannot connect to %s: it has no address", host);
    int result;
    int tried = 0;
    const char *address;
    do {
        address = addresses[tried].text;
        result = connect_step(&addresses[tried], tried == count - 1);
        if (result >= 0)
            return result;
        tried++;
    } while (tried < count && result != -ECANCELED && result != -ETIME);
    if (tried == 1 && strcmp(host, address) == 0)
        return aw_error_set(reterr, result, "cannot connect to %s port %u: %s%s", host,
                            (unsigned)port, aw_error_text(result), advice(result));
    return aw_error_set(reterr, result, "cannot connect to %s (%s, address %d of %d) port %u: %s%s",
                        host, address, tried, count, (unsigned)port, aw_error_text(result),
                        advice(result));
}
