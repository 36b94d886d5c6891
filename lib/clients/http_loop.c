/* http_loop.c - libcurl's multi handle on the ring.
 *
 * libcurl says which sockets it wants to hear of and when it wants to be called; each socket has a
 * watch, whose task polls once, tells libcurl and polls again: libcurl expects readiness as long as
 * it lasts, which one-shot polls give. One task keeps the timer.
 *
 * libcurl closes a socket right after it took it off, and the next one may get its number: so a
 * watch that was taken off never speaks to libcurl again, whatever its poll may still say. */
#include "clients/http_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

void http_loop_collect(struct aw_http_client *client)
{
    int left;
    for (CURLMsg *message; (message = http_curl.multi_info_read(client->multi, &left)) != NULL;) {
        if (message->msg != CURLMSG_DONE)
            continue;
        char *private = NULL;
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result; /* the message goes with its handle */
        http_curl.easy_getinfo(easy, CURLINFO_PRIVATE, &private);
        struct http_transfer *transfer = (struct http_transfer *)(void *)private;
        http_transfer_done(transfer, code);
    }
}

void http_loop_act(struct aw_http_client *client, curl_socket_t fd, int events)
{
    int running;
    CURLMcode code = http_curl.multi_socket_action(client->multi, fd, events, &running);
    if (code != CURLM_OK && code != CURLM_BAD_SOCKET) {
        /* what it was doing is not known any more */
        struct http_transfer *transfer;
        LIST_FOREACH(transfer, &client->transfers, link)
        {
            if (transfer->failure == 0)
                transfer->failure = code == CURLM_OUT_OF_MEMORY ? -ENOMEM : -EIO;
            aw_event_set(&transfer->progress);
        }
    }
    http_loop_collect(client);
}

/* --- sockets ---------------------------------------------------------------------------------- */

/* The events of a watch that is to be told, 0: look again, or the error of the poll. */
static int wait_ready(struct http_watch *watch)
{
    aw_scope_enter(&watch->wait, AW_NEVER);
    watch->polling = true;
    int events = watch->events != 0 ? aw_poll(watch->fd, watch->events)
                                    : aw_sleep_until(AW_NEVER);
    watch->polling = false;
    aw_scope_leave(&watch->wait);
    return events == -ECANCELED ? 0 : events;
}

static int watch_task(void *argument)
{
    struct http_watch *watch = argument;
    aw_task_set_name(NULL, "http socket");
    while (!watch->removed && aw_interrupted() == 0) {
        int events = wait_ready(watch);
        if (watch->removed || events == 0)
            continue;
        int told = 0; /* nothing: libcurl looks itself, and finds the error */
        if (events > 0 && (events & (POLLERR | POLLHUP | POLLNVAL)) == 0) {
            told |= events & POLLIN ? CURL_CSELECT_IN : 0;
            told |= events & POLLOUT ? CURL_CSELECT_OUT : 0;
        } else if (events < 0) {
            told = CURL_CSELECT_ERR;
        }
        http_loop_act(watch->client, watch->fd, told);
    }
    free(watch);
    return 0;
}

static void watch_change(struct http_watch *watch, unsigned events, bool removed)
{
    if (watch->events == events && !removed)
        return;
    watch->events = events;
    watch->removed = removed;
    if (watch->polling) /* else it looks by itself before it polls again */
        aw_scope_cancel(&watch->wait);
}

static struct http_watch *watch_start(struct aw_http_client *client, curl_socket_t fd,
                                      unsigned events)
{
    struct http_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL)
        return NULL;
    watch->client = client;
    watch->fd = fd;
    watch->events = events;
    if (aw_group_spawn(&client->group, watch_task, watch) < 0) {
        free(watch);
        return NULL;
    }
    return watch;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *assigned)
{
    struct aw_http_client *client = context;
    struct http_watch *watch = assigned;
    if (what == CURL_POLL_REMOVE) {
        if (watch != NULL)
            watch_change(watch, 0, true);
        return 0;
    }
    unsigned events = 0;
    events |= what & CURL_POLL_IN ? POLLIN : 0u;
    events |= what & CURL_POLL_OUT ? POLLOUT : 0u;
    if (watch != NULL) {
        watch_change(watch, events, false);
        return 0;
    }
    watch = watch_start(client, fd, events);
    if (watch != NULL) {
        http_curl.multi_assign(client->multi, fd, watch);
        return 0;
    }
    /* A negative answer would end every transfer: only the one that needs the socket fails. */
    char *private = NULL;
    http_curl.easy_getinfo(easy, CURLINFO_PRIVATE, &private);
    struct http_transfer *transfer = (struct http_transfer *)(void *)private;
    if (transfer != NULL) {
        transfer->failure = -ENOMEM;
        aw_event_set(&transfer->progress);
    }
    return 0;
}

/* --- the timer -------------------------------------------------------------------------------- */

static int on_timer(CURLM *multi, long timeout_ms, void *context)
{
    (void)multi;
    struct aw_http_client *client = context;
    client->timer_ns = timeout_ms < 0 ? AW_NEVER : aw_after_ms((uint64_t)timeout_ms);
    if (client->timer_ns < client->timer_wait_ns)
        aw_event_set(&client->timer_changed);
    return 0;
}

static int timer_task(void *argument)
{
    struct aw_http_client *client = argument;
    aw_task_set_name(NULL, "http timer");
    while (aw_interrupted() == 0) {
        struct aw_scope scope;
        client->timer_wait_ns = client->timer_ns;
        aw_scope_enter(&scope, client->timer_wait_ns);
        AW_IGNORE(aw_event_wait(&client->timer_changed));
        aw_scope_leave(&scope);
        aw_event_clear(&client->timer_changed);
        client->timer_wait_ns = 0; /* it looks before it waits again */
        if (aw_interrupted() == 0 && client->timer_ns <= aw_now_ns()) {
            client->timer_ns = AW_NEVER;
            http_loop_act(client, CURL_SOCKET_TIMEOUT, 0);
        }
    }
    return 0;
}

int http_loop_start(struct aw_http_client *client)
{
    client->timer_ns = AW_NEVER;
    aw_event_init(&client->timer_changed);
    http_curl.multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    http_curl.multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    http_curl.multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    http_curl.multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    return aw_group_spawn(&client->group, timer_task, client);
}
