/* test_pg_sql.c - what a statement is by its first word, and what may not run on which connection.
 */
#include <await/pg.h>

#include <criterion/criterion.h>
#include <string.h>

static const char *first_word(const char *sql)
{
    static char word[AW_PG_WORD_SIZE];
    aw_pg_first_word(sql, strlen(sql), word);
    return word;
}

static bool refused(const char *sql)
{
    return aw_pg_refusal(sql, strlen(sql)) != NULL;
}

static bool refused_on_a_lease(const char *sql)
{
    return aw_pg_lease_refusal(sql, strlen(sql)) != NULL;
}

static bool plain(const char *sql)
{
    return aw_pg_is_plain(sql, strlen(sql));
}

Test(pg_sql, the_first_word_is_found_behind_comments_and_empty_statements)
{
    cr_expect_str_eq(first_word("select 1"), "SELECT");
    cr_expect_str_eq(first_word(" ;; -- COMMIT\n /* a /* b */ c */ (Values (1))"), "VALUES");
    cr_expect_str_eq(first_word("/* never closed COMMIT"), "");
    cr_expect_str_eq(first_word(""), "");
    cr_expect_str_eq(first_word("1"), "");
    cr_expect_str_eq(first_word("awordthatislongerthananykeyword"), "");
    char word[AW_PG_WORD_SIZE];
    aw_pg_first_word("commit", 3, word); /* the size counts, not a NUL */
    cr_expect_str_eq(word, "COM");
}

Test(pg_sql, a_shared_connection_takes_nothing_that_would_leak)
{
    const char *leaking[] = {"BEGIN",
                             "commit",
                             ";ROLLBACK",
                             "/**/SET x = 1",
                             "LISTEN a",
                             "PREPARE p AS SELECT 1",
                             "COPY t FROM STDIN",
                             "DISCARD ALL",
                             "",
                             " ; "};
    for (size_t i = 0; i < sizeof leaking / sizeof leaking[0]; i++)
        cr_expect(refused(leaking[i]), "%s", leaking[i]);
    const char *harmless[] = {"SELECT 1",          "INSERT INTO t VALUES (1)",
                              "CREATE TABLE t ()", "CALL p()",
                              "DO $$ $$",          "SETTING"};
    for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++)
        cr_expect_not(refused(harmless[i]), "%s", harmless[i]);
}

Test(pg_sql, a_lease_takes_nearly_everything)
{
    cr_expect_not(refused_on_a_lease("BEGIN"));
    cr_expect_not(refused_on_a_lease("SET x = 1"));
    cr_expect_not(refused_on_a_lease("PREPARE p AS SELECT 1"));
    cr_expect(refused_on_a_lease("COPY t TO STDOUT"));
    cr_expect(refused_on_a_lease("listen a"));
    cr_expect(refused_on_a_lease("--"));
}

Test(pg_sql, only_what_cannot_commit_by_itself_is_plain)
{
    cr_expect(plain("select 1"));
    cr_expect(plain("WITH a AS (SELECT 1) TABLE a"));
    cr_expect(plain("MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE"));
    cr_expect_not(plain("CALL p()"));
    cr_expect_not(plain("DO $$ $$"));
    cr_expect_not(plain("CREATE TABLE t ()"));
    cr_expect_not(plain(""));
}
