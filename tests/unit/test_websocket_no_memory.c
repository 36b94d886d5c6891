/* test_websocket_no_memory.c - the nth allocation of a WebSocket conversation fails, for n = 1, 2
 * ... until it runs through untouched: each failure is an error, and nothing stays. */
#include "support/failing_memory.h"
#include "support/process.h"
#include "support/websocket_pair.h"

#include <criterion/criterion.h>
#include <string.h>

static struct aw_http_header headers[] = {{"X-More", "1"}};
static const struct aw_websocket_options options = {.protocols = "one, two",
                                                    .headers = headers,
                                                    .header_count = 1,
                                                    .fragment_size = 3000,
                                                    .close_timeout_ms = 60000};

static int echo_one(void *argument)
{
    struct aw_websocket_message message;
    int result = aw_websocket_receive(argument, &message, NULL);
    return result <= 0 ? result
                       : aw_websocket_send(argument, message.kind, message.data, message.size);
}

static int have_echoed(struct websocket_pair *pair, size_t size)
{
    static char text[20000];
    struct aw_websocket_message message;
    struct aw_task *task;
    memset(text, 'a', sizeof text);
    int result = aw_spawn(&task, echo_one, pair->server);
    if (result < 0)
        return result;
    result = aw_websocket_send(pair->client, AW_WEBSOCKET_TEXT, text, size);
    if (result == 0 && (result = aw_wait(task, aw_after_ms(60000))) == 0)
        result = aw_websocket_try_send(pair->server, AW_WEBSOCKET_TEXT, text, size);
    if (result < 0)
        aw_cancel(task);
    int echoed = aw_await(task);
    for (int i = 0; i < 2 && result >= 0 && echoed >= 0; i++) {
        result = aw_websocket_receive(pair->client, &message, NULL);
        if (result == 0 || (result == 1 && message.size != size))
            result = -EBADMSG;
    }
    return result < 0 ? result : echoed;
}

static int converse(void *argument)
{
    struct websocket_pair pair;
    (void)argument;
    int result = websocket_pair_open(&pair, &options, &options);
    if (result < 0)
        return result;
    result = have_echoed(&pair, 10);
    if (result >= 0)
        result = have_echoed(&pair, 20000);
    if (result >= 0)
        result = aw_websocket_end(pair.client, AW_WEBSOCKET_NORMAL, "done");
    if (result >= 0) {
        result = aw_websocket_close(pair.server, AW_WEBSOCKET_NORMAL, NULL);
        pair.server = NULL;
    }
    websocket_pair_abort(&pair);
    return result;
}

Test(websocket_no_memory, each_allocation_fails_once, .timeout = 240)
{
    int descriptors = open_descriptors();
    long nth = 0;
    do {
        live = 0;
        failed = false;
        allocations_left = nth++;
        int result = aw_run(converse, NULL);
        allocations_left = -1;
        /* -ENOMEM, or what the other side makes of it */
        if (failed)
            cr_expect(result < 0 && result != -ETIME && result != -EBADMSG,
                      "allocation %ld failed, the result is %d", nth, result);
        else
            cr_assert_eq(result, 0, "result %d", result);
        cr_assert_eq(live, 0, "%ld allocations stayed after failure %ld", live, nth);
        cr_assert_eq(open_descriptors(), descriptors, "descriptors after failure %ld", nth);
    } while (failed);
    cr_assert_gt(nth, 30, "only %ld allocations: they are not redirected", nth);
}
