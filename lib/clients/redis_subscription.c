/* redis_subscription.c - a subscriber's connection.
 *
 *   connecting -> subscribing -> announced (SUBSCRIBED was given) -> connecting ...
 *
 * One task sends and receives. Requests go out whenever topics have changed; Redis answers each
 * name with a message of its own, among those that are published, in the order of the requests. */
#include "clients/redis_handshake.h"
#include "clients/redis_subscriber_internal.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#define CHUNK_SIZE 16384
#define BACKOFF_MIN_MS UINT64_C(100)
#define BACKOFF_MAX_MS UINT64_C(5000)

/* --- sending ---------------------------------------------------------------------------- */

static int send_words(struct aw_redis_subscriber *subscriber, int count, const char *words[],
                      const size_t sizes[])
{
    char *text = NULL;
    long long size = redisFormatCommandArgv(&text, count, words, sizes);
    if (size < 0)
        return aw_error_set(&subscriber->down, -ENOMEM, "out of memory");
    int result = redis_link_send_all(&subscriber->link, text, (size_t)size);
    redisFreeCommand(text);
    return result < 0 ? aw_error_set(&subscriber->down, result, "%s", aw_error_text(result)) : 0;
}

static int send_topic(struct aw_redis_subscriber *subscriber, struct topic *topic)
{
    static const char *const verbs[2][2] = {{"UNSUBSCRIBE", "SUBSCRIBE"},
                                            {"PUNSUBSCRIBE", "PSUBSCRIBE"}};
    const char *verb = verbs[topic->is_pattern][topic->state != TOPIC_UNWANTED];
    topic->is_sent = true;
    topic->unconfirmed++;
    return send_words(subscriber, 2, (const char *[]){verb, topic->name},
                      (const size_t[]){strlen(verb), topic->size});
}

static struct topic *find_unsent(const struct aw_redis_subscriber *subscriber)
{
    struct topic *topic = NULL;
    TAILQ_FOREACH(topic, &subscriber->topics.list, link)
    if (!topic->is_sent && topic->state != TOPIC_ACTIVE)
        return topic;
    return NULL;
}

/* Sending suspends, and others change topics meanwhile: so it looks from the start each time, but
 * for the ones behind. */
static int send_changes(struct aw_redis_subscriber *subscriber)
{
    int result = 0;
    for (struct topic *topic; result == 0 && (topic = find_unsent(subscriber)) != NULL;)
        for (; result == 0 && topic != NULL; topic = TAILQ_NEXT(topic, link))
            if (!topic->is_sent && topic->state != TOPIC_ACTIVE)
                result = send_topic(subscriber, topic);
    return result;
}

/* --- receiving -------------------------------------------------------------------------- */

static bool is(const struct aw_redis_reply *reply, const char *word)
{
    return reply->type == AW_REDIS_STRING && reply->size == strlen(word) &&
           memcmp(reply->text, word, reply->size) == 0;
}

static void announce(struct aw_redis_subscriber *subscriber)
{
    if (subscriber->is_announced || !topics_are_settled(&subscriber->topics))
        return;
    subscriber->is_announced = true;
    feed_put(&subscriber->feed, redis_message_make(AW_REDIS_SUBSCRIBED, NULL, NULL, NULL));
}

static void confirm(struct aw_redis_subscriber *subscriber, const struct aw_redis_reply *name,
                    bool is_pattern)
{
    if (name->type != AW_REDIS_STRING)
        return; /* "unsubscribed from nothing" */
    struct topic *topic = topics_find(&subscriber->topics, name->text, name->size, is_pattern);
    if (topic)
        topics_confirm(&subscriber->topics, topic);
}

/* 0, or -EPROTO, -EREMOTEIO: the connection is of no more use. */
static int take_push(struct aw_redis_subscriber *subscriber, const struct aw_redis_reply *push)
{
    if (push->type == AW_REDIS_ERROR) { /* the account may not, or the server is leaving */
        char word[AW_ERROR_CODE_SIZE];
        redis_error_word(push, word);
        return aw_error_set_code(&subscriber->down, -EREMOTEIO, word, "%s", push->text);
    }
    struct aw_redis_reply *const *parts = push->elements;
    if (push->type == AW_REDIS_STATUS)
        return 0; /* a PONG before anything was subscribed */
    if (push->type == AW_REDIS_ARRAY && push->count == 3 && is(parts[0], "message") &&
        parts[1]->type == AW_REDIS_STRING && parts[2]->type == AW_REDIS_STRING)
        feed_put(&subscriber->feed, redis_message_make(AW_REDIS_MESSAGE, NULL, parts[1], parts[2]));
    else if (push->type == AW_REDIS_ARRAY && push->count == 4 && is(parts[0], "pmessage") &&
             parts[1]->type == AW_REDIS_STRING && parts[2]->type == AW_REDIS_STRING &&
             parts[3]->type == AW_REDIS_STRING)
        feed_put(&subscriber->feed,
                 redis_message_make(AW_REDIS_MESSAGE, parts[1], parts[2], parts[3]));
    else if (push->type == AW_REDIS_ARRAY && push->count == 3 &&
             (is(parts[0], "subscribe") || is(parts[0], "unsubscribe")))
        confirm(subscriber, parts[1], false);
    else if (push->type == AW_REDIS_ARRAY && push->count == 3 &&
             (is(parts[0], "psubscribe") || is(parts[0], "punsubscribe")))
        confirm(subscriber, parts[1], true);
    else if (push->type != AW_REDIS_ARRAY || push->count != 2 || !is(parts[0], "pong"))
        return aw_error_set(&subscriber->down, -EPROTO, "the server sent what is no message");
    return 0;
}

