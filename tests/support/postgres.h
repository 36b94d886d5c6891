/* postgres.h - a real PostgreSQL of the test's own: data, socket and log in a folder below /tmp,
 * a free port on 127.0.0.1, fsync on. Run by root it runs as the user postgres. It stops when the
 * process that started it ends, in whatever way.
 *
 * A test binary starts one for all its tests (each test is a process of its own):
 *
 *     POSTGRES_BEFORE_TESTS
 *     POSTGRES_AFTER_TESTS
 *     ... postgres_shared_uri() in a test ... */
#ifndef SUPPORT_POSTGRES_H
#define SUPPORT_POSTGRES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct postgres {
    char folder[64];
    char uri[160];     /* over the Unix socket, user and database postgres */
    char tcp_uri[160]; /* over TCP, the host given by the name localhost */
    unsigned port;
    pid_t pid;
};

/* Makes the folder and the data (initdb). Aborts when PostgreSQL is not installed. */
void postgres_create(struct postgres *postgres);
/* Starts the server and waits until it accepts. */
void postgres_start(struct postgres *postgres);
/* Stops it: SIGINT ends the sessions (fast), SIGQUIT at once as a crash would. */
void postgres_stop(struct postgres *postgres, int signal_number);
/* Stops it if it runs, and removes the folder. */
void postgres_remove(struct postgres *postgres);

void postgres_shared_begin(void);
void postgres_shared_end(void);
const char *postgres_shared_uri(void);
const char *postgres_shared_tcp_uri(void);

/* Two lines: Criterion names its hooks by line. */
#define POSTGRES_BEFORE_TESTS                             \
    ReportHook(PRE_ALL)(struct criterion_test_set *tests) \
    {                                                     \
        (void)tests;                                      \
        postgres_shared_begin();                          \
    }
#define POSTGRES_AFTER_TESTS                                   \
    ReportHook(POST_ALL)(struct criterion_global_stats *stats) \
    {                                                          \
        (void)stats;                                           \
        postgres_shared_end();                                 \
    }

#endif
