/* hiredis_client.c - drives the daemon through hiredis, as a C program of a user would. Prints
 * what it saw; exits 1 with one line on the first surprise. Arguments: the socket, and how many to
 * pipeline. */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *what, const redisReply *reply)
{
    const char *seen = reply != NULL && reply->str != NULL ? reply->str : "no reply";
    fprintf(stderr, "%s: %s\n", what, seen);
    exit(1);
}

static redisReply *expect(redisContext *context, redisReply *reply, int type, const char *what)
{
    if (reply == NULL) {
        fprintf(stderr, "%s: %s\n", what, context->errstr);
        exit(1);
    }
    if (reply->type != type)
        fail(what, reply);
    return reply;
}

static void submit_and_await(redisContext *context)
{
    const char bytes[] = {'a', '\0', 'b', '\r', '\n', (char)0xff};
    redisReply *job = redisCommand(context, "SUBMIT local %s %b", "SELECT hex(?1) AS h", bytes,
                                   sizeof bytes);
    expect(context, job, REDIS_REPLY_STRING, "SUBMIT");
    redisReply *rows = expect(context, redisCommand(context, "AWAIT %s", job->str),
                              REDIS_REPLY_ARRAY, "AWAIT");
    if (rows->elements != 2 || strcmp(rows->element[1]->element[0]->str, "6100620D0AFF") != 0)
        fail("AWAIT: wrong rows", rows);
    freeReplyObject(rows);
    freeReplyObject(job);

    redisReply *refused = expect(context, redisCommand(context, "RUN nosuch x"), REDIS_REPLY_ERROR,
                                 "RUN nosuch");
    if (strncmp(refused->str, "NOTARGET ", 9) != 0)
        fail("RUN nosuch", refused);
    freeReplyObject(refused);
}

static void pipeline(redisContext *context, long count)
{
    for (long number = 0; number < count; number++) {
        if (redisAppendCommand(context, "SUBMIT DELAY 3600000 local %s %ld", "SELECT ?", number) !=
            REDIS_OK)
            fail(context->errstr, NULL);
    }
    unsigned long long last = 0;
    for (long number = 0; number < count; number++) {
        void *answer = NULL;
        if (redisGetReply(context, &answer) != REDIS_OK)
            fail(context->errstr, NULL);
        redisReply *job = expect(context, answer, REDIS_REPLY_STRING, "pipelined SUBMIT");
        unsigned long long id = strtoull(job->str, NULL, 10);
        if (id <= last)
            fail("ids are not in order", job);
        last = id;
        freeReplyObject(job);
    }
    printf("pipelined %ld\n", count);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s SOCKET COUNT\n", argv[0]);
        return 2;
    }
    redisContext *context = redisConnectUnix(argv[1]);
    if (context == NULL || context->err != 0) {
        fprintf(stderr, "connect %s: %s\n", argv[1],
                context != NULL ? context->errstr : "no memory");
        return 1;
    }
    submit_and_await(context);
    pipeline(context, strtol(argv[2], NULL, 10));
    redisFree(context);
    return 0;
}
