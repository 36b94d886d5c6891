/* test_pg_tidy.c - what a statement does to its session does not reach the next one. */
#include "clients/pg_internal.h"
#include "support/pg_client.h"
#include "support/postgres.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

POSTGRES_BEFORE_TESTS
POSTGRES_AFTER_TESTS

TestSuite(pg_tidy, .timeout = 120);

/* --- by the text --- */

Test(pg_tidy, texts_that_leave_nothing)
{
    static const char *const texts[] = {
        "INSERT INTO t VALUES ($1)",
        "insert into public.t (a, \"B\") values ($1, now()), ($2, default)",
        "INSERT INTO \"T\"(a) SELECT count(*) FROM x WHERE a IN (1, 2) /* f() */ -- f()\n",
        "INSERT INTO t(v) VALUES ($1) ON CONFLICT (v) DO UPDATE SET v = excluded.v",
        "INSERT INTO t SELECT * FROM json_to_recordset($1) AS x(a int, b numeric(10, 2))",
        "UPDATE t SET v = 'f(''x'')' WHERE id = ANY($1::int[])",
        "DELETE FROM t USING u WHERE t.id = u.id AND (u.n > 1.5e3 OR EXISTS (SELECT 1))",
        "WITH a AS (SELECT 1) SELECT coalesce(max(v), 0)::varchar(10) FROM a_name_that_is_very_long_x",
        "SELECT 1",
        "VALUES (1, 2)",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        cr_expect(aw_pg_leaves_nothing(texts[i], strlen(texts[i])), "%s", texts[i]);
}

Test(pg_tidy, texts_that_may_leave_something)
{
    static const char *const texts[] = {
        "SELECT set_config('a.b', 'c', false)",
        "SELECT f (1)",
        "SELECT f/* */(1)",
        "SELECT f--\n(1)",
        "SELECT \"f\"(1)",
        "SELECT \"now\"(1)",
        "SELECT other.now()",
        "SELECT other . now()",
        "INSERT INTO t SELECT f(1)",
        "INSERT INTO t (v) VALUES (f(1))",
        "INSERT INTO t AS x SELECT f(1)",
        "SELECT 1 INTO TEMP x",
        "SELECT 1 INTO TEMPORARY TABLE x",
        "SELECT 1 INTO pg_temp.x",
        "SELECT 1 INTO \"pg_temp\".x, f(1)",
        "SELECT E'\\'' || f(1) || '\\''",
        "SELECT '\\' || f(1)",
        "SELECT $$ ' $$ || f(1)",
        "SELECT 'not closed",
        "SELECT jsonb_populate_recordsets(1)",
        "SELECT a_name_of_more_than_thirty_two_letters(1)",
        "CALL p()",
        "DO 'x'",
        "CREATE TEMP TABLE x (a int)",
        "EXPLAIN ANALYZE SELECT f(1)",
        "",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        cr_expect_not(aw_pg_leaves_nothing(texts[i], strlen(texts[i])), "%s", texts[i]);
}

/* --- in the session --- */

/* What a session has that a new one has not, as one line. */
static const char traces[] =
    "SELECT concat_ws(' ', CASE WHEN current_setting('work_mem') <> '4MB' THEN 'setting' END, "
    "CASE WHEN current_setting('search_path') <> '\"$user\", public' THEN 'path' END, "
    "CASE WHEN current_user <> session_user THEN 'role' END, "
    "CASE WHEN EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = "
    "pg_backend_pid()) THEN 'lock' END, "
    "CASE WHEN EXISTS (SELECT FROM pg_class WHERE relname = 'own_temporary' AND "
    "pg_table_is_visible(oid)) THEN 'table' END, "
    "CASE WHEN EXISTS (SELECT FROM pg_cursors WHERE name = 'own_cursor') THEN 'cursor' END, "
    "CASE WHEN EXISTS (SELECT FROM pg_listening_channels()) THEN 'listens' END, "
    "CASE WHEN EXISTS (SELECT FROM pg_prepared_statements WHERE name = 'own_statement') "
    "THEN 'statement' END)";

/* Listening begins with the commit. */
#define TRACES_WITHIN "setting path role lock table cursor"

static void make_functions(void)
{
    /* roles are the server's, and other tests make it at the same time */
    PG_EXPECT_OK("DO $$ BEGIN CREATE ROLE somebody; EXCEPTION WHEN OTHERS THEN NULL; END $$");
    PG_EXPECT_OK("GRANT ALL ON SCHEMA public TO somebody");
    PG_EXPECT_OK("CREATE FUNCTION leave() RETURNS int LANGUAGE plpgsql AS $$ BEGIN "
                 "PERFORM set_config('work_mem', '77MB', false); "
                 "PERFORM set_config('search_path', 'pg_catalog, public', false); "
                 "PERFORM pg_advisory_lock(7); "
                 "EXECUTE 'CREATE TEMP TABLE IF NOT EXISTS own_temporary (n int)'; "
                 "IF NOT EXISTS (SELECT FROM pg_cursors WHERE name = 'own_cursor') THEN "
                 "EXECUTE 'DECLARE own_cursor CURSOR WITH HOLD FOR SELECT 1'; END IF; "
                 "EXECUTE 'LISTEN own_channel'; "
                 "PERFORM set_config('role', 'somebody', false); RETURN 1; END $$");
    PG_EXPECT_OK("CREATE FUNCTION prepare() RETURNS int LANGUAGE plpgsql AS $$ BEGIN "
                 "EXECUTE 'PREPARE own_statement AS SELECT 1'; RETURN 1; END $$");
    PG_EXPECT_OK("CREATE TABLE t (v int)");
    PG_EXPECT_OK("GRANT ALL ON t TO somebody");
}

/* That the function leaves what it is to leave, and the question sees it. */
static void expect_traces_within(void)
{
    char text[200];
    struct aw_pg_statement statements[] = {{.sql = "SELECT leave()", .sql_size = 14},
                                           {.sql = traces, .sql_size = sizeof traces - 1}};
    const struct aw_pg_run run = {.statements = statements, .statement_count = 2};
    struct aw_pg_results *results = NULL;
    cr_assert_eq(aw_pg_run(pg_client_pool, &run, &results, &pg_client_error), 0, "%s",
                 pg_client_error.message);
    snprintf(text, sizeof text, "%s", aw_pg_value_at(results, 1, 0, 0).data);
    aw_pg_results_free(results);
    cr_expect_str_eq(text, TRACES_WITHIN);
}

static const char *asked[40];
static char answers[40][200];
static int pids[40];

static int ask(void *argument)
{
    int index = (int)((const char **)argument - asked);
    char pid[16];
    int status = pg_client_query(asked[index], answers[index], sizeof answers[index]);
    cr_expect_eq(status, 0, "%s: %s", asked[index], pg_client_error.message);
    cr_expect_eq(pg_client_query("SELECT pg_backend_pid()", pid, sizeof pid), 0);
    pids[index] = atoi(pid);
    return 0;
}

/* One after the other on the same connection, in one flight. */
static void ask_all(int count)
{
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_COLLECT);
    for (int i = 0; i < count; i++)
        cr_assert_eq(aw_group_spawn(&group, ask, &asked[i]), 0);
    cr_expect_eq(aw_group_wait(&group), 0);
}

static int body_functions(void)
{
    make_functions();
    expect_traces_within();
    for (int i = 0; i < 5; i++)
        pg_client_expect("SELECT 1", "1"); /* the pipeline deepens */
    for (int i = 0; i < 40; i++)
        asked[i] = i % 2 == 0 ? "SELECT leave()" : traces;
    ask_all(40);
    for (int i = 0; i < 40; i++) {
        cr_expect_str_eq(answers[i], i % 2 == 0 ? "1" : "", "%d", i);
        cr_expect_eq(pids[i], pids[0], "cleaned, not replaced");
    }
    return 0;
}

Test(pg_tidy, what_a_function_leaves_does_not_reach_the_next)
{
    pg_client_run_apart(1, 16, body_functions);
}

static int body_prepared(void)
{
    make_functions();
    for (int i = 0; i < 5; i++) {
        PG_EXPECT_OK("SELECT prepare()"); /* fails the second time if the first is still there */
        pg_client_expect(traces, "");
    }
    return 0;
}

Test(pg_tidy, a_session_with_a_prepared_statement_is_replaced)
{
    pg_client_run_apart(1, 1, body_prepared);
}

static int body_kinds(void)
{
    make_functions();
    static const char *const leaving[] = {
        "DO $$ BEGIN PERFORM leave(); COMMIT; END $$",
        "CREATE TEMP TABLE own_temporary (n int)",
        "SELECT 1 AS n INTO TEMP own_temporary",
        "SELECT set_config('work_mem', '55MB', false)",
        "SELECT pg_advisory_lock(1), pg_advisory_lock_shared(2)",
        "WITH a AS (SELECT leave()) SELECT * FROM a",
        "EXPLAIN ANALYZE SELECT leave()",
        "SELECT set_config('statement_timeout', '60s', false), set_config('role', 'somebody', false)",
    };
    for (size_t i = 0; i < sizeof leaving / sizeof leaving[0]; i++) {
        for (int repeat = 0; repeat < 3; repeat++) { /* unprepared, prepared, known */
            PG_EXPECT_OK(leaving[i]);
            pg_client_expect(traces, "");
            pg_client_expect("SELECT current_setting('statement_timeout')", "0");
        }
    }
    return 0;
}

Test(pg_tidy, whatever_kind_of_statement_it_is)
{
    pg_client_run_apart(1, 16, body_kinds);
}

/* --- what no text says --- */

static void make_trigger(void)
{
    make_functions();
    PG_EXPECT_OK("CREATE FUNCTION on_insert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM "
                 "leave(); RETURN new; END $$");
    PG_EXPECT_OK("CREATE TRIGGER leaves BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION "
                 "on_insert()");
}

static int body_trigger(void)
{
    char pid[16];
    make_trigger();
    cr_assert_eq(pg_client_query("SELECT pg_backend_pid()", pid, sizeof pid), 0);
    for (int i = 0; i < 5; i++) {
        PG_EXPECT_OK("INSERT INTO t VALUES (1)");
        cr_assert_eq(aw_sleep(2 * PG_TIDY_NS / AW_NS_PER_MS), 0);
        pg_client_expect(traces, "");
        pg_client_expect("SELECT pg_backend_pid()", pid);
    }
    return 0;
}

Test(pg_tidy, what_a_trigger_leaves_is_gone_once_the_session_was_idle)
{
    pg_client_run_apart(1, 16, body_trigger);
}

static int insert_and_look(void *argument)
{
    bool *stop = argument;
    while (!*stop)
        PG_EXPECT_OK("SELECT 1");
    return 0;
}

/* A session that is never idle: nothing but a connection of our own may ask, since a question with
 * a function in it would have it cleaned. */
static int body_busy(void)
{
    make_trigger();
    bool stop = false;
    struct aw_task *busy = NULL;
    struct aw_pg_pool *observer = NULL;
    struct aw_error error = {0};
    const struct aw_pg_options options = {.uri = pg_client_pool->options.uri, .connections = 1};
    cr_assert_eq(aw_pg_pool_create(&observer, &options, &error), 0);
    PG_EXPECT_OK("INSERT INTO t VALUES (1)");
    cr_assert_eq(aw_spawn(&busy, insert_and_look, &stop), 0);
    bool held = true;
    for (int i = 0; i < 6000 && held; i++) {
        struct aw_pg_results *results = NULL;
        cr_assert_eq(aw_pg_query(observer, "SELECT count(*) FROM pg_locks JOIN pg_database d ON "
                                 "d.oid = database WHERE locktype = 'advisory' AND d.datname = "
                                 "current_database()", 0, NULL, &results, &error), 0);
        held = strcmp(aw_pg_value_at(results, 0, 0, 0).data, "0") != 0;
        aw_pg_results_free(results);
        cr_assert_eq(aw_sleep(10), 0);
    }
    cr_expect_not(held, "the lock of a session that is never idle");
    stop = true;
    cr_assert_eq(aw_await(busy), 0);
    aw_pg_pool_free(observer);
    return 0;
}

Test(pg_tidy, a_session_that_is_never_idle_is_cleaned_too)
{
    pg_client_run_apart(1, 16, body_busy);
}

/* --- roles and settings of the connection itself stay --- */

static int body_own_settings(void)
{
    static const char look[] =
        "SELECT concat_ws(' ', current_user, current_setting('work_mem'), "
        "current_setting('application_name'))";
    PG_EXPECT_OK("SELECT 1");
    pg_client_expect(look, "reader 33MB mine");
    PG_EXPECT_OK("SELECT set_config('application_name', 'x', false), set_config('work_mem', '5MB', "
                 "false), set_config('role', 'none', false)");
    pg_client_expect(look, "reader 33MB mine");
    return 0;
}

static int body_make_reader(void)
{
    PG_EXPECT_OK("CREATE ROLE reader");
    return 0;
}

Test(pg_tidy, what_the_uri_says_stays)
{
    char uri[400];
    pg_client_run(1, 1, body_make_reader);
    snprintf(uri, sizeof uri, "%s&options=-c%%20role%%3Dreader%%20-c%%20work_mem%%3D33MB&application_name=mine",
             postgres_shared_uri());
    pg_client_run_on(uri, 1, 16, body_own_settings);
}
