/* table.c - see table.h. */
#include "ctl/table.h"

#include <stdlib.h>
#include <string.h>

#define GAP "  " /* between columns */
#define GAP_WIDTH 2

void table_init(struct table *table, const struct table_style *style, size_t column_count)
{
    size_t allocated = column_count > 0 ? column_count : 1;
    *table = (struct table){
        .style = *style,
        .column_count = column_count,
        .header = memory_need(calloc(allocated, sizeof(struct table_cell))),
        .widths = memory_need(calloc(allocated, sizeof(size_t))),
        .contents = memory_need(calloc(allocated, sizeof(enum table_content))),
    };
}

/* What stands to the right: digits with a sign, a point or an exponent. */
static bool looks_like_number(const char *data, size_t size)
{
    bool digit = false;
    for (size_t at = 0; at < size; at++) {
        char character = data[at];
        bool sign = character == '-' || character == '+';
        bool sign_fits = sign && (at == 0 || data[at - 1] == 'e');
        if (character >= '0' && character <= '9')
            digit = true;
        else if (!sign_fits && character != '.' && character != 'e')
            return false;
    }
    return digit;
}

static void fill_cell(const struct table *table, struct table_cell *cell, const char *data,
                      size_t size)
{
    *cell = (struct table_cell){.null = data == NULL};
    if (!table->style.terminal) {
        if (cell->null)
            text_append_string(&cell->text, "\\N");
        else
            text_append_field(&cell->text, data, size);
        return;
    }
    if (cell->null) {
        text_append_string(&cell->text, table->style.colour ? "NULL" : "<NULL>");
        cell->width = cell->text.size;
        return;
    }
    cell->number = looks_like_number(data, size);
    cell->width = text_append_visible(&cell->text, data, size, TEXT_ESCAPE_LINES);
}

void table_name(struct table *table, size_t column, const char *data, size_t size)
{
    text_free(&table->header[column].text);
    fill_cell(table, &table->header[column], data, size);
    if (table->widths[column] < table->header[column].width)
        table->widths[column] = table->header[column].width;
}

void table_add(struct table *table, const char *data, size_t size)
{
    if (table->cell_count == table->cell_capacity) {
        table->cell_capacity = table->cell_capacity * 2 + 64;
        table->cells =
            memory_need(realloc(table->cells, table->cell_capacity * sizeof *table->cells));
    }
    size_t column = table->cell_count % table->column_count;
    struct table_cell *cell = &table->cells[table->cell_count++];
    fill_cell(table, cell, data, size);
    if (table->widths[column] < cell->width)
        table->widths[column] = cell->width;
    if (!cell->null && !cell->number)
        table->contents[column] = TABLE_TEXT;
    else if (cell->number && table->contents[column] == TABLE_EMPTY)
        table->contents[column] = TABLE_NUMBERS;
}

void table_add_text(struct table *table, const char *text)
{
    table_add(table, text, text == NULL ? 0 : strlen(text));
}

size_t table_rows(const struct table *table)
{
    return table->column_count > 0 ? table->cell_count / table->column_count : 0;
}

static void print_spaces(FILE *out, size_t count)
{
    for (size_t index = 0; index < count; index++)
        fputc(' ', out);
}

/* The columns the last one may take, 0 for as many as it wants. */
static size_t last_width_max(const struct table *table)
{
    size_t used = 0;
    if (table->style.width_max == 0)
        return 0;
    for (size_t column = 0; column + 1 < table->column_count; column++)
        used += table->widths[column] + GAP_WIDTH;
    return used + 8 < table->style.width_max ? table->style.width_max - used : 8;
}

static void print_row(struct table *table, FILE *out, struct table_cell *row, const char *emphasis)
{
    size_t last_max = last_width_max(table);
    for (size_t column = 0; column < table->column_count; column++) {
        struct table_cell *cell = &row[column];
        bool last = column + 1 == table->column_count;
        if (!table->style.terminal) {
            if (cell->text.size > 0)
                fwrite(cell->text.data, 1, cell->text.size, out);
            fputc(last ? '\n' : '\t', out);
            continue;
        }
        if (last && last_max > 0 && cell->width > last_max)
            cell->width = text_cut(&cell->text, last_max);
        size_t padding = table->widths[column] - cell->width;
        bool right = table->contents[column] == TABLE_NUMBERS && (!last || last_max == 0);
        const char *colour = cell->null ? "\033[2m" : emphasis;
        if (right)
            print_spaces(out, padding);
        if (table->style.colour && colour != NULL)
            fputs(colour, out);
        fwrite(cell->text.data, 1, cell->text.size, out);
        if (table->style.colour && colour != NULL)
            fputs("\033[0m", out);
        if (last) {
            fputc('\n', out);
        } else {
            print_spaces(out, right ? 0 : padding);
            fputs(GAP, out);
        }
    }
}

static void print_rule(const struct table *table, FILE *out)
{
    size_t last_max = last_width_max(table);
    for (size_t column = 0; column < table->column_count; column++) {
        bool last = column + 1 == table->column_count;
        size_t width = table->widths[column];
        if (last && last_max > 0 && width > last_max)
            width = last_max;
        for (size_t index = 0; index < width; index++)
            fputc('-', out);
        fputs(last ? "\n" : GAP, out);
    }
}

void table_print(struct table *table, FILE *out)
{
    bool wanted = table->style.terminal || table->style.header;
    if (wanted && !table->header_shown && table->column_count > 0) {
        print_row(table, out, table->header, "\033[1m");
        if (table->style.terminal)
            print_rule(table, out);
        table->header_shown = true;
    }
    size_t rows = table_rows(table);
    for (size_t row = 0; row < rows; row++)
        print_row(table, out, &table->cells[row * table->column_count], NULL);
    for (size_t index = 0; index < table->cell_count; index++)
        text_free(&table->cells[index].text);
    table->cell_count = 0;
}

void table_free(struct table *table)
{
    for (size_t index = 0; index < table->cell_count; index++)
        text_free(&table->cells[index].text);
    for (size_t column = 0; column < table->column_count; column++)
        text_free(&table->header[column].text);
    free(table->header);
    free(table->widths);
    free(table->contents);
    free(table->cells);
    *table = (struct table){0};
}
