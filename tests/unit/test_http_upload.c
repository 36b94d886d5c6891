/* test_http_upload.c - bodies of requests that are written piece by piece. */
#include "support/cancel.h"
#include "support/http_stage.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UPLOAD_TEST(name) HTTP_STAGE_TEST(http_upload, name, NULL)

struct writer {
    uint64_t size;    /* to write */
    size_t piece;
    uint64_t written; /* by the last call */
    int calls;
    int result;       /* of the function, when all is written */
};

static int write_pieces(struct aw_http_body *body, void *context)
{
    struct writer *writer = context;
    static char bytes[300000]; /* more than a task has stack; one writes at a time */
    writer->calls++;
    writer->written = 0;
    while (writer->written < writer->size) {
        size_t size = writer->piece;
        if (size > writer->size - writer->written)
            size = (size_t)(writer->size - writer->written);
        for (size_t i = 0; i < size; i++)
            bytes[i] = http_server_byte(writer->written + i);
        int result = aw_http_body_write(body, bytes, size);
        if (result < 0)
            return result;
        writer->written += size;
    }
    return writer->result;
}

static int upload(const char *method, const char *path, struct writer *writer, size_t promised)
{
    struct aw_http_request request = {.method = method, .write_body = write_pieces,
                                      .body_size = promised, .context = writer};
    return http_stage_request(request, path);
}

static void expect_uploaded(int result, uint64_t size)
{
    char text[64];
    snprintf(text, sizeof text, "%llu bytes", (unsigned long long)size);
    assert_success(result);
    cr_expect_str_eq(stage->response.body, text);
    cr_expect_eq(stage->server.wrong, 0);
}

UPLOAD_TEST(bodies_of_known_and_unknown_size_arrive)
{
    static const uint64_t sizes[] = {1, 4096, 131071, 131072, 131073, 5000000};
    static const size_t pieces[] = {1000, 131072, 300000};
    static const char *const methods[] = {"POST", "PUT", "PATCH"};
    for (size_t i = 0; i < 6; i++)
        for (size_t j = 0; j < 3; j++) {
            struct writer writer = {.size = sizes[i], .piece = pieces[j]};
            expect_uploaded(upload(methods[j], "/upload", &writer, 0), sizes[i]);
            cr_expect_not_null(strstr(stage->server.last, "Transfer-Encoding: chunked\r\n"));
            cr_expect_eq(strncmp(stage->server.last, methods[j], strlen(methods[j])), 0);
            expect_uploaded(upload(methods[j], "/upload", &writer, sizes[i]), sizes[i]);
            cr_expect_null(strstr(stage->server.last, "Transfer-Encoding"));
            cr_expect_null(strstr(stage->server.last, "Expect"));
        }
    struct writer nothing = {.size = 0};
    expect_uploaded(upload("POST", "/upload", &nothing, 0), 0);
    cr_expect_eq(aw_server_accepted(stage->server.server), 37); /* each on a new connection */
}

static int upload_behind_the_gate(void *argument)
{
    return upload("PUT", "/upload-gate", argument, 200 << 20);
}

UPLOAD_TEST(a_server_that_does_not_read_holds_the_writer_back)
{
    struct writer writer = {.size = 200 << 20, .piece = 50000};
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, upload_behind_the_gate, &writer), 0);
    uint64_t before = UINT64_MAX;
    while (stage->server.waiting == 0 || before != writer.written) { /* until it stands still */
        before = writer.written;
        cr_assert_eq(aw_sleep(200), 0);
    }
    cr_expect_lt(writer.written, writer.size / 2, "%llu bytes were taken",
                 (unsigned long long)writer.written);
    aw_event_set(&stage->server.gate);
    expect_uploaded(aw_await(task), writer.size);
}

UPLOAD_TEST(the_size_that_was_promised_is_kept)
{
    struct writer writer = {.size = 1000, .piece = 300};
    expect_failure(upload("POST", "/upload", &writer, 999), -EINVAL, "FAILED");
    expect_failure(upload("POST", "/upload", &writer, 1001), -EINVAL, "FAILED");
    cr_expect_not_null(strstr(stage->error.message, "1000 bytes, not the 1001"));
    writer.result = -EIO; /* its source broke */
    expect_failure(upload("POST", "/upload", &writer, 1000), -EIO, "FAILED");
    expect_failure(upload("POST", "/upload", &writer, 0), -EIO, "FAILED");
    writer.result = 0;
    expect_uploaded(upload("POST", "/upload", &writer, 0), 1000);
}

