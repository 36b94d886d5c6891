/* query.c - one small query after the other on each of N connections, a thread each, and how long
 * each took: the ruler for a daemon between a program and PostgreSQL.
 *
 *   query pg CONNINFO CLIENTS QUERIES
 *   query awaitd SOCKET CLIENTS QUERIES
 *
 * QUERIES is for each client. The first tenth is not measured. Prints queries a second, and the
 * median and 99th percentile in microseconds. Both sides use the client library that programs use,
 * blocking: libpq and hiredis. */
#include <hiredis/hiredis.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CLIENTS_MAX 1024

struct client {
    pthread_t thread;
    PGconn *pg;
    redisContext *redis;
    double *took_us;
    long queries;
    long measured;
    pthread_barrier_t *start;
};

static double now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* A failed query ends the program: a figure without it would be wrong. */
static void fail(const char *what, const char *why)
{
    fprintf(stderr, "query: %s: %s\n", what, why);
    exit(1);
}

static void query_pg(PGconn *connection)
{
    PGresult *result = PQexec(connection, "SELECT 1");
    if (PQresultStatus(result) != PGRES_TUPLES_OK || strcmp(PQgetvalue(result, 0, 0), "1") != 0)
        fail("SELECT 1", PQerrorMessage(connection));
    PQclear(result);
}

static void query_awaitd(redisContext *context)
{
    static const char *words[] = {"RUN", "main", "SELECT 1"};
    redisReply *reply = redisCommandArgv(context, 3, words, NULL);
    if (reply == NULL)
        fail("RUN", context->errstr);
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
        fail("RUN", reply->str ? reply->str : "not one row");
    freeReplyObject(reply);
}

static void *client_main(void *argument)
{
    struct client *client = argument;
    for (long i = -client->queries / 10; i < client->queries; i++) {
        if (i == 0)
            (void)pthread_barrier_wait(client->start);
        double began_us = now_us();
        if (client->pg)
            query_pg(client->pg);
        else
            query_awaitd(client->redis);
        if (i >= 0)
            client->took_us[i] = now_us() - began_us;
    }
    return NULL;
}

static void connect_client(struct client *client, const char *kind, const char *where)
{
    if (strcmp(kind, "pg") == 0) {
        client->pg = PQconnectdb(where);
        if (PQstatus(client->pg) != CONNECTION_OK)
            fail(where, PQerrorMessage(client->pg));
        return;
    }
    client->redis = redisConnectUnix(where);
    if (client->redis == NULL || client->redis->err)
        fail(where, client->redis ? client->redis->errstr : "no memory");
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static void run(struct client *clients, long count, long queries, double *took_us)
{
    pthread_barrier_t start;
    (void)pthread_barrier_init(&start, NULL, (unsigned)count + 1);
    for (long i = 0; i < count; i++) {
        clients[i].took_us = took_us + i * queries;
        clients[i].queries = queries;
        clients[i].start = &start;
        if (pthread_create(&clients[i].thread, NULL, client_main, &clients[i]) != 0)
            fail("pthread_create", "no more threads");
    }
    (void)pthread_barrier_wait(&start);
    double began_us = now_us();
    for (long i = 0; i < count; i++)
        (void)pthread_join(clients[i].thread, NULL);
    double seconds = (now_us() - began_us) / 1e6;
    size_t total = (size_t)(count * queries);
    qsort(took_us, total, sizeof *took_us, compare);
    printf("%.0f %.2f %.2f\n", (double)total / seconds, took_us[total / 2],
           took_us[total * 99 / 100]);
}

int main(int count, char **arguments)
{
    long clients = count == 5 ? atol(arguments[3]) : 0;
    long queries = count == 5 ? atol(arguments[4]) : 0;
    if (clients < 1 || clients > CLIENTS_MAX || queries < 1) {
        fprintf(stderr, "usage: query pg CONNINFO|awaitd SOCKET CLIENTS QUERIES\n");
        return 2;
    }
    struct client *all = calloc((size_t)clients, sizeof *all);
    double *took_us = calloc((size_t)(clients * queries), sizeof *took_us);
    if (!all || !took_us)
        fail("start", "no memory");
    for (long i = 0; i < clients; i++)
        connect_client(&all[i], arguments[1], arguments[2]);
    run(all, clients, queries, took_us);
    for (long i = 0; i < clients; i++) {
        if (all[i].pg)
            PQfinish(all[i].pg);
        if (all[i].redis)
            redisFree(all[i].redis);
    }
    free(took_us);
    free(all);
    return 0;
}
