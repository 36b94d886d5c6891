/* copy.c - COPY and a transaction: lines of the standard input become rows, all or none, then the
 * table comes back, a row at a time.
 *
 *     seq 1000000 | copy postgresql://... */
#include <await.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct program {
    const char *uri;
    struct aw_error error;
};

static int load(struct aw_pg_pool *pool, struct aw_stream *input, struct aw_error *reterr)
{
    struct aw_pg_copy *copy = NULL;
    uint64_t rows = 0;
    int result = aw_pg_copy_in(&copy, pool, "COPY lines FROM STDIN", reterr);
    if (result < 0)
        return result;
    char bytes[16384];
    int size = 0;
    while (result == 0 && (size = aw_stream_read_some(input, bytes, sizeof bytes)) > 0)
        result = aw_pg_copy_write(copy, bytes, (size_t)size, reterr); /* waits when it must */
    result = size < 0 ? size : result;
    if (result == 0)
        result = aw_pg_copy_end(copy, &rows, reterr);
    aw_pg_copy_close(copy); /* not ended: nothing of it lasts */
    if (result == 0)
        printf("%llu rows in\n", (unsigned long long)rows);
    return result;
}

static int add_up(struct aw_pg_pool *pool, struct aw_error *reterr)
{
    static const char sql[] = "SELECT length(line) FROM lines";
    const struct aw_pg_statement statement = {.sql = sql, .sql_size = strlen(sql)};
    struct aw_pg_rows *rows = NULL;
    unsigned long long count = 0;
    int result = aw_pg_rows_open(&rows, pool, &statement, reterr);
    if (result < 0)
        return result;
    while ((result = aw_pg_rows_next(rows, reterr)) > 0)
        count++; /* aw_pg_rows_value(rows, 0) is the row's first column */
    aw_pg_rows_close(rows);
    if (result == 0)
        printf("%llu rows out\n", count);
    return result;
}

static int empty_table(struct aw_pg_pool *pool, struct aw_error *reterr)
{
    struct aw_pg_transaction transaction = {.pool = pool};
    int result = 0;
    AW_WITH(result, aw_pg_with_transaction(&transaction)) {
        result = aw_pg_transaction_query(&transaction, "DROP TABLE IF EXISTS lines", 0, NULL, NULL);
        if (result == 0)
            result = aw_pg_transaction_query(&transaction, "CREATE TABLE lines (line text)", 0,
                                             NULL, NULL);
    }
    *reterr = transaction.error;
    return result;
}

static int work(void *argument)
{
    struct program *program = argument;
    struct aw_pg_pool *pool = NULL;
    struct aw_stream *input = NULL;
    const struct aw_pg_options options = {.uri = program->uri};
    int result = aw_pg_pool_create(&pool, &options, &program->error);
    if (result == 0)
        result = aw_stream_open_pair(&input, 0, -1, NULL);
    if (result == 0)
        result = empty_table(pool, &program->error);
    if (result == 0)
        result = load(pool, input, &program->error);
    if (result == 0)
        result = add_up(pool, &program->error);
    aw_stream_abort(input);
    aw_pg_pool_free(pool);
    return result;
}

int main(int count, char *arguments[])
{
    struct program program = {.uri = count > 1 ? arguments[1] : ""};
    int result = aw_run(work, &program);
    if (result < 0)
        fprintf(stderr, "copy: %s\n",
                program.error.number < 0 ? program.error.message : aw_error_text(result));
    return result < 0;
}
