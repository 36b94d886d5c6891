/* redis_pool.h - short words for tests that talk to Redis through a pool. */
#ifndef SUPPORT_REDIS_POOL_H
#define SUPPORT_REDIS_POOL_H

#include <await.h>
#include <await/redis.h>

#define COMMAND_WORDS_MAX 16

/* Sends a command given as words that end with NULL. */
int redis_ask(struct aw_redis_pool *pool, struct aw_redis_reply **ret_reply,
              struct aw_error *reterr, const char *word, ...) __attribute__((sentinel));

/* The same, and expects a status or string reply of this text. */
#define expect_text(pool, expected, ...)                                                          \
    do {                                                                                          \
        struct aw_redis_reply *reply_ = NULL;                                                     \
        struct aw_error error_ = {0};                                                             \
        int result_ = redis_ask(pool, &reply_, &error_, __VA_ARGS__, NULL);                       \
        cr_expect_eq(result_, 0, "%s", error_.message);                                           \
        if (result_ == 0) cr_expect_str_eq(reply_->text ? reply_->text : "(none)", expected);     \
        aw_redis_reply_free(reply_);                                                              \
    } while (0)

/* The same, and expects it to fail with this errno; the error stays in `error`. */
#define expect_failure(pool, expected, error, ...)                                                \
    do {                                                                                          \
        struct aw_redis_reply *reply_ = NULL;                                                     \
        (error) = (struct aw_error){0};                                                           \
        int result_ = redis_ask(pool, &reply_, &(error), __VA_ARGS__, NULL);                      \
        cr_expect_eq(result_, expected, "%d: %s", result_, (error).message);                       \
        if (result_ == 0) aw_redis_reply_free(reply_);                                            \
    } while (0)

/* Sleeps in small steps until `done(context)` or 20 s are over; whether it was done. */
bool wait_until(bool (*done)(void *context), void *context);

/* For wait_until, with a pool. */
bool pool_is_up(void *pool);
bool pool_is_down(void *pool);

#endif
