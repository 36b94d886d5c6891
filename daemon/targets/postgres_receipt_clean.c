/* postgres_receipt_clean.c - see postgres_receipt_clean.h; why a receipt may go: receipt_cleaner.h.
 *
 * The fence. A run of a job can take effect only in a session to which it was sent, and as long as
 * that session lives. Every session of an exactly-once target is named awaitd/<store>/<random> by
 * its application_name. So, for jobs that were finished before a moment T:
 *
 *   - sessions that began after T (by the server's clock) never carried them;
 *   - of the sessions that this daemon still has, of whichever target (several may share a
 *     database), those with nothing in flight that was sent before T have answered all they
 *     carried;
 *   - any other session of this store that the server still has may be a zombie: of a killed
 *     daemon, or one whose connection was lost or given up. While there is one, nothing goes.
 *
 * Sessions are told apart by their names: process ids of two servers can be the same. Behind a
 * pooler statements can wait where the server does not show them, so the question must itself come
 * from a session with one of our ids and names, or nothing goes. A session in which a job's own
 * function changed application_name (set_config) would not be seen: OPERATIONS.md says so.
 *
 * A job that runs for hours holds the fence that long, once: T stays while it is waited for, and
 * what is sent later does not matter. */
#include "targets/postgres_receipt_clean.h"

#include "admin/log.h"
#include "protocol/number.h"
#include "targets/receipt_cleaner.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SESSIONS_MAX 4000u /* that are known to be quiet; more keep receipts, never lose them */
#define ASK_MIN_MS 50u
#define ASK_MAX_MS 5000u
#define COMPLAIN_NS (600 * AW_NS_PER_S)
#define NUMBER_SIZE 24u

static const char list_sql[] =
    "SELECT job_id, at < now() - $3::double precision * interval '1 ms' FROM awaitd.receipt "
    "WHERE store = $1 AND job_id > $2 ORDER BY job_id LIMIT 1024";
static const char forget_sql[] =
    "DELETE FROM awaitd.receipt WHERE store = $1 AND job_id = ANY($2::bigint[])";
static const char clock_sql[] = "SELECT extract(epoch FROM clock_timestamp())";
/* $1: what our names begin with, $2 and $3: the ids and names of quiet sessions, $4: the
 * clock; the second more is for the rounding of the number. */
static const char sessions_sql[] =
    "SELECT pg_backend_pid() = ANY($2::int[]) AND current_setting('application_name') = "
    "ANY($3::text[]), (SELECT min(pid) FROM pg_stat_activity WHERE datname = current_database() "
    "AND starts_with(application_name, $1) AND application_name <> ALL($3::text[]) AND "
    "(backend_start IS NULL OR backend_start <= to_timestamp($4::double precision + 1)))";

_Static_assert(RECEIPT_PAGE == 1024, "the LIMIT of list_sql");

/* The exactly-once targets of this daemon: they share the store's name. */
LIST_HEAD(receipts_list, postgres_receipts);
static struct receipts_list all = LIST_HEAD_INITIALIZER(all);

static struct aw_pg_value text_value(const char *text)
{
    return (struct aw_pg_value){text, strlen(text), false};
}

static int list(void *context, uint64_t after, struct receipt_page *ret_page,
                struct aw_error *reterr)
{
    const struct postgres_receipts *receipts = context;
    const struct target_settings *settings = &receipts->target->settings;
    char after_text[NUMBER_SIZE];
    char keep[NUMBER_SIZE];
    snprintf(after_text, sizeof after_text, "%" PRIu64, after);
    snprintf(keep, sizeof keep, "%" PRIu64, settings->receipt_keep_ms);
    const struct aw_pg_value values[] = {text_value(settings->store),
                                         text_value(after_text), text_value(keep)};
    struct aw_pg_results *results = NULL;
    int status = aw_pg_query(receipts->pool, list_sql, 3, values, &results, reterr);
    if (status < 0) {
        return strcmp(reterr->code, "42P01") == 0 || strcmp(reterr->code, "3F000") == 0 ? -ENOENT
                                                                                         : status;
    }
    size_t rows = aw_pg_row_count(results, 0);
    for (size_t row = 0; row < rows && status == 0; row++) {
        struct aw_pg_value id = aw_pg_value_at(results, 0, row, 0);
        status = number_parse_unsigned(id.data, id.size, 0, INT64_MAX, &ret_page->last);
        if (aw_pg_value_at(results, 0, row, 1).data[0] == 't') {
            ret_page->ids[ret_page->count++] = ret_page->last;
        }
    }
    aw_pg_results_free(results);
    ret_page->end = rows < RECEIPT_PAGE || ret_page->count == 0;
    return status < 0 ? aw_error_set(reterr, status, "awaitd.receipt holds an id that is none")
                      : 0;
}

/* "{1,2,3}"; NULL: no memory. */
static char *ids_text(const uint64_t *ids, uint32_t count)
{
    char *text = malloc((size_t)count * NUMBER_SIZE + 3);
    if (text == NULL) {
        return NULL;
    }
    char *at = text;
    *at++ = '{';
    for (uint32_t i = 0; i < count; i++) {
        at += snprintf(at, NUMBER_SIZE, "%s%" PRIu64, i > 0 ? "," : "", ids[i]);
    }
    memcpy(at, "}", 2);
    return text;
}

static int forget(void *context, const uint64_t *ids, uint32_t count, struct aw_error *reterr)
{
    const struct postgres_receipts *receipts = context;
    char *array = ids_text(ids, count);
    if (array == NULL) {
        return aw_error_set(reterr, -ENOMEM, "out of memory");
    }
    const struct aw_pg_value values[] = {text_value(receipts->target->settings.store),
                                         text_value(array)};
    int status = aw_pg_query(receipts->pool, forget_sql, 2, values, NULL, reterr);
    free(array);
    return status;
}

