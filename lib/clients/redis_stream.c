/* redis_stream.c - see redis_stream.h. A reader keeps a batch of entries and the id of the last
 * one.
 *
 *   with a group:  PENDING (what was given to this consumer, after the last id) -> NEW
 *   a lost connection: NEW -> PENDING, since its answer may have given entries to nobody */
#include <await.h>
#include <await/redis_stream.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_DEFAULT 100u
#define COUNT_MAX 10000u
#define FIELDS_MAX 1000u
#define BACKOFF_MIN_MS UINT64_C(100)
#define BACKOFF_MAX_MS UINT64_C(5000)
#define WORDS_MAX 12

struct aw_redis_stream {
    struct aw_redis_pool *pool;
    char *key;
    char *group; /* NULL: none */
    char *consumer;
    uint32_t count_max;
    bool is_pending;              /* of a group: reads what this consumer has not acknowledged */
    char last[AW_REDIS_ID_SIZE];  /* the id of the last entry given, or where to begin */
    struct aw_redis_reply *batch; /* NULL: none; the entries are inside */
    struct aw_redis_reply *entries;
    size_t next;
    struct aw_redis_entry entry;
};

static int ask(struct aw_redis_pool *pool, const char *const words[],
               struct aw_redis_reply **ret_reply, struct aw_error *reterr)
{
    size_t count = 0;
    while (words[count])
        count++;
    return aw_redis_command(pool, count, words, NULL, 0, ret_reply, reterr);
}

static bool copy_id(char target[AW_REDIS_ID_SIZE], const struct aw_redis_reply *id)
{
    if (id->type != AW_REDIS_STRING || id->size >= AW_REDIS_ID_SIZE)
        return false;
    memcpy(target, id->text, id->size + 1);
    return true;
}

/* --- opening ---------------------------------------------------------------------------- */

static int find_end(struct aw_redis_stream *stream, struct aw_error *reterr)
{
    const char *const words[] = {"XREVRANGE", stream->key, "+", "-", "COUNT", "1", NULL};
    struct aw_redis_reply *reply = NULL;
    int result = ask(stream->pool, words, &reply, reterr);
    if (result < 0)
        return result;
    strcpy(stream->last, "0-0");
    if (reply->type != AW_REDIS_ARRAY ||
        (reply->count > 0 &&
         (reply->elements[0]->type != AW_REDIS_ARRAY || reply->elements[0]->count == 0 ||
          !copy_id(stream->last, reply->elements[0]->elements[0]))))
        result = aw_error_set(reterr, -EPROTO, "XREVRANGE gave what is no entry");
    aw_redis_reply_free(reply);
    return result;
}

static int make_group(struct aw_redis_stream *stream, const char *after, struct aw_error *reterr)
{
    const char *const words[] = {
        "XGROUP", "CREATE", stream->key, stream->group, after ? after : "$", "MKSTREAM", NULL};
    struct aw_redis_reply *reply = NULL;
    struct aw_error error = {0};
    int result = ask(stream->pool, words, &reply, &error);
    aw_redis_reply_free(reply);
    strcpy(stream->last, "0-0");
    stream->is_pending = true;
    if (result == 0 || (result == -EREMOTEIO && strcmp(error.code, "BUSYGROUP") == 0))
        return 0;
    if (reterr)
        *reterr = error;
    return result;
}

static int copy_options(struct aw_redis_stream *stream,
                        const struct aw_redis_stream_options *options, struct aw_error *reterr)
{
    if (!options->key || !options->group != !options->consumer)
        return aw_error_set(
            reterr, -EINVAL,
            "a stream's reader needs a key, and both or none of group and consumer");
    if (options->count_max > COUNT_MAX)
        return aw_error_set(reterr, -EINVAL, "a reader takes at most %u entries at once",
                            COUNT_MAX);
    if (options->after && strlen(options->after) >= AW_REDIS_ID_SIZE)
        return aw_error_set(reterr, -EINVAL, "the id of a stream's entry is too long");
    stream->count_max = options->count_max > 0 ? options->count_max : COUNT_DEFAULT;
    stream->key = strdup(options->key);
    stream->group = options->group ? strdup(options->group) : NULL;
    stream->consumer = options->consumer ? strdup(options->consumer) : NULL;
    if (!stream->key || (options->group && (!stream->group || !stream->consumer)))
        return aw_error_set(reterr, -ENOMEM, "no memory for a stream's reader");
    return 0;
}

