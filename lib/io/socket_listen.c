/* socket_listen.c - opening Unix and TCP listeners.
 *
 * A Unix socket is a file that outlives the process that made it. A file nobody listens on any more
 * (connecting is refused) is removed and made anew; anything else at the path is left alone.
 * Order matters: bind, then mode and owner, then listen. Until the last step every connection is
 * refused, so nobody gets in under a mode that the caller did not ask for. */
#include <await/file.h>
#include <await/scope.h>
#include <await/socket.h>
#include <await/task.h>

#include "ring/request.h"
#include "ring/system.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#define BACKLOG_DEFAULT 4096
#define BIND_ATTEMPTS_MAX 3
#define PROBE_MS 1000
#define LEFTOVER_MS 1000u
#define PAUSE_MS 20u

static int unix_error(struct aw_error *reterr, int number, const char *path, const char *advice)
{
    return aw_error_set(reterr, number, "cannot listen on Unix socket %s: %s%s", path,
                        aw_error_text(number), advice);
}

static int stat_link(const char *path, struct statx *status)
{
    return ring_perform(&(struct ring_request){
        .kind = RING_STAT,
        .fd = AT_FDCWD,
        .flags = AT_SYMLINK_NOFOLLOW,
        .mode = STATX_TYPE,
        .buffer = status,
        .path = path,
    });
}

/* Connects and hangs up: 0 when somebody listens there, -ECONNREFUSED when nobody does. */
static int probe(const struct sockaddr_un *address)
{
    int fd = system_socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fd;
    struct sockaddr_un copy = *address;
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(PROBE_MS));
    int result = ring_perform(&(struct ring_request){
        .kind = RING_CONNECT,
        .fd = fd,
        .buffer = &copy,
        .size = sizeof copy,
    });
    bool timed_out = aw_scope_expired(&scope);
    aw_scope_leave(&scope);
    aw_close(fd);
    /* A full backlog, a listener of another type, or one too busy to answer: all are somebody. */
    if (result == -EAGAIN || result == -EPROTOTYPE || (result == -ETIME && timed_out))
        return 0;
    return result;
}

/* A process that has been killed seems to listen on until the kernel has cleared up its ring, some
 * milliseconds after its end: whoever is started in its place must not take it for another one. */
static int probe_patiently(const struct sockaddr_un *address)
{
    uint64_t deadline_ns = aw_after_ms(LEFTOVER_MS);
    int result = probe(address);
    while (result >= 0 && aw_now_ns() < deadline_ns) {
        int slept = aw_sleep(PAUSE_MS);
        result = slept < 0 ? slept : probe(address);
    }
    return result;
}

/* Makes way for a new socket file: 0 when the path is free now. */
static int remove_stale(const struct sockaddr_un *address, struct aw_error *reterr)
{
    const char *path = address->sun_path;
    struct statx status = {0};
    int result = stat_link(path, &status);
    if (result == -ENOENT)
        return 0;
    if (result < 0)
        return unix_error(reterr, result, path, "");
    if (!S_ISSOCK(status.stx_mode))
        return unix_error(reterr, -EEXIST, path,
                          "; it is not a socket: remove it or choose another path");
    result = probe_patiently(address);
    if (result >= 0)
        return unix_error(reterr, -EADDRINUSE, path,
                          "; another process listens there: stop it or choose another path");
    if (result == -ENOENT)
        return 0;
    if (result != -ECONNREFUSED)
        return unix_error(reterr, result, path, " (while asking whether somebody listens there)");
    result = aw_unlink(path);
    if (result < 0 && result != -ENOENT)
        return unix_error(reterr, result, path, " (while removing the stale socket there)");
    return 0;
}

static int bind_replacing(int fd, const struct sockaddr_un *address, struct aw_error *reterr)
{
    for (int attempt = 0; attempt < BIND_ATTEMPTS_MAX; attempt++) {
        int result = system_bind(fd, (const struct sockaddr *)address, sizeof *address);
        if (result >= 0)
            return 0;
        if (result != -EADDRINUSE)
            return unix_error(reterr, result, address->sun_path,
                              result == -ENOENT ? "; create its folder first" : "");
        result = remove_stale(address, reterr);
        if (result < 0)
            return result;
    }
    return unix_error(reterr, -EADDRINUSE, address->sun_path,
                      "; another process makes the same socket again and again");
}

