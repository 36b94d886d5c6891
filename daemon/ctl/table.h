/* table.h - rows in aligned columns for a terminal, or as tab-separated lines for a pipe.
 *
 * Cells are copied. On a terminal they are escaped (text.h), numbers stand to the right, and NULL
 * is told from a text "NULL" by colour, or by <> where there is none. Tab-separated lines follow
 * PostgreSQL's COPY: \N is NULL, backslash, tab and line breaks are escaped, no header unless
 * asked.
 *
 * Printing and clearing page by page keeps the columns' widths, so that a long list stays aligned
 * and only one page is in memory. */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include "ctl/text.h"

#include <stdio.h>

struct table_cell {
    struct text text; /* escaped for the table's style already */
    size_t width;
    bool null;
    bool number;
};

struct table_style {
    bool terminal;    /* aligned; else tab-separated */
    bool colour;
    bool header;      /* tab-separated lines begin with the names; a terminal always shows them */
    size_t width_max; /* columns of the screen: the last column is cut to fit; 0: nothing is cut */
};

struct table {
    struct table_style style;
    size_t column_count;
    struct table_cell *header;
    size_t *widths;
    enum table_content { TABLE_EMPTY, TABLE_NUMBERS, TABLE_TEXT } *contents; /* NULLs aside */
    bool header_shown;
    struct table_cell *cells; /* row by row */
    size_t cell_count;
    size_t cell_capacity;
};

void table_init(struct table *table, const struct table_style *style, size_t column_count);
void table_name(struct table *table, size_t column, const char *data, size_t size);
/* The next cell, left to right, row after row; data NULL is NULL. */
void table_add(struct table *table, const char *data, size_t size);
void table_add_text(struct table *table, const char *text);
size_t table_rows(const struct table *table);
/* Prints the rows added since the last call, the header before the first ones, and drops them. */
void table_print(struct table *table, FILE *out);
void table_free(struct table *table);

#endif
