/* pg_result.c - storing rows and reading them back. */
#include "clients/pg_result.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct aw_pg_results *pg_results_new(uint32_t count, size_t size_max)
{
    struct aw_pg_results *results =
        calloc(1, sizeof *results + (size_t)count * sizeof results->results[0]);
    if (results != NULL) {
        results->count = count;
        results->size_max = size_max < PG_RESULT_SIZE_MAX ? size_max : PG_RESULT_SIZE_MAX;
    }
    return results;
}

void aw_pg_results_free(struct aw_pg_results *results)
{
    if (results == NULL) {
        return;
    }
    for (uint32_t i = 0; i < results->count; i++) {
        struct pg_result *result = &results->results[i];
        free(result->columns);
        free(result->cells);
        free(result->data);
    }
    free(results);
}

#define ROOM_START 8u /* most results are small, and a request may have ten thousand */

/* Grows an array by doubling so that `needed` items fit. */
static int make_room(void **items, size_t *capacity, size_t needed, size_t item_size)
{
    if (needed <= *capacity) {
        return 0;
    }
    size_t larger = *capacity < ROOM_START ? ROOM_START : *capacity * 2;
    larger = larger < needed ? needed : larger;
    void *moved = realloc(*items, larger * item_size);
    if (moved == NULL) {
        return -ENOMEM;
    }
    *items = moved;
    *capacity = larger;
    return 0;
}

static int count_against_limit(struct aw_pg_results *results, size_t size)
{
    if (size > results->size_max - results->size) {
        return -EFBIG;
    }
    results->size += size;
    return 0;
}

/* The columns and behind them their names. */
static int add_columns(struct aw_pg_results *results, struct pg_result *result,
                       const PGresult *source)
{
    size_t count = (size_t)PQnfields(source);
    size_t names_size = 0;
    result->has_rows = true;
    for (size_t i = 0; i < count; i++) {
        names_size += strlen(PQfname(source, (int)i)) + 1;
    }
    int status = count_against_limit(results, names_size);
    if (status < 0) {
        return status;
    }
    result->columns = malloc(count * sizeof *result->columns + names_size + 1);
    if (result->columns == NULL) {
        return -ENOMEM;
    }
    result->column_count = (uint32_t)count;
    char *at = (char *)(result->columns + count);
    for (size_t i = 0; i < count; i++) {
        const char *name = PQfname(source, (int)i);
        size_t size = strlen(name) + 1;
        memcpy(at, name, size);
        result->columns[i] = (struct pg_column){.name = at, .type = PQftype(source, (int)i)};
        at += size;
    }
    return 0;
}

static int add_row(struct aw_pg_results *results, struct pg_result *result, const PGresult *source,
                   int row)
{
    size_t row_size = 0;
    int count = (int)result->column_count;
    for (int i = 0; i < count; i++) {
        row_size += (size_t)PQgetlength(source, row, i) + 1;
    }
    int status = count_against_limit(results, row_size + (size_t)count * sizeof(struct pg_cell));
    if (status == 0) {
        status = make_room((void **)&result->cells, &result->cell_capacity,
                           result->cell_count + (size_t)count, sizeof *result->cells);
    }
    if (status == 0) {
        status = make_room((void **)&result->data, &result->capacity, result->size + row_size, 1);
    }
    if (status < 0) {
        return status;
    }
    for (int i = 0; i < count; i++) {
        struct pg_cell *cell = &result->cells[result->cell_count++];
        size_t size = (size_t)PQgetlength(source, row, i);
        cell->offset = (uint32_t)result->size;
        cell->size = PQgetisnull(source, row, i) ? -1 : (int32_t)size;
        memcpy(result->data + result->size, PQgetvalue(source, row, i), size);
        result->data[result->size + size] = '\0';
        result->size += size + 1;
    }
    result->row_count++;
    return 0;
}

int pg_result_add(struct aw_pg_results *results, uint32_t statement, const PGresult *source)
{
    struct pg_result *result = &results->results[statement];
    if (!result->has_rows) {
        int status = add_columns(results, result, source);
        if (status < 0) {
            return status;
        }
    }
    for (int row = 0; row < PQntuples(source); row++) {
        int status = add_row(results, result, source, row);
        if (status < 0) {
            return status;
        }
    }
    return 0;
}

void pg_result_set_tag(struct aw_pg_results *results, uint32_t statement, PGresult *source)
{
    const char *tag = PQcmdStatus(source);
    size_t size = strnlen(tag, PG_TAG_SIZE - 1);
    memcpy(results->results[statement].tag, tag, size);
    results->results[statement].tag[size] = '\0';
}

/* --- reading --------------------------------------------------------------------------- */

uint32_t aw_pg_result_count(const struct aw_pg_results *results)
{
    return results->count;
}

static const struct pg_result *result_at(const struct aw_pg_results *results, uint32_t statement)
{
    static const struct pg_result none;
    return statement < results->count ? &results->results[statement] : &none;
}

const char *aw_pg_tag(const struct aw_pg_results *results, uint32_t statement)
{
    return result_at(results, statement)->tag;
}

bool aw_pg_has_rows(const struct aw_pg_results *results, uint32_t statement)
{
    return result_at(results, statement)->has_rows;
}

uint32_t aw_pg_column_count(const struct aw_pg_results *results, uint32_t statement)
{
    return result_at(results, statement)->column_count;
}

const char *aw_pg_column_name(const struct aw_pg_results *results, uint32_t statement,
                              uint32_t column)
{
    const struct pg_result *result = result_at(results, statement);
    return column < result->column_count ? result->columns[column].name : "";
}

uint32_t aw_pg_column_type(const struct aw_pg_results *results, uint32_t statement, uint32_t column)
{
    const struct pg_result *result = result_at(results, statement);
    return column < result->column_count ? result->columns[column].type : 0;
}

size_t aw_pg_row_count(const struct aw_pg_results *results, uint32_t statement)
{
    return result_at(results, statement)->row_count;
}

struct aw_pg_value aw_pg_value_at(const struct aw_pg_results *results, uint32_t statement,
                                  size_t row, uint32_t column)
{
    const struct pg_result *result = result_at(results, statement);
    size_t at = row * result->column_count + column;
    if (column >= result->column_count || at >= result->cell_count) {
        return (struct aw_pg_value){.data = "", .null = true};
    }
    const struct pg_cell *cell = &result->cells[at];
    return (struct aw_pg_value){
        .data = result->data + cell->offset,
        .size = cell->size < 0 ? 0 : (size_t)cell->size,
        .null = cell->size < 0,
    };
}
