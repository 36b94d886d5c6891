/* mailbox.c - see mailbox.h: a list under a mutex, and an eventfd that one ring read waits on. */
#include "ring/mailbox.h"

#include "core/park.h"
#include "core/scheduler.h"
#include "ring/backend.h"
#include "ring/mailbox_internal.h"
#include "ring/operation.h"
#include "ring/system.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct ring_mailbox {
    pthread_mutex_t mutex;
    struct ring_remote *first;
    struct ring_remote *last;
    uint64_t counter; /* what the ring reads the eventfd into */
    int eventfd;
    bool opened; /* has been armed once */
    bool armed;  /* the ring reads the eventfd */
    bool closing;
};

static _Thread_local struct ring_mailbox *current;

static int arm(struct ring_mailbox *mailbox)
{
    struct ring_request request = {.kind = RING_READ,
                                   .fd = mailbox->eventfd,
                                   .buffer = &mailbox->counter,
                                   .size = sizeof mailbox->counter};
    int result = backend_queue(&request, TAG_MAILBOX, false);
    if (result == 0) {
        mailbox->opened = true;
        mailbox->armed = true;
    }
    return result;
}

int ring_mailbox_current(struct ring_mailbox **ret_mailbox)
{
    if (!current) {
        struct ring_mailbox *mailbox = calloc(1, sizeof *mailbox);
        if (!mailbox)
            return -ENOMEM;
        mailbox->eventfd = system_eventfd();
        if (mailbox->eventfd < 0) {
            int error = mailbox->eventfd;
            free(mailbox);
            return error;
        }
        (void)pthread_mutex_init(&mailbox->mutex, NULL);
        current = mailbox;
    }
    while (!current->opened) {
        int result = arm(current);
        if (result < 0 && result != -EBUSY && result != -EAGAIN)
            return result;
        if (result < 0)
            yield_shielded();
    }
    *ret_mailbox = current;
    return 0;
}

void ring_mailbox_post(struct ring_mailbox *mailbox, struct ring_remote *remote)
{
    remote->next = NULL;
    (void)pthread_mutex_lock(&mailbox->mutex);
    bool was_empty = !mailbox->first;
    if (mailbox->last)
        mailbox->last->next = remote;
    else
        mailbox->first = remote;
    mailbox->last = remote;
    if (was_empty) {
        /* under the mutex: the loop closes the mailbox only after it has taken this remote */
        uint64_t one = 1;
        ssize_t written;
        do {
            written = write(mailbox->eventfd, &one, sizeof one);
        } while (written < 0 && errno == EINTR);
    }
    (void)pthread_mutex_unlock(&mailbox->mutex);
}

static void deliver_posted(struct ring_mailbox *mailbox)
{
    (void)pthread_mutex_lock(&mailbox->mutex);
    struct ring_remote *remote = mailbox->first;
    mailbox->first = NULL;
    mailbox->last = NULL;
    (void)pthread_mutex_unlock(&mailbox->mutex);
    while (remote) {
        struct ring_remote *next = remote->next;
        remote->deliver(remote);
        remote = next;
    }
}

void mailbox_completed(int result)
{
    struct ring_mailbox *mailbox = current;
    core_assert(mailbox);
    mailbox->armed = false;
    core_assert(result == (int)sizeof mailbox->counter || result == -EINTR || result == -EAGAIN);
    deliver_posted(mailbox);
    (void)mailbox_listen();
}

bool mailbox_listen(void)
{
    if (!current || current->armed || current->closing || !current->opened)
        return true;
    int result = arm(current);
    core_assert(result == 0 || result == -EBUSY || result == -EAGAIN);
    return result == 0;
}

void mailbox_close_begin(void)
{
    if (!current)
        return;
    current->closing = true;
    if (current->armed) {
        /* reading the eventfd ends as soon as it counts one: surer than a cancel */
        uint64_t one = 1;
        core_assert(write(current->eventfd, &one, sizeof one) == (ssize_t)sizeof one);
    }
}

bool mailbox_pending(void)
{
    return current && current->armed;
}

void mailbox_close_end(void)
{
    if (!current)
        return;
    core_assert(!current->armed);
    deliver_posted(current);
    (void)close(current->eventfd);
    (void)pthread_mutex_destroy(&current->mutex);
    free(current);
    current = NULL;
}
