/* test_http_json.c - JSON over HTTP: both ways, what is refused and how that is told. */
#include "support/cancel.h"
#include "support/http_stage.h"
#include "support/process.h"

#include <await/http_json.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_TEST(name) HTTP_STAGE_TEST(http_json, name, NULL)

static json_t *value; /* what came last */

static void forget(void)
{
    json_decref(value);
    value = NULL;
    stage->error = (struct aw_error){0};
}

/* The server answers that text, with that type. */
static int hear(const char *type, const char *text, size_t size)
{
    struct aw_http_header header = {"Content-Type", type};
    struct aw_http_request request = {.method = "POST", .url = http_stage_url("/as/200"),
                                      .headers = &header, .header_count = type != NULL ? 1 : 0,
                                      .body = text, .body_size = size};
    forget();
    return aw_http_request_json(stage->client, &request, NULL, NULL, &value, &stage->error);
}

static int hear_json(const char *text)
{
    return hear("application/json", text, strlen(text));
}

static bool says(const char *text)
{
    return strstr(stage->error.message, text) != NULL;
}

JSON_TEST(values_go_and_come)
{
    json_t *sent = json_pack("{s:i, s:[f, s, n, b], s:{}}", "id", 7, "list", 0.5, "\xc3\xa4\"\n",
                             1, "empty");
    const char *url = http_stage_url("/as/200");
    static int (*const calls[])(struct aw_http_client *, const char *, const json_t *, json_t **,
                                struct aw_error *) = {aw_http_post_json, aw_http_put_json,
                                                      aw_http_patch_json};
    static const char *const methods[] = {"POST /", "PUT /", "PATCH /"};
    for (size_t i = 0; i < 3; i++) {
        forget();
        assert_success(calls[i](stage->client, url, sent, &value, &stage->error));
        cr_expect(json_equal(value, sent));
        cr_expect_eq(strncmp(stage->server.last, methods[i], strlen(methods[i])), 0);
        cr_expect_not_null(strstr(stage->server.last, "\r\nContent-Type: application/json\r\n"));
        cr_expect_not_null(strstr(stage->server.last, "\r\nAccept: application/json\r\n"));
    }
    forget();
    json_decref(sent);
    assert_success(aw_http_post_json(stage->client, url, json_true(), &value, &stage->error));
    cr_expect(json_is_true(value));
}

JSON_TEST(no_content_is_no_value)
{
    assert_success(aw_http_get_json(stage->client, http_stage_url("/status/204"), &value,
                                    &stage->error));
    cr_expect_null(value);
    assert_success(aw_http_delete_json(stage->client, http_stage_url("/echo"), NULL,
                                       &stage->error)); /* it may then be anything */
    cr_expect_eq(strncmp(stage->server.last, "DELETE /echo ", 13), 0);
    cr_expect_null(strstr(stage->server.last, "Content-Type"));
}

JSON_TEST(a_status_is_an_error_with_its_response)
{
    struct aw_http_header type = {"Content-Type", "application/problem+json"};
    const char *text = "{\"detail\": \"no such user\"}";
    struct aw_http_request request = {.method = "POST", .url = http_stage_url("/as/404"),
                                      .headers = &type, .header_count = 1, .body = text,
                                      .body_size = strlen(text)};
    expect_failure(aw_http_request_json(stage->client, &request, NULL, &stage->response, &value,
                                        &stage->error), -EREMOTEIO, "404");
    cr_expect(says("/as/404 answered 404 Said So: {\"detail\": \"no such user\"}"), "%s",
              stage->error.message);
    cr_expect_eq(stage->response.status, 404);
    cr_expect_str_eq(stage->response.body, text);
    cr_expect_null(value);
    expect_failure(aw_http_get_json(stage->client, http_stage_url("/status/503?key=secret"),
                                    &value, &stage->error), -EREMOTEIO, "503");
    cr_expect(!says("secret"), "%s", stage->error.message);
}

JSON_TEST(other_types_are_refused)
{
    static const char *const good[] = {"application/json", "text/json",
                                       "Application/JSON;charset=x", "application/hal+json",
                                       "application/geo+json ; v=1"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_success(hear(good[i], "[1]", 3));
    static const char *const bad[] = {"text/html", "application/jsonp", "text/x+json", "json",
                                      "application/+json", NULL};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        expect_failure(hear(bad[i], "[1]", 3), -EPROTO, "TYPE");
        cr_expect_null(value);
        cr_expect(says(bad[i] ? bad[i] : "missing"), "%s", stage->error.message);
    }
}

