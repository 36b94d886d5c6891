/* waiting.c - see waiting.h. */
#include "ctl/waiting.h"

#include "ctl/clock.h"

#include <stdio.h>
#include <string.h>

#define RECONNECT_PATIENCE_MS 30000 /* how long a daemon may take to come back */
#define RECONNECTS_MAX 20           /* one that dies at each question is not asked for ever */
#define GRACE_MS 10000              /* the daemon keeps the time; this is for one that hangs */

static void build(struct words *words, const struct waiting *waiting, uint64_t left_ms)
{
    words_add(words, waiting->verb);
    for (size_t index = 0; index < waiting->id_count; index++)
        words_add(words, waiting->ids[index]);
    if (waiting->limited) {
        words_add(words, "TIMEOUT");
        words_add_number(words, left_ms);
    }
}

/* A daemon that is being stopped says so instead of a result, before it closes the connection. */
static bool is_stopping(const redisReply *reply)
{
    static const char word[] = "UNAVAILABLE ";
    if (reply->type == REDIS_REPLY_ERROR)
        return reply->len >= sizeof word - 1 && memcmp(reply->str, word, sizeof word - 1) == 0;
    if (reply->type == REDIS_REPLY_ARRAY)
        for (size_t index = 0; index < reply->elements; index++)
            if (reply->element[index]->type == REDIS_REPLY_ERROR &&
                is_stopping(reply->element[index]))
                return true;
    return false;
}

enum exit_code wait_for(struct connection *connection, const struct waiting *waiting,
                        redisReply **ret_reply)
{
    uint64_t end_ms = clock_now_ms() + waiting->timeout_ms;
    for (int reconnects = 0;; reconnects++) {
        uint64_t now = clock_now_ms();
        uint64_t left_ms = waiting->limited && now < end_ms ? end_ms - now : 0;
        struct words words = {0};
        build(&words, waiting, left_ms);
        bool last = reconnects == RECONNECTS_MAX;
        enum exit_code code = connection_call(connection, &words,
                                              waiting->limited ? left_ms + GRACE_MS : 0, !last,
                                              ret_reply);
        words_free(&words);
        if (code == EXIT_OK && !last && is_stopping(*ret_reply))
            freeReplyObject(*ret_reply);
        else if (code != EXIT_UNREACHABLE || last)
            return code;
        fputs("awaitctl: the connection to awaitd was lost; trying again\n", stderr);
        code = connection_reopen(connection, RECONNECT_PATIENCE_MS);
        if (code != EXIT_OK)
            return code;
    }
}
