/* test_postgres_batch.c - jobs that share a transaction: who travels with whom, and that nobody
 * pays for another. */
#include "support/company.h"
#include "support/postgres.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

POSTGRES_BEFORE_TESTS
POSTGRES_AFTER_TESTS

TestSuite(postgres_batch, .timeout = 120);

static char uri[300];

static PGconn *own_database(const char *name)
{
    char sql[100];
    PGconn *handle = PQconnectdb(postgres_shared_uri());
    snprintf(sql, sizeof sql, "CREATE DATABASE %s", name);
    PGresult *result = PQexec(handle, sql);
    cr_assert_eq(PQresultStatus(result), PGRES_COMMAND_OK, "%s", PQerrorMessage(handle));
    PQclear(result);
    snprintf(uri, sizeof uri, "host=%s port=%s user=postgres dbname=%s", PQhost(handle),
             PQport(handle), name);
    PQfinish(handle);
    handle = PQconnectdb(uri);
    cr_assert_eq(PQstatus(handle), CONNECTION_OK);
    return handle;
}

static void batches(enum target_delivery delivery, uint32_t coalesce, void (*body)(void))
{
    delivery_run(&target_type_postgres,
                 (struct target_settings){.uri = uri,
                                          .connections = 2,
                                          .delivery = delivery,
                                          .coalesce = coalesce},
                 body);
}

static long long number_on(PGconn *handle, const char *sql)
{
    PGresult *result = PQexec(handle, sql);
    cr_assert_eq(PQresultStatus(result), PGRES_TUPLES_OK, "%s", PQerrorMessage(handle));
    long long value = atoll(PQgetvalue(result, 0, 0));
    PQclear(result);
    return value;
}

static long long number(const char *sql)
{
    PGconn *handle = PQconnectdb(uri);
    long long value = number_on(handle, sql);
    PQfinish(handle);
    return value;
}

#define TRANSACTIONS "SELECT count(DISTINCT xmin::text) FROM t"
#define ROWS "SELECT count(*) FROM t"
#define RECEIPTS "SELECT count(*) FROM awaitd.receipt"
#define INSERT "INSERT INTO t VALUES ($1)"
#define INSERTED "+INSERT 0 1\r\n"

/* Connections and receipts are there, so that nothing but gathering is seen. */
static void prepare(const char *table)
{
    delivery_execute(0, table, NULL);
    delivery_execute(9999, "SELECT 1", NULL);
}

/* --- gathering --- */

static void body_gather(void)
{
    prepare("CREATE TABLE t (v int UNIQUE)");
    company_add_numbers(INSERT, 0, 100);
    company_add("INSERT INTO t SELECT generate_series(200, 202) RETURNING v", NULL);
    company_add("SELECT count(*) AS n FROM pg_class WHERE relname = 't'", NULL);
    company_add("UPDATE t SET v = v WHERE v < 0", NULL);
    company_start();
    company_await();
    for (int i = 0; i < 100; i++) {
        company_expect(i, OUTCOME_DONE, INSERTED);
    }
    company_expect(100, OUTCOME_DONE,
                   "*4\r\n*1\r\n$1\r\nv\r\n*1\r\n$3\r\n200\r\n*1\r\n$3\r\n201\r\n*1\r\n$3\r\n202\r\n");
    company_expect(101, OUTCOME_DONE, "*2\r\n*1\r\n$1\r\nn\r\n*1\r\n$1\r\n1\r\n");
    company_expect(102, OUTCOME_DONE, "+UPDATE 0\r\n");
    cr_expect_eq(number(ROWS), 103);
    cr_expect_leq(number(TRANSACTIONS), 6, "half of what waits each time");
    cr_expect_leq(number("SELECT max(n) FROM (SELECT count(*) AS n FROM t GROUP BY xmin::text) AS "
                         "batch"), 64 + 2, "one of the jobs has three rows");
    if (delivery_target.settings.delivery == TARGET_EXACTLY_ONCE) {
        cr_expect_eq(number(RECEIPTS), 104);
        for (int i = 0; i < company_count; i++) { /* once more: all are done */
            buffer_free(&company[i].outcome.result);
        }
        company_start();
        company_await();
        for (int i = 0; i < company_count; i++) {
            cr_expect_eq(company[i].outcome.kind, OUTCOME_DONE);
        }
        company_expect(0, OUTCOME_DONE, "+OK\r\n");
        cr_expect_eq(number(ROWS), 103);
    }
    company_forget();
}

