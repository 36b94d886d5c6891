/* pg_listener.c - LISTEN on a session that lasts.
 *
 *   connecting -> catching up (LISTEN for each channel) -> listening -> connecting ...
 *
 * One task owns the session: it sends LISTEN and UNLISTEN one at a time and waits for bytes in
 * between. Whoever adds or removes a channel changes the topics and interrupts that wait. */
#include "clients/feed.h"
#include "clients/pg_session.h"
#include "clients/topics.h"

#include <await/pg_listener.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_DEFAULT 1024u

struct aw_pg_listener {
    struct pg_session session;
    struct topics topics;
    struct feed feed;
    struct aw_scope running; /* the task; valid while is_running */
    struct aw_scope waiting; /* for bytes; valid while is_waiting */
    struct aw_event ended;
    bool is_running;
    bool is_waiting;
    bool is_closing;
    bool is_up;
    struct aw_error down; /* why it is not up */
};

/* A block of its own: the strings follow the struct. NULL without memory. */
static struct aw_pg_notification *make_news(enum aw_pg_news news, const char *channel,
                                            const char *payload)
{
    size_t channel_size = strlen(channel) + 1;
    size_t payload_size = strlen(payload) + 1;
    struct aw_pg_notification *notification =
        calloc(1, sizeof *notification + channel_size + payload_size);
    if (notification == NULL) {
        return NULL;
    }
    char *text = (char *)(notification + 1);
    memcpy(text, channel, channel_size);
    memcpy(text + channel_size, payload, payload_size);
    notification->news = news;
    notification->channel = text;
    notification->payload = text + channel_size;
    return notification;
}

/* --- the session's side ---------------------------------------------------------------- */

static void take_notifications(struct aw_pg_listener *listener)
{
    for (PGnotify *notify; (notify = PQnotifies(listener->session.handle)) != NULL;) {
        struct aw_pg_notification *notification =
            make_news(AW_PG_NOTIFIED, notify->relname, notify->extra);
        if (notification != NULL) {
            notification->process_id = notify->be_pid;
        }
        PQfreemem(notify);
        feed_put(&listener->feed, notification);
    }
}

static int run_on_channel(struct aw_pg_listener *listener, const char *verb,
                          const struct topic *topic)
{
    PGconn *handle = listener->session.handle;
    char *name = PQescapeIdentifier(handle, topic->name, topic->size);
    if (name == NULL) {
        return aw_error_set(&listener->down, -EILSEQ, "the channel's name is not UTF-8");
    }
    char sql[2 * AW_PG_CHANNEL_SIZE_MAX + 32];
    int length = snprintf(sql, sizeof sql, "%s %s", verb, name);
    PQfreemem(name);
    const struct aw_pg_statement statement = {.sql = sql, .sql_size = (size_t)length};
    PGresult *result = NULL;
    int status = pg_session_run(&listener->session, &statement, false, &result, &listener->down);
    PQclear(result);
    if (status == 0) {
        status = pg_session_finish(&listener->session, &listener->down);
    }
    take_notifications(listener);
    return status;
}

/* Brings the server up to date. The topic stays where it is meanwhile: only this task removes one.
 */
static int catch_up(struct aw_pg_listener *listener)
{
    struct topic *next = NULL;
    for (struct topic *topic = TAILQ_FIRST(&listener->topics.list); topic != NULL; topic = next) {
        if (!topic->is_sent && topic->state != TOPIC_ACTIVE) {
            topic->is_sent = true;
            const char *verb = topic->state == TOPIC_WANTED ? "LISTEN" : "UNLISTEN";
            int status = run_on_channel(listener, verb, topic);
            if (status < 0) {
                return status;
            }
        }
        next = TAILQ_NEXT(topic, link);
        if (topic->is_sent && topic->state != TOPIC_ACTIVE) {
            topics_confirm(&listener->topics, topic);
        }
    }
    return 0;
}

