/* target_sqlite_result.c - rows of SQLite as a job's result.
 *
 * FORMAT rows: an array, first the column names, then each row; numbers in decimal, TEXT and BLOB
 * as their bytes, NULL as null. FORMAT json: one string, an array of objects; INTEGER and REAL
 * are numbers (an infinite REAL the string "Infinity" or "-Infinity"), TEXT a string (bytes that
 * are no UTF-8 become U+FFFD), BLOB a string of upper-case hexadecimal digits, as SQLite's hex()
 * gives, NULL null. A statement without columns gives its command tag in both. TX gives an array
 * of these. */
#include "targets/target_sqlite.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static int check_room(struct sqlite_result *result)
{
    if (result->out->failed || result->rows.failed)
        return aw_error_set_code(result->error, -ENOMEM, "SQLITE_NOMEM", "out of memory");
    if (result->out->size + result->rows.size > result->size_max)
        return aw_error_set_code(result->error, -EMSGSIZE, "RESULTTOOBIG",
                                 "the result is larger than %zu bytes", result->size_max);
    return 0;
}

static void on_restart(void *context)
{
    struct sqlite_result *result = context;
    buffer_clear(result->out);
    if (result->job->transaction)
        value_array(result->out, result->job->count);
}

static int on_begin(void *context, unsigned index, sqlite3_stmt *statement)
{
    (void)index;
    struct sqlite_result *result = context;
    buffer_clear(&result->rows);
    result->row_count = 0;
    int columns = sqlite3_column_count(statement);
    if (columns > 0 && result->format == FORMAT_ROWS) {
        value_array(&result->rows, (size_t)columns);
        for (int i = 0; i < columns; i++) {
            const char *name = sqlite3_column_name(statement, i);
            value_bulk_text(&result->rows, name ? name : "");
        }
    } else if (columns > 0) {
        buffer_append(&result->rows, "[", 1);
    }
    return check_room(result);
}

static void add_value(struct buffer *out, sqlite3_stmt *statement, int column)
{
    if (sqlite3_column_type(statement, column) == SQLITE_NULL) {
        value_null(out);
        return;
    }
    bool blob = sqlite3_column_type(statement, column) == SQLITE_BLOB;
    const void *data = blob ? sqlite3_column_blob(statement, column)
                            : (const void *)sqlite3_column_text(statement, column);
    int size = sqlite3_column_bytes(statement, column);
    if (!data && size > 0)
        out->failed = true; /* SQLite had no memory for it */
    else
        value_bulk(out, data ? data : "", (size_t)size);
}

/* The length of the UTF-8 character at `at`, 0 when it is none. */
static size_t character_length(const unsigned char *at, size_t left)
{
    if (at[0] < 0x80)
        return 1;
    size_t length = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4 || left < length)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
        (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
        return 0;
    return length;
}

static void json_string(struct buffer *out, const char *data, size_t size)
{
    buffer_append(out, "\"", 1);
    for (size_t i = 0; i < size;) {
        unsigned char c = (unsigned char)data[i];
        size_t length = character_length((const unsigned char *)data + i, size - i);
        if (length == 0) {
            buffer_append_text(out, "\xef\xbf\xbd");
            length = 1;
        } else if (c == '"' || c == '\\') {
            buffer_printf(out, "\\%c", c);
        } else if (c < 0x20) {
            buffer_printf(out, "\\u%04x", c);
        } else {
            buffer_append(out, data + i, length);
        }
        i += length;
    }
    buffer_append(out, "\"", 1);
}

static void json_blob(struct buffer *out, const unsigned char *data, size_t size)
{
    static const char digits[] = "0123456789ABCDEF";
    buffer_append(out, "\"", 1);
    for (size_t i = 0; i < size; i++) {
        char pair[2] = { digits[data[i] >> 4], digits[data[i] & 15] };
        buffer_append(out, pair, sizeof(pair));
    }
    buffer_append(out, "\"", 1);
}

static void json_value(struct buffer *out, sqlite3_stmt *statement, int column)
{
    switch (sqlite3_column_type(statement, column)) {
    case SQLITE_NULL:
        buffer_append(out, "null", 4);
        return;
    case SQLITE_FLOAT: {
        double real = sqlite3_column_double(statement, column);
        if (isinf(real)) {
            buffer_append_text(out, real > 0 ? "\"Infinity\"" : "\"-Infinity\"");
            return;
        }
        char text[64];
        sqlite3_snprintf(sizeof(text), text, "%!.17g", real); /* reads back as the same number */
        buffer_append_text(out, text);
        return;
    }
    case SQLITE_INTEGER:
        buffer_printf(out, "%lld", (long long)sqlite3_column_int64(statement, column));
        return;
    case SQLITE_BLOB: {
        const unsigned char *data = sqlite3_column_blob(statement, column);
        json_blob(out, data, data ? (size_t)sqlite3_column_bytes(statement, column) : 0);
        return;
    }
    default: {
        const char *text = (const char *)sqlite3_column_text(statement, column);
        if (!text)
            out->failed = true;
        else
            json_string(out, text, (size_t)sqlite3_column_bytes(statement, column));
    }
    }
}

static int on_row(void *context, sqlite3_stmt *statement)
{
    struct sqlite_result *result = context;
    struct buffer *rows = &result->rows;
    int columns = sqlite3_data_count(statement);
    if (result->format == FORMAT_ROWS) {
        value_array(rows, (size_t)columns);
        for (int i = 0; i < columns; i++)
            add_value(rows, statement, i);
    } else {
        buffer_append_text(rows, result->row_count > 0 ? ",{" : "{");
        for (int i = 0; i < columns; i++) {
            const char *name = sqlite3_column_name(statement, i);
            if (i > 0)
                buffer_append(rows, ",", 1);
            json_string(rows, name ? name : "", name ? strlen(name) : 0);
            buffer_append(rows, ":", 1);
            json_value(rows, statement, i);
        }
        buffer_append(rows, "}", 1);
    }
    result->row_count++;
    return check_room(result);
}

static int on_end(void *context, unsigned index, sqlite3_stmt *statement, int64_t changes)
{
    struct sqlite_result *result = context;
    const struct aw_sqlite_statement *source = &result->job->statements[index];
    if (sqlite3_column_count(statement) == 0) {
        char tag[64];
        sqlite_command_tag(source->sql, source->sql_size, changes, tag, sizeof(tag));
        value_simple(result->out, tag);
    } else if (result->format == FORMAT_ROWS) {
        value_array(result->out, (size_t)result->row_count + 1);
        buffer_append(result->out, result->rows.data, result->rows.size);
    } else {
        buffer_append(&result->rows, "]", 1);
        value_bulk(result->out, result->rows.data, result->rows.size);
    }
    if (result->rows.failed)
        result->out->failed = true;
    buffer_clear(&result->rows);
    return check_room(result);
}

struct aw_sqlite_receiver sqlite_result_receiver(struct sqlite_result *result)
{
    return (struct aw_sqlite_receiver){
        .restart = on_restart, .begin = on_begin, .row = on_row, .end = on_end, .context = result
    };
}
