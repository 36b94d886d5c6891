/* pg_result.h - results as they are gathered row by row, under a limit: the rows' bytes in one
 * block and a small cell for each value. libpq's own results are not kept, since each row would
 * cost 2 KiB. */
#ifndef CLIENTS_PG_RESULT_H
#define CLIENTS_PG_RESULT_H

#include <await/pg.h>
#include <libpq-fe.h>

#define PG_TAG_SIZE 64
#define PG_RESULT_SIZE_MAX (UINT32_C(1) << 30) /* offsets are 32-bit */

struct pg_cell {
    uint32_t offset;
    int32_t size; /* -1: NULL */
};

struct pg_column {
    char *name;
    uint32_t type;
};

struct pg_result {
    char tag[PG_TAG_SIZE];
    bool has_rows;
    uint32_t column_count;
    struct pg_column *columns;
    size_t row_count; /* rows may have no columns: SELECT FROM t */
    struct pg_cell *cells;
    size_t cell_count;
    size_t cell_capacity;
    char *data;
    size_t size;
    size_t capacity;
};

struct aw_pg_results {
    uint32_t count;
    size_t size_max;
    size_t size; /* of all results, against size_max */
    struct pg_result results[];
};

struct aw_pg_results *pg_results_new(uint32_t count, size_t size_max);

/* Adds the column names of `source` the first time, and its rows. -EFBIG, -ENOMEM. */
AW_MUST_CHECK int pg_result_add(struct aw_pg_results *results, uint32_t statement,
                                const PGresult *source);
void pg_result_set_tag(struct aw_pg_results *results, uint32_t statement, PGresult *source);

#endif
