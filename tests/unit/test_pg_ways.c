/* test_pg_ways.c - which of libpq's ways is in use: on 17 and later cancelling without a thread and
 * ending a segment without a write of its own; before that the blocking cancel, on a thread. The
 * linker counts the calls (tests.mk wraps them). */
#include "support/pg_client.h"
#include "support/postgres.h"
#include "support/process.h"

#include <await.h>
#include <await/pg.h>

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <libpq-fe.h>

POSTGRES_BEFORE_TESTS
POSTGRES_AFTER_TESTS

TestSuite(pg_ways, .timeout = 120);

static unsigned blocking_cancels;
static unsigned flushing_syncs;
static unsigned starting_cancels;
static unsigned gathering_syncs;

int __real_PQcancel(PGcancel *cancel, char *text, int size);
int __wrap_PQcancel(PGcancel *cancel, char *text, int size);
int __real_PQpipelineSync(PGconn *session);
int __wrap_PQpipelineSync(PGconn *session);

int __wrap_PQcancel(PGcancel *cancel, char *text, int size)
{
    blocking_cancels++;
    return __real_PQcancel(cancel, text, size);
}

int __wrap_PQpipelineSync(PGconn *session)
{
    flushing_syncs++;
    return __real_PQpipelineSync(session);
}

#ifdef LIBPQ_HAS_ASYNC_CANCEL
int __real_PQcancelStart(PGcancelConn *cancel);
int __wrap_PQcancelStart(PGcancelConn *cancel);

int __wrap_PQcancelStart(PGcancelConn *cancel)
{
    starting_cancels++;
    return __real_PQcancelStart(cancel);
}
#endif

#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
int __real_PQsendPipelineSync(PGconn *session);
int __wrap_PQsendPipelineSync(PGconn *session);

int __wrap_PQsendPipelineSync(PGconn *session)
{
    gathering_syncs++;
    return __real_PQsendPipelineSync(session);
}
#endif

static int body_cancel(void)
{
    PG_EXPECT_OK("SELECT 1");
    int before = running_threads();
    pg_client_cancel_once();
#ifdef LIBPQ_HAS_ASYNC_CANCEL
    cr_expect_geq(starting_cancels, 1u);
    cr_expect_eq(blocking_cancels, 0u);
    cr_expect_eq(running_threads(), before, "a cancel needed a thread");
#else
    cr_expect_geq(blocking_cancels, 1u);
    cr_expect_eq(starting_cancels, 0u);
    cr_expect_eq(running_threads(), before + 1, "PQcancel blocks: not on the loop's thread");
#endif
    return 0;
}

Test(pg_ways, a_cancel_blocks_nothing)
{
    pg_client_run(1, 4, body_cancel);
}

static int body_sync(void)
{
    PG_EXPECT_OK("SELECT 1");
    PG_EXPECT_OK("SELECT 2");
#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
    cr_expect_geq(gathering_syncs, 2u);
    cr_expect_eq(flushing_syncs, 0u);
#else
    cr_expect_geq(flushing_syncs, 2u);
    cr_expect_eq(gathering_syncs, 0u);
#endif
    return 0;
}

Test(pg_ways, a_segment_is_ended_the_best_way_there_is)
{
    pg_client_run(1, 4, body_sync);
}