Test(postgres_batch, what_comes_together_shares_a_transaction)
{
    PQfinish(own_database("gather"));
    batches(TARGET_AT_LEAST_ONCE, 64, body_gather);
}

Test(postgres_batch, receipts_of_all_are_in_it)
{
    PQfinish(own_database("gather_once"));
    batches(TARGET_EXACTLY_ONCE, 64, body_gather);
}

static void body_off(void)
{
    prepare("CREATE TABLE t (v int)");
    company_add_numbers(INSERT, 0, 50);
    company_start();
    company_await();
    for (int i = 0; i < 50; i++) {
        company_expect(i, OUTCOME_DONE, INSERTED);
    }
    cr_expect_eq(number(TRANSACTIONS), 50);
    company_forget();
}

Test(postgres_batch, none_unless_asked_for)
{
    PQfinish(own_database("off"));
    batches(TARGET_AT_LEAST_ONCE, 0, body_off);
}

/* --- a job's own wish --- */

static void body_own(void)
{
    prepare("CREATE TABLE t (v int)");
    for (int i = 0; i < 100; i++) {
        company_add(INSERT, company_digits(i))->coalesce = i < 50 ? 10 : 1;
    }
    company_start();
    company_await();
    for (int i = 0; i < 100; i++) {
        company_expect(i, OUTCOME_DONE, INSERTED);
    }
    cr_expect_eq(number(ROWS), 100);
    cr_expect_leq(number(TRANSACTIONS), 50 + 15, "the first fifty gather");
    cr_expect_eq(number("SELECT max(n) FROM (SELECT count(*) AS n FROM t GROUP BY xmin::text) AS "
                        "batch"), 10);
    cr_expect_eq(number("SELECT count(*) FROM t AS a JOIN t AS b ON a.xmin = b.xmin AND a.v < b.v "
                        "WHERE b.v >= 50"), 0, "the others have a transaction of their own");
    company_forget();
}

Test(postgres_batch, a_job_may_gather_where_the_target_does_not)
{
    PQfinish(own_database("own_wish"));
    batches(TARGET_AT_LEAST_ONCE, 0, body_own);
}

Test(postgres_batch, a_job_may_gather_less_than_the_target)
{
    PQfinish(own_database("own_wish_less"));
    batches(TARGET_EXACTLY_ONCE, 64, body_own);
}

Test(postgres_batch, none_where_delivery_is_at_most_once)
{
    PQfinish(own_database("at_most"));
    batches(TARGET_AT_MOST_ONCE, 64, body_off);
}

/* --- failures --- */

static void expect_only_failures(int count, int every, const char *code)
{
    for (int i = 0; i < count; i++) {
        if (i % every == every - 1) {
            company_expect(i, OUTCOME_DEAD, code);
        } else {
            company_expect(i, OUTCOME_DONE, INSERTED);
        }
    }
    cr_expect_eq(number(ROWS), count - count / every);
    cr_expect_lt(number(TRANSACTIONS), count / 2, "the others gather again");
}

static void body_failures(void)
{
    prepare("CREATE TABLE t (v int CHECK (v >= 0))");
    for (int i = 0; i < 250; i++) {
        company_add(INSERT, i % 50 == 49 ? "-1" : company_digits(i));
    }
    company_start();
    company_await();
    expect_only_failures(250, 50, "23514");
    cr_expect_not(strstr(company[49].outcome.message, "statement"), "%s",
                  company[49].outcome.message);
    if (delivery_target.settings.delivery == TARGET_EXACTLY_ONCE) {
        cr_expect_eq(number(RECEIPTS), 246);
    }
    company_forget();
}

Test(postgres_batch, only_the_one_that_fails_is_charged)
{
    PQfinish(own_database("failures"));
    batches(TARGET_AT_LEAST_ONCE, 64, body_failures);
}

Test(postgres_batch, only_the_one_that_fails_is_charged_exactly_once)
{
    PQfinish(own_database("failures_once"));
    batches(TARGET_EXACTLY_ONCE, 64, body_failures);
}

