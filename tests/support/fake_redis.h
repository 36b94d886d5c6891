/* fake_redis.h - a server in the test's own loop that greets like Redis and then says what the test
 * wants: wrong, cut or no replies at all. */
#ifndef SUPPORT_FAKE_REDIS_H
#define SUPPORT_FAKE_REDIS_H

#include <await.h>

struct fake_redis {
    const char *ping;        /* the answer to PING; NULL: +PONG. "": none */
    const char *reply;       /* the answer to any other command */
    size_t reply_size;
    size_t split;            /* send so many bytes of it first, the rest a moment later; 0: at once
                                */
    bool close_after;        /* close after (the first part of) it */
    unsigned connections;    /* accepted so far */
    unsigned commands;       /* answered so far, the greeting not counted */

    char uri[64];
    int listener;
    struct aw_group group;
};

/* Listens on a free port and serves in the background. */
void fake_redis_start(struct fake_redis *fake);
void fake_redis_stop(struct fake_redis *fake);

/* Sets what commands get from now on: all of `text`, at once. */
void fake_redis_says(struct fake_redis *fake, const char *text);

#endif