static int server_clock(struct aw_pg_pool *pool, char *ret_clock, size_t size,
                        struct aw_error *reterr)
{
    struct aw_pg_results *results = NULL;
    int status = aw_pg_query(pool, clock_sql, 0, NULL, &results, reterr);
    if (status == 0) {
        snprintf(ret_clock, size, "%s", aw_pg_value_at(results, 0, 0, 0).data);
    }
    aw_pg_results_free(results);
    return status;
}

/* The sessions of all targets of this daemon that are quiet since then, as arrays in text. */
struct quiet {
    struct aw_pg_session sessions[SESSIONS_MAX];
    char pids[SESSIONS_MAX * NUMBER_SIZE + 3];
    char names[SESSIONS_MAX * (AW_PG_SESSION_NAME_SIZE + 1) + 3];
};

static void fill_quiet(struct quiet *quiet, uint64_t since_ns)
{
    uint32_t count = 0;
    const struct postgres_receipts *receipts;
    LIST_FOREACH(receipts, &all, link) {
        count += aw_pg_pool_quiet_sessions(receipts->pool, since_ns, quiet->sessions + count,
                                           SESSIONS_MAX - count);
    }
    char *pid = quiet->pids;
    char *name = quiet->names;
    *pid++ = '{';
    *name++ = '{';
    for (uint32_t i = 0; i < count; i++) {
        const struct aw_pg_session *session = &quiet->sessions[i];
        if (strncmp(session->name, "awaitd/", 7) != 0 || strpbrk(session->name, "\"\\,{}")) {
            continue; /* not a name of ours */
        }
        const char *comma = name - quiet->names > 1 ? "," : "";
        pid += sprintf(pid, "%s%d", comma, session->pid);
        name += sprintf(name, "%s%s", comma, session->name);
    }
    memcpy(pid, "}", 2);
    memcpy(name, "}", 2);
}

enum fence_state { FENCE_CLEAR, FENCE_CLOSED };

static enum fence_state read_answer(const struct aw_pg_results *results, struct aw_error *reterr)
{
    struct aw_pg_value zombie = aw_pg_value_at(results, 0, 0, 1);
    if (aw_pg_value_at(results, 0, 0, 0).data[0] != 't') {
        aw_error_set(reterr, -EAGAIN,
                     "awaitd's sessions are not its own here (a pooler, or an application_name in "
                     "the uri), so nobody can tell whether an old one still works");
        return FENCE_CLOSED;
    }
    if (!zombie.null) {
        aw_error_set(reterr, -EAGAIN, "session %s of this queue's may still work on an old job",
                     zombie.data);
        return FENCE_CLOSED;
    }
    return FENCE_CLEAR;
}

/* Whether a session other than our quiet ones began before the clock. */
static int look(const struct postgres_receipts *receipts, const char *clock, uint64_t since_ns,
                enum fence_state *ret_state, struct aw_error *reterr)
{
    struct quiet *quiet = malloc(sizeof *quiet); /* too large for a task's stack */
    if (quiet == NULL) {
        return aw_error_set(reterr, -ENOMEM, "out of memory");
    }
    char name[POSTGRES_RECEIPT_NAME_SIZE + 1];
    postgres_receipt_session_name(receipts->target, name);
    strcat(name, "/");
    fill_quiet(quiet, since_ns);
    const struct aw_pg_value values[] = {text_value(name), text_value(quiet->pids),
                                         text_value(quiet->names), text_value(clock)};
    struct aw_pg_results *results = NULL;
    int status = aw_pg_query(receipts->pool, sessions_sql, 4, values, &results, reterr);
    free(quiet);
    if (status == 0) {
        *ret_state = read_answer(results, reterr);
    }
    aw_pg_results_free(results);
    return status;
}

static int fence(void *context, struct aw_error *reterr)
{
    const struct postgres_receipts *receipts = context;
    uint64_t since_ns = aw_now_ns();
    uint64_t complain_ns = since_ns + COMPLAIN_NS;
    uint64_t pause_ms = ASK_MIN_MS;
    char clock[40];
    int status = server_clock(receipts->pool, clock, sizeof clock, reterr);
    while (status == 0) {
        enum fence_state state = FENCE_CLOSED;
        status = look(receipts, clock, since_ns, &state, reterr);
        if (status < 0 || state == FENCE_CLEAR) {
            break;
        }
        if (aw_now_ns() > complain_ns) {
            log_line(LOG_LEVEL_WARNING, "target %s: old receipts stay for now: %s",
                     receipts->target->settings.name, reterr->message);
            complain_ns = UINT64_MAX;
        }
        status = aw_sleep(pause_ms);
        pause_ms = pause_ms * 2 < ASK_MAX_MS ? pause_ms * 2 : ASK_MAX_MS;
    }
    return status;
}

int postgres_receipts_clean(struct postgres_receipts *receipts)
{
    static const struct receipt_engine engine = {.list = list, .fence = fence, .forget = forget};
    if (receipts->target->settings.delivery != TARGET_EXACTLY_ONCE) {
        return 0;
    }
    LIST_INSERT_HEAD(&all, receipts, link);
    receipts->listed = true;
    return receipt_cleaner_start(receipts->target, &engine, receipts);
}

void postgres_receipts_stop(struct postgres_receipts *receipts)
{
    if (receipts->listed) {
        LIST_REMOVE(receipts, link);
        receipts->listed = false;
    }
}
