/* scenario_sqlite.c - a database through await/sqlite.h: transactions with known content, crashes
 * at any moment, and after each the question what is there.
 *
 * Transaction n inserts rows whose bytes follow from n and writes n into some of 64 slots. After
 * opening again: the file is sound; each transaction is there whole or not at all; it is there
 * if its COMMIT had succeeded; what was seen once, or seen to be absent, stays so. */
#include "sim/scenario.h"

#include <await.h>
#include <await/sqlite.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PATH "/data/test.db"
#define TRANSACTIONS 20000u
#define SLOTS 64

enum fate { NEVER, TRIED, PROMISED, PRESENT, ABSENT };

struct transaction {
    uint8_t fate;
    uint8_t rows;
    uint32_t body_size; /* of each row, at most */
    uint64_t slots;     /* bits */
};

struct book {
    uint32_t next; /* transactions are numbered from 1 */
    uint32_t checked_up_to;
    bool exclusive;
    uint32_t body_bits;
    uint32_t per_life;
    struct transaction transactions[TRANSACTIONS];
};

_Static_assert(sizeof(struct book) <= SCENARIO_BYTES, "the book must fit");

static struct book *book(void)
{
    return (struct book *)(void *)world->scenario;
}

static void prepare(void)
{
    uint32_t folder;
    if (disk_make(&world->disk, DISK_ROOT, "data", true, 0700, &folder) == 0)
        disk_sync_names(&world->disk, DISK_ROOT);
    book()->next = 1;
    book()->exclusive = random_chance(&world->random, 700000);
    book()->body_bits = 4 + (uint32_t)random_below(&world->random, 13);
    book()->per_life = (uint32_t)random_magnitude(&world->random, 9);
}

static void fill_body(uint32_t number, uint32_t row, uint32_t size, unsigned char *body)
{
    struct random random = {.state = ((uint64_t)number << 32) | row};
    for (uint32_t i = 0; i < size; i++)
        body[i] = (unsigned char)(i % 8 == 0 ? random_next(&random) : body[i - 1] + 1ull);
}

static uint32_t body_size(uint32_t number, uint32_t row)
{
    struct random random = {.state = ((uint64_t)row << 32) | number};
    return (uint32_t)random_below(&random, book()->transactions[number].body_size + 1);
}

/* Ends the life when the product would: the connection has failed. */
static int give_up(struct aw_sqlite *database, int result, const struct aw_error *error)
{
    if (aw_sqlite_failed(database) || world->faults > 0)
        return LIFE_FATAL;
    world_fail("SQLite failed without a fault: %d %s %s", result, error->code, error->message);
}

static sqlite3_stmt *prepared(struct aw_sqlite *database, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    struct aw_error error;
    if (aw_sqlite_prepare(database, sql, strlen(sql), &statement, &error) < 0)
        return NULL;
    return statement;
}

static int run(struct aw_sqlite *database, sqlite3_stmt *statement, struct aw_error *reterr)
{
    int code = statement ? sqlite3_step(statement) : sqlite3_errcode(aw_sqlite_handle(database));
    int result = aw_sqlite_error(database, code, reterr);
    aw_sqlite_done(database, statement);
    return result;
}

static int insert_row(struct aw_sqlite *database, uint32_t number, uint32_t row,
                      struct aw_error *reterr)
{
    uint32_t size = body_size(number, row);
    unsigned char *body = malloc(size + 1);
    sqlite3_stmt *statement = prepared(database, "INSERT INTO kept VALUES (?1, ?2, ?3)");
    if (!body)
        abort();
    fill_body(number, row, size, body);
    if (statement) {
        sqlite3_bind_int64(statement, 1, number);
        sqlite3_bind_int64(statement, 2, row);
        sqlite3_bind_blob(statement, 3, body, (int)size, SQLITE_STATIC);
    }
    int result = run(database, statement, reterr);
    free(body);
    return result;
}

static int write_slots(struct aw_sqlite *database, uint32_t number, struct aw_error *reterr)
{
    int result = 0;
    for (int slot = 0; slot < SLOTS && result == 0; slot++) {
        if (!(book()->transactions[number].slots >> slot & 1))
            continue;
        sqlite3_stmt *statement =
            prepared(database, "INSERT OR REPLACE INTO slot VALUES (?1, ?2)");
        if (statement) {
            sqlite3_bind_int(statement, 1, slot);
            sqlite3_bind_int64(statement, 2, number);
        }
        result = run(database, statement, reterr);
    }
    return result;
}

