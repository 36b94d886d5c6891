/* test_delivery_sqlite.c - exactly-once on the sqlite target. */
#include "support/delivery.h"
#include "support/process.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];

static void enter_folder(void)
{
    folder_make(folder, sizeof folder);
    if (chdir(folder) != 0)
        abort();
}

static void leave_folder(void)
{
    folder_remove(folder);
}

TestSuite(delivery_sqlite, .init = enter_folder, .fini = leave_folder, .timeout = 120);

#define COUNT(number) "*2\r\n*1\r\n$8\r\ncount(*)\r\n*1\r\n$1\r\n" number "\r\n"

static void once(void (*body)(void))
{
    static char path[100];
    snprintf(path, sizeof path, "%s/once.db", folder);
    delivery_run(&target_type_sqlite,
                 (struct target_settings){
                     .path = path, .pipeline = 1, .delivery = TARGET_EXACTLY_ONCE},
                 body);
}

static void body_twice(void)
{
    delivery_execute(0, "CREATE TABLE t (v INTEGER UNIQUE)", NULL);
    delivery_execute(1, "INSERT INTO t VALUES (?) RETURNING v", "7", NULL);
    delivery_expect_result(1, "*2\r\n*1\r\n$1\r\nv\r\n*1\r\n$1\r\n7\r\n");
    delivery_execute(1, "INSERT INTO t VALUES (?) RETURNING v", "7", NULL);
    delivery_expect_result(1, "+OK\r\n");
    delivery_expect("SELECT count(*) FROM t", COUNT("1"));
    delivery_execute(2, "TX", "2", "INSERT INTO t VALUES (?)", "1", "8", "SELECT 1 AS a", "0",
                     NULL);
    delivery_expect_result(2, "*2\r\n+INSERT 0 1\r\n*2\r\n*1\r\n$1\r\na\r\n*1\r\n$1\r\n1\r\n");
    delivery_execute(2, "TX", "2", "INSERT INTO t VALUES (?)", "1", "8", "SELECT 1 AS a", "0",
                     NULL);
    delivery_expect_result(2, "+OK\r\n");
    delivery_execute(3, "SELECT count(*) FROM t", NULL); /* a reader leaves its receipt too */
    delivery_expect_result(3, COUNT("2"));
    delivery_target.settings.store = "11111111-2222-4333-8444-555555555555";
    delivery_execute(1, "INSERT INTO t VALUES (?)", "9", NULL);
    delivery_expect_result(1, "+INSERT 0 1\r\n");
}

Test(delivery_sqlite, a_job_has_its_effect_once)
{
    once(body_twice);
}

static void body_failures(void)
{
    delivery_execute(0, "CREATE TABLE t (v INTEGER PRIMARY KEY, w INTEGER REFERENCES t "
                        "DEFERRABLE INITIALLY DEFERRED)", NULL);
    delivery_execute(1, "INSERT INTO t VALUES (1, 1)", NULL);
    delivery_expect_result(1, "+INSERT 0 1\r\n");
    /* the user's own key, a deferred constraint, a rollback that takes the whole transaction */
    delivery_execute(2, "INSERT INTO t VALUES (1, 1)", NULL);
    delivery_expect_failure(OUTCOME_DEAD, "SQLITE_CONSTRAINT_PRIMARYKEY");
    delivery_execute(3, "INSERT INTO t VALUES (2, 99)", NULL);
    delivery_expect_failure(OUTCOME_DEAD, "SQLITE_CONSTRAINT_FOREIGNKEY");
    delivery_execute(4, "INSERT OR ROLLBACK INTO t VALUES (1, 1)", NULL);
    delivery_expect_failure(OUTCOME_DEAD, "SQLITE_CONSTRAINT_PRIMARYKEY");
    delivery_execute(5, "INSERT OR FAIL INTO t VALUES (3, 1), (1, 1)", NULL);
    delivery_expect_failure(OUTCOME_DEAD, "SQLITE_CONSTRAINT_PRIMARYKEY");
    delivery_execute(6, "INSERT INTO awaitd_receipt (store, job) VALUES (?, 1)", DELIVERY_STORE,
                     NULL);
    delivery_expect_failure(OUTCOME_DEAD, "SQLITE_CONSTRAINT_PRIMARYKEY");
    delivery_expect("SELECT count(*) FROM t", COUNT("1"));
    delivery_expect("SELECT count(*) FROM awaitd_receipt", COUNT("1"));
    delivery_execute(2, "INSERT INTO t VALUES (4, 1)", NULL);
    delivery_expect_result(2, "+INSERT 0 1\r\n");
}

Test(delivery_sqlite, a_failed_job_leaves_no_receipt)
{
    once(body_failures);
}

static void body_refusals(void)
{
    struct aw_error error;
    cr_expect_eq(delivery_check(&error, "/**/ vacuum", NULL), -EINVAL);
    cr_expect(strstr(error.message, "VACUUM is refused on an exactly-once target"), "%s",
              error.message);
    cr_expect_eq(delivery_check(&error, "SELECT 1", NULL), 0);
    cr_expect_eq(delivery_check(&error, NULL), -EINVAL);
    delivery_execute(1, "COMMIT", NULL);
    cr_expect_eq(delivery_outcome.kind, OUTCOME_DEAD);
    delivery_target.settings.delivery = TARGET_AT_LEAST_ONCE;
    cr_expect_eq(delivery_check(&error, "VACUUM", NULL), 0);
}

Test(delivery_sqlite, what_cannot_share_a_transaction_is_refused)
{
    once(body_refusals);
}
