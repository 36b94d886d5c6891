/* events.c - see events.h; and the one place where the broker tells them. */
#include "queue/events.h"

#include "protocol/json_string.h"
#include "queue/broker_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const kind_names[] = {
    [EVENT_SUBMITTED] = "submitted", [EVENT_STARTED] = "started",
    [EVENT_PROGRESS] = "progress",   [EVENT_RETRY] = "retry",
    [EVENT_DONE] = "done",           [EVENT_DEAD] = "dead",
    [EVENT_CANCELLED] = "cancelled", [EVENT_UNCERTAIN] = "uncertain",
    [EVENT_EXPIRED] = "expired",     [EVENT_PAUSED] = "paused",
    [EVENT_RESUMED] = "resumed",     [EVENT_UP] = "up",
    [EVENT_DOWN] = "down",           [EVENT_FIRED] = "fired",
    [EVENT_MISSED] = "missed",
};

const char *event_kind_name(enum event_kind kind)
{
    return kind_names[kind];
}

static const char *name_channel(const char *prefix, const char *name,
                                char channel[EVENT_CHANNEL_SIZE])
{
    (void)snprintf(channel, EVENT_CHANNEL_SIZE, "%s:%s", prefix, name);
    return channel;
}

const char *event_channel(const struct event *event, unsigned index,
                          char channel[EVENT_CHANNEL_SIZE])
{
    if (event->job && index-- == 0) {
        (void)snprintf(channel, EVENT_CHANNEL_SIZE, "job:%" PRIu64, event->job);
        return channel;
    }
    if (event->queue && index-- == 0)
        return name_channel("queue", event->queue, channel);
    if (event->target && index-- == 0)
        return name_channel("target", event->target, channel);
    if (event->cron && index-- == 0)
        return name_channel("cron", event->cron, channel);
    return NULL;
}

static void write_text(struct buffer *out, const char *name, const char *text)
{
    if (!text || !text[0])
        return;
    buffer_printf(out, ",\"%s\":", name);
    json_string(out, text, strlen(text));
}

void event_write(const struct event *event, struct buffer *out)
{
    char error[AW_ERROR_CODE_SIZE + AW_ERROR_MESSAGE_SIZE + 1];
    const char *code = event->error_code ? event->error_code : "";
    const char *message = event->error_message ? event->error_message : "";
    (void)snprintf(error, sizeof error, "%s%s%s", code, code[0] && message[0] ? " " : "", message);
    buffer_printf(out, "{\"event\":\"%s\"", event_kind_name(event->kind));
    if (event->job)
        buffer_printf(out, ",\"job\":\"%" PRIu64 "\"", event->job);
    write_text(out, "queue", event->queue);
    write_text(out, "target", event->target);
    write_text(out, "cron", event->cron);
    if (event->attempt)
        buffer_printf(out, ",\"attempt\":%u", event->attempt);
    buffer_printf(out, ",\"time\":%" PRIu64, event->time_ms);
    if (event->has_percent)
        buffer_printf(out, ",\"percent\":%u", event->percent);
    write_text(out, "text", event->text);
    write_text(out, "error", error);
    buffer_append_text(out, "}");
}

void broker_listen(struct broker *broker, event_listener listener, void *context)
{
    broker->listener = listener;
    broker->listener_context = context;
}

void broker_event(struct broker *broker, const struct event *event)
{
    if (!broker->listener)
        return;
    struct event timed = *event;
    if (timed.time_ms == 0)
        timed.time_ms = aw_wall_ms();
    broker->listener(broker->listener_context, &timed);
}
