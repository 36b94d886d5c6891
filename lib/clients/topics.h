/* topics.h - what a subscription listens to: names, and for each whether the server knows yet.
 *
 *   WANTED -> ACTIVE      subscribed, confirmed by the server
 *   UNWANTED -> gone      unsubscribed, confirmed
 *
 * The tasks that subscribe change what is wanted and wait for `changed`; the connection's task
 * brings the server up to date. Only that one removes topics, so it may keep one across a
 * suspension. */
#ifndef CLIENTS_TOPICS_H
#define CLIENTS_TOPICS_H

#include <await/sync.h>
#include <sys/queue.h>

enum topic_state { TOPIC_WANTED, TOPIC_ACTIVE, TOPIC_UNWANTED };

struct topic {
    TAILQ_ENTRY(topic) link;
    enum topic_state state;
    bool is_pattern;
    bool is_sent;         /* the server was told of `state` on this connection */
    uint32_t unconfirmed; /* requests about it that the server has not answered */
    size_t size;
    char name[]; /* `size` bytes and a NUL */
};

TAILQ_HEAD(topic_list, topic);

struct topics {
    struct topic_list list;
    uint32_t count;
    uint32_t count_max;
    bool closed;             /* nobody will bring the server up to date any more */
    struct aw_event changed; /* a topic has become ACTIVE or gone */
};

void topics_init(struct topics *topics, uint32_t count_max);
void topics_free(struct topics *topics);
struct topic *topics_find(const struct topics *topics, const char *name, size_t size,
                          bool is_pattern);
/* Wants the name from now on, or no more. 1: the server must be told; 0: it is so already. -ENOSPC:
 * count_max; -ENOMEM. */
AW_MUST_CHECK int topics_want(struct topics *topics, const char *name, size_t size,
                              bool is_pattern);
AW_MUST_CHECK int topics_unwant(struct topics *topics, const char *name, size_t size,
                                bool is_pattern);
/* The server has answered a request about the topic, which is freed if that makes it go. */
void topics_confirm(struct topics *topics, struct topic *topic);
/* Ends all waiting. */
void topics_close(struct topics *topics);
/* A new connection knows of nothing. */
void topics_forget_connection(struct topics *topics);
/* Waits until the name is ACTIVE (`active`) or gone. 0, -ECANCELED, -ETIME; -ENOENT: somebody
 * changed his mind meanwhile; -ESHUTDOWN: closed. */
AW_MUST_CHECK AW_SUSPENDS int topics_wait(struct topics *topics, const char *name, size_t size,
                                          bool is_pattern, bool active);
/* Whether every wanted topic is ACTIVE and none unwanted is left. */
bool topics_are_settled(const struct topics *topics);

#endif
