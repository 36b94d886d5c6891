/* redis_pool.c - see redis_pool.h. */
#include "support/redis_pool.h"

#include <stdarg.h>
#include <stdlib.h>

#define STEP_MS 10
#define STEPS_MAX 6000

int redis_ask(struct aw_redis_pool *pool, struct aw_redis_reply **ret_reply,
              struct aw_error *reterr, const char *word, ...)
{
    const char *words[COMMAND_WORDS_MAX];
    size_t count = 0;
    va_list more;
    va_start(more, word);
    for (; word; word = va_arg(more, const char *)) {
        if (count == COMMAND_WORDS_MAX)
            abort();
        words[count++] = word;
    }
    va_end(more);
    return aw_redis_command(pool, count, words, NULL, 0, ret_reply, reterr);
}

bool wait_until(bool (*done)(void *context), void *context)
{
    for (int step = 0; step < STEPS_MAX; step++) {
        if (done(context))
            return true;
        if (aw_sleep(STEP_MS) < 0)
            return false;
    }
    return false;
}

bool pool_is_up(void *pool)
{
    return aw_redis_pool_is_up(pool);
}

bool pool_is_down(void *pool)
{
    return !aw_redis_pool_is_up(pool);
}
