/* http_stage.h - the stage of a test of the HTTP client: a loop, a server and a client; afterwards
 * nothing may be left behind. */
#ifndef SUPPORT_HTTP_STAGE_H
#define SUPPORT_HTTP_STAGE_H

#include "support/http_server.h"

#include <await.h>

struct http_stage {
    struct http_server server;
    struct aw_http_client *client;
    struct aw_http_response response;
    struct aw_error error;
    char url[512];
};

extern struct http_stage *stage;

void http_stage_run(void (*body)(void), const struct aw_http_options *options);

/* "http://127.0.0.1:<port><path>", in the stage's memory. */
const char *http_stage_url(const char *path);

/* Sends it to that path of the stage's server; the response is the stage's. */
int http_stage_request(struct aw_http_request request, const char *path);

/* A test inside a loop, with the stage set. */
#define HTTP_STAGE_TEST(suite, name, options) \
    static void name##_body(void); \
    Test(suite, name, .timeout = 120) { http_stage_run(name##_body, options); } \
    static void name##_body(void)

#define expect_failure(result, number_, code_) \
    do { \
        int result_ = (result); \
        cr_expect_eq(result_, number_, "%d (%s: %s)", result_, stage->error.code, \
                     stage->error.message); \
        cr_expect_str_eq(stage->error.code, code_, "%s: %s", stage->error.code, \
                         stage->error.message); \
    } while (0)

#define assert_success(result) \
    do { \
        int result_ = (result); \
        cr_assert_eq(result_, 0, "%d %s: %s", result_, stage->error.code, stage->error.message); \
    } while (0)

#endif