int aw_redis_stream_open(struct aw_redis_stream **ret_stream, struct aw_redis_pool *pool,
                         const struct aw_redis_stream_options *options, struct aw_error *reterr)
{
    struct aw_redis_stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return aw_error_set(reterr, -ENOMEM, "no memory for a stream's reader");
    stream->pool = pool;
    int result = copy_options(stream, options, reterr);
    if (result == 0 && stream->group)
        result = make_group(stream, options->after, reterr);
    else if (result == 0 && options->after)
        strcpy(stream->last, options->after);
    else if (result == 0)
        result = find_end(stream, reterr);
    if (result < 0) {
        aw_redis_stream_close(stream);
        return result;
    }
    *ret_stream = stream;
    return 0;
}

void aw_redis_stream_close(struct aw_redis_stream *stream)
{
    if (!stream)
        return;
    aw_redis_reply_free(stream->batch);
    free(stream->key);
    free(stream->group);
    free(stream->consumer);
    free(stream);
}

/* --- reading ---------------------------------------------------------------------------- */

static int read_once(struct aw_redis_stream *stream, struct aw_redis_reply **ret_reply,
                     struct aw_error *reterr)
{
    char count[12];
    snprintf(count, sizeof count, "%u", (unsigned)stream->count_max);
    const char *words[WORDS_MAX] = {NULL};
    size_t at = 0;
    words[at++] = stream->group ? "XREADGROUP" : "XREAD";
    if (stream->group) {
        words[at++] = "GROUP";
        words[at++] = stream->group;
        words[at++] = stream->consumer;
    }
    words[at++] = "COUNT";
    words[at++] = count;
    if (!stream->is_pending) {
        words[at++] = "BLOCK";
        words[at++] = "0";
    }
    words[at++] = "STREAMS";
    words[at++] = stream->key;
    words[at++] = stream->group && !stream->is_pending ? ">" : stream->last;
    return ask(stream->pool, words, ret_reply, reterr);
}

/* [[key, entries]], or null when a block has ended without any. */
static int take_batch(struct aw_redis_stream *stream, struct aw_redis_reply *reply,
                      struct aw_error *reterr)
{
    aw_redis_reply_free(stream->batch);
    stream->batch = reply;
    stream->entries = NULL;
    stream->next = 0;
    if (reply->type == AW_REDIS_NULL)
        return 0;
    if (reply->type != AW_REDIS_ARRAY || reply->count != 1 ||
        reply->elements[0]->type != AW_REDIS_ARRAY || reply->elements[0]->count != 2 ||
        reply->elements[0]->elements[1]->type != AW_REDIS_ARRAY)
        return aw_error_set(reterr, -EPROTO, "XREAD gave an answer that Redis does not");
    stream->entries = reply->elements[0]->elements[1];
    if (stream->entries->count == 0)
        stream->is_pending = false;
    return 0;
}

static bool will_pass(int result, const struct aw_error *error)
{
    return result == -ENOTCONN || result == -ECONNRESET ||
           (result == -EREMOTEIO &&
            (strcmp(error->code, "UNBLOCKED") == 0 || strcmp(error->code, "LOADING") == 0 ||
             strcmp(error->code, "MASTERDOWN") == 0 || strcmp(error->code, "CLUSTERDOWN") == 0));
}

static int fill(struct aw_redis_stream *stream, struct aw_error *reterr)
{
    uint64_t pause_ms = BACKOFF_MIN_MS;
    for (;;) {
        struct aw_redis_reply *reply = NULL;
        struct aw_error error = {0};
        int result = read_once(stream, &reply, &error);
        if (result == 0)
            return take_batch(stream, reply, reterr);
        if (stream->group) /* entries may have been given, and their answer lost */
            stream->is_pending = true;
        if (!will_pass(result, &error)) {
            if (reterr)
                *reterr = error;
            return result;
        }
        result = aw_sleep(pause_ms / 2 + aw_random_below(pause_ms / 2 + 1));
        if (result < 0)
            return aw_error_set(reterr, result, "%s", error.message);
        pause_ms = pause_ms < BACKOFF_MAX_MS / 2 ? pause_ms * 2 : BACKOFF_MAX_MS;
    }
}

