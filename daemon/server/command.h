/* command.h - the commands of the protocol as a table: name, how many words, what right, who runs
 * it.
 *
 * Rights are the ones a [socket] section allows. A command that needs none answers everybody, since
 * ordinary Redis clients send such commands by themselves. */
#ifndef SERVER_COMMAND_H
#define SERVER_COMMAND_H

#include "config/config.h"
#include "protocol/argument.h"
#include "protocol/buffer.h"

struct command_statistics;
struct connection;
struct server;

enum command_flag {
    COMMAND_WAITS = 1,   /* may suspend: runs in a handler task of its own */
    COMMAND_OUTLIVES = 2, /* at shutdown it may go on until the deadline; other waits end at once */
    COMMAND_LISTENING = 4 /* a RESP2 client may send it also while it is subscribed */
};

/* Executes the command: arguments[0] is its name. Appends one RESP3 value to `reply`, or nothing
 * when it has reserved a reply slot (output.h) and answers later. Only COMMAND_WAITS may suspend.
 */
typedef void (*command_function)(struct connection *connection, struct argument *arguments,
                                 uint32_t count, struct buffer *reply);

struct command {
    const char *name;     /* capitals */
    int16_t words_min;    /* the name included */
    int16_t words_max;    /* -1: any number */
    uint8_t rights;       /* enum config_allow bits, one is enough; 0: everybody */
    uint8_t flags;
    command_function execute;
    const char *summary;
};

extern const struct command command_table[]; /* sorted by name */
extern const size_t command_count;

/* The command of that name in any case, or NULL. */
const struct command *command_lookup(const struct argument *name);

/* The command to execute for the request, or NULL and the error reply. */
const struct command *command_find(const struct argument *arguments, uint32_t count,
                                   unsigned allowed, struct buffer *reply);

/* How often it was called; `command` NULL: names that are none. */
struct command_statistics *command_statistics_of(struct server *server,
                                                 const struct command *command);
/* A reply that came later than its command was an error. */
void command_failed_later(struct server *server, const char *name);

/* "submit observe" for error messages; "nothing" for 0. */
void command_rights_text(unsigned rights, char text[40]);

/* "%.*s" of an argument in an error message: long ones are cut. */
int argument_shown_size(const struct argument *argument);

void command_submit(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_run(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_enter(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_exit(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_await(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_gather(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_race(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_cron(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_cancel(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_retry(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_delete(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_promote(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_multi(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_exec(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_discard(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_reserve(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_ack(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_nack(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_extend(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_progress(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_queues(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_queue(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_targets(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_target(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_subscribe(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_psubscribe(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_unsubscribe(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_punsubscribe(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_job(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_jobs(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_metrics(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_info(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_ping(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_echo(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_hello(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_auth(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_quit(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_reset(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_select(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_backup(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_reload(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_shutdown(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_client(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_command(struct connection *, struct argument *, uint32_t, struct buffer *);
void command_config(struct connection *, struct argument *, uint32_t, struct buffer *);

#endif
