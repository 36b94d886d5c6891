/* listener.c - see listener.h. */
#include "server/listener.h"

#include "admin/log.h"
#include "server/connection.h"
#include "server/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#define ACCEPT_PAUSE_MS 50
#define COMPLAINT_INTERVAL_NS (60 * AW_NS_PER_S)
#define PLACE_WAIT_MS 50
#define REFUSAL_MS 1000
#define HANDED_OVER_MAX 64

/* --- systemd --------------------------------------------------------------------------- */

void handed_over_read(struct handed_over *handed_over)
{
    char **names = NULL;
    int count = sd_listen_fds_with_names(1, &names);
    *handed_over = (struct handed_over){.first = SD_LISTEN_FDS_START, .names = names};
    if (count < 0)
        log_line(LOG_LEVEL_WARNING, "cannot take over the sockets of systemd: %s",
                 aw_error_text(count));
    else
        handed_over->count = count < HANDED_OVER_MAX ? count : HANDED_OVER_MAX;
}

void handed_over_close_unused(struct handed_over *handed_over)
{
    for (int i = 0; i < handed_over->count; i++) {
        if (!(handed_over->used & UINT64_C(1) << i)) {
            log_line(LOG_LEVEL_WARNING, "systemd hands over a socket (%s) that no [socket] section "
                     "has the path or name of: it is closed",
                     handed_over->names ? handed_over->names[i] : "unnamed");
            aw_close(handed_over->first + i);
        }
        if (handed_over->names)
            free(handed_over->names[i]);
    }
    free(handed_over->names);
    *handed_over = (struct handed_over){0};
}

static bool is_handed_over_for(const struct handed_over *handed_over, int index,
                               const struct config_socket *settings)
{
    int fd = handed_over->first + index;
    if (sd_is_socket_unix(fd, SOCK_STREAM, 1, settings->path, 0) > 0)
        return true;
    const char *name = handed_over->names ? handed_over->names[index] : NULL;
    return name && strcmp(name, settings->name) == 0 &&
           sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) > 0;
}

/* The descriptor, or -ENOENT. */
static int take_handed_over(struct handed_over *handed_over, const struct config_socket *settings)
{
    for (int i = 0; i < handed_over->count; i++) {
        if (handed_over->used & UINT64_C(1) << i || !is_handed_over_for(handed_over, i, settings))
            continue;
        handed_over->used |= UINT64_C(1) << i;
        int fd = handed_over->first + i;
        /* A non-blocking listener would make the ring's accept return at once instead of waiting.
         */
        int flags = fcntl(fd, F_GETFL);                /* lint: direct - of no waiting kind */
        if (flags >= 0 && flags & O_NONBLOCK &&
            fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0) /* lint: direct - of no waiting kind */
            return -errno;
        return fd;
    }
    return -ENOENT;
}

/* --- life ------------------------------------------------------------------------------ */

int listener_open(struct listener *listener, struct server *server,
                  const struct config_socket *settings, struct handed_over *handed_over,
                  struct aw_error *reterr)
{
    *listener = (struct listener){.server = server, .settings = settings};
    int fd = take_handed_over(handed_over, settings);
    if (fd == -ENOENT) {
        struct aw_listen_options options = {
            .mode = (mode_t)settings->mode,
            .set_owner = settings->user || settings->group,
            .uid = settings->uid,
            .gid = settings->gid,
        };
        fd = aw_listen_unix(settings->path, &options, reterr);
        if (fd < 0)
            return fd;
    } else if (fd < 0) {
        return aw_error_set(reterr, fd, "cannot use the socket that systemd hands over for %s: %s",
                            settings->path, aw_error_text(fd));
    } else {
        listener->from_systemd = true;
    }
    listener->fd = fd;
    log_line(LOG_LEVEL_INFO, "listening on %s (socket %s%s)", settings->path, settings->name,
             listener->from_systemd ? ", from systemd" : "");
    return 0;
}

void listener_close(struct listener *listener)
{
    if (!listener->from_systemd) {
        int result = aw_unlink(listener->settings->path);
        if (result < 0 && result != -ENOENT)
            log_line(LOG_LEVEL_WARNING, "cannot remove the socket file %s: %s",
                     listener->settings->path, aw_error_text(result));
    }
    aw_close(listener->fd);
}

/* --- accepting ------------------------------------------------------------------------- */

static void complain(struct listener *listener, const char *reason)
{
    uint64_t now_ns = aw_now_ns();
    if (listener->complained_ns && now_ns - listener->complained_ns < COMPLAINT_INTERVAL_NS)
        return;
    listener->complained_ns = now_ns;
    log_line(LOG_LEVEL_WARNING, "cannot accept connections on %s: %s (logged once a minute)",
             listener->settings->path, reason);
}

/* The text always fits the empty send buffer of a new socket; the deadline is for what cannot
 * happen. */
static void refuse(struct listener *listener, int fd, const char *text, const char *reason)
{
    listener->server->statistics.connections_rejected++;
    complain(listener, reason);
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(REFUSAL_MS));
    int result = aw_send_all(fd, text, strlen(text));
    if (result < 0)
        log_line(LOG_LEVEL_DEBUG, "a refused client has not got the reason: %s",
                 aw_error_text(result));
    aw_scope_leave(&scope);
    aw_close(fd);
}

/* At the limit a client may have left already without our having seen it: waits a moment. */
static bool has_place(struct server *server)
{
    uint32_t clients_max = server->configuration->clients_max;
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(PLACE_WAIT_MS));
    while (server->connection_count >= clients_max) {
        aw_event_clear(&server->changed);
        if (aw_event_wait(&server->changed) < 0)
            break;
    }
    aw_scope_leave(&scope);
    return server->connection_count < clients_max;
}

static void welcome(struct listener *listener, int fd)
{
    struct server *server = listener->server;
    if (!has_place(server)) {
        refuse(listener, fd, "-ERR max number of clients reached\r\n",
               "clients_max clients are connected");
        return;
    }
    server->statistics.connections_received++;
    int result = connection_start(server, fd, listener->settings->name, listener->settings->allow);
    if (result < 0)
        refuse(listener, fd, "-ERR out of resources\r\n", aw_error_text(result));
}

int listener_accept(void *argument)
{
    struct listener *listener = argument;
    for (;;) {
        int fd = aw_accept(listener->fd);
        if (fd >= 0) {
            welcome(listener, fd);
            continue;
        }
        if (fd == -ECANCELED || fd == -ETIME)
            return 0;
        complain(listener, fd == -EMFILE   ? "the process may not open more files; raise "
                                             "LimitNOFILE= of the service"
                           : fd == -ENFILE ? "the system has no more files (fs.file-max)"
                                           : aw_error_text(fd));
        int result = aw_sleep(ACCEPT_PAUSE_MS);
        if (result < 0)
            return 0;
    }
}
