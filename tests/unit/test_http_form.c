/* test_http_form.c - queries, forms and credentials. */
#include "support/http_stage.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct aw_http_field fields[] = {
    {"q", "black & white"}, {"empty", ""}, {"none", NULL}, {"\xc3\xa4=b", "-._~/?#%+\n"}};
#define ENCODED "q=black%20%26%20white&empty=&none=&%C3%A4%3Db=-._~%2F%3F%23%25%2B%0A"

static void expect_url(const char *url, size_t count, const char *expected)
{
    char *text = NULL;
    cr_assert_eq(aw_http_url_with(url, fields, count, &text, NULL), 0);
    cr_expect_str_eq(text, expected);
    free(text);
}

Test(http_form, fields_become_a_query)
{
    char *text = NULL;
    cr_assert_eq(aw_http_encode(fields, 4, &text, NULL), 0);
    cr_expect_str_eq(text, ENCODED);
    free(text);
    cr_assert_eq(aw_http_encode(NULL, 0, &text, NULL), 0);
    cr_expect_str_eq(text, "");
    free(text);
    expect_url("http://h/p", 1, "http://h/p?q=black%20%26%20white");
    expect_url("http://h/p?a=1", 1, "http://h/p?a=1&q=black%20%26%20white");
    expect_url("http://h/p?", 1, "http://h/p?q=black%20%26%20white");
    expect_url("http://h/p?a=1&#part?", 1, "http://h/p?a=1&q=black%20%26%20white#part?");
    expect_url("http://h/p#part", 1, "http://h/p?q=black%20%26%20white#part");
    expect_url("http://h/p#part", 0, "http://h/p#part");
}

Test(http_form, a_field_needs_a_name)
{
    const struct aw_http_field wrong[] = {{"a", "1"}, {"", "2"}};
    const struct aw_http_field missing[] = {{NULL, "2"}};
    struct aw_error error;
    char *text = NULL;
    cr_expect_eq(aw_http_encode(wrong, 2, &text, &error), -EINVAL);
    cr_expect_str_eq(error.code, "REQUEST");
    cr_expect_not_null(strstr(error.message, "field 2"));
    cr_expect_eq(aw_http_url_with("http://h/", missing, 1, &text, &error), -EINVAL);
    cr_expect_null(text);
}

Test(http_form, links_lead_somewhere)
{
    static const struct { const char *base, *link, *leads; } rows[] = {
        {"http://h/a/b?q", "c", "http://h/a/c"}, {"http://h/a/b", "/c?d#e", "http://h/c?d#e"},
        {"http://h:81/a/b", "../c", "http://h:81/c"},
        {"https://h/a", "//other/c", "https://other/c"},
        {"http://h/a/b?q", "?x", "http://h/a/b?x"}, {"http://h/a", "https://o/", "https://o/"},
        {"http://u:p@h/a", "b", "http://u:p@h/b"}, {"http://u:p@h/a", "//o/b", "http://o/b"}};
    char *url = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_assert_eq(aw_http_url_join(rows[i].base, rows[i].link, &url), 0, "%s", rows[i].link);
        cr_expect_str_eq(url, rows[i].leads);
        free(url);
    }
    static const char *const nowhere[] = {"mailto:ann@example.org", "javascript:void(0)",
                                          "ftp://h/file", "http://", "http://h:99999/"};
    for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++)
        cr_expect_eq(aw_http_url_join("http://h/", nowhere[i], &url), -EINVAL, "%s", nowhere[i]);
    cr_expect_eq(aw_http_url_join("nonsense", "/a", &url), -EINVAL);
}

HTTP_STAGE_TEST(http_form, a_form_is_posted, NULL)
{
    assert_success(aw_http_post_form(stage->client, http_stage_url("/echo"), fields, 4,
                                     &stage->response, &stage->error));
    cr_expect_not_null(strstr(stage->server.last,
                              "Content-Type: application/x-www-form-urlencoded\r\n"));
    cr_expect_not_null(strstr(stage->response.body, "\n" ENCODED));
}

/* --- credentials ------------------------------------------------------------------------------ */

static bool server_saw(const char *text)
{
    return strstr(stage->server.last, text) != NULL;
}

HTTP_STAGE_TEST(http_credentials, of_three_kinds, NULL)
{
    assert_success(http_stage_request(
        (struct aw_http_request){.user = "Aladdin", .password = "open sesame"}, "/echo"));
    /* the example of RFC 7617 */
    cr_expect(server_saw("\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
    assert_success(http_stage_request((struct aw_http_request){.user = "ann"}, "/echo"));
    cr_expect(server_saw("\r\nAuthorization: Basic YW5uOg==\r\n"));
    assert_success(http_stage_request((struct aw_http_request){.bearer = "t.o-k"}, "/echo"));
    cr_expect(server_saw("\r\nAuthorization: Bearer t.o-k\r\n"));
    assert_success(http_stage_request((struct aw_http_request){0}, "/echo"));
    cr_expect(!server_saw("Authorization"), "kept for the next request: %s", stage->server.last);
}

HTTP_STAGE_TEST(http_credentials, stay_with_the_first_host, NULL)
{
    const struct aw_http_request kinds[] = {{.user = "ann", .password = "p"}, {.bearer = "t"}};
    char path[128];
    snprintf(path, sizeof path, "/to/307/http://localhost:%u/echo", stage->server.port);
    for (size_t i = 0; i < 2; i++) {
        assert_success(http_stage_request(kinds[i], "/to/307//echo"));
        cr_expect(server_saw("Authorization"));
        assert_success(http_stage_request(kinds[i], path));
        cr_expect(!server_saw("Authorization"), "%s", stage->server.last);
    }
    snprintf(stage->url, sizeof stage->url, "http://ann:p@127.0.0.1:%u%s", stage->server.port,
             path); /* in the URL they are the caller's too */
    aw_http_response_free(&stage->response);
    assert_success(aw_http_get(stage->client, stage->url, &stage->response, &stage->error));
    cr_expect(!server_saw("Authorization"), "%s", stage->server.last);
    /* back home by a detour: who led there could have chosen any path */
    snprintf(path, sizeof path, "/to/307/http://localhost:%u/to/307/http://127.0.0.1:%u/echo",
             stage->server.port, stage->server.port);
    assert_success(http_stage_request(kinds[1], path));
    cr_expect(!server_saw("Authorization"), "%s", stage->server.last);
}

HTTP_STAGE_TEST(http_credentials, wrong_ones_are_refused, NULL)
{
    const struct aw_http_header header = {"authorization", "Basic x"};
    const struct aw_http_request wrong[] = {
        {.user = "a:b"}, {.user = "a\r\nb"}, {.password = "p"}, {.bearer = ""}, {.bearer = "a\nb"},
        {.user = "a", .bearer = "b"}, {.user = "a", .headers = &header, .header_count = 1},
        {.bearer = "a", .headers = &header, .header_count = 1}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        expect_failure(http_stage_request(wrong[i], "/echo"), -EINVAL, "REQUEST");
    cr_expect_eq(stage->server.requests, 0);
}