static void promise(struct transaction *transaction)
{
    if (world->storage_failed && world->mutation == MUTATION_NONE)
        world_fail("a commit succeeded after a write or sync had failed");
    transaction->fate = PROMISED;
    world->statistics.promises++;
}

static int transact(struct aw_sqlite *database, uint32_t number, struct aw_error *reterr)
{
    struct transaction *transaction = &book()->transactions[number];
    transaction->rows = (uint8_t)random_magnitude(&world->random, 5);
    transaction->body_size = (uint32_t)random_magnitude(&world->random, book()->body_bits);
    transaction->slots = random_next(&world->random) & random_next(&world->random) &
                         random_next(&world->random);
    transaction->fate = TRIED;
    int result = aw_sqlite_execute(database, "BEGIN IMMEDIATE", reterr);
    for (uint32_t row = 0; row < transaction->rows && result == 0; row++)
        result = insert_row(database, number, row, reterr);
    if (result == 0)
        result = write_slots(database, number, reterr);
    if (world->mutation == MUTATION_EARLY_ANSWER)
        promise(transaction);
    if (result == 0)
        result = aw_sqlite_execute(database, "COMMIT", reterr);
    if (result == 0)
        promise(transaction);
    if (result != -ENOSPC || aw_sqlite_failed(database))
        return result;
    /* a full disk is a known outcome */
    transaction->fate = ABSENT;
    if (sqlite3_get_autocommit(aw_sqlite_handle(database)))
        return 0;
    return aw_sqlite_execute(database, "ROLLBACK", reterr);
}

static int open_database(struct aw_sqlite **ret_database)
{
    struct aw_sqlite_options options = {
        .flags = AW_SQLITE_CREATE | (book()->exclusive ? AW_SQLITE_EXCLUSIVE : 0)};
    struct aw_error error = {0};
    int result = aw_sqlite_open(ret_database, PATH, &options, &error);
    if (result == 0)
        result = aw_sqlite_checkpoint(*ret_database, true, &error);
    if (result == 0)
        result = aw_sqlite_execute(*ret_database,
                                   "CREATE TABLE IF NOT EXISTS kept (number, row, body,"
                                   " PRIMARY KEY (number, row));"
                                   "CREATE TABLE IF NOT EXISTS slot (slot INTEGER PRIMARY KEY,"
                                   " number)",
                                   &error);
    if (result == 0)
        return 0;
    if (world->faults == 0)
        world_fail("the database does not open: %s %s", error.code, error.message);
    return LIFE_NOT_STARTED;
}

static void check_row(uint32_t number, uint32_t row, const void *body, int size)
{
    const struct transaction *transaction = &book()->transactions[number];
    if (number == 0 || number >= book()->next || row >= transaction->rows)
        world_fail("row %u of transaction %u was never written", row, number);
    uint32_t expected_size = body_size(number, row);
    unsigned char *expected = malloc(expected_size + 1);
    if (!expected)
        abort();
    fill_body(number, row, expected_size, expected);
    if ((uint32_t)size != expected_size || (size > 0 && memcmp(body, expected, (size_t)size) != 0))
        world_fail("row %u of transaction %u holds other bytes than were written", row, number);
    free(expected);
}

static void settle_fate(uint32_t number, uint32_t rows)
{
    struct transaction *transaction = &book()->transactions[number];
    if (rows != 0 && rows != transaction->rows)
        world_fail("transaction %u is half there: %u of %u rows", number, rows,
                   transaction->rows);
    if (rows == 0 && (transaction->fate == PROMISED || transaction->fate == PRESENT))
        world_fail("transaction %u was %s and is lost", number,
                   transaction->fate == PROMISED ? "acknowledged" : "there after a restart");
    if (rows > 0 && transaction->fate == ABSENT)
        world_fail("transaction %u was rolled back or lost, and is there again", number);
    transaction->fate = rows > 0 ? PRESENT : ABSENT;
}