static int take_bytes(struct aw_redis_subscriber *subscriber, const char *data, size_t size)
{
    const struct aw_redis_options *options = &subscriber->pool->options;
    while (size > 0) {
        struct aw_redis_reply *push = NULL;
        size_t used = 0;
        if (!subscriber->parser.begun)
            redis_parser_begin(&subscriber->parser, options->reply_size_max,
                               options->reply_elements_max, false);
        int result = redis_parser_feed(&subscriber->parser, data, size, &used, &push);
        if (result < 0)
            return aw_error_set(&subscriber->down, result, "the server sent %s",
                                subscriber->parser.problem);
        if (result == REDIS_PARSED_DROPPED)
            feed_put(&subscriber->feed, NULL); /* above a limit */
        if (result == REDIS_PARSED_REPLY) {
            result = take_push(subscriber, push);
            aw_redis_reply_free(push);
            if (result < 0)
                return result;
        }
        data += used;
        size -= used;
    }
    return 0;
}

/* Nothing came for silence_ms: is anybody there? */
static int check_silence(struct aw_redis_subscriber *subscriber)
{
    if (subscriber->is_asked)
        return aw_error_set(&subscriber->down, -ETIMEDOUT, "%s does not answer a PING",
                            subscriber->pool->endpoint.label);
    subscriber->is_asked = true;
    return send_words(subscriber, 1, (const char *[]){"PING"}, (const size_t[]){4});
}

/* Waits for bytes, for silence_ms at most; a change of the topics ends the wait. */
static int receive(struct aw_redis_subscriber *subscriber, char *chunk)
{
    uint64_t silence_ns = subscriber->pool->options.silence_ms * AW_NS_PER_MS;
    aw_scope_enter(&subscriber->waiting, subscriber->heard_ns + silence_ns);
    subscriber->is_waiting = true;
    int received = redis_link_receive(&subscriber->link, chunk, CHUNK_SIZE);
    subscriber->is_waiting = false;
    aw_scope_leave(&subscriber->waiting);
    int interrupted = received == -ETIME || received == -ECANCELED ? aw_interrupted() : 0;
    if (interrupted < 0)
        return aw_error_set(&subscriber->down, interrupted, "closed");
    if (received == -ECANCELED)
        return 0;
    if (received == -ETIME) {
        subscriber->heard_ns = aw_now_ns();
        return check_silence(subscriber);
    }
    if (received <= 0)
        return aw_error_set(&subscriber->down, received < 0 ? received : -ECONNRESET, "%s",
                            received < 0 ? aw_error_text(received)
                                         : "the server closed the connection");
    subscriber->heard_ns = aw_now_ns();
    subscriber->is_asked = false;
    return take_bytes(subscriber, chunk, (size_t)received);
}

/* --- life ------------------------------------------------------------------------------- */

static void serve(struct aw_redis_subscriber *subscriber)
{
    char chunk[CHUNK_SIZE];
    int result = 0;
    topics_forget_connection(&subscriber->topics);
    subscriber->heard_ns = aw_now_ns();
    subscriber->is_asked = false;
    while (result == 0) {
        result = send_changes(subscriber);
        if (result == 0)
            announce(subscriber);
        if (result == 0)
            result = receive(subscriber, chunk);
    }
}

static uint64_t backoff_ms(uint32_t failures)
{
    uint64_t most_ms = failures < 6 ? BACKOFF_MIN_MS << failures : BACKOFF_MAX_MS;
    most_ms = most_ms < BACKOFF_MAX_MS ? most_ms : BACKOFF_MAX_MS;
    return most_ms / 2 + aw_random_below(most_ms / 2 + 1);
}

/* One connection; returns whether it lasted. */
static bool connect_and_serve(struct aw_redis_subscriber *subscriber)
{
    redis_parser_init(&subscriber->parser);
    uint64_t opened_ns = AW_NEVER;
    if (redis_pool_connect(subscriber->pool, &subscriber->link, &subscriber->parser,
                           &subscriber->down) == 0) {
        opened_ns = aw_now_ns();
        serve(subscriber);
        redis_link_close(&subscriber->link);
    }
    subscriber->is_announced = false;
    redis_parser_free(&subscriber->parser);
    return opened_ns != AW_NEVER && aw_now_ns() - opened_ns > AW_NS_PER_S;
}

int redis_subscription_run(void *argument)
{
    struct aw_redis_subscriber *subscriber = argument;
    aw_task_set_name(NULL, "redis subscriber");
    aw_scope_enter(&subscriber->running, AW_NEVER);
    subscriber->is_running = true;
    uint32_t failures = 0;
    while (!subscriber->is_closing && aw_interrupted() == 0) {
        failures = connect_and_serve(subscriber) ? 1 : failures + 1;
        if (aw_interrupted() == 0)
            (void)aw_sleep(backoff_ms(failures - 1));
    }
    subscriber->is_running = false;
    aw_scope_leave(&subscriber->running);
    subscriber->is_closing = true;
    feed_put(&subscriber->feed, NULL); /* whoever waits learns that nothing more comes */
    topics_close(&subscriber->topics);
    aw_event_set(&subscriber->ended);
    return 0;
}
