/* redis.h - a redis-server of a test's own, in a folder of its own, on a Unix socket and a free
 * port. */
#ifndef SUPPORT_REDIS_H
#define SUPPORT_REDIS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct redis_server {
    pid_t pid; /* 0: not running */
    uint16_t port;
    char folder[64];
    char socket[96];
    char uri[128];      /* redis://127.0.0.1:port/0 */
    char unix_uri[128]; /* unix:///...?db=0 */
};

/* Whether redis-server is installed. */
bool redis_server_available(void);

/* Makes the folder and picks the port. */
void redis_server_prepare(struct redis_server *server);

/* Starts it with extra options (a NULL-terminated list, or NULL) and waits until it takes
 * connections; aborts when it does not within 60 s. Also starts it again after a stop, same place.
 * */
void redis_server_start(struct redis_server *server, const char *const options[]);

/* Ends it with a signal (SIGKILL, SIGTERM) and waits until it is gone. */
void redis_server_stop(struct redis_server *server, int signal);

/* Stops it if it runs, and removes the folder. */
void redis_server_remove(struct redis_server *server);

#endif
