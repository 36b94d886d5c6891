/* test_config_targets.c - the configuration of targets: what each type knows and refuses. */
#include "support/config_stage.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

Test(config_targets, a_worker_target_connects_to_nothing)
{
    assert_refused("[target mail]\ntype = worker\nuri = redis://localhost\n",
                   "a.conf:3: uri in [target mail] is not for type worker");
    assert_refused("[target mail]\ntype = worker\nconnections = 2\n",
                   "a.conf:3: connections in [target mail] is not for type worker");
}

Test(config_targets, http_target)
{
    struct config config = parsed(
        "[target hook]\ntype = http\nuri = https://api.example/v1\nhosts = *.example other:8080\n"
        "headers = Accept: text/plain | X-B: 2\nca_file = /etc/ca.pem\nproxy = http://p:3128\n"
        "redirects = 0\nresponse_size_max = 2M\nrequest_timeout = 5s\nretry_after_max = 1d\n"
        "[target any]\ntype = http\nhosts = *\n");
    const struct config_target *hook = &config.targets[0];
    cr_expect_eq(hook->type, TARGET_TYPE_HTTP);
    cr_expect_str_eq(config_target_type_name(hook->type), "http");
    cr_expect_eq(hook->pipeline, 1);
    cr_expect_str_eq(hook->http.hosts, "*.example other:8080");
    cr_expect_str_eq(hook->http.headers, "Accept: text/plain | X-B: 2");
    cr_expect_str_eq(hook->http.ca_file, "/etc/ca.pem");
    cr_expect_str_eq(hook->http.proxy, "http://p:3128");
    cr_expect_eq(hook->http.redirects, 0);
    cr_expect_eq(hook->http.response_size_max, 2 << 20);
    cr_expect_eq(hook->http.request_timeout_ms, 5000);
    cr_expect_eq(hook->http.retry_after_max_ms, 86400000);
    const struct config_target *any = &config.targets[1];
    cr_expect_null(any->uri);
    cr_expect_eq(any->http.redirects, 5);
    cr_expect_eq(any->http.response_size_max, 1 << 20);
    cr_expect_eq(any->http.request_timeout_ms, 60000);
    cr_expect_eq(any->http.retry_after_max_ms, 3600000);
    config_free(&config);
}

Test(config_targets, http_target_refusals)
{
    static const char *const rows[][2] = {
        {"", "a.conf:1: [target h] needs the key 'uri' or 'hosts': which hosts its jobs may call"},
        {"uri = ftp://x/\n", "a.conf:3: uri in [target h] must be http://host[:port][/path] or "
                             "https://..., without ? and #"},
        {"uri = http://x/?a\n", "a.conf:3: uri in [target h] must be http://host[:port][/path] or "
                                "https://..., without ? and #"},
        {"hosts = a/b\n", "a.conf:3: hosts in [target h] must be words such as api.example, "
                          "api.example:8080, *.example or *, got 'a/b'"},
        {"hosts = *\nheaders = X\n", "a.conf:4: headers in [target h] must be 'Name: value', "
                                     "several (at most 64) separated by |"},
        {"hosts = *\nheaders = Content-Length: 1\n",
         "a.conf:4: headers in [target h] cannot be: the header Content-Length follows from the "
         "body and cannot be set"},
        {"hosts = *\nproxy = nonsense\n",
         "a.conf:4: proxy in [target h] must be http://host:port, https://host:port, "
         "socks5h://host:port or socks4a://host:port"},
        {"hosts = *\npath = a.db\n", "a.conf:4: path in [target h] is not for type http"},
        {"hosts = *\npipeline = 1\n", "a.conf:4: pipeline in [target h] is not for type http"},
        {"hosts = *\npassword_file = /p\n", "a.conf:4: [target h] has a password but no uri: it is "
                                            "only sent to the uri's host"},
        {"hosts = *\ndelivery = exactly-once\n",
         "a.conf:4: delivery in [target h] cannot be exactly-once: awaitd has nowhere to leave a "
         "receipt at an HTTP server; let it heed the Idempotency-Key header"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, "[target h]\ntype = http\n%s", rows[i][0]);
        assert_refused(text, rows[i][1]);
    }
    assert_refused("[target m]\ntype = redis\nuri = redis://x\nhosts = *\n",
                   "a.conf:4: hosts in [target m] is not for type redis");
    assert_refused("[target m]\ntype = worker\nredirects = 1\n",
                   "a.conf:3: redirects in [target m] is not for type worker");
    assert_refused("[target m]\ntype = mongodb\n",
                   "a.conf:2: type in [target m] must be one of postgres, redis, sqlite, worker or "
                   "http, got 'mongodb'");
}

Test(config_targets, delivery_and_coalescing)
{
    struct config config = parsed(
        "[target main]\ntype = postgres\nuri = dbname=app\ndelivery = exactly-once\n"
        "coalesce = 1024\nreceipt_keep = 2h\n"
        "[target cache]\ntype = redis\nuri = redis://localhost\ndelivery = exactly-once\n"
        "[target local]\ntype = sqlite\npath = l.db\ndelivery = at-most-once\ncoalesce = 64\n"
        "[target mail]\ntype = worker\ndelivery = at-most-once\n"
        "[target plain]\ntype = worker\n");
    cr_expect_eq(config.targets[0].delivery, DELIVERY_EXACTLY_ONCE);
    cr_expect_eq(config.targets[0].coalesce, 1024);
    cr_expect_eq(config.targets[0].receipt_keep_ms, 2 * 3600 * 1000);
    cr_expect_eq(config.targets[2].receipt_keep_ms, 24 * 3600 * 1000);
    cr_expect_eq(config.targets[1].delivery, DELIVERY_EXACTLY_ONCE);
    cr_expect_eq(config.targets[2].delivery, DELIVERY_AT_MOST_ONCE);
    cr_expect_eq(config.targets[2].coalesce, 64);
    cr_expect_eq(config.targets[3].delivery, DELIVERY_AT_MOST_ONCE);
    cr_expect_eq(config.targets[4].delivery, DELIVERY_AT_LEAST_ONCE);
    cr_expect_eq(config.targets[4].coalesce, 0);
    config_free(&config);

    assert_refused("[target main]\ndelivery = twice\n",
                   "a.conf:2: delivery in [target main] must be one of at-least-once, "
                   "at-most-once or exactly-once, got 'twice'");
    assert_refused("[target mail]\ntype = worker\ndelivery = exactly-once\n",
                   "a.conf:3: delivery in [target mail] cannot be exactly-once: a worker's effects "
                   "are its own, awaitd has nowhere to leave a receipt; make the worker idempotent "
                   "by the job's id");
}
