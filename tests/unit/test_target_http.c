/* test_target_http.c - the parts of the HTTP target that need no server: what may be called, when
 * to try again, what a request is made of. */
#include "config/http_rules.h"
#include "targets/http_job.h"
#include "targets/http_retry_after.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct http_rules rules_of(const char *uri, const char *hosts, const char *headers)
{
    struct http_rules rules;
    enum http_rules_part part;
    char reason[HTTP_RULES_REASON_SIZE] = "";
    cr_assert_eq(http_rules_parse(&rules, uri, hosts, headers, &part, reason), 0, "%s", reason);
    return rules;
}

Test(target_http, hosts_that_may_be_called)
{
    static const struct { const char *url; bool allowed; } rows[] = {
        {"https://api.example/v1/x", true}, {"https://API.EXAMPLE:443/other", true},
        {"http://api.example/v1", false}, {"https://api.example:444/", false},
        {"https://api.example.evil/", false}, {"https://api.example@evil/", false},
        {"http://plain/", true}, {"https://plain:99/", true}, {"http://port:8080/", true},
        {"http://port/", false}, {"http://a.wild/", true}, {"http://a.b.wild/", true},
        {"http://wild/", false}, {"http://awild/", false}, {"http://[::1]:80/", true},
        {"http://[::1]:81/", false}, {"ftp://plain/", false}, {"plain", false}, {"", false},
    };
    struct http_rules rules = rules_of("https://api.example/v1", "plain, port:8080 *.wild [::1]:80",
                                       NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_expect_eq(http_rules_allow(&rules, rows[i].url), rows[i].allowed, "%s", rows[i].url);
    cr_expect(http_rules_is_base(&rules, "https://api.example/"));
    cr_expect_not(http_rules_is_base(&rules, "http://plain/"));
    http_rules_free(&rules);
    struct http_rules any = rules_of(NULL, "*", NULL);
    cr_expect(http_rules_allow(&any, "http://whatever:1/"));
    cr_expect_not(http_rules_is_base(&any, "http://whatever:1/"));
    http_rules_free(&any);
}

Test(target_http, wrong_hosts)
{
    static const char *const wrong[] = {"", " , ", "a:", "a:0", "a:65536", "a:b", "*a", "*.", "a*",
        "http://a", "[::1", "a@b", "[]"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct http_rules rules;
        enum http_rules_part part;
        char reason[HTTP_RULES_REASON_SIZE] = "";
        cr_expect_eq(http_rules_parse(&rules, NULL, wrong[i], NULL, &part, reason), -EINVAL, "%s",
                     wrong[i]);
        cr_expect_eq(part, HTTP_RULES_HOSTS);
        cr_expect_str_neq(reason, "");
    }
}

Test(target_http, retry_after)
{
    const uint64_t now_ms = UINT64_C(784111777000); /* Sun, 06 Nov 1994 08:49:37 GMT */
    static const struct { const char *value; bool known; uint64_t delay_ms; } rows[] = {
        {"0", true, 0}, {"120", true, 120000}, {" 5 ", true, 5000},
        {"Sun, 06 Nov 1994 08:49:40 GMT", true, 3000},
        {"Sunday, 06-Nov-94 08:49:47 GMT", true, 10000},
        {"Sun Nov  6 08:49:38 1994", true, 1000},
        {"Sun, 06 Nov 1994 08:49:30 GMT", true, 0},
        {"99999999999999999999999", true, UINT64_C(10000000000000)},
        {"", false, 0}, {"-1", false, 0}, {"1.5", false, 0}, {"soon", false, 0}, {"5 s", false, 0},
        {"Sun, 06 Nov 1994 08:49:40 CET", false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t delay_ms = 0;
        cr_expect_eq(http_retry_after(rows[i].value, now_ms, &delay_ms), rows[i].known, "%s",
                     rows[i].value);
        cr_expect_eq(delay_ms, rows[i].delay_ms, "%s: %llu", rows[i].value,
                     (unsigned long long)delay_ms);
    }
}

#define WORD(text) {.data = text, .size = sizeof(text) - 1}

static const char *header_of(const struct http_job *job, const char *name)
{
    const char *value = NULL;
    for (size_t i = 0; i < job->request.header_count; i++)
        if (strcmp(job->request.headers[i].name, name) == 0) {
            cr_expect_null(value, "%s twice", name);
            value = job->request.headers[i].value;
        }
    return value;
}

Test(target_http, a_request_is_made_of_the_job_and_the_settings)
{
    struct http_rules rules = rules_of("http://api.example/v1/", "other", "Accept: a | X-B: b");
    struct target_settings settings = {.password = "token"};
    const struct argument arguments[] = {WORD("post"), WORD("/users?x=1"), WORD("Accept:  own "),
                                         WORD("X-Empty:"), WORD("body"), WORD("a\0b")};
    struct http_job job;
    struct aw_error error = {0};
    cr_assert_eq(http_job_make(&job, &settings, &rules, arguments, 6, 77, &error), 0, "%s",
                 error.message);
    cr_expect_str_eq(job.request.method, "POST");
    cr_expect_str_eq(job.request.url, "http://api.example/v1/users?x=1");
    cr_expect_eq(job.request.body_size, 3);
    cr_expect_eq(job.request.header_count, 5);
    cr_expect_str_eq(header_of(&job, "Accept"), "own");
    cr_expect_str_eq(header_of(&job, "X-Empty"), "");
    cr_expect_str_eq(header_of(&job, "X-B"), "b");
    cr_expect_str_eq(header_of(&job, "Authorization"), "Bearer token");
    cr_expect_str_eq(header_of(&job, "Idempotency-Key"), "77");
    http_job_free(&job);

    const struct argument elsewhere[] = {WORD("GET"), WORD("http://other/")};
    cr_assert_eq(http_job_make(&job, &settings, &rules, elsewhere, 2, 0, &error), 0);
    cr_expect_null(header_of(&job, "Authorization"));
    cr_expect_null(header_of(&job, "Idempotency-Key"));
    cr_expect_null(job.request.body);
    http_job_free(&job);
    http_rules_free(&rules);
}

Test(target_http, wrong_arguments)
{
    static const struct {
        struct argument arguments[3];
        uint32_t count;
        const char *says;
    } rows[] = {
        {{WORD("GET")}, 1, "needs <method>"},
        {{WORD("GET"), {.null = true}}, 2, "argument 2 is NULL"},
        {{WORD("GET"), WORD("/a\0b")}, 2, "argument 2 holds a NUL"},
        {{WORD("GET"), WORD("/"), WORD(": x")}, 3, "no header"},
        {{WORD("GET"), WORD("/"), WORD("BODY")}, 3, "BODY needs one argument"},
        {{WORD("GET"), WORD("")}, 2, "http://"},
        {{WORD("GET"), WORD("http://evil/")}, 2, "may not call"},
    };
    struct http_rules rules = rules_of("http://api.example", NULL, NULL);
    struct target_settings settings = {.password = NULL};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http_job job;
        struct aw_error error = {0};
        cr_expect_eq(http_job_make(&job, &settings, &rules, rows[i].arguments, rows[i].count, 1,
                                   &error), -EINVAL);
        cr_expect_not_null(strstr(error.message, rows[i].says), "%s", error.message);
    }
    http_rules_free(&rules);
}
