/* config.h - the whole configuration: awaitd.conf and its drop-ins, in one struct.
 *
 * It is built whole or not at all, so that a reload can put a new one in the place of the old one.
 * Nothing in it changes after config_load; whoever keeps a pointer into it keeps it alive. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <await.h>

#include <sys/types.h>

#define CONFIG_PATH_DEFAULT "/etc/awaitd/awaitd.conf"
#define CONFIG_STATE_DEFAULT "/var/lib/awaitd"
#define CONFIG_SOCKET_PATH_DEFAULT "/run/awaitd/awaitd.sock"

enum config_log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* What a socket's clients may do: bits. */
enum config_allow {
    ALLOW_SUBMIT = 1,
    ALLOW_WORK = 2,
    ALLOW_OBSERVE = 4,
    ALLOW_ADMIN = 8,
    ALLOW_ALL = 15,
};

struct config_socket {
    char *name;
    char *path; /* absolute */
    uint32_t mode;
    char *user; /* NULL: the daemon's own */
    char *group;
    uid_t uid; /* (uid_t)-1 without a user */
    gid_t gid;
    uint32_t allow; /* enum config_allow bits */
};

/* In the order of the words of `type`. */
enum config_target_type {
    TARGET_TYPE_POSTGRES,
    TARGET_TYPE_REDIS,
    TARGET_TYPE_SQLITE,
    TARGET_TYPE_WORKER,
    TARGET_TYPE_HTTP
};
enum config_delivery { DELIVERY_AT_LEAST_ONCE, DELIVERY_AT_MOST_ONCE, DELIVERY_EXACTLY_ONCE };

/* What only a target of type http has. */
struct config_http {
    char *hosts;   /* words, or NULL */
    char *headers; /* "Name: value | Name: value", or NULL */
    char *ca_file;
    char *proxy;
    uint32_t redirects;
    uint64_t response_size_max;
    uint64_t request_timeout_ms;
    uint64_t retry_after_max_ms;
};

/* Users or groups, by number. */
struct config_ids {
    uint32_t *list;
    uint32_t count;
};

struct config_target {
    char *name;
    uint32_t type;     /* enum config_target_type */
    char *uri;         /* postgres, redis; http: the base, or NULL */
    char *path;        /* sqlite; absolute once loaded */
    uint32_t connections;
    uint32_t pipeline; /* by type unless configured */
    uint32_t leases;   /* of the connections; a quarter unless configured */
    uint64_t lease_max_ms;
    uint64_t connect_timeout_ms;
    uint32_t delivery; /* enum config_delivery */
    uint64_t receipt_keep_ms; /* exactly-once on postgres and sqlite; 0: for ever */
    uint32_t coalesce; /* the most jobs in one transaction; 0: each has its own */
    uint64_t rate_interval_ns; /* between two starts; 0: no limit */
    uint32_t rate_burst;       /* starts at once after a pause */
    char *password_file;
    char *credential;
    char *users;               /* who may use it: words; NULL with groups NULL: everybody */
    char *groups;
    struct config_ids uids;    /* the same, looked up */
    struct config_ids gids;
    struct config_http http;
    char *password; /* read from one of the two, or NULL; never to be logged */
};

struct config_queue {
    char *name; /* NULL in the defaults of queues without a section */
    uint32_t concurrency;
    uint32_t retry;
    uint64_t backoff_min_ms;
    uint64_t backoff_max_ms;
    uint64_t keep_ms;
    uint64_t keep_dead_ms;
    uint64_t timeout_ms; /* 0: none */
    uint64_t rate_interval_ns; /* between two starts; 0: no limit */
    uint32_t rate_burst;       /* starts at once after a pause */
    uint32_t length_max;       /* jobs that have not finished; 0: no limit */
    uint64_t bytes_max;        /* of their arguments as stored; 0: no limit */
    uint32_t weight;           /* jobs it may start in its turn */
};

struct config {
    char *state; /* absolute path of the folder with queue.db */
    char *zone;  /* the time zone of schedules that name none; NULL: UTC */
    uint32_t node;
    uint64_t result_size_max;
    uint64_t request_size_max;
    uint64_t argument_size_max;
    uint32_t clients_max;
    uint64_t memory_max;
    uint64_t disk_free_min;
    uint64_t stop_timeout_ms;
    uint64_t subscriber_output_max; /* bytes of unread events before a client is disconnected */
    uint32_t log_level; /* enum config_log_level */

    struct config_socket *sockets; /* at least one */
    uint32_t socket_count;
    struct config_target *targets;
    uint32_t target_count;
    struct config_queue *queues;
    uint32_t queue_count;
    struct config_queue queue_defaults;

    char **warnings; /* lines for the log; nothing in them is secret */
    uint32_t warning_count;
};

/* Reads the file at `path` and `<path>.d/<name>.conf` in the order of their names, each later
 * value overriding; then passwords and the ids of users. -EINVAL, or the errno of a file that
 * cannot be read, with "<file>:<line>: what is wrong and what is allowed" in *reterr. -ENOENT: no
 * such file. */
AW_MUST_CHECK AW_SUSPENDS int config_load(const char *path, struct config *ret_config,
                                          struct aw_error *reterr);

/* The same for one text in memory, which `file` names in errors; reads no file, looks nobody up. */
AW_MUST_CHECK int config_parse(const char *file, const char *text, size_t size,
                               struct config *ret_config, struct aw_error *reterr);

void config_free(struct config *config);

/* The settings of a queue: its own section's or the defaults. Never NULL. */
const struct config_queue *config_find_queue(const struct config *config, const char *name,
                                             size_t name_size);

/* The word for it in the configuration: "postgres". */
const char *config_target_type_name(uint32_t type);

#endif
