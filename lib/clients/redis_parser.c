/* redis_parser.c - see redis_parser.h.
 *
 * Arrays grow as their elements arrive: preallocating by the header would let 12 bytes ask for a
 * GiB. */
#include "clients/redis_parser.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

void aw_redis_reply_free(struct aw_redis_reply *reply)
{
    if (!reply) return;
    for (size_t i = 0; i < reply->count; i++) aw_redis_reply_free(reply->elements[i]);
    free(reply->elements);
    free(reply);
}

/* --- hiredis' object functions ---------------------------------------------------------------- */

static bool append_element(struct aw_redis_reply *array, struct aw_redis_reply *element)
{
    if (array->count == array->capacity) {
        size_t capacity = array->capacity ? array->capacity * 2 : 4;
        struct aw_redis_reply **elements =
            realloc(array->elements, capacity * sizeof *elements);
        if (!elements) return false;
        array->elements = elements;
        array->capacity = capacity;
    }
    array->elements[array->count++] = element;
    return true;
}

/* Makes a value with room for bytes behind it, and hangs it into its array; NULL makes the reader
 * fail with REDIS_ERR_OOM. */
static struct aw_redis_reply *create_roomy(const redisReadTask *task, enum aw_redis_type type,
                                           size_t room)
{
    struct aw_redis_reply *reply = malloc(sizeof *reply + room);
    if (!reply) return NULL;
    *reply = (struct aw_redis_reply){.type = type};
    if (task->parent && !append_element(task->parent->obj, reply)) {
        free(reply);
        return NULL;
    }
    return reply;
}

static struct aw_redis_reply *create_value(const redisReadTask *task, enum aw_redis_type type)
{
    return create_roomy(task, type, 0);
}

static void *create_string(const redisReadTask *task, char *text, size_t size)
{
    enum aw_redis_type type = AW_REDIS_STRING;
    if (task->type == REDIS_REPLY_STATUS) type = AW_REDIS_STATUS;
    if (task->type == REDIS_REPLY_ERROR) type = AW_REDIS_ERROR;
    struct aw_redis_reply *reply = create_roomy(task, type, size + 1);
    if (!reply) return NULL;
    reply->text = (char *)(reply + 1);
    memcpy(reply->text, text, size);
    reply->text[size] = '\0';
    reply->size = size;
    return reply;
}

#if HIREDIS_MAJOR >= 1
static void *create_array(const redisReadTask *task, size_t count)
#else
static void *create_array(const redisReadTask *task, int count)
#endif
{
    (void)count;
    return create_value(task, AW_REDIS_ARRAY);
}

static void *create_integer(const redisReadTask *task, long long integer)
{
    struct aw_redis_reply *reply = create_value(task, AW_REDIS_INTEGER);
    if (reply) reply->integer = integer;
    return reply;
}

static void *create_null(const redisReadTask *task)
{
    return create_value(task, AW_REDIS_NULL);
}

static void free_object(void *object)
{
    aw_redis_reply_free(object);
}

/* 1.x has createDouble and createBool in the middle: hence by name. They stay NULL, since the
 * scanner lets no RESP3 type through. */
static redisReplyObjectFunctions object_functions = {
    .createString = create_string,
    .createArray = create_array,
    .createInteger = create_integer,
    .createNil = create_null,
    .freeObject = free_object,
};

/* --- parser ----------------------------------------------------------------------------------- */

static void drop_reader(struct redis_parser *parser)
{
    if (parser->reader) redisReaderFree(parser->reader);
    parser->reader = NULL;
}

void redis_parser_init(struct redis_parser *parser)
{
    *parser = (struct redis_parser){0};
}

void redis_parser_free(struct redis_parser *parser)
{
    drop_reader(parser);
}

void redis_parser_begin(struct redis_parser *parser, uint64_t size_max, uint64_t elements_max,
                        bool drop)
{
    redis_frame_begin(&parser->frame, size_max, elements_max);
    parser->begun = true;
    parser->dropping = drop;
}

static int fail(struct redis_parser *parser, int number, const char *problem)
{
    parser->problem = problem;
    drop_reader(parser);
    return number;
}

/* Gives the reader bytes of one reply; with its last byte the reply must come out, and not before.
 * */
static int build(struct redis_parser *parser, const char *data, size_t size, bool last,
                 struct aw_redis_reply **ret_reply)
{
    if (!parser->reader) parser->reader = redisReaderCreateWithFunctions(&object_functions);
    if (!parser->reader) return fail(parser, -ENOMEM, "out of memory");
    void *reply = NULL;
    if (redisReaderFeed(parser->reader, data, size) != REDIS_OK ||
        redisReaderGetReply(parser->reader, &reply) != REDIS_OK) {
        bool memory = parser->reader->err == REDIS_ERR_OOM;
        return fail(parser, memory ? -ENOMEM : -EPROTO, memory ? "out of memory"
                                                               : "a reply hiredis does not accept");
    }
    if (last != (reply != NULL)) {
        aw_redis_reply_free(reply);
        return fail(parser, -EPROTO, "a reply hiredis does not accept");
    }
    if (!last) return REDIS_PARSED_PART;
    *ret_reply = reply;
    return REDIS_PARSED_REPLY;
}

int redis_parser_feed(struct redis_parser *parser, const char *data, size_t size, size_t *ret_used,
                      struct aw_redis_reply **ret_reply)
{
    int result = redis_frame_scan(&parser->frame, data, size, ret_used);
    if (result < 0) return fail(parser, result, parser->frame.problem);
    bool end = result == REDIS_FRAME_END;
    if (end) parser->begun = false;
    if (parser->frame.over && !parser->dropping) {
        parser->dropping = true;
        drop_reader(parser);
        if (!end) return REDIS_PARSED_OVER;
    }
    if (parser->dropping) return end ? REDIS_PARSED_DROPPED : REDIS_PARSED_PART;
    return build(parser, data, *ret_used, end, ret_reply);
}
