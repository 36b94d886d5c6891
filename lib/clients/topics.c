/* topics.c - see topics.h. */
#include "clients/topics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void topics_init(struct topics *topics, uint32_t count_max)
{
    TAILQ_INIT(&topics->list);
    topics->count = 0;
    topics->count_max = count_max;
    topics->closed = false;
    aw_event_init(&topics->changed);
}

static void remove_topic(struct topics *topics, struct topic *topic)
{
    TAILQ_REMOVE(&topics->list, topic, link);
    topics->count--;
    free(topic);
    aw_event_set(&topics->changed);
}

void topics_free(struct topics *topics)
{
    while (!TAILQ_EMPTY(&topics->list)) {
        remove_topic(topics, TAILQ_FIRST(&topics->list));
    }
}

struct topic *topics_find(const struct topics *topics, const char *name, size_t size,
                          bool is_pattern)
{
    struct topic *topic = NULL;
    TAILQ_FOREACH(topic, &topics->list, link)
    {
        if (topic->size == size && topic->is_pattern == is_pattern &&
            memcmp(topic->name, name, size) == 0) {
            return topic;
        }
    }
    return NULL;
}

static void set_state(struct topic *topic, enum topic_state state)
{
    topic->state = state;
    topic->is_sent = false;
}

int topics_want(struct topics *topics, const char *name, size_t size, bool is_pattern)
{
    struct topic *topic = topics_find(topics, name, size, is_pattern);
    if (topic != NULL) {
        if (topic->state == TOPIC_UNWANTED) {
            set_state(topic, TOPIC_WANTED);
        }
        return topic->state != TOPIC_ACTIVE;
    }
    if (topics->count >= topics->count_max) {
        return -ENOSPC;
    }
    topic = calloc(1, sizeof *topic + size + 1);
    if (topic == NULL) {
        return -ENOMEM;
    }
    topic->size = size;
    topic->is_pattern = is_pattern;
    memcpy(topic->name, name, size);
    TAILQ_INSERT_TAIL(&topics->list, topic, link);
    topics->count++;
    return 1;
}

int topics_unwant(struct topics *topics, const char *name, size_t size, bool is_pattern)
{
    struct topic *topic = topics_find(topics, name, size, is_pattern);
    if (topic == NULL) {
        return 0;
    }
    if (topic->state != TOPIC_UNWANTED) {
        set_state(topic, TOPIC_UNWANTED);
    }
    return 1;
}

void topics_confirm(struct topics *topics, struct topic *topic)
{
    topic->unconfirmed -= topic->unconfirmed > 0;
    if (topic->unconfirmed > 0 || !topic->is_sent) {
        return; /* the answer to a request that a later one has overtaken */
    }
    if (topic->state == TOPIC_UNWANTED) {
        remove_topic(topics, topic);
    } else {
        topic->state = TOPIC_ACTIVE;
        aw_event_set(&topics->changed);
    }
}

void topics_close(struct topics *topics)
{
    topics->closed = true;
    aw_event_set(&topics->changed);
}

void topics_forget_connection(struct topics *topics)
{
    struct topic *next = NULL;
    for (struct topic *topic = TAILQ_FIRST(&topics->list); topic != NULL; topic = next) {
        next = TAILQ_NEXT(topic, link);
        topic->is_sent = false;
        topic->unconfirmed = 0;
        if (topic->state == TOPIC_UNWANTED) {
            remove_topic(topics, topic);
        } else {
            topic->state = TOPIC_WANTED;
        }
    }
}

int topics_wait(struct topics *topics, const char *name, size_t size, bool is_pattern, bool active)
{
    for (;;) {
        const struct topic *topic = topics_find(topics, name, size, is_pattern);
        if (active ? topic != NULL && topic->state == TOPIC_ACTIVE : topic == NULL) {
            return 0;
        }
        if (topic == NULL || (topic->state == TOPIC_UNWANTED) == active) {
            return -ENOENT;
        }
        if (topics->closed) {
            return -ESHUTDOWN;
        }
        aw_event_clear(&topics->changed);
        int status = aw_event_wait(&topics->changed);
        if (status < 0) {
            return status;
        }
    }
}

bool topics_are_settled(const struct topics *topics)
{
    const struct topic *topic = NULL;
    TAILQ_FOREACH(topic, &topics->list, link)
    {
        if (topic->state != TOPIC_ACTIVE) {
            return false;
        }
    }
    return true;
}