static void body_commit(void)
{
    prepare("CREATE TABLE t (v int UNIQUE DEFERRABLE INITIALLY DEFERRED)");
    delivery_execute(9998, "INSERT INTO t VALUES (7)", NULL);
    company_add_numbers(INSERT, 0, 20);
    company_add("SELECT no_such_function()", NULL)->coalesce = 64;
    company_add("SELECT FROM WHERE", NULL);
    company_start();
    company_await();
    for (int i = 0; i < 20; i++) {
        company_expect(i, i == 7 ? OUTCOME_DEAD : OUTCOME_DONE, i == 7 ? "23505" : INSERTED);
    }
    company_expect(20, OUTCOME_DEAD, "42883");
    company_expect(21, OUTCOME_DEAD, "42601");
    cr_expect_eq(number(ROWS), 20);
    company_forget();
}

Test(postgres_batch, a_failure_at_the_commit_is_found)
{
    PQfinish(own_database("at_commit"));
    batches(TARGET_EXACTLY_ONCE, 64, body_commit);
}

/* --- what does not travel with others --- */

static void body_mixed(void)
{
    prepare("CREATE TABLE t (v int)");
    delivery_execute(0, "CREATE PROCEDURE two() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t VALUES "
                        "(1001); COMMIT; INSERT INTO t VALUES (1002); END $$", NULL);
    delivery_execute(0, "CREATE FUNCTION own_function(n int) RETURNS int LANGUAGE sql AS 'SELECT n'",
                     NULL);
    for (int i = 0; i < 40; i++) {
        company_add(INSERT, company_digits(i));
        if (i % 10 == 0) {
            company_add("CALL two()", NULL);
            company_add("VACUUM t", NULL);
            company_add("DO $$ BEGIN INSERT INTO t VALUES (1003); COMMIT; END $$", NULL);
            struct company_job *several = company_add("TX", "2");
            several->words[2] = INSERT;
            several->words[3] = "1";
            several->words[4] = "1004";
            several->words[5] = "SELECT 1";
            several->words[6] = "0";
            several->word_count = 7;
            company_add(INSERT, "1005")->alone = true;
            company_add("INSERT INTO t SELECT own_function(1006)", NULL);
            company_add("CREATE TEMPORARY TABLE IF NOT EXISTS own (v int)", NULL);
        }
    }
    company_start();
    company_await();
    for (int i = 0; i < company_count; i++) {
        cr_expect_eq(company[i].outcome.kind, OUTCOME_DONE, "%s: %s", company[i].words[0],
                     company[i].outcome.message);
    }
    cr_expect_eq(number(ROWS), 40 + 4 * 6);
    cr_expect_eq(number("SELECT count(*) FROM t AS a JOIN t AS b ON a.xmin = b.xmin AND a.v < b.v "
                        "WHERE b.v > 1000"), 0, "they had a transaction of their own");
    cr_expect_lt(number("SELECT count(DISTINCT xmin::text) FROM t WHERE v < 1000"), 20);
    company_forget();
}

Test(postgres_batch, what_cannot_share_a_transaction_runs_by_itself)
{
    PQfinish(own_database("mixed"));
    batches(TARGET_AT_LEAST_ONCE, 64, body_mixed);
}

static void body_large(void)
{
    static char large[300000];
    memset(large, 'x', sizeof large - 1);
    prepare("CREATE TABLE t (v text)");
    for (int i = 0; i < 9; i++) {
        company_add(INSERT, large);
    }
    company_add("SELECT repeat('y', 5000)", NULL)->result_size_max = 1000;
    company_add("INSERT INTO t SELECT 'z' RETURNING repeat(v, 5000)", NULL)->result_size_max = 1000;
    company_start();
    company_await();
    for (int i = 0; i < 9; i++) {
        company_expect(i, OUTCOME_DONE, INSERTED);
    }
    company_expect(9, OUTCOME_DEAD, "RESULTTOOBIG");
    company_expect(10, OUTCOME_DEAD, "RESULTTOOBIG");
    cr_expect_eq(number(ROWS), 10);
    cr_expect_geq(number(TRANSACTIONS), 9, "two of them are more than a batch may hold");
    company_forget();
}

Test(postgres_batch, size_is_limited)
{
    PQfinish(own_database("large"));
    batches(TARGET_AT_LEAST_ONCE, 64, body_large);
}

/* --- interruptions --- */

static PGconn *holder;

