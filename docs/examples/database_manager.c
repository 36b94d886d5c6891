/* database_manager.c - an own context manager: a database that is connected before the block and
 * disconnected after it, also when the block fails or is left by a return. */
#include <await.h>
#include <errno.h>
#include <stdio.h>

struct database {
    const char *name;
    bool connected;
};

static int database_connect(void *object)
{
    struct database *database = object;
    printf("connecting to %s\n", database->name);
    int result = aw_sleep(100);
    if (result < 0)
        return result; /* not entered: the block does not run, there is nothing to undo */
    database->connected = true;
    return 0;
}

static int database_disconnect(void *object, int outcome)
{
    struct database *database = object;
    printf("disconnecting: %s\n", outcome < 0 ? "rolled back" : "committed");
    database->connected = false;
    return aw_sleep(100); /* may suspend, even if the task has been cancelled */
}

static struct aw_with with_database(struct database *database)
{
    static const struct aw_manager manager = {
        .enter = database_connect, .exit = database_disconnect, .exit_timeout_ms = 2000};
    return aw_with(&manager, database);
}

static int query(struct database *database, const char *sql)
{
    int result = database->connected ? aw_sleep(100) : -ENOTCONN;
    printf("%s: %s\n", sql, result < 0 ? aw_error_name(result) : "ok");
    return result;
}

static int use(struct database *database)
{
    int result = 0;
    AW_WITH(result, with_database(database)) {
        result = query(database, "SELECT 1");
    }
    return result;
}

static int use_and_fail(struct database *database)
{
    int result = 0;
    AW_WITH(result, with_database(database)) {
        result = query(database, "INSERT 1");
        if (result == 0)
            return result = -EDOM; /* disconnected on the way out */
    }
    return result;
}

static int show(void *argument)
{
    struct database database = {.name = argument};
    int result = use(&database);
    if (result < 0)
        return result;
    printf("it failed: %s\n", aw_error_name(use_and_fail(&database)));
    return database.connected ? -EISCONN : 0;
}

int main(void)
{
    char name[] = "shop";
    return aw_run(show, name) < 0;
}
