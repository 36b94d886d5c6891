/* token_bucket.c - see token_bucket.h. */
#include "queue/token_bucket.h"

void token_bucket_init(struct token_bucket *bucket, uint64_t interval_ns, uint32_t burst)
{
    *bucket = (struct token_bucket){
        .interval_ns = interval_ns,
        .slack_ns = burst > 1 ? (uint64_t)(burst - 1) * interval_ns : 0,
    };
}

void token_bucket_change(struct token_bucket *bucket, uint64_t interval_ns, uint32_t burst,
                         uint64_t now_ns)
{
    uint64_t full_ns = bucket->full_ns;
    token_bucket_init(bucket, interval_ns, burst);
    uint64_t latest_ns = now_ns + bucket->slack_ns + interval_ns; /* not a token is left */
    bucket->full_ns = full_ns < latest_ns ? full_ns : latest_ns;
}

uint64_t token_bucket_ready_ns(const struct token_bucket *bucket, uint64_t now_ns)
{
    if (bucket->interval_ns == 0 || bucket->full_ns <= now_ns + bucket->slack_ns)
        return now_ns;
    return bucket->full_ns - bucket->slack_ns;
}

void token_bucket_take(struct token_bucket *bucket, uint64_t now_ns)
{
    uint64_t from_ns = bucket->full_ns > now_ns ? bucket->full_ns : now_ns;
    bucket->full_ns = from_ns + bucket->interval_ns;
}