static void wait_for(const char *sql, long long value)
{
    for (int i = 0; i < 6000 && number(sql) != value; i++) {
        aw_sleep(10);
    }
    cr_assert_eq(number(sql), value, "%s", sql);
}

#define BLOCKED "SELECT count(*) FROM pg_locks WHERE NOT granted"

static void body_cancel(void)
{
    prepare("CREATE TABLE t (v int)");
    delivery_execute(0, "CREATE TABLE gate (v int)", NULL);
    PQclear(PQexec(holder, "BEGIN; LOCK TABLE gate"));
    company_add_numbers(INSERT, 0, 10);
    company_add("INSERT INTO t SELECT 100 FROM gate", NULL); /* waits */
    company_add_numbers(INSERT, 10, 4); /* so few travel together */
    company_start();
    wait_for(BLOCKED, 1);
    aw_cancel(company[3].task);
    cr_assert_eq(aw_await(company[3].task), 0);
    company_expect(3, OUTCOME_STOPPED, "57014");
    wait_for(BLOCKED, 1);
    cr_expect_eq(number(ROWS), 0);
    PQclear(PQexec(holder, "COMMIT"));
    for (int i = 0; i < company_count; i++) {
        if (i != 3) {
            cr_assert_eq(aw_await(company[i].task), 0);
            company_expect(i, OUTCOME_DONE, i == 10 ? "+INSERT 0 0\r\n" : INSERTED);
        }
    }
    cr_expect_eq(number(ROWS), 13);
    cr_expect_eq(number("SELECT count(*) FROM t WHERE v = 3"), 0);
    PQfinish(holder);
    company_forget();
}

Test(postgres_batch, a_cancelled_job_leaves_and_the_others_go_on)
{
    holder = own_database("cancelled");
    batches(TARGET_EXACTLY_ONCE, 64, body_cancel);
}

static void body_timeout(void)
{
    prepare("CREATE TABLE t (v int)");
    delivery_execute(0, "CREATE TABLE gate (v int)", NULL);
    PQclear(PQexec(holder, "BEGIN; LOCK TABLE gate"));
    company_add_numbers(INSERT, 0, 10);
    company_add("INSERT INTO t SELECT 100 FROM gate", NULL);
    company[4].timeout_ms = 300;
    company_start();
    cr_assert_eq(aw_await(company[4].task), 0);
    company_expect(4, OUTCOME_INTERRUPTED, "TIMEOUT"); /* it did not hold them up: no attempt */
    company[4].alone = true;
    company[4].timeout_ms = 60000;
    cr_assert_eq(aw_spawn(&company[4].task, company_run, &company[4]), 0);
    cr_assert_eq(aw_await(company[4].task), 0);
    company_expect(4, OUTCOME_DONE, INSERTED);
    PQclear(PQexec(holder, "COMMIT"));
    for (int i = 0; i < company_count; i++) {
        if (i != 4) {
            cr_assert_eq(aw_await(company[i].task), 0);
            company_expect(i, OUTCOME_DONE, i == 10 ? "+INSERT 0 0\r\n" : INSERTED);
        }
    }
    cr_expect_eq(number(ROWS), 10);
    PQfinish(holder);
    company_forget();
}

Test(postgres_batch, whose_time_runs_out_in_company_is_not_charged)
{
    holder = own_database("timeouts");
    batches(TARGET_AT_LEAST_ONCE, 64, body_timeout);
}

static void body_killed(void)
{
    prepare("CREATE TABLE t (v int)");
    company_add_numbers(INSERT, 0, 10);
    company_add("SELECT pg_terminate_backend(pg_backend_pid())", NULL)->coalesce = 64;
    company_add_numbers(INSERT, 10, 10);
    company_start();
    company_await();
    for (int i = 0; i < company_count; i++) {
        if (i == 10) {
            cr_expect_eq(company[i].outcome.kind, OUTCOME_RETRY, "%s", company[i].outcome.message);
        } else {
            company_expect(i, OUTCOME_DONE, INSERTED);
        }
    }
    cr_expect_eq(number(ROWS), 20);
    company_forget();
}

Test(postgres_batch, a_job_that_ends_its_session_takes_nobody_along)
{
    PQfinish(own_database("suicide"));
    batches(TARGET_EXACTLY_ONCE, 64, body_killed);
}
