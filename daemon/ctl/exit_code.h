/* exit_code.h - how awaitctl ends. Scripts depend on these numbers: they are documented in
 * awaitctl(1) and never change their meaning. */
#ifndef CTL_EXIT_CODE_H
#define CTL_EXIT_CODE_H

enum exit_code {
    EXIT_OK = 0,
    EXIT_FAILED = 1,      /* a job failed or was cancelled */
    EXIT_USAGE = 2,       /* the command line is wrong */
    EXIT_UNREACHABLE = 3, /* no daemon, or the connection to it was lost */
    EXIT_TIMEOUT = 4,     /* time was up before the result was there */
    EXIT_REFUSED = 5,     /* the daemon said no: ERR, NOTARGET, NOJOB, FULL, UNAVAILABLE ... */
    EXIT_OUTPUT = 6,      /* the output could not be written, or no memory was left */
};

/* One line on standard error, "awaitctl: ..." , escaped (text.h); returns `code`. */
enum exit_code complain(enum exit_code code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
