/* redis_command.h - one command on its way, and the lists it stands in.
 *
 * waiting in the pool -> queued on a connection -> sent -> answered. Until it is sent the command
 * only points at its caller's arguments: the caller, which is suspended, can still take it back.
 * Once sent it belongs to the connection too, which owes it a reply: a caller that leaves marks it
 * abandoned, and the connection frees it when its reply has passed. */
#ifndef CLIENTS_REDIS_COMMAND_H
#define CLIENTS_REDIS_COMMAND_H

#include <await/redis.h>
#include <await/sync.h>

struct redis_connection;
struct redis_command_list;

enum redis_command_state { REDIS_QUEUED, REDIS_SENT, REDIS_ANSWERED };

struct redis_command {
    struct redis_command *next;
    struct redis_command *previous;
    struct redis_command_list *list;      /* the one it stands in, NULL if none */
    struct redis_connection *connection;  /* once queued on one */
    enum redis_command_state state;
    bool is_asking;                       /* ASKING goes before it */
    bool abandoned;                       /* the caller has left: nothing of it may be touched */

    size_t count;                         /* the caller's, valid until sent */
    const char *const *arguments;
    const size_t *sizes;
    size_t wire_size;
    size_t reply_size_max;

    uint64_t end_position; /* in the connection's stream of bytes, of its last one */
    uint64_t sent_ns;

    struct aw_event answered;
    int result;
    struct aw_redis_reply *reply; /* the caller's to take when result is 0 */
    struct aw_error *reterr;      /* the caller's; may be NULL */
};

struct redis_command_list {
    struct redis_command *first;
    struct redis_command *last;
    uint32_t count;
};

void redis_list_append(struct redis_command_list *list, struct redis_command *command);
void redis_list_prepend(struct redis_command_list *list, struct redis_command *command);
/* Takes the command out of the list it stands in. */
void redis_list_remove(struct redis_command *command);
/* Takes out the first, NULL if there is none. */
struct redis_command *redis_list_take(struct redis_command_list *list);

/* Ends a command that stands in no list any more: wakes its caller, or frees it (and `reply`) if
 * that has left. `result` 0 hands over `reply`; with another the text goes to the caller's error.
 * */
void redis_command_answer(struct redis_command *command, int result, const char *code,
                          const char *text, struct aw_redis_reply *reply);

/* The most that the command may need on the wire; SIZE_MAX when it cannot be told. */
size_t redis_command_size(size_t count, const size_t sizes[]);

/* Writes it as the server reads it (RESP arrays of bulk strings) into a buffer of at least
 * redis_command_size; how many bytes it has become. hiredis' formatter uses printf for every
 * argument, a third of the time of a small command. */
size_t redis_command_write(char *buffer, size_t count, const char *const arguments[],
                           const size_t sizes[]);

#endif
