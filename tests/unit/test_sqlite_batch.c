/* test_sqlite_batch.c - jobs of a sqlite target that share a transaction: who travels with whom,
 * and that nobody pays for another. */
#include "support/company.h"
#include "support/process.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];
static char path[100];

static void enter_folder(void)
{
    folder_make(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/batch.db", folder);
}

static void leave_folder(void)
{
    folder_remove(folder);
}

TestSuite(sqlite_batch, .init = enter_folder, .fini = leave_folder, .timeout = 120);

#define INSERT "INSERT INTO t VALUES (?)"
#define INSERTED "+INSERT 0 1\r\n"
#define NUMBER(number) "*2\r\n*1\r\n$1\r\nn\r\n*1\r\n" number
#define ROWS "SELECT count(*) AS n FROM t"
#define SLEEPER "INSERT INTO t SELECT sleep(ms) FROM pause"

static void batches(enum target_delivery delivery, uint32_t coalesce, void (*body)(void))
{
    delivery_run(&target_type_sqlite,
                 (struct target_settings){
                     .path = path, .pipeline = 1, .delivery = delivery, .coalesce = coalesce},
                 body);
}

/* How many transactions have been committed: the wal-index counts them (iChange of its header). */
static uint32_t commits(void)
{
    char name[120];
    uint32_t count = 0;
    snprintf(name, sizeof name, "%s-shm", path);
    int file = open(name, O_RDONLY | O_CLOEXEC);
    cr_assert_geq(file, 0);
    cr_assert_eq(pread(file, &count, sizeof count, 8), (ssize_t)sizeof count);
    close(file);
    return count;
}

/* Connection and receipts are there, so that nothing but gathering is counted. */
static void prepare(const char *table)
{
    delivery_execute(0, table, NULL);
    delivery_execute(9999, "SELECT 1", NULL);
}

static void expect_rows(const char *number)
{
    delivery_expect(ROWS, number);
}

/* --- gathering --- */

static void again_all_are_done(void)
{
    for (int i = 0; i < company_count; i++)
        buffer_free(&company[i].outcome.result);
    company_start();
    company_await();
    for (int i = 0; i < company_count; i++)
        company_expect(i, OUTCOME_DONE, "+OK\r\n");
}

static void body_gather(void)
{
    prepare("CREATE TABLE t (v INTEGER UNIQUE)");
    uint32_t before = commits();
    company_add_numbers(INSERT, 0, 100);
    company_add("INSERT INTO t VALUES (200), (201) RETURNING v", NULL);
    company_add("UPDATE t SET v = v WHERE v < 0", NULL);
    company_start();
    company_await();
    for (int i = 0; i < 100; i++)
        company_expect(i, OUTCOME_DONE, INSERTED);
    company_expect(100, OUTCOME_DONE,
                   "*3\r\n*1\r\n$1\r\nv\r\n*1\r\n$3\r\n200\r\n*1\r\n$3\r\n201\r\n");
    company_expect(101, OUTCOME_DONE, "+UPDATE 0\r\n");
    cr_expect_eq(commits() - before, 2, "64 and the other 38");
    if (delivery_target.settings.delivery == TARGET_EXACTLY_ONCE) {
        delivery_expect("SELECT count(*) AS n FROM awaitd_receipt", NUMBER("$3\r\n103\r\n"));
        again_all_are_done();
    }
    expect_rows(NUMBER("$3\r\n102\r\n"));
    company_forget();
}

Test(sqlite_batch, what_comes_together_shares_a_transaction)
{
    batches(TARGET_AT_LEAST_ONCE, 64, body_gather);
}

Test(sqlite_batch, receipts_of_all_are_in_it)
{
    batches(TARGET_EXACTLY_ONCE, 64, body_gather);
}

static void body_off(void)
{
    prepare("CREATE TABLE t (v INTEGER)");
    uint32_t before = commits();
    company_add_numbers(INSERT, 0, 30);
    company_start();
    company_await();
    for (int i = 0; i < 30; i++)
        company_expect(i, OUTCOME_DONE, INSERTED);
    cr_expect_eq(commits() - before, 30);
    company_forget();
}

Test(sqlite_batch, none_unless_asked_for)
{
    batches(TARGET_AT_LEAST_ONCE, 0, body_off);
}

Test(sqlite_batch, none_where_delivery_is_at_most_once)
{
    batches(TARGET_AT_MOST_ONCE, 64, body_off);
}

static void body_lone(void)
{
    prepare("CREATE TABLE t (v INTEGER)");
    for (int i = 0; i < 5; i++) {
        uint32_t before = commits();
        delivery_execute((uint64_t)i + 1, INSERT, "1", NULL);
        delivery_expect_result((uint64_t)i + 1, INSERTED);
        cr_expect_eq(commits() - before, 1, "it waits for nobody");
    }
}

Test(sqlite_batch, a_lone_job_goes_at_once)
{
    batches(TARGET_AT_LEAST_ONCE, 64, body_lone);
}

static void body_own(void)
{
    prepare("CREATE TABLE t (v INTEGER)");
    uint32_t before = commits();
    for (int i = 0; i < 60; i++)
        company_add(INSERT, company_digits(i))->coalesce = i < 40 ? 10 : 1;
    company_start();
    company_await();
    for (int i = 0; i < 60; i++)
        company_expect(i, OUTCOME_DONE, INSERTED);
    cr_expect_eq(commits() - before, 4 + 20, "four tens, and twenty that want to be alone");
    company_forget();
}

Test(sqlite_batch, a_job_may_gather_where_the_target_does_not)
{
    batches(TARGET_AT_LEAST_ONCE, 0, body_own);
}

Test(sqlite_batch, a_job_may_gather_less_than_the_target)
{
    batches(TARGET_AT_LEAST_ONCE, 64, body_own);
}

static void body_most(void)
{
    prepare("CREATE TABLE t (v INTEGER)");
    uint32_t before = commits();
    company_add_numbers(INSERT, 0, 300);
    company_start();
    company_await();
    for (int i = 0; i < 300; i++)
        company_expect(i, OUTCOME_DONE, INSERTED);
    cr_expect_eq(commits() - before, 1);
    company_forget();
}

Test(sqlite_batch, as_many_as_the_target_says)
{
    batches(TARGET_EXACTLY_ONCE, 1024, body_most);
}

/* --- failures --- */

static void body_failures(void)
{
    prepare("CREATE TABLE t (v INTEGER CHECK (v >= 0))");
    uint32_t before = commits();
    for (int i = 0; i < 250; i++)
        company_add(INSERT, i % 50 == 49 ? "-1" : company_digits(i));
    company_start();
    company_await();
    for (int i = 0; i < 250; i++) {
        if (i % 50 == 49)
            company_expect(i, OUTCOME_DEAD, "SQLITE_CONSTRAINT_CHECK");
        else
            company_expect(i, OUTCOME_DONE, INSERTED);
    }
    cr_expect_lt(commits() - before, 125, "the others gather again");
    expect_rows(NUMBER("$3\r\n245\r\n"));
    if (delivery_target.settings.delivery == TARGET_EXACTLY_ONCE)
        delivery_expect("SELECT count(*) AS n FROM awaitd_receipt", NUMBER("$3\r\n246\r\n"));
    company_forget();
}

Test(sqlite_batch, only_the_one_that_fails_is_charged)
{
    batches(TARGET_AT_LEAST_ONCE, 64, body_failures);
}

Test(sqlite_batch, only_the_one_that_fails_is_charged_exactly_once)
{
    batches(TARGET_EXACTLY_ONCE, 64, body_failures);
}

static void body_kinds_of_failure(void)
{
    prepare("CREATE TABLE t (v INTEGER UNIQUE)");
    delivery_execute(0, "CREATE TABLE parent (v INTEGER PRIMARY KEY)", NULL);
    delivery_execute(0, "CREATE TABLE child (v INTEGER REFERENCES parent DEFERRABLE INITIALLY "
                        "DEFERRED)", NULL);
    delivery_execute(0, "CREATE TRIGGER refuse BEFORE INSERT ON parent WHEN new.v < 0 BEGIN SELECT "
                        "RAISE(ROLLBACK, 'no'); END", NULL);
    delivery_execute(0, INSERT, "900", NULL);
    company_add_numbers(INSERT, 0, 20);
    company_add("INSERT INTO child VALUES (77)", NULL);         /* fails at the commit */
    company_add("INSERT OR ROLLBACK INTO t VALUES (900)", NULL); /* ends the transaction itself */
    company_add("INSERT INTO parent VALUES (-1)", NULL);        /* so does this */
    company_add("INSERT INTO nowhere VALUES (1)", NULL);        /* not even prepared */
    company_add("INSERT INTO t VALUES (50); DELETE FROM t", NULL);
    company_add("INSERT INTO t VALUES (?, ?)", "1");
    company_add("INSERT INTO t VALUES (?) RETURNING zeroblob(5000)", "60")->result_size_max = 1000;
    company_start();
    company_await();
    for (int i = 0; i < 20; i++)
        company_expect(i, OUTCOME_DONE, INSERTED);
    company_expect(20, OUTCOME_DEAD, "SQLITE_CONSTRAINT_FOREIGNKEY");
    company_expect(21, OUTCOME_DEAD, "SQLITE_CONSTRAINT_UNIQUE");
    company_expect(22, OUTCOME_DEAD, "SQLITE_CONSTRAINT_TRIGGER");
    for (int i = 23; i < 26; i++)
        cr_expect_eq(company[i].outcome.kind, OUTCOME_DEAD, "%d: %s", i,
                     company[i].outcome.message);
    company_expect(26, OUTCOME_DEAD, "RESULTTOOBIG");
    expect_rows(NUMBER("$2\r\n21\r\n"));
    company_forget();
}

Test(sqlite_batch, every_failure_finds_its_job)
{
    batches(TARGET_EXACTLY_ONCE, 64, body_kinds_of_failure);
}

/* --- what does not travel with others --- */

static void body_mixed(void)
{
    prepare("CREATE TABLE t (v INTEGER)");
    for (int i = 0; i < 40; i++) {
        company_add(INSERT, company_digits(i));
        if (i % 10 == 0) {
            struct company_job *several = company_add("TX", "2");
            several->words[2] = INSERT;
            several->words[3] = "1";
            several->words[4] = "1004";
            several->words[5] = "SELECT 1";
            several->words[6] = "0";
            several->word_count = 7;
            company_add("VACUUM", NULL);
            company_add("PRAGMA user_version = 5", NULL);
            company_add("WITH one(v) AS (SELECT 1005) INSERT INTO t SELECT v FROM one", NULL);
            company_add(ROWS, NULL);
            company_add(INSERT, "1006")->alone = true;
        }
    }
    company_add("BEGIN", NULL);
    company_add("ATTACH 'other.db' AS other", NULL);
    company_start();
    company_await();
    for (int i = 0; i < company_count; i++)
        cr_expect_eq(company[i].outcome.kind,
                     i < company_count - 2 ? OUTCOME_DONE : OUTCOME_DEAD, "%s: %s",
                     company[i].words[0], company[i].outcome.message);
    expect_rows(NUMBER("$2\r\n52\r\n"));
    company_forget();
}

Test(sqlite_batch, what_cannot_share_a_transaction_runs_by_itself)
{
    batches(TARGET_AT_LEAST_ONCE, 64, body_mixed);
}

/* A long SELECT does not keep the writers waiting: it would not end. */
static void body_long_reader(void)
{
    prepare("CREATE TABLE t (v INTEGER)");
    company_add("SELECT sleep(100000) AS n", NULL);
    company_add_numbers(INSERT, 0, 20);
    company_start();
    for (int i = 1; i < company_count; i++) {
        cr_assert_eq(aw_await(company[i].task), 0);
        company_expect(i, OUTCOME_DONE, INSERTED);
    }
    aw_cancel(company[0].task);
    cr_assert_eq(aw_await(company[0].task), 0);
    company_expect(0, OUTCOME_STOPPED, "CANCELLED");
    company_forget();
}

Test(sqlite_batch, a_long_select_runs_beside_it)
{
    batches(TARGET_AT_LEAST_ONCE, 64, body_long_reader);
}

static void body_neighbours_row(void)
{
    prepare("CREATE TABLE t (v INTEGER)");
    company_add_numbers(INSERT, 0, 5);
    company_add("INSERT INTO t VALUES (last_insert_rowid()) RETURNING v", NULL);
    company_start();
    company_await();
    company_expect(5, OUTCOME_DONE, "*2\r\n*1\r\n$1\r\nv\r\n*1\r\n$1\r\n0\r\n");
    company_forget();
    delivery_expect("SELECT last_insert_rowid() AS n", NUMBER("$1\r\n0\r\n"));
}

Test(sqlite_batch, nobody_sees_a_neighbours_row)
{
    batches(TARGET_AT_LEAST_ONCE, 64, body_neighbours_row);
}

/* --- interruptions --- */

static void await_others(int sleeper, int gone)
{
    aw_cancel(company[sleeper].task);
    for (int i = 0; i < company_count; i++) {
        if (i == gone)
            continue;
        cr_assert_eq(aw_await(company[i].task), 0);
        if (i == sleeper)
            company_expect(i, OUTCOME_STOPPED, "CANCELLED");
        else
            company_expect(i, OUTCOME_DONE, INSERTED);
    }
}

static void body_cancel(void)
{
    prepare("CREATE TABLE t (v INTEGER)");
    delivery_execute(0, "CREATE TABLE pause AS SELECT 1000000 AS ms", NULL);
    company_add_numbers(INSERT, 0, 10);
    company_add(SLEEPER, NULL);
    company_start();
    cr_assert_eq(aw_sleep(100), 0);
    aw_cancel(company[3].task);
    cr_assert_eq(aw_await(company[3].task), 0);
    company_expect(3, OUTCOME_STOPPED, "CANCELLED");
    await_others(10, 3);
    expect_rows(NUMBER("$1\r\n9\r\n"));
    company_forget();
}

Test(sqlite_batch, a_cancelled_job_leaves_and_the_others_go_on)
{
    batches(TARGET_EXACTLY_ONCE, 64, body_cancel);
}

static void body_timeout(void)
{
    prepare("CREATE TABLE t (v INTEGER)");
    delivery_execute(0, "CREATE TABLE pause AS SELECT 1000000 AS ms", NULL);
    company_add_numbers(INSERT, 0, 10);
    company_add(SLEEPER, NULL);
    company[4].timeout_ms = 300;
    company_start();
    cr_assert_eq(aw_await(company[4].task), 0);
    company_expect(4, OUTCOME_INTERRUPTED, "TIMEOUT"); /* it did not hold them up: no attempt */
    await_others(10, 4);
    expect_rows(NUMBER("$1\r\n9\r\n"));
    company_forget();
}

Test(sqlite_batch, whose_time_runs_out_in_company_is_not_charged)
{
    batches(TARGET_AT_LEAST_ONCE, 64, body_timeout);
}