static int check_rows(struct aw_sqlite *database)
{
    uint8_t *counts = calloc(TRANSACTIONS, 1);
    sqlite3_stmt *statement = NULL;
    if (!counts)
        abort();
    int code = sqlite3_prepare_v2(aw_sqlite_handle(database), "SELECT number, row, body FROM kept",
                                  -1, &statement, NULL);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        if (code != SQLITE_ROW)
            break;
        uint32_t number = (uint32_t)sqlite3_column_int64(statement, 0);
        check_row(number, (uint32_t)sqlite3_column_int64(statement, 1),
                  sqlite3_column_blob(statement, 2), sqlite3_column_bytes(statement, 2));
        counts[number]++;
    }
    sqlite3_finalize(statement);
    for (uint32_t number = 1; code == SQLITE_DONE && number < book()->next; number++)
        settle_fate(number, counts[number]);
    free(counts);
    return code == SQLITE_DONE ? 0 : code;
}

static int64_t ask(struct aw_sqlite *database, const char *sql, int parameter, int *ret_code)
{
    sqlite3_stmt *statement = NULL;
    int64_t answer = 0;
    int code = sqlite3_prepare_v2(aw_sqlite_handle(database), sql, -1, &statement, NULL);
    if (code == SQLITE_OK && sqlite3_bind_parameter_count(statement) > 0)
        sqlite3_bind_int(statement, 1, parameter);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        answer = sqlite3_column_int64(statement, 0);
    if (code == SQLITE_ROW || code == SQLITE_DONE)
        code = SQLITE_OK;
    sqlite3_finalize(statement);
    *ret_code = code;
    return answer;
}

static int check_slots(struct aw_sqlite *database)
{
    for (int slot = 0; slot < SLOTS; slot++) {
        int64_t expected = 0;
        for (uint32_t number = 1; number < book()->next; number++)
            if (book()->transactions[number].fate == PRESENT &&
                (book()->transactions[number].slots >> slot & 1))
                expected = number;
        int code;
        int64_t found = ask(database, "SELECT number FROM slot WHERE slot = ?1", slot, &code);
        if (code != SQLITE_OK)
            return code;
        if (found != expected)
            world_fail("slot %d holds %lld, not %lld", slot, (long long)found,
                       (long long)expected);
    }
    return 0;
}

static int check(struct aw_sqlite *database)
{
    int code;
    int64_t ok = ask(database, "SELECT integrity_check = 'ok' FROM pragma_integrity_check", 0,
                     &code);
    if (code == SQLITE_OK && !ok) {
        if (world->faults > 0) /* a read that fails looks the same; the calm life will tell */
            return LIFE_FATAL;
        world_fail("integrity_check found damage");
    }
    if (code == SQLITE_OK)
        code = check_rows(database);
    if (code == SQLITE_OK)
        code = check_slots(database);
    if (code == SQLITE_OK)
        return 0;
    if (world->faults == 0)
        world_fail("the database cannot be read: %s", sqlite3_errstr(code));
    return LIFE_FATAL;
}

static int work(struct aw_sqlite *database)
{
    struct aw_error error = {0};
    uint32_t end = book()->next + book()->per_life;
    while (book()->next < end && book()->next < TRANSACTIONS) {
        if (world->swarm.disk_fills && !world->calm)
            world->disk.capacity = random_chance(&world->random, 300000)
                                       ? random_magnitude(&world->random, 21)
                                       : UINT64_C(256) << 20;
        int result = transact(database, book()->next++, &error);
        if (result == 0 && random_chance(&world->random, 50000))
            result = aw_sqlite_checkpoint(database, random_chance(&world->random, 500000), &error);
        if (result < 0 && (result != -ENOSPC || aw_sqlite_failed(database)))
            return give_up(database, result, &error);
        if (random_chance(&world->random, 100000))
            (void)aw_sleep(random_below(&world->random, 2000));
    }
    return 0;
}

static int live(void *argument)
{
    (void)argument;
    struct aw_sqlite *database = NULL;
    world->disk.capacity = UINT64_C(256) << 20;
    int result = open_database(&database);
    if (result != 0)
        return result;
    result = check(database);
    if (result != 0)
        return result;
    world_recovered();
    result = work(database);
    if (result == 0 && aw_sqlite_close(database) < 0 && world->faults == 0)
        world_fail("closing failed without a fault");
    return result;
}

const struct scenario scenario_sqlite = {
    .name = "sqlite",
    .prepare = prepare,
    .live = live,
    .mutations = 1u << MUTATION_NO_SYNC | 1u << MUTATION_NO_DIRECTORY_SYNC |
                 1u << MUTATION_EARLY_ANSWER | 1u << MUTATION_NO_RENEWAL |
                 1u << MUTATION_SYNC_IGNORED,
    .lives_max = 8,
    .crash_bits = 12,
};
