/* worker_link.c - see worker_link.h. */
#include "ctl/worker_link.h"

#include "ctl/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

bool link_is_open(const struct worker_link *link)
{
    return link->connection.context != NULL;
}

static void put_off(struct worker_link *link)
{
    link->pause_ms = link->pause_ms == 0 ? LINK_PAUSE_MIN_MS : link->pause_ms * 2;
    if (link->pause_ms > LINK_PAUSE_MAX_MS)
        link->pause_ms = LINK_PAUSE_MAX_MS;
    link->retry_at_ms = clock_now_ms() + link->pause_ms;
}

int link_open(struct worker_link *link)
{
    int error = connection_try(&link->connection, link->timeout_ms);
    if (error == 0) {
        redisContext *context = link->connection.context;
        int flags = fcntl(context->fd, F_GETFL);
        if (flags < 0 || fcntl(context->fd, F_SETFL, flags | O_NONBLOCK) < 0)
            error = -errno;
        context->flags &= ~REDIS_BLOCK; /* else hiredis takes "nothing there" for an error */
    }
    link->writing = false;
    if (error != 0)
        link_lose(link);
    return error;
}

void link_close(struct worker_link *link)
{
    connection_close(&link->connection);
    link->writing = false;
}

void link_lose(struct worker_link *link)
{
    link_close(link);
    put_off(link);
}

void link_send(struct worker_link *link, const struct words *words)
{
    int result = redisAppendCommandArgv(link->connection.context, (int)words->count, words->data,
                                        words->sizes);
    memory_need(result == REDIS_OK ? link : NULL);
    link->writing = true;
}

short link_events(const struct worker_link *link)
{
    return link->writing ? POLLIN | POLLOUT : POLLIN;
}

int link_transfer(struct worker_link *link, short events)
{
    redisContext *context = link->connection.context;
    if ((events & (POLLIN | POLLHUP | POLLERR)) != 0 && redisBufferRead(context) != REDIS_OK)
        return -1;
    int sent = 0;
    if (link->writing && redisBufferWrite(context, &sent) != REDIS_OK)
        return -1;
    if (sent != 0)
        link->writing = false;
    return 0;
}

int link_next(struct worker_link *link, redisReply **ret_reply)
{
    void *reply = NULL;
    if (redisReaderGetReply(link->connection.context->reader, &reply) != REDIS_OK)
        return -1;
    if (reply == NULL)
        return 0;
    link->pause_ms = 0;
    *ret_reply = reply;
    return 1;
}