UPLOAD_TEST(an_early_answer_ends_the_writing)
{
    for (int i = 0; i < 20; i++) {
        struct writer writer = {.size = 100 << 20, .piece = 100000};
        assert_success(upload("POST", "/refuse", &writer, i % 2 ? writer.size : 0));
        cr_expect_eq(stage->response.status, 413);
        cr_expect_lt(writer.written, writer.size);
    }
}

UPLOAD_TEST(a_redirect_has_the_body_written_again_or_drops_it)
{
    struct writer writer = {.size = 300000, .piece = 70000};
    expect_uploaded(upload("POST", "/to/307//upload", &writer, 300000), 300000);
    cr_expect_eq(writer.calls, 2);
    writer.calls = 0;
    assert_success(upload("POST", "/to/303//echo", &writer, 0));
    cr_expect_eq(writer.calls, 1);
    cr_expect_eq(strncmp(stage->response.body, "GET /echo", 9), 0);
    cr_expect_null(strstr(stage->server.last, "Transfer-Encoding"));
}

UPLOAD_TEST(a_closed_connection_is_no_trap)
{
    for (int i = 0; i < 10; i++) {
        assert_success(http_stage_request((struct aw_http_request){0}, "/closing"));
        struct writer writer = {.size = 50000, .piece = 20000};
        expect_uploaded(upload("POST", "/upload", &writer, i % 2 ? 50000 : 0), 50000);
        cr_expect_eq(writer.calls, 1);
    }
}

UPLOAD_TEST(a_stream_follows_its_own_upload)
{
    struct writer writer = {.size = 3000000, .piece = 70000};
    struct aw_http_request request = {.method = "POST", .url = http_stage_url("/echo"),
                                      .write_body = write_pieces, .body_size = 3000000,
                                      .context = &writer};
    struct aw_http_stream *stream;
    assert_success(aw_http_open(stage->client, &request, &stream, &stage->error));
    char bytes[10000];
    uint64_t total = 0;
    int size;
    while ((size = aw_http_stream_read(stream, bytes, sizeof bytes, &stage->error)) > 0)
        total += (uint64_t)size;
    assert_success(size);
    cr_expect_gt(total, writer.size);
    aw_http_stream_close(stream);
}

UPLOAD_TEST(wrong_uploads_are_refused)
{
    struct aw_http_request both = {.method = "POST", .write_body = write_pieces, .body = "x",
                                   .body_size = 1};
    expect_failure(http_stage_request(both, "/upload"), -EINVAL, "REQUEST");
    struct writer writer = {.size = 1};
    expect_failure(upload("HEAD", "/upload", &writer, 0), -EINVAL, "REQUEST");
    cr_expect_eq(writer.calls, 0);
}

/* Server and client of its own: idle connections would count as left behind. */
static int upload_in_a_stage_of_its_own(void *argument)
{
    (void)argument;
    struct http_stage here = {.client = NULL};
    struct http_stage *outer = stage;
    stage = &here;
    http_server_start(&here.server, NULL);
    struct writer writer = {.size = 2000000, .piece = 100000};
    int result = aw_http_client_open(&here.client, NULL, NULL);
    if (result == 0)
        result = upload("PUT", "/to/307//upload", &writer, 0);
    aw_http_response_free(&here.response);
    aw_http_client_close(here.client);
    http_server_stop(&here.server);
    stage = outer;
    return result;
}

UPLOAD_TEST(cancelled_anywhere_nothing_is_left)
{
    cr_expect_gt(cancel_everywhere(upload_in_a_stage_of_its_own, NULL), 5);
}

UPLOAD_TEST(closing_the_client_ends_an_upload)
{
    struct writer writer = {.size = 200 << 20, .piece = 50000};
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, upload_behind_the_gate, &writer), 0);
    while (stage->server.waiting == 0)
        cr_assert_eq(aw_sleep(1), 0);
    aw_http_client_close(stage->client);
    stage->client = NULL;
    expect_failure(aw_await(task), -ESHUTDOWN, "CLOSED");
}
