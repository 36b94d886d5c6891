/* reply.h - the daemon's replies, printed for people or for programs. */
#ifndef CTL_REPLY_H
#define CTL_REPLY_H

#include "ctl/exit_code.h"
#include "ctl/json.h"
#include "ctl/table.h"

#include <hiredis/hiredis.h>

struct output {
    bool json;
    bool terminal; /* print for people: tables, escapes */
    bool colour;
    bool header; /* names above tab-separated rows */
    size_t screen_width;
};

struct table_style output_table_style(const struct output *output);

/* The exit code an error reply stands for, by its first word (command.h). */
enum exit_code reply_exit_code(const redisReply *reply);

/* Tells an error reply on standard error ("awaitctl: <subject>: FAILED 23505 ..."; subject may be
 * NULL) and returns its exit code. */
enum exit_code reply_complain(const redisReply *reply, const char *subject);

/* Whether the reply is an SQL result: an array of rows of one length, the first one all names. */
bool reply_is_rows(const redisReply *reply);

/* Prints one result to standard output, with a line break at its end. */
void reply_print(const struct output *output, const redisReply *reply);

/* Adds a result to JSON: rows as an array of objects, errors as {"error": {"code", "message"}}. */
void reply_json(struct json *json, const redisReply *reply);

/* Adds the member "result", or "error" with its code and message, to the object that is open. */
void reply_json_member(struct json *json, const redisReply *reply);

/* The text of a string, status or error reply equals `text`. */
bool reply_is(const redisReply *reply, const char *text);

#endif