JSON_TEST(the_place_of_a_mistake_is_told)
{
    static const struct { const char *text, *place; } rows[] = {
        {"{\"a\": 1,\n \"b\": tru}", "line 2, column 9: invalid token near 'tru'"},
        {"[1, 2", "line 1, column 5: ']' expected near end of file"},
        {"[1] x", "line 1, column 5: end of file expected near 'x'"},
        {"[\"\xff\"]", "line 1, column 2: unable to decode byte 0xff"},
        {"\n\n{\"a\" 1}", "line 3, column 6: ':' expected near '1'"},
        {" ", "unexpected token near end of file"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        expect_failure(hear_json(rows[i].text), -EBADMSG, "JSON");
        cr_expect(says(rows[i].place), "%s", stage->error.message);
        cr_expect(says("/as/200: "), "%s", stage->error.message);
        cr_expect_null(value);
    }
}

static char *nested(size_t depth, const char *open, const char *close)
{
    char *text = malloc(depth * (strlen(open) + strlen(close)) + 2);
    char *at = text;
    for (size_t i = 0; i < depth; i++)
        at = stpcpy(at, open);
    at = stpcpy(at, "1");
    for (size_t i = 0; i < depth; i++)
        at = stpcpy(at, close);
    return text;
}

static int hear_nested(size_t depth, const char *open, const char *close)
{
    char *text = nested(depth, open, close);
    int result = hear_json(text);
    free(text);
    return result;
}

JSON_TEST(what_is_nested_too_deeply_is_refused)
{
    assert_success(hear_nested(128, "[", "]"));
    assert_success(hear_nested(128, "{\"a\":", "}"));
    expect_failure(hear_nested(129, "[", "]"), -EBADMSG, "JSON");
    cr_expect(says("byte 129"), "%s", stage->error.message);
    expect_failure(hear_nested(129, "{\"a\":", "}"), -EBADMSG, "JSON");
    expect_failure(hear_nested(1000000, "[", ""), -EBADMSG, "JSON");
    assert_success(hear_json("[\"[[[[\\\"[[{{{{\\\\\"]")); /* in a string they do not count */
    char *text = nested(5000, "[],", "");
    text[0] = '[';
    text[1] = '1';
    expect_failure(hear_json(text), -EBADMSG, "JSON"); /* beside each other neither: no end */
    cr_expect(says("']' expected"), "%s", stage->error.message);
    free(text);
}

static json_t *nested_value(size_t depth)
{
    char *text = nested(depth, "[", "]");
    json_t *made = json_loads(text, 0, NULL);
    free(text);
    return made;
}

static int send_it(json_t *sent)
{
    forget();
    return aw_http_post_json(stage->client, http_stage_url("/as/200"), sent, &value,
                             &stage->error);
}

JSON_TEST(values_that_cannot_be_sent_are_refused)
{
    json_t *deep = nested_value(128);
    assert_success(send_it(deep));
    cr_expect(json_equal(value, deep));
    json_decref(deep);
    deep = nested_value(129);
    expect_failure(send_it(deep), -EINVAL, "REQUEST");
    json_decref(deep);
    deep = json_loads("[[], []]", 0, NULL); /* holds itself, by a detour and in two places */
    json_array_append(json_array_get(deep, 0), deep);
    json_array_append(json_array_get(deep, 1), deep);
    expect_failure(send_it(deep), -EINVAL, "REQUEST");
    json_array_clear(json_array_get(deep, 0));
    json_array_clear(json_array_get(deep, 1));
    json_decref(deep);
    struct aw_http_request both = {.url = http_stage_url("/echo"), .body = "x", .body_size = 1};
    expect_failure(aw_http_request_json(stage->client, &both, json_true(), NULL, NULL,
                                        &stage->error), -EINVAL, "REQUEST");
    struct aw_http_request many = {.url = stage->url, .header_count = SIZE_MAX};
    expect_failure(aw_http_request_json(stage->client, &many, json_true(), NULL, NULL,
                                        &stage->error), -EINVAL, "REQUEST");
    cr_expect_eq(stage->server.requests, 1);
}

JSON_TEST(what_is_large_leaves_the_loop_free)
{
    json_t *large = json_array();
    for (int i = 0; i < 1000; i++)
        json_array_append_new(large, json_integer(i));
    int threads = running_threads();
    assert_success(send_it(large));
    cr_expect_eq(running_threads(), threads, "a small one needs no thread");
    for (int i = 0; i < 100000; i++)
        json_array_append_new(large, json_integer(i));
    assert_success(send_it(large));
    cr_expect_gt(running_threads(), threads);
    cr_expect(json_equal(value, large));
    json_decref(large);
}

static const struct aw_http_options small = {.response_size_max = 20};
HTTP_STAGE_TEST(http_json, the_limit_of_responses_holds, &small)
{
    expect_failure(hear_json("[1,2,3,4,5,6,7,8,9,10]"), -EMSGSIZE, "TOOBIG");
    assert_success(hear_json("[1,2,3,4]"));
}

/* Server and client of its own: idle connections would count as left behind. */
static int ask_in_a_stage_of_its_own(void *argument)
{
    struct http_stage here = {.client = NULL};
    struct http_stage *outer = stage;
    json_t *answer = NULL;
    stage = &here;
    http_server_start(&here.server, NULL);
    int result = aw_http_client_open(&here.client, NULL, NULL);
    if (result == 0)
        result = aw_http_post_json(here.client, http_stage_url("/as/200"), argument, &answer,
                                   NULL);
    cr_expect(result < 0 ? answer == NULL : json_equal(answer, argument) == 1);
    json_decref(answer);
    aw_http_client_close(here.client);
    http_server_stop(&here.server);
    stage = outer;
    return result;
}

JSON_TEST(cancelled_anywhere_nothing_is_left)
{
    json_t *large = json_array();
    for (int i = 0; i < 30000; i++)
        json_array_append_new(large, json_integer(i));
    cr_expect_gt(cancel_everywhere(ask_in_a_stage_of_its_own, large), 5);
    json_decref(large);
}
