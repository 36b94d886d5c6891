/* notifications.c - LISTEN: a worker that reads its work anew whenever something may have changed.
 *
 *     notifications postgresql://... [how many notifications]
 *
 * It prints what it hears and ends after that many. */
#include <await.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct program {
    const char *uri;
    long wanted;
    struct aw_error error;
};

static void tell(const struct aw_pg_notification *notification)
{
    if (notification->news == AW_PG_NOTIFIED)
        printf("%s: %s\n", notification->channel, notification->payload);
    else
        printf("reading everything anew\n"); /* connected again, or too slow: some were missed */
    fflush(stdout);
}

static int listen_to(struct aw_pg_pool *pool, struct program *program)
{
    struct aw_pg_listener *listener = NULL;
    int result = aw_pg_listener_create(&listener, pool, 0, &program->error);
    if (result == 0)
        result = aw_pg_listener_add(listener, "jobs", &program->error);
    for (long heard = 0; result == 0 && heard < program->wanted;) {
        struct aw_pg_notification *notification = NULL;
        result = aw_pg_listener_next(listener, &notification);
        if (result == 0) {
            tell(notification);
            heard += notification->news == AW_PG_NOTIFIED;
            aw_pg_notification_free(notification);
        }
    }
    aw_pg_listener_close(listener);
    return result;
}

static int work(void *argument)
{
    struct program *program = argument;
    struct aw_pg_pool *pool = NULL;
    const struct aw_pg_options options = {.uri = program->uri};
    int result = aw_pg_pool_create(&pool, &options, &program->error);
    if (result == 0)
        result = listen_to(pool, program);
    aw_pg_pool_free(pool);
    return result;
}

int main(int count, char *arguments[])
{
    struct program program = {
        .uri = count > 1 ? arguments[1] : "", .wanted = count > 2 ? atol(arguments[2]) : 1};
    int result = aw_run(work, &program);
    if (result < 0)
        fprintf(stderr, "notifications: %s\n",
                program.error.number < 0 ? program.error.message : aw_error_text(result));
    return result < 0;
}
