/* test_events.c - an event's channels and its text. */
#include "queue/events.h"

#include <criterion/criterion.h>
#include <string.h>

static void expect_text(const struct event *event, const char *expected)
{
    struct buffer out = {0};
    event_write(event, &out);
    cr_assert_not(out.failed);
    cr_expect_eq(out.size, strlen(expected), "%.*s", (int)out.size, out.data);
    cr_expect_arr_eq(out.data, expected, out.size, "%.*s", (int)out.size, out.data);
    buffer_free(&out);
}

Test(events, a_job_has_three_channels)
{
    struct event event = {.kind = EVENT_DONE, .job = 17, .queue = "mails", .target = "main"};
    char channel[EVENT_CHANNEL_SIZE];
    cr_expect_str_eq(event_channel(&event, 0, channel), "job:17");
    cr_expect_str_eq(event_channel(&event, 1, channel), "queue:mails");
    cr_expect_str_eq(event_channel(&event, 2, channel), "target:main");
    cr_expect_null(event_channel(&event, 3, channel));
}

Test(events, others_have_those_they_are_about)
{
    struct event down = {.kind = EVENT_DOWN, .target = "main"};
    struct event fired = {.kind = EVENT_FIRED, .job = 3, .cron = "nightly"};
    char channel[EVENT_CHANNEL_SIZE];
    cr_expect_str_eq(event_channel(&down, 0, channel), "target:main");
    cr_expect_null(event_channel(&down, 1, channel));
    cr_expect_str_eq(event_channel(&fired, 0, channel), "job:3");
    cr_expect_str_eq(event_channel(&fired, 1, channel), "cron:nightly");
    cr_expect_null(event_channel(&fired, 2, channel));
}

Test(events, text_holds_what_there_is)
{
    struct event event = {.kind = EVENT_RETRY, .job = 17, .queue = "q", .target = "t",
                          .attempt = 2, .time_ms = 1700000000000, .error_code = "23505",
                          .error_message = "say \"no\"\xff"};
    expect_text(&event, "{\"event\":\"retry\",\"job\":\"17\",\"queue\":\"q\",\"target\":\"t\","
                        "\"attempt\":2,\"time\":1700000000000,"
                        "\"error\":\"23505 say \\\"no\\\"\xef\xbf\xbd\"}");
    struct event paused = {.kind = EVENT_PAUSED, .queue = "q", .time_ms = 5};
    expect_text(&paused, "{\"event\":\"paused\",\"queue\":\"q\",\"time\":5}");
    struct event progress = {.kind = EVENT_PROGRESS, .job = 1, .time_ms = 5, .has_percent = true,
                             .percent = 0, .text = "half\n"};
    expect_text(&progress, "{\"event\":\"progress\",\"job\":\"1\",\"time\":5,\"percent\":0,"
                           "\"text\":\"half\\u000a\"}");
}

Test(events, every_kind_has_a_name)
{
    for (int kind = EVENT_SUBMITTED; kind <= EVENT_MISSED; kind++)
        cr_expect_not_null(event_kind_name((enum event_kind)kind));
}