/* 0 when there are bytes or the topics have changed. */
static int wait_for_news(struct aw_pg_listener *listener)
{
    aw_scope_enter(&listener->waiting, AW_NEVER);
    listener->is_waiting = true;
    int status = pg_session_receive(&listener->session, &listener->down);
    listener->is_waiting = false;
    bool woken = aw_scope_expired(&listener->waiting);
    aw_scope_leave(&listener->waiting);
    return woken && status == -ECANCELED ? aw_interrupted() : status;
}

/* From a connection to its end. */
static int listen_on(struct aw_pg_listener *listener)
{
    bool announced = false;
    int status = 0;
    topics_forget_connection(&listener->topics);
    while (status == 0) {
        status = catch_up(listener);
        if (status == 0 && !announced && topics_are_settled(&listener->topics)) {
            announced = listener->is_up = true;
            feed_put(&listener->feed, make_news(AW_PG_LISTENING, "", ""));
        }
        if (status == 0 && topics_are_settled(&listener->topics)) {
            status = wait_for_news(listener);
        }
        take_notifications(listener);
    }
    return status;
}

static int listener_loop(struct aw_pg_listener *listener)
{
    uint32_t failures = 0;
    int status = 0;
    while (status == 0) {
        uint64_t began_ns = aw_now_ns();
        status = pg_session_connect(&listener->session, &listener->down);
        if (status == 0) {
            began_ns = aw_now_ns();
            AW_IGNORE(listen_on(listener)); /* `down` says why */
        }
        listener->is_up = false;
        listener->session.is_running = false; /* closing ends a LISTEN too */
        pg_session_close(&listener->session);
        failures = aw_now_ns() - began_ns < AW_NS_PER_S ? failures + 1 : 1;
        status = aw_interrupted();
        if (status == 0) {
            status = aw_sleep(pg_backoff_ms(failures - 1));
        }
    }
    return status;
}

static int listener_task(void *argument)
{
    struct aw_pg_listener *listener = argument;
    aw_task_set_name(NULL, "pg listener");
    aw_scope_enter(&listener->running, AW_NEVER);
    listener->is_running = true;
    if (!listener->is_closing) {
        AW_IGNORE(listener_loop(listener)); /* it ends only when it is told to */
    }
    listener->is_running = false;
    aw_scope_leave(&listener->running);
    listener->is_closing = true;
    feed_put(&listener->feed, NULL); /* whoever waits learns that nothing more comes */
    topics_close(&listener->topics);
    aw_event_set(&listener->ended);
    return 0;
}

/* --- the callers' side ----------------------------------------------------------------- */

int aw_pg_listener_create(struct aw_pg_listener **ret_listener, struct aw_pg_pool *pool,
                          uint32_t queue_max, struct aw_error *reterr)
{
    struct aw_pg_listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL) {
        return aw_error_set(reterr, -ENOMEM, "out of memory");
    }
    listener->session.pool = pool;
    aw_error_set(&listener->down, -ENOTCONN, "not connected yet");
    topics_init(&listener->topics, AW_PG_CHANNELS_MAX);
    aw_event_init(&listener->ended);
    int status = feed_init(&listener->feed, queue_max > 0 ? queue_max : QUEUE_DEFAULT);
    if (status < 0) {
        free(listener);
        return aw_error_set(reterr, status, "no queue for %u notifications: %s", queue_max,
                            aw_error_text(status));
    }
    status = aw_group_spawn(&pool->group, listener_task, listener);
    if (status < 0) {
        feed_free(&listener->feed);
        free(listener);
        return aw_error_set(reterr, status, "no task for a listener: %s", aw_error_text(status));
    }
    *ret_listener = listener;
    return 0;
}

