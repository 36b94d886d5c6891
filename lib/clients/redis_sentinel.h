/* redis_sentinel.h - which server is the master, by the word of sentinels.
 *
 * Each new connection asks the sentinels, one after the other, beginning with the one that answered
 * last, and checks with ROLE that the server agrees. A task listens to one of them for
 * +switch-master, so that connections to a master that has been replaced end at once, also when it
 * hangs. */
#ifndef CLIENTS_REDIS_SENTINEL_H
#define CLIENTS_REDIS_SENTINEL_H

#include "clients/redis_link.h"
#include "clients/redis_parser.h"
#include "clients/redis_site.h"

struct aw_redis_pool;

struct redis_sentinel {
    char master[REDIS_MASTER_SIZE];
    struct redis_endpoint sentinels[REDIS_ADDRESSES_MAX];
    uint32_t count;
    uint32_t next; /* which is asked first */
};

/* -ENOMEM. `tls` (may be NULL) stays the caller's. */
AW_MUST_CHECK int redis_sentinel_make(struct redis_sentinel **ret_sentinel,
                                      const struct redis_site *site, struct aw_tls_context *tls);

/* Connects to the master as redis_handshake does to a server, and notes where it is in
 * pool->endpoint; a move ends the connections to the old one (redis_pool_moved). Bounded by
 * connect_timeout_ms for each sentinel, and for the server. */
AW_MUST_CHECK AW_SUSPENDS int redis_sentinel_connect(struct aw_redis_pool *pool,
                                                     struct redis_link *link,
                                                     struct redis_parser *parser,
                                                     struct aw_error *reterr);

/* The task that listens. `argument` is the pool. */
AW_SUSPENDS int redis_sentinel_listen(void *argument);

#endif