static int open_to_others(int fd, const char *path, const struct aw_listen_options *options,
                          struct aw_error *reterr)
{
    int result = 0;
    if (options->mode != 0)
        result = system_chmod(path, options->mode);
    if (result < 0)
        return aw_error_set(reterr, result, "cannot set mode %04o of Unix socket %s: %s",
                            (unsigned)options->mode, path, aw_error_text(result));
    if (options->set_owner)
        result = system_chown(path, options->uid, options->gid);
    if (result < 0)
        return aw_error_set(reterr, result, "cannot give Unix socket %s to user %u, group %u: %s",
                            path, (unsigned)options->uid, (unsigned)options->gid,
                            aw_error_text(result));
    result = system_listen(fd, options->backlog > 0 ? options->backlog : BACKLOG_DEFAULT);
    if (result < 0)
        return unix_error(reterr, result, path, "");
    return 0;
}

/* Also when the task is interrupted: nobody else would remove what was bound here. */
static void unlink_shielded(const char *path)
{
    struct aw_scope shield;
    aw_shield_enter(&shield, AW_NEVER);
    int result = aw_unlink(path);
    (void)result; /* the caller already has the error that matters */
    aw_scope_leave(&shield);
}

int aw_listen_unix(const char *path, const struct aw_listen_options *options,
                   struct aw_error *reterr)
{
    static const struct aw_listen_options defaults = {0};
    if (options == NULL)
        options = &defaults;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length == 0)
        return aw_error_set(reterr, -EINVAL, "cannot listen on a Unix socket: its path is empty");
    if (length >= sizeof address.sun_path)
        return aw_error_set(reterr, -ENAMETOOLONG,
                            "cannot listen on Unix socket %s: its path has %zu bytes; at most %zu "
                            "are possible", path, length, sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, length + 1);
    int result = aw_interrupted();
    if (result < 0)
        return unix_error(reterr, result, path, "");
    int fd = system_socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return unix_error(reterr, fd, path, "");
    result = bind_replacing(fd, &address, reterr);
    if (result >= 0) {
        result = open_to_others(fd, path, options, reterr);
        if (result < 0)
            unlink_shielded(path);
    }
    if (result < 0) {
        aw_close(fd);
        return result;
    }
    return fd;
}

static socklen_t parse_numeric(const char *text, uint16_t port, struct sockaddr_storage *address)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
    *address = (struct sockaddr_storage){0};
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return sizeof *v4;
    }
    *address = (struct sockaddr_storage){0};
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        return sizeof *v6;
    }
    return 0;
}

static int bind_tcp(int fd, const struct sockaddr_storage *address, socklen_t length, int backlog)
{
    const int on = 1;
    int result = system_set_option(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    /* Otherwise :: would take the port of IPv4 too, and 0.0.0.0 could not be had beside it. */
    if (result >= 0 && address->ss_family == AF_INET6)
        result = system_set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (result >= 0)
        result = system_bind(fd, (const struct sockaddr *)address, length);
    if (result >= 0)
        result = system_listen(fd, backlog > 0 ? backlog : BACKLOG_DEFAULT);
    return result;
}

int aw_listen_tcp(const char *address, uint16_t port, int backlog, struct aw_error *reterr)
{
    struct sockaddr_storage numeric;
    socklen_t length = parse_numeric(address, port, &numeric);
    if (length == 0)
        return aw_error_set(reterr, -EINVAL,
                            "cannot listen on TCP address \"%s\": it is not a numeric IPv4 or IPv6 "
                            "address", address);
    int fd = system_socket(numeric.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result = fd;
    if (fd >= 0)
        result = bind_tcp(fd, &numeric, length, backlog);
    if (result < 0) {
        if (fd >= 0)
            system_close(fd);
        return aw_error_set(reterr, result, "cannot listen on TCP address %s port %u: %s", address,
                            (unsigned)port, aw_error_text(result));
    }
    return fd;
}

int aw_local_port(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    int result = system_local_address(fd, (struct sockaddr *)&address, &length);
    if (result < 0)
        return result;
    if (address.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)&address)->sin_port);
    if (address.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)&address)->sin6_port);
    return -EAFNOSUPPORT;
}
