/* test_http_check.c - requests, proxies and URLs are judged before anything is sent. */
#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static int check(struct aw_http_request request, const char *word)
{
    struct aw_error error = {0};
    int result = aw_http_check(&request, &error);
    if (result < 0) {
        cr_expect_str_eq(error.code, "REQUEST");
        cr_expect(strstr(error.message, word), "%s", error.message);
    }
    return result;
}

Test(http_check, a_request_that_can_be_is_accepted)
{
    const struct aw_http_header header = {"X-One", "1"};
    cr_expect_eq(check((struct aw_http_request){.url = "http://localhost/"}, ""), 0);
    cr_expect_eq(check((struct aw_http_request){.method = "POST",
                                                .url = "https://[::1]:8443/a?b",
                                                .headers = &header,
                                                .header_count = 1,
                                                .body = "text",
                                                .body_size = 4},
                       ""),
                 0);
}

Test(http_check, a_request_that_cannot_be_is_refused_with_the_reason)
{
    const struct aw_http_header split = {"X-One", "1\r\nX-Two: 2"};
    const struct aw_http_header length = {"Content-Length", "3"};
    cr_expect_eq(check((struct aw_http_request){.url = NULL}, "missing"), -EINVAL);
    cr_expect_eq(check((struct aw_http_request){.url = "ftp://host/"}, "http://host"), -EINVAL);
    cr_expect_eq(check((struct aw_http_request){.url = "http://a/\r\nb"}, "one line"), -EINVAL);
    cr_expect_eq(check((struct aw_http_request){.method = "GET /", .url = "http://a/"}, "method"),
                 -EINVAL);
    cr_expect_eq(check(
                     (struct aw_http_request){
                         .method = "HEAD", .url = "http://a/", .body = "x", .body_size = 1},
                     "no body"),
                 -EINVAL);
    cr_expect_eq(check((struct aw_http_request){.url = "http://a/", .body_size = 1}, "missing"),
                 -EINVAL);
    cr_expect_eq(
        check((struct aw_http_request){.url = "http://a/", .headers = &split, .header_count = 1},
              "X-One"),
        -EINVAL);
    cr_expect_eq(
        check((struct aw_http_request){.url = "http://a/", .headers = &length, .header_count = 1},
              "Content-Length"),
        -EINVAL);
}

Test(http_check, only_proxies_that_resolve_names_themselves_are_taken)
{
    struct aw_error error = {0};
    cr_expect_eq(aw_http_check_proxy("http://proxy:3128", &error), 0);
    cr_expect_eq(aw_http_check_proxy("socks5h://proxy:1080", &error), 0);
    cr_expect_eq(aw_http_check_proxy("socks5://proxy:1080", &error), -EINVAL);
    cr_expect_gt(strlen(error.message), 0);
    cr_expect_eq(aw_http_check_proxy("proxy", &error), -EINVAL);
    cr_expect_eq(aw_http_check_proxy("", NULL), -EINVAL);
}

Test(http_check, an_origin_is_whom_a_url_goes_to)
{
    struct aw_http_origin origin = {.port = 7};
    cr_assert_eq(aw_http_origin_of("HTTP://Example.ORG/Path", &origin), 0);
    cr_expect_str_eq(origin.host, "example.org");
    cr_expect_eq(origin.port, 80);
    cr_expect_not(origin.tls);
    cr_assert_eq(aw_http_origin_of("https://user:pass@[::1]/", &origin), 0);
    cr_expect_str_eq(origin.host, "::1");
    cr_expect_eq(origin.port, 443);
    cr_expect(origin.tls);
    origin.port = 7;
    cr_expect_eq(aw_http_origin_of("file:///etc/passwd", &origin), -EINVAL);
    cr_expect_eq(aw_http_origin_of("http://a:0/", &origin), -EINVAL);
    cr_expect_eq(aw_http_origin_of("nonsense", &origin), -EINVAL);
    cr_expect_eq(origin.port, 7, "it is untouched on failure");
}
