/* job_fields.c - see job_fields.h. */
#include "ctl/job_fields.h"

#include "ctl/duration.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What is no plain text. Everything else is shown as the daemon sends it. */
enum field_kind { FIELD_PLAIN, FIELD_MOMENT, FIELD_DURATION };

static const struct {
    const char *name;
    enum field_kind kind;
} timed_fields[] = {
    {"created", FIELD_MOMENT},      {"due", FIELD_MOMENT},           {"started", FIELD_MOMENT},
    {"finished", FIELD_MOMENT},     {"expires", FIELD_MOMENT},       {"timeout", FIELD_DURATION},
    {"backoff_min", FIELD_DURATION}, {"backoff_max", FIELD_DURATION}, {"keep", FIELD_DURATION},
    {"next", FIELD_MOMENT},         {"last", FIELD_MOMENT},         {"expires_at", FIELD_MOMENT},
};

bool job_is_fields(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements % 2 != 0)
        return false;
    for (size_t index = 0; index < reply->elements; index += 2)
        if (reply->element[index]->str == NULL)
            return false;
    return true;
}

static const redisReply *field(const redisReply *job, const char *name)
{
    for (size_t index = 0; index + 1 < job->elements; index += 2)
        if (reply_is(job->element[index], name))
            return job->element[index + 1];
    return NULL;
}

static enum field_kind kind_of(const redisReply *name)
{
    for (size_t index = 0; index < sizeof timed_fields / sizeof timed_fields[0]; index++)
        if (reply_is(name, timed_fields[index].name))
            return timed_fields[index].kind;
    return FIELD_PLAIN;
}

static bool number_of(const redisReply *value, int64_t *ret_number)
{
    char *end = NULL;
    if (value->type == REDIS_REPLY_INTEGER) {
        *ret_number = value->integer;
        return true;
    }
    if (value->type != REDIS_REPLY_STRING || value->len == 0 || value->len > 18)
        return false;
    *ret_number = strtoll(value->str, &end, 10);
    return end == value->str + value->len;
}

static void append_moment(struct text *text, int64_t unix_ms)
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm moment;
    char formatted[40] = "";
    if (localtime_r(&seconds, &moment) != NULL)
        strftime(formatted, sizeof formatted, "%Y-%m-%d %H:%M:%S", &moment);
    text_append_string(text, formatted);
}

/* A value as one line of text; by its name when it has one, else as it came. */
static void append_value(struct text *text, const redisReply *name, const redisReply *value)
{
    enum field_kind kind = name != NULL ? kind_of(name) : FIELD_PLAIN;
    int64_t number = 0;
    char duration[40];
    if (kind != FIELD_PLAIN && !number_of(value, &number))
        kind = FIELD_PLAIN;
    if (kind == FIELD_MOMENT) {
        if (number > 0)
            append_moment(text, number);
    } else if (kind == FIELD_DURATION) {
        duration_format((uint64_t)number, duration, sizeof duration);
        text_append_string(text, duration);
    } else if (value->type == REDIS_REPLY_INTEGER) {
        text_printf(text, "%lld", value->integer);
    } else if (value->type == REDIS_REPLY_ARRAY) {
        for (size_t index = 0; index < value->elements; index++) {
            text_append_string(text, index > 0 ? "  " : "");
            append_value(text, name, value->element[index]);
        }
    } else if (value->type == REDIS_REPLY_NIL) {
        text_append_string(text, "-");
    } else {
        text_append(text, value->str, value->len);
    }
}

void job_print(const struct output *output, const redisReply *job)
{
    size_t widest = 0;
    for (size_t index = 0; index + 1 < job->elements; index += 2)
        if (job->element[index]->len > widest)
            widest = job->element[index]->len;
    for (size_t index = 0; index + 1 < job->elements; index += 2) {
        const redisReply *name = job->element[index];
        const redisReply *value = job->element[index + 1];
        struct text line = {0};
        if (output->terminal) {
            struct text plain = {0};
            append_value(&plain, name, value);
            text_append_visible(&line, plain.data, plain.size, TEXT_ESCAPE_LINES);
            text_free(&plain);
            printf("%.*s:%*s %s\n", (int)name->len, name->str, (int)(widest - name->len), "",
                   line.data != NULL ? line.data : "");
        } else {
            struct text escaped = {0};
            append_value(&line, NULL, value);
            if (value->type == REDIS_REPLY_NIL)
                text_append_string(&escaped, "\\N"); /* as in rows */
            else
                text_append_field(&escaped, line.data, line.size);
            printf("%.*s\t%s\n", (int)name->len, name->str,
                   escaped.data != NULL ? escaped.data : "");
            text_free(&escaped);
        }
        text_free(&line);
    }
}

void job_json(struct json *json, const redisReply *job)
{
    json_object(json);
    for (size_t index = 0; index + 1 < job->elements; index += 2) {
        json_key(json, job->element[index]->str, job->element[index]->len);
        reply_json(json, job->element[index + 1]);
    }
    json_object_end(json);
}

/* --- the table of jobs ------------------------------------------------------------------------ */

static const char *const columns[] = {"id", "state", "queue", "target", "created",
                                      "due", "attempts", "error", NULL};

void fields_table_init(struct table *table, const struct table_style *style,
                       const char *const *names)
{
    size_t count = 0;
    while (names[count] != NULL)
        count++;
    table_init(table, style, count);
    for (size_t column = 0; column < count; column++)
        table_name(table, column, names[column], strlen(names[column]));
}

void fields_table_add(struct table *table, const char *const *names, const redisReply *fields)
{
    for (size_t column = 0; names[column] != NULL; column++) {
        const redisReply *value = field(fields, names[column]);
        struct text text = {0};
        const redisReply name = {.str = (char *)(uintptr_t)names[column],
                                 .len = strlen(names[column])};
        if (value != NULL && value->type != REDIS_REPLY_NIL)
            append_value(&text, table->style.terminal ? &name : NULL, value);
        table_add(table, text.data != NULL ? text.data : "", text.size);
        text_free(&text);
    }
}

void job_table_init(struct table *table, const struct table_style *style)
{
    fields_table_init(table, style, columns);
}

void job_table_add(struct table *table, const redisReply *job)
{
    fields_table_add(table, columns, job);
}
