/* fake_redis.c - see fake_redis.h. */
#include "support/fake_redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct served {
    struct fake_redis *fake;
    int fd;
};

/* Sends the reply as told; false when the connection is to be closed. */
static bool answer(struct fake_redis *fake, int fd)
{
    size_t first = fake->split ? fake->split : fake->reply_size;
    size_t size = fake->reply_size;
    const char *reply = fake->reply;
    bool close_after = fake->close_after;
    fake->commands++;
    if (aw_send_all(fd, reply, first) < 0 || close_after)
        return false;
    if (first == size)
        return true;
    return aw_sleep(1) == 0 && aw_send_all(fd, reply + first, size - first) == 0;
}

static bool greet(struct fake_redis *fake, int fd)
{
    const char *text = fake->ping ? fake->ping : "+PONG\r\n";
    return aw_send_all(fd, text, strlen(text)) == 0;
}

static int serve(void *argument)
{
    struct served served = *(struct served *)argument;
    free(argument);
    char bytes[4096];
    int size;
    bool open = true;
    while (open && (size = aw_receive(served.fd, bytes, sizeof bytes)) > 0) {
        if (memmem(bytes, (size_t)size, "\r\nPING\r\n", 8))
            open = greet(served.fake, served.fd);
        else if (memmem(bytes, (size_t)size, "\r\nSETNAME\r\n", 11))
            open = aw_send_all(served.fd, "+OK\r\n", 5) == 0;
        else
            open = answer(served.fake, served.fd);
    }
    aw_close(served.fd);
    return 0;
}

static int accept_all(void *argument)
{
    struct fake_redis *fake = argument;
    int fd;
    while ((fd = aw_accept(fake->listener)) >= 0) {
        fake->connections++;
        struct served *served = malloc(sizeof *served);
        if (!served)
            abort();
        *served = (struct served){fake, fd};
        if (aw_group_spawn(&fake->group, serve, served) < 0)
            abort();
    }
    return 0;
}

void fake_redis_start(struct fake_redis *fake)
{
    fake->listener = aw_listen_tcp("127.0.0.1", 0, 0, NULL);
    if (fake->listener < 0)
        abort();
    snprintf(fake->uri, sizeof fake->uri, "redis://127.0.0.1:%d", aw_local_port(fake->listener));
    aw_group_init(&fake->group, AW_GROUP_COLLECT);
    if (aw_group_spawn(&fake->group, accept_all, fake) < 0)
        abort();
}

void fake_redis_stop(struct fake_redis *fake)
{
    aw_group_cancel(&fake->group);
    if (aw_group_wait(&fake->group) < 0)
        abort();
    aw_close(fake->listener);
}

void fake_redis_says(struct fake_redis *fake, const char *text)
{
    fake->reply = text;
    fake->reply_size = strlen(text);
    fake->split = 0;
    fake->close_after = false;
}
