/* redis_handshake.c - see redis_handshake.h. One step after the other: a server that refuses AUTH
 * must not be asked anything else. */
#include "clients/redis_handshake.h"

#include <await.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_SIZE_MAX 65536

void redis_error_word(const struct aw_redis_reply *reply, char code[AW_ERROR_CODE_SIZE])
{
    size_t length = 0;
    while (length < reply->size && length < AW_ERROR_CODE_SIZE - 1 && reply->text[length] > ' ')
        length++;
    memcpy(code, reply->text, length);
    code[length] = '\0';
}

/* Reads exactly one reply: nothing may follow it, since nothing else was asked. */
static int receive_reply(struct redis_link *link, struct redis_parser *parser,
                         struct aw_redis_reply **ret_reply)
{
    char chunk[4096];
    redis_parser_begin(parser, ANSWER_SIZE_MAX, ANSWER_SIZE_MAX, false);
    for (;;) {
        int received = redis_link_receive(link, chunk, sizeof chunk);
        if (received == 0) return -ECONNRESET;
        if (received < 0) return received;
        size_t used = 0;
        int result = redis_parser_feed(parser, chunk, (size_t)received, &used, ret_reply);
        if (result < 0) return result;
        if (result == REDIS_PARSED_PART) continue;
        if (result != REDIS_PARSED_REPLY) return -EPROTO;
        if (used == (size_t)received) return 0;
        aw_redis_reply_free(*ret_reply);
        *ret_reply = NULL;
        return -EPROTO;
    }
}

int redis_exchange(struct redis_link *link, struct redis_parser *parser, int count,
                   const char *words[], struct aw_redis_reply **ret_reply)
{
    char *text = NULL;
    long long size = redisFormatCommandArgv(&text, count, words, NULL);
    if (size < 0) return -ENOMEM;
    int result = redis_link_send_all(link, text, (size_t)size);
    explicit_bzero(text, (size_t)size); /* it may be the password */
    redisFreeCommand(text);
    return result < 0 ? result : receive_reply(link, parser, ret_reply);
}

struct step {
    const char *what;       /* for the message: "AUTH" */
    const char *tolerated;  /* error word that does not matter, or "*" for all, or NULL */
    int count;
    const char *words[3];
};

static int take_step(struct redis_link *link, const struct redis_endpoint *endpoint,
                     struct redis_parser *parser, struct step *step, struct aw_error *reterr)
{
    struct aw_redis_reply *reply = NULL;
    int result = redis_exchange(link, parser, step->count, step->words, &reply);
    if (result == -EPROTO)
        return aw_error_set(reterr, result, "%s answered %s with what is not RESP (%s); is it a "
                            "Redis server?", endpoint->label, step->what,
                            parser->problem ? parser->problem : "more than one reply");
    if (result < 0)
        return aw_error_set(reterr, result, "no answer from %s to %s: %s", endpoint->label,
                            step->what, aw_error_text(result));
    if (reply->type == AW_REDIS_ERROR) {
        char word[AW_ERROR_CODE_SIZE];
        redis_error_word(reply, word);
        bool fine = step->tolerated && (step->tolerated[0] == '*' ||
                                        strcmp(step->tolerated, word) == 0);
        if (!fine)
            result = aw_error_set_code(reterr, -EREMOTEIO, word, "%s refused %s: %s",
                                       endpoint->label, step->what, reply->text);
    } else if (reply->type != AW_REDIS_STATUS) {
        result = aw_error_set(reterr, -EPROTO, "%s gave an answer to %s that Redis does not give; "
                              "is it a Redis server?", endpoint->label, step->what);
    }
    aw_redis_reply_free(reply);
    return result;
}

static int identify(struct redis_link *link, const struct redis_endpoint *endpoint,
                    const char *client_name, struct redis_parser *parser, struct aw_error *reterr)
{
    char database[16];
    snprintf(database, sizeof database, "%u", (unsigned)endpoint->database);
    struct step steps[4];
    int count = 0;
    if (endpoint->password[0] && endpoint->user[0])
        steps[count++] =
            (struct step){"AUTH", NULL, 3, {"AUTH", endpoint->user, endpoint->password}};
    else if (endpoint->password[0])
        steps[count++] = (struct step){"AUTH", NULL, 2, {"AUTH", endpoint->password}};
    /* Before SELECT: PING is what a server that loads its data refuses. A user that may not PING
     * has been answered too. */
    steps[count++] = (struct step){"PING", "NOPERM", 1, {"PING"}};
    if (endpoint->database != 0)
        steps[count++] = (struct step){"SELECT", NULL, 2, {"SELECT", database}};
    /* A name is only for people who look at CLIENT LIST: servers without it serve as well. */
    steps[count++] =
        (struct step){"CLIENT SETNAME", "*", 3, {"CLIENT", "SETNAME", client_name}};
    for (int i = 0; i < count; i++) {
        int result = take_step(link, endpoint, parser, &steps[i], reterr);
        if (result < 0) return result;
    }
    return 0;
}

int redis_handshake(struct redis_link *link, const struct redis_endpoint *endpoint,
                    const char *client_name, struct redis_parser *parser, struct aw_error *reterr)
{
    int result = redis_link_open(link, endpoint, reterr);
    if (result < 0) return result;
    result = identify(link, endpoint, client_name, parser, reterr);
    if (result < 0) redis_link_close(link);
    return result;
}

int redis_check_master(struct redis_link *link, const struct redis_endpoint *endpoint,
                       struct redis_parser *parser, struct aw_error *reterr)
{
    struct aw_redis_reply *reply = NULL;
    int result = redis_exchange(link, parser, 1, (const char *[]){"ROLE"}, &reply);
    if (result < 0)
        return aw_error_set(reterr, result, "no answer from %s to ROLE: %s", endpoint->label,
                            aw_error_text(result));
    if (reply->type == AW_REDIS_ARRAY && reply->count > 0 &&
        reply->elements[0]->type == AW_REDIS_STRING &&
        strcmp(reply->elements[0]->text, "master") != 0)
        result = aw_error_set(reterr, -ENOTCONN, "%s is no master now but a %.20s",
                              endpoint->label, reply->elements[0]->text);
    aw_redis_reply_free(reply);
    return result;
}

int redis_probe(const struct redis_endpoint *endpoint)
{
    struct redis_link link;
    int result = redis_link_open(&link, endpoint, NULL);
    if (result < 0) return result;
    struct redis_parser parser;
    redis_parser_init(&parser);
    struct aw_redis_reply *reply = NULL;
    result = redis_exchange(&link, &parser, 1, (const char *[]){"PING"}, &reply);
    aw_redis_reply_free(reply);
    redis_parser_free(&parser);
    redis_link_close(&link);
    return result;
}