/* The server would refuse another name on each connection anew. */
static bool is_utf8(const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at != 0;) {
        unsigned tail = *at < 0x80 ? 0 : *at < 0xc2 ? 4 : *at < 0xe0 ? 1 : *at < 0xf0 ? 2 : 3;
        bool overlong = (*at == 0xe0 && at[1] < 0xa0) || (*at == 0xf0 && at[1] < 0x90);
        bool outside = (*at == 0xed && at[1] > 0x9f) || (*at == 0xf4 && at[1] > 0x8f);
        if (*at > 0xf4 || tail == 4 || overlong || outside) {
            return false;
        }
        for (at++; tail > 0; tail--, at++) {
            if ((*at & 0xc0) != 0x80) {
                return false;
            }
        }
    }
    return true;
}

static int check_channel(const char *channel, struct aw_error *reterr)
{
    size_t size = strlen(channel);
    if (size == 0 || size > AW_PG_CHANNEL_SIZE_MAX || !is_utf8(channel)) {
        return aw_error_set(reterr, -EINVAL, "a channel's name has 1 to %d bytes of UTF-8",
                            AW_PG_CHANNEL_SIZE_MAX);
    }
    return 0;
}

static int settle(struct aw_pg_listener *listener, const char *channel, bool active, int wanted,
                  struct aw_error *reterr)
{
    if (wanted == -ENOSPC) {
        return aw_error_set(reterr, wanted, "a listener has at most %d channels",
                            AW_PG_CHANNELS_MAX);
    }
    int status = wanted;
    if (wanted > 0) {
        if (listener->is_waiting) {
            aw_scope_cancel(&listener->waiting);
        }
        status = topics_wait(&listener->topics, channel, strlen(channel), false, active);
    }
    return status < 0
               ? aw_error_set(reterr, status, "channel \"%s\": %s", channel, aw_error_text(status))
               : 0;
}

int aw_pg_listener_add(struct aw_pg_listener *listener, const char *channel,
                       struct aw_error *reterr)
{
    int status = check_channel(channel, reterr);
    if (status < 0) {
        return status;
    }
    return settle(listener, channel, true,
                  topics_want(&listener->topics, channel, strlen(channel), false), reterr);
}

int aw_pg_listener_remove(struct aw_pg_listener *listener, const char *channel,
                          struct aw_error *reterr)
{
    int status = check_channel(channel, reterr);
    if (status < 0) {
        return status;
    }
    return settle(listener, channel, false,
                  topics_unwant(&listener->topics, channel, strlen(channel), false), reterr);
}

int aw_pg_listener_next(struct aw_pg_listener *listener,
                        struct aw_pg_notification **ret_notification)
{
    void *item = NULL;
    uint64_t dropped = 0;
    if (listener->is_closing && listener->feed.queue.count == 0) {
        return -ESHUTDOWN;
    }
    int status = feed_next(&listener->feed, &item, &dropped);
    if (status < 0) {
        return status;
    }
    if (item == NULL && listener->is_closing) {
        return -ESHUTDOWN;
    }
    struct aw_pg_notification *notification = item;
    if (notification == NULL) {
        notification = make_news(AW_PG_DROPPED, "", "");
        if (notification == NULL) {
            listener->feed.dropped += dropped;
            return -ENOMEM;
        }
        notification->dropped = dropped;
    }
    *ret_notification = notification;
    return 0;
}

void aw_pg_notification_free(struct aw_pg_notification *notification)
{
    free(notification);
}

bool aw_pg_listener_is_up(const struct aw_pg_listener *listener, struct aw_error *reterr)
{
    bool up = listener->is_up && topics_are_settled(&listener->topics);
    if (!up && reterr != NULL) {
        *reterr = listener->down;
    }
    return up;
}

void aw_pg_listener_close(struct aw_pg_listener *listener)
{
    if (listener == NULL) {
        return;
    }
    listener->is_closing = true;
    if (listener->is_running) {
        aw_scope_cancel(&listener->running);
    }
    struct aw_scope shield; /* closing waits for nobody */
    aw_shield_enter(&shield, AW_NEVER);
    AW_IGNORE(aw_event_wait(&listener->ended));
    aw_scope_leave(&shield);
    topics_free(&listener->topics);
    feed_free(&listener->feed);
    free(listener);
}
