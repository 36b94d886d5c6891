/* test_http_crowd.c - many requests at once, the limits of connections, closing among them. */
#include "support/http_stage.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static int fetch_gate(void *argument)
{
    (void)argument;
    struct aw_http_response response = {0};
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/gate", stage->server.port);
    int result = aw_http_get(stage->client, url, &response, NULL);
    cr_expect(result < 0 || strcmp(response.body, "open") == 0);
    aw_http_response_free(&response);
    return result;
}

static void wait_for(uint32_t waiting)
{
    while (stage->server.waiting < waiting)
        cr_assert_eq(aw_sleep(1), 0);
}

static void gather_gates(size_t count, uint32_t at_once)
{
    struct aw_task **tasks = calloc(count, sizeof *tasks);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(aw_spawn(&tasks[i], fetch_gate, NULL), 0);
    wait_for(at_once);
    for (int i = 0; i < 50; i++)
        AW_IGNORE(aw_yield());
    cr_expect_eq(stage->server.waiting, at_once);
    aw_event_set(&stage->server.gate);
    cr_expect_eq(aw_gather(count, tasks, NULL), 0);
    cr_expect_eq(stage->server.requests, count);
    free(tasks);
}

static const struct aw_http_options thousands = {.connections_max = 2000,
                                                 .connections_per_host_max = 2000};
HTTP_STAGE_TEST(http_crowd, two_thousand_transfers_run_at_once, &thousands)
{
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max; /* both ends of each connection are in this process */
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    gather_gates(2000, 2000); /* all of them at the server before the first is answered */
}

static const struct aw_http_options four = {.connections_max = 100, .connections_per_host_max = 4};
HTTP_STAGE_TEST(http_crowd, connections_to_a_host_are_limited, &four)
{
    gather_gates(200, 4);
    cr_expect_eq(aw_server_accepted(stage->server.server), 4);
}

static const struct aw_http_options seven = {.connections_max = 7};
HTTP_STAGE_TEST(http_crowd, connections_are_limited, &seven)
{
    gather_gates(200, 7);
    cr_expect_eq(aw_server_accepted(stage->server.server), 7);
}

static const struct aw_http_options one = {.connections_max = 1};
HTTP_STAGE_TEST(http_crowd, cancelled_while_it_waits_for_a_place, &one)
{
    struct aw_task *first;
    struct aw_task *second;
    cr_assert_eq(aw_spawn(&first, fetch_gate, NULL), 0);
    wait_for(1);
    cr_assert_eq(aw_spawn(&second, fetch_gate, NULL), 0);
    AW_IGNORE(aw_sleep(1));
    aw_cancel(second);
    cr_expect_eq(aw_await(second), -ECANCELED);
    cr_expect_eq(stage->server.requests, 1);
    aw_cancel(first);
    cr_expect_eq(aw_await(first), -ECANCELED);
    assert_success(http_stage_request((struct aw_http_request){0}, "/redirect/0"));
}

HTTP_STAGE_TEST(http_crowd, closing_the_client_ends_what_runs, NULL)
{
    struct aw_task *tasks[3];
    int results[3];
    for (int i = 0; i < 3; i++)
        cr_assert_eq(aw_spawn(&tasks[i], fetch_gate, NULL), 0);
    wait_for(3);
    aw_http_client_close(stage->client);
    stage->client = NULL;
    cr_expect_eq(aw_gather(3, tasks, results), -ESHUTDOWN);
    cr_expect_eq(results[2], -ESHUTDOWN);
}
