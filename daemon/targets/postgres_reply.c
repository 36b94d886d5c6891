/* postgres_reply.c - writing results. Long ones are checked against the limit row by row. */
#include "targets/postgres_reply.h"

#include "protocol/json_string.h"
#include "protocol/value.h"

#include <errno.h>
#include <string.h>

/* Oids of pg_type, fixed for ever. */
enum {
    TYPE_BOOL = 16,
    TYPE_INT8 = 20,
    TYPE_INT2 = 21,
    TYPE_INT4 = 23,
    TYPE_OID = 26,
    TYPE_JSON = 114,
    TYPE_FLOAT4 = 700,
    TYPE_FLOAT8 = 701,
    TYPE_NUMERIC = 1700,
    TYPE_JSONB = 3802,
};

static void write_rows(struct buffer *out, const struct aw_pg_results *results, uint32_t statement,
                       size_t size_max)
{
    uint32_t columns = aw_pg_column_count(results, statement);
    size_t rows = aw_pg_row_count(results, statement);
    value_array(out, rows + 1);
    value_array(out, columns);
    for (uint32_t column = 0; column < columns; column++) {
        value_bulk_text(out, aw_pg_column_name(results, statement, column));
    }
    for (size_t row = 0; row < rows && out->size <= size_max && !out->failed; row++) {
        value_array(out, columns);
        for (uint32_t column = 0; column < columns; column++) {
            struct aw_pg_value value = aw_pg_value_at(results, statement, row, column);
            if (value.null) {
                value_null(out);
            } else {
                value_bulk(out, value.data, value.size);
            }
        }
    }
}

static bool is_finite_number(struct aw_pg_value value)
{
    size_t first = value.size > 0 && value.data[0] == '-' ? 1 : 0;
    return value.size > first && value.data[first] >= '0' && value.data[first] <= '9';
}

static void json_value(struct buffer *out, struct aw_pg_value value, uint32_t type)
{
    if (value.null) {
        buffer_append(out, "null", 4);
        return;
    }
    switch (type) {
    case TYPE_BOOL:
        buffer_append_text(out, value.data[0] == 't' ? "true" : "false");
        return;
    case TYPE_JSON:
    case TYPE_JSONB:
        buffer_append(out, value.data, value.size);
        return;
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
    case TYPE_OID:
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
    case TYPE_NUMERIC:
        if (is_finite_number(value)) {
            buffer_append(out, value.data, value.size);
            return;
        }
        break;
    default:
        break;
    }
    json_string(out, value.data, value.size);
}

static void write_json(struct buffer *out, const struct aw_pg_results *results, uint32_t statement,
                       size_t size_max)
{
    struct buffer text = {0};
    uint32_t columns = aw_pg_column_count(results, statement);
    size_t rows = aw_pg_row_count(results, statement);
    buffer_append(&text, "[", 1);
    for (size_t row = 0; row < rows && text.size <= size_max && !text.failed; row++) {
        buffer_append_text(&text, row > 0 ? ",{" : "{");
        for (uint32_t column = 0; column < columns; column++) {
            const char *name = aw_pg_column_name(results, statement, column);
            if (column > 0) {
                buffer_append(&text, ",", 1);
            }
            json_string(&text, name, strlen(name));
            buffer_append(&text, ":", 1);
            json_value(&text, aw_pg_value_at(results, statement, row, column),
                       aw_pg_column_type(results, statement, column));
        }
        buffer_append(&text, "}", 1);
    }
    buffer_append(&text, "]", 1);
    value_bulk(out, text.data, text.size);
    out->failed = out->failed || text.failed;
    buffer_free(&text);
}

int postgres_reply(struct buffer *out, const struct aw_pg_results *results, uint32_t first,
                   bool several, enum result_format format, size_t size_max)
{
    uint32_t end = several ? aw_pg_result_count(results) : first + 1;
    if (several) {
        value_array(out, end - first);
    }
    for (uint32_t i = first; i < end && out->size <= size_max && !out->failed; i++) {
        if (!aw_pg_has_rows(results, i)) {
            value_simple(out, aw_pg_tag(results, i));
        } else if (format == FORMAT_JSON) {
            write_json(out, results, i, size_max);
        } else {
            write_rows(out, results, i, size_max);
        }
    }
    if (out->failed) {
        return -ENOMEM;
    }
    return out->size > size_max ? -EFBIG : 0;
}
