/* token_bucket.h - a rate with a burst: one token each `interval_ns`, at most `burst` saved up.
 *
 * Kept as the one time at which the bucket is full again, so that nothing has to fill it and no
 * rounding adds up. An interval of 0 is no limit. */
#ifndef QUEUE_TOKEN_BUCKET_H
#define QUEUE_TOKEN_BUCKET_H

#include <await/base.h>

struct token_bucket {
    uint64_t interval_ns;
    uint64_t slack_ns; /* how far ahead of now `full_ns` may be before a token is taken */
    uint64_t full_ns;
};

/* Full at first. A burst of 0 counts as 1. */
void token_bucket_init(struct token_bucket *bucket, uint64_t interval_ns, uint32_t burst);

/* Another rate from now on; what was taken stays taken, for a burst at most. */
void token_bucket_change(struct token_bucket *bucket, uint64_t interval_ns, uint32_t burst,
                         uint64_t now_ns);

/* When the next token can be taken: at or before `now_ns` means now. */
uint64_t token_bucket_ready_ns(const struct token_bucket *bucket, uint64_t now_ns);

/* Takes a token that is there. */
void token_bucket_take(struct token_bucket *bucket, uint64_t now_ns);

#endif
