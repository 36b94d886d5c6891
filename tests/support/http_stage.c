/* http_stage.c - see http_stage.h. */
#include "support/http_stage.h"

#include "support/process.h"

#include <criterion/criterion.h>
#include <stdio.h>

struct http_stage *stage;

struct play {
    void (*body)(void);
    const struct aw_http_options *options;
};

static int perform(void *argument)
{
    const struct play *play = argument;
    struct http_stage here = {.client = NULL};
    stage = &here;
    uint32_t tasks_before = aw_task_count();
    http_server_start(&here.server, NULL);
    assert_success(aw_http_client_open(&here.client, play->options, &here.error));
    play->body();
    aw_http_response_free(&here.response);
    aw_http_client_close(here.client);
    http_server_stop(&here.server);
    cr_expect_eq(aw_task_count(), tasks_before, "%u tasks, not %u", aw_task_count(), tasks_before);
    return 0;
}

void http_stage_run(void (*body)(void), const struct aw_http_options *options)
{
    int before = open_descriptors();
    cr_assert_eq(aw_run(perform, &(struct play){body, options}), 0);
    cr_expect_eq(open_descriptors(), before, "a descriptor is left");
}

const char *http_stage_url(const char *path)
{
    snprintf(stage->url, sizeof stage->url, "http://127.0.0.1:%u%s", stage->server.port, path);
    return stage->url;
}

int http_stage_request(struct aw_http_request request, const char *path)
{
    aw_http_response_free(&stage->response);
    request.url = http_stage_url(path);
    return aw_http_request(stage->client, &request, &stage->response, &stage->error);
}
