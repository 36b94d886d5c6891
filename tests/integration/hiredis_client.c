/* hiredis_client.c - drives the daemon through hiredis, as a C program of a user would. Prints
 * what it saw; exits 1 with one line on the first surprise. Arguments: the socket, and how many to
 * pipeline. */
#include <hiredis/hiredis.h>
#include <stdarg.h>
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

/* One command; its reply is of that type. */
static redisReply *call(redisContext *context, int type, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    redisReply *reply = redisvCommand(context, format, arguments);
    va_end(arguments);
    return expect(context, reply, type, format);
}

static void expect_text(redisReply *reply, const char *text, const char *what)
{
    if (strcmp(reply->str, text) != 0)
        fail(what, reply);
    freeReplyObject(reply);
}

/* Reserves the one job that is there; returns its token, the caller's to free as a reply. */
static redisReply *reserve(redisContext *context, const char *job, long long attempt)
{
    redisReply *jobs = call(context, REDIS_REPLY_ARRAY, "RESERVE mail TIMEOUT 60000 LEASE 60000");
    if (jobs->elements != 1 || jobs->element[0]->elements != 4)
        fail("RESERVE: not one job of one argument", jobs);
    redisReply *leased = jobs->element[0];
    if (strcmp(leased->element[0]->str, job) != 0 || leased->element[2]->integer != attempt ||
        strcmp(leased->element[3]->str, "letter") != 0)
        fail("RESERVE: another job", leased->element[0]);
    return jobs;
}

static void work(redisContext *context)
{
    redisReply *job = call(context, REDIS_REPLY_STRING, "SUBMIT mail letter");
    redisReply *jobs = reserve(context, job->str, 1);
    const char *token = jobs->element[0]->element[1]->str;
    expect_text(call(context, REDIS_REPLY_STATUS, "PROGRESS %s %s 40 half", job->str, token), "OK",
                "PROGRESS");
    expect_text(call(context, REDIS_REPLY_STATUS, "EXTEND %s %s 60000", job->str, token), "OK",
                "EXTEND");
    expect_text(call(context, REDIS_REPLY_STATUS, "NACK %s %s DELAY 0", job->str, token), "OK",
                "NACK");
    freeReplyObject(jobs);
    jobs = reserve(context, job->str, 2);
    token = jobs->element[0]->element[1]->str;
    expect_text(call(context, REDIS_REPLY_STATUS, "ACK %s %s sent", job->str, token), "OK", "ACK");
    freeReplyObject(jobs);
    expect_text(call(context, REDIS_REPLY_STRING, "AWAIT %s", job->str), "sent", "AWAIT");
    freeReplyObject(job);
    jobs = call(context, REDIS_REPLY_ARRAY, "RESERVE mail TIMEOUT 0");
    if (jobs->elements != 0)
        fail("RESERVE of nothing", jobs);
    freeReplyObject(jobs);
}

static void all_or_none(redisContext *context)
{
    expect_text(call(context, REDIS_REPLY_STATUS, "MULTI"), "OK", "MULTI");
    for (int i = 0; i < 2; i++)
        expect_text(call(context, REDIS_REPLY_STATUS, "SUBMIT local %s", "SELECT 1 AS one"),
                    "QUEUED", "SUBMIT in a MULTI");
    redisReply *ids = call(context, REDIS_REPLY_ARRAY, "EXEC");
    if (ids->elements != 2)
        fail("EXEC: not two ids", ids);
    redisReply *both = call(context, REDIS_REPLY_ARRAY, "GATHER %s %s 77", ids->element[0]->str,
                            ids->element[1]->str);
    if (both->elements != 3 || both->element[0]->type != REDIS_REPLY_ARRAY ||
        both->element[2]->type != REDIS_REPLY_ERROR ||
        strcmp(both->element[2]->str, "NOJOB no job 77") != 0)
        fail("GATHER: not two results and an error", both);
    freeReplyObject(both);
    redisReply *first = call(context, REDIS_REPLY_ARRAY, "RACE %s", ids->element[0]->str);
    if (first->elements != 2 || strcmp(first->element[0]->str, ids->element[0]->str) != 0)
        fail("RACE: not the job", first);
    freeReplyObject(first);
    freeReplyObject(ids);
    redisReply *page = call(context, REDIS_REPLY_ARRAY, "JOBS STATE done LIMIT 2");
    if (page->elements != 2 || page->element[1]->elements != 2)
        fail("JOBS: not two jobs", page);
    freeReplyObject(page);
}

/* One context listens, the other submits: hiredis reads messages as further replies. */
static void events(redisContext *context, const char *socket)
{
    redisContext *listener = redisConnectUnix(socket);
    if (listener == NULL || listener->err != 0)
        fail("connect a second time", NULL);
    redisReply *confirmed = call(listener, REDIS_REPLY_ARRAY, "SUBSCRIBE target:mail");
    if (confirmed->elements != 3 || confirmed->element[2]->integer != 1)
        fail("SUBSCRIBE", confirmed);
    freeReplyObject(confirmed);
    redisReply *job = call(context, REDIS_REPLY_STRING, "SUBMIT DELAY 3600000 mail letter");
    void *answer = NULL;
    if (redisGetReply(listener, &answer) != REDIS_OK)
        fail(listener->errstr, NULL);
    redisReply *message = expect(listener, answer, REDIS_REPLY_ARRAY, "message");
    if (message->elements != 3 || strcmp(message->element[0]->str, "message") != 0 ||
        !strstr(message->element[2]->str, job->str))
        fail("message: not of the job", message);
    freeReplyObject(message);
    freeReplyObject(job);
    redisFree(listener);
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
    work(context);
    all_or_none(context);
    events(context, argv[1]);
    pipeline(context, strtol(argv[2], NULL, 10));
    redisFree(context);
    return 0;
}