static int take_entry(struct aw_redis_stream *stream, struct aw_error *reterr)
{
    const struct aw_redis_reply *one = stream->entries->elements[stream->next++];
    if (one->type != AW_REDIS_ARRAY || one->count != 2 || !copy_id(stream->last, one->elements[0]))
        return aw_error_set(reterr, -EPROTO, "XREAD gave what is no entry");
    const struct aw_redis_reply *fields = one->elements[1];
    stream->entry = (struct aw_redis_entry){.id = stream->last};
    if (fields->type == AW_REDIS_ARRAY) {
        stream->entry.count = fields->count;
        stream->entry.fields = fields->elements;
    }
    return 0;
}

int aw_redis_stream_next(struct aw_redis_stream *stream, const struct aw_redis_entry **ret_entry,
                         struct aw_error *reterr)
{
    while (!stream->entries || stream->next == stream->entries->count) {
        int result = fill(stream, reterr);
        if (result < 0)
            return result;
    }
    int result = take_entry(stream, reterr);
    if (result == 0)
        *ret_entry = &stream->entry;
    return result;
}

int aw_redis_stream_ack(struct aw_redis_stream *stream, const char *id, struct aw_error *reterr)
{
    if (!stream->group)
        return aw_error_set(reterr, -EINVAL, "without a group there is nothing to acknowledge");
    const char *const words[] = {"XACK", stream->key, stream->group, id, NULL};
    struct aw_redis_reply *reply = NULL;
    int result = ask(stream->pool, words, &reply, reterr);
    aw_redis_reply_free(reply);
    return result;
}

/* --- writing ---------------------------------------------------------------------------- */

int aw_redis_stream_add(struct aw_redis_pool *pool, const char *key, uint64_t length_max,
                        size_t count, const char *const fields[], const size_t sizes[],
                        char ret_id[AW_REDIS_ID_SIZE], struct aw_error *reterr)
{
    if (count < 2 || count % 2 != 0 || count > FIELDS_MAX)
        return aw_error_set(reterr, -EINVAL,
                            "an entry has pairs of names and values, at most %u of both",
                            FIELDS_MAX);
    const char *words[6 + FIELDS_MAX] = {"XADD", key};
    size_t lengths[6 + FIELDS_MAX];
    char limit[24];
    size_t at = 2;
    if (length_max > 0) {
        snprintf(limit, sizeof limit, "%llu", (unsigned long long)length_max);
        words[at++] = "MAXLEN";
        words[at++] = "~";
        words[at++] = limit;
    }
    words[at++] = "*";
    for (size_t i = 0; i < at; i++)
        lengths[i] = strlen(words[i]);
    for (size_t i = 0; i < count; i++, at++) {
        words[at] = fields[i];
        lengths[at] = sizes ? sizes[i] : strlen(fields[i]);
    }
    struct aw_redis_reply *reply = NULL;
    int result = aw_redis_command(pool, at, words, lengths, 0, &reply, reterr);
    if (result == 0 && !copy_id(ret_id, reply))
        result = aw_error_set(reterr, -EPROTO, "XADD gave what is no id");
    aw_redis_reply_free(reply);
    return result;
}

/* --- as a context manager ----------------------------------------------------------------- */

static int enter(void *object)
{
    struct aw_redis_stream_holder *holder = object;
    holder->error = (struct aw_error){0};
    return aw_redis_stream_open(&holder->stream, holder->pool, holder->options, &holder->error);
}

static int leave(void *object, int outcome)
{
    struct aw_redis_stream_holder *holder = object;
    (void)outcome;
    aw_redis_stream_close(holder->stream);
    holder->stream = NULL;
    return 0;
}

struct aw_with aw_redis_with_stream(struct aw_redis_stream_holder *holder)
{
    static const struct aw_manager manager = {.enter = enter, .exit = leave};
    return aw_with(&manager, holder);
}
