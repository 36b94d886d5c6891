/* connection.c - see connection.h. */
#include "ctl/connection.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define RETRY_PAUSE_MS 200

/* Who is let in, and how to become one of them. Never suggests to join the group root. */
static void complain_permission(const char *path)
{
    struct stat status;
    bool seen = stat(path, &status) == 0;
    struct group *group = seen && (status.st_mode & S_IWGRP) ? getgrgid(status.st_gid) : NULL;
    if (group != NULL && group->gr_gid != 0)
        complain(EXIT_UNREACHABLE,
                 "cannot reach awaitd at %s: permission denied; only the group %s may connect: "
                 "usermod -aG %s <you>, then log in again", path, group->gr_name, group->gr_name);
    else
        complain(EXIT_UNREACHABLE,
                 "cannot reach awaitd at %s: permission denied; only its owner may connect, unless "
                 "mode and group of the [socket] section in awaitd.conf say otherwise", path);
}

void connection_complain(const char *path, int error)
{
    switch (-error) {
    case ENOENT:
        complain(EXIT_UNREACHABLE,
                 "cannot reach awaitd at %s: no socket there; start the daemon (systemctl "
                 "start awaitd), or name its socket with --socket or AWAITD_SOCKET", path);
        break;
    case ECONNREFUSED:
        complain(EXIT_UNREACHABLE,
                 "cannot reach awaitd at %s: nobody listens on the socket; start the daemon "
                 "(systemctl start awaitd; journalctl -u awaitd says why it stopped)", path);
        break;
    case EACCES:
    case EPERM:
        complain_permission(path);
        break;
    case EAGAIN:
        complain(EXIT_UNREACHABLE,
                 "cannot reach awaitd at %s: it does not accept connections (its backlog is "
                 "full); see journalctl -u awaitd", path);
        break;
    default:
        complain(EXIT_UNREACHABLE, "cannot reach awaitd at %s: %s", path, strerror(-error));
    }
}

static void set_timeout(int fd, int which, uint64_t timeout_ms)
{
    struct timeval timeout = {.tv_sec = (time_t)(timeout_ms / 1000),
                              .tv_usec = (suseconds_t)(timeout_ms % 1000 * 1000)};
    /* Without it a wait has no limit: unpleasant, not wrong. */
    (void)setsockopt(fd, SOL_SOCKET, which, &timeout, sizeof timeout);
}

/* Returns the descriptor or a negative errno. */
static int connect_socket(const char *path, uint64_t timeout_ms)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    set_timeout(fd, SO_SNDTIMEO, timeout_ms);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

int connection_try(struct connection *connection, uint64_t timeout_ms)
{
    int fd = connect_socket(connection->path, timeout_ms);
    if (fd < 0)
        return fd;
    connection->context = redisConnectFd(fd);
    if (connection->context == NULL || connection->context->err != 0) {
        if (connection->context == NULL)
            close(fd);
        connection_close(connection);
        return -ENOMEM;
    }
    return 0;
}

enum exit_code connection_open(struct connection *connection, const char *path,
                               uint64_t timeout_ms)
{
    *connection = (struct connection){.path = path};
    int error = connection_try(connection, timeout_ms);
    if (error == 0)
        return EXIT_OK;
    connection_complain(path, error);
    return EXIT_UNREACHABLE;
}

enum exit_code connection_reopen(struct connection *connection, uint64_t patience_ms)
{
    int error;
    uint64_t waited_ms = 0;
    connection_close(connection);
    do {
        struct timespec pause = {.tv_nsec = RETRY_PAUSE_MS * 1000000L};
        nanosleep(&pause, NULL);
        error = connection_try(connection, patience_ms);
        waited_ms += RETRY_PAUSE_MS;
    } while (error != 0 && waited_ms < patience_ms);
    if (error == 0)
        return EXIT_OK;
    connection_complain(connection->path, error);
    return EXIT_UNREACHABLE;
}

static bool shallow_enough(const redisReply *reply, unsigned depth)
{
    if (reply->type != REDIS_REPLY_ARRAY)
        return true;
    if (depth == 0)
        return false;
    for (size_t index = 0; index < reply->elements; index++)
        if (!shallow_enough(reply->element[index], depth - 1))
            return false;
    return true;
}

static enum exit_code complain_reply(const struct connection *connection, int error,
                                     bool quiet_loss)
{
    const redisContext *context = connection->context;
    if (context->err == REDIS_ERR_IO && (error == EAGAIN || error == ETIMEDOUT))
        return complain(EXIT_TIMEOUT, "awaitd at %s did not answer in time", connection->path);
    if (context->err == REDIS_ERR_IO || context->err == REDIS_ERR_EOF)
        return quiet_loss ? EXIT_UNREACHABLE
                          : complain(EXIT_UNREACHABLE,
                                     "the connection to awaitd at %s was lost before it answered; "
                                     "whether the command took effect is unknown",
                                     connection->path);
    return complain(EXIT_REFUSED, "what answers at %s is not awaitd: %s", connection->path,
                    context->errstr);
}

enum exit_code connection_call(struct connection *connection, const struct words *words,
                               uint64_t timeout_ms, bool quiet_loss, redisReply **ret_reply)
{
    set_timeout(connection->context->fd, SO_RCVTIMEO, timeout_ms);
    errno = 0;
    redisReply *reply = redisCommandArgv(connection->context, (int)words->count, words->data,
                                         words->sizes);
    if (reply == NULL)
        return complain_reply(connection, errno, quiet_loss);
    if (!shallow_enough(reply, REPLY_DEPTH_MAX)) {
        freeReplyObject(reply);
        return complain(EXIT_REFUSED, "what answers at %s is not awaitd: arrays too deep",
                        connection->path);
    }
    *ret_reply = reply;
    return EXIT_OK;
}

enum exit_code connection_send(struct connection *connection, const struct words *words)
{
    if (redisAppendCommandArgv(connection->context, (int)words->count, words->data,
                               words->sizes) == REDIS_OK)
        return EXIT_OK;
    return complain(EXIT_OUTPUT, "no memory for a command");
}

enum exit_code connection_receive(struct connection *connection, uint64_t timeout_ms,
                                  redisReply **ret_reply)
{
    void *reply = NULL;
    set_timeout(connection->context->fd, SO_RCVTIMEO, timeout_ms);
    errno = 0;
    if (redisGetReply(connection->context, &reply) != REDIS_OK)
        return complain_reply(connection, errno, false);
    if (!shallow_enough(reply, REPLY_DEPTH_MAX)) {
        freeReplyObject(reply);
        return complain(EXIT_REFUSED, "what answers at %s is not awaitd: arrays too deep",
                        connection->path);
    }
    *ret_reply = reply;
    return EXIT_OK;
}

void connection_close(struct connection *connection)
{
    if (connection->context != NULL)
        redisFree(connection->context);
    connection->context = NULL;
}

enum exit_code connection_ask(const struct invocation *invocation, const struct words *words,
                              uint64_t timeout_ms, redisReply **ret_reply)
{
    struct connection connection;
    enum exit_code code = connection_open(&connection, invocation->socket_path,
                                          invocation->reply_timeout_ms);
    if (code == EXIT_OK)
        code = connection_call(&connection, words, timeout_ms, false, ret_reply);
    connection_close(&connection);
    return code;
}
