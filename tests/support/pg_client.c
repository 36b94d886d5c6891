/* pg_client.c - see pg_client.h. */
#include "support/pg_client.h"

#include "support/postgres.h"

#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

struct aw_pg_pool *pg_client_pool;
struct aw_error pg_client_error;

struct setting {
    struct aw_pg_options options;
    int (*body)(void);
};

static int with_pool(void *argument)
{
    struct setting *setting = argument;
    struct aw_error error = {0};
    int status = aw_pg_pool_create(&pg_client_pool, &setting->options, &error);
    cr_assert_eq(status, 0, "%s", error.message);
    status = setting->body();
    aw_pg_pool_free(pg_client_pool);
    return status;
}

void pg_client_run_on(const char *uri, uint32_t connections, uint32_t pipeline, int (*body)(void))
{
    struct setting setting = {
        .options = {.uri = uri, .connections = connections, .pipeline = pipeline},
        .body = body,
    };
    int status = aw_run(with_pool, &setting);
    cr_assert_eq(status, 0, "%s", aw_error_text(status));
}

void pg_client_run(uint32_t connections, uint32_t pipeline, int (*body)(void))
{
    pg_client_run_on(postgres_shared_uri(), connections, pipeline, body);
}

static int make_database(void)
{
    char sql[64];
    snprintf(sql, sizeof sql, "CREATE DATABASE apart_%d", (int)getpid());
    return pg_client_query(sql, NULL, 0);
}

void pg_client_run_apart(uint32_t connections, uint32_t pipeline, int (*body)(void))
{
    char uri[256];
    pg_client_run(1, 1, make_database);
    snprintf(uri, sizeof uri, "%s&dbname=apart_%d", postgres_shared_uri(), (int)getpid());
    pg_client_run_on(uri, connections, pipeline, body);
}

int pg_client_query(const char *sql, char *text, size_t size)
{
    struct aw_pg_results *results = NULL;
    pg_client_error = (struct aw_error){0};
    int status = aw_pg_query(pg_client_pool, sql, 0, NULL, &results, &pg_client_error);
    if (status == 0 && text != NULL) {
        snprintf(text, size, "%s", aw_pg_value_at(results, 0, 0, 0).data);
    }
    aw_pg_results_free(results);
    return status;
}

void pg_client_cancel_once(void)
{
    int result = 0;
    AW_WITH(result, aw_with_timeout(50)) {
        result = pg_client_query("SELECT pg_sleep(1000)", NULL, 0);
    }
    cr_expect_eq(result, -ETIME);
}

void pg_client_expect(const char *sql, const char *expected)
{
    char text[256] = "";
    cr_expect_eq(pg_client_query(sql, text, sizeof text), 0, "%s: %s", sql,
                 pg_client_error.message);
    cr_expect_str_eq(text, expected, "%s", sql);
}
