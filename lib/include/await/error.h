/* error.h - what went wrong, for a person and for a program that must decide.
 *
 * Functions return a negative errno; those that talk to an engine (PostgreSQL, Redis, SQLite) also
 * fill a struct aw_error with the engine's own code and words. The struct owns nothing: copy it
 * freely, keep it on the stack. */
#ifndef AWAIT_ERROR_H
#define AWAIT_ERROR_H

#include <await/base.h>

#define AW_ERROR_CODE_SIZE 32 /* SQLite's longest name has 30 */
#define AW_ERROR_MESSAGE_SIZE 480

struct aw_error {
    int number;                          /* the negative errno the function returned, 0: no error */
    char code[AW_ERROR_CODE_SIZE];       /* the engine's own: SQLSTATE "23505", SQLite's
                                            "SQLITE_BUSY", Redis' first word "WRONGTYPE"; or "" */
    char message[AW_ERROR_MESSAGE_SIZE]; /* one line, no newline, cut at a UTF-8 boundary */
};

/* Fills *error (which may be NULL: then nothing is kept) with the message that printf(3) would make
 * of `format`, and returns `number`, so that a function can end with
 * `return aw_error_set(error, -EINVAL, ...)`. Control characters of the message become spaces; it
 * is cut at AW_ERROR_MESSAGE_SIZE - 1 bytes, between characters. Never fails, never suspends. */
AW_API int aw_error_set(struct aw_error *error, int number, const char *format, ...)
    AW_PRINTF(3, 4);

/* As aw_error_set (number, format, result), and keeps the engine's code (cut at
 * AW_ERROR_CODE_SIZE - 1; NULL counts as ""). */
AW_API int aw_error_set_code(struct aw_error *error, int number, const char *code,
                             const char *format, ...) AW_PRINTF(4, 5);

/* The name of `number`, a negative or positive errno, such as "ECONNREFUSED", and its sentence,
 * such as "Connection refused". Static strings, not the caller's to free; never NULL: a number
 * nobody knows has a name too. Safe on any thread. */
AW_API const char *aw_error_name(int number);
AW_API const char *aw_error_text(int number);

#endif
