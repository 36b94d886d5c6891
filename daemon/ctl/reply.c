/* reply.c - see reply.h. */
#include "ctl/reply.h"

#include <string.h>

struct table_style output_table_style(const struct output *output)
{
    return (struct table_style){
        .terminal = output->terminal,
        .colour = output->colour,
        .header = output->header,
    };
}

bool reply_is(const redisReply *reply, const char *text)
{
    return reply->str != NULL && reply->len == strlen(text) &&
           memcmp(reply->str, text, reply->len) == 0;
}

/* --- errors ----------------------------------------------------------------------------------- */

static size_t first_word(const redisReply *reply)
{
    const char *space = memchr(reply->str, ' ', reply->len);
    return space != NULL ? (size_t)(space - reply->str) : reply->len;
}

enum exit_code reply_exit_code(const redisReply *reply)
{
    static const struct {
        const char *word;
        enum exit_code code;
    } codes[] = {{"FAILED", EXIT_FAILED},
                 {"CANCELLED", EXIT_FAILED},
                 {"UNCERTAIN", EXIT_FAILED},
                 {"TIMEOUT", EXIT_TIMEOUT}};
    if (reply->type != REDIS_REPLY_ERROR)
        return EXIT_OK;
    size_t length = first_word(reply);
    for (size_t index = 0; index < sizeof codes / sizeof codes[0]; index++)
        if (strlen(codes[index].word) == length &&
            memcmp(reply->str, codes[index].word, length) == 0)
            return codes[index].code;
    return EXIT_REFUSED;
}

enum exit_code reply_complain(const redisReply *reply, const char *subject)
{
    enum exit_code code = reply_exit_code(reply);
    if (subject != NULL)
        return complain(code, "%s: %.*s", subject, (int)reply->len, reply->str);
    return complain(code, "%.*s", (int)reply->len, reply->str);
}

/* --- shapes ----------------------------------------------------------------------------------- */

static bool is_text(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS;
}

bool reply_is_rows(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0)
        return false;
    const redisReply *names = reply->element[0];
    if (names->type != REDIS_REPLY_ARRAY || names->elements == 0)
        return false;
    for (size_t column = 0; column < names->elements; column++)
        if (!is_text(names->element[column]))
            return false;
    for (size_t row = 1; row < reply->elements; row++) {
        const redisReply *cells = reply->element[row];
        if (cells->type != REDIS_REPLY_ARRAY || cells->elements != names->elements)
            return false;
        for (size_t column = 0; column < cells->elements; column++)
            if (cells->element[column]->type == REDIS_REPLY_ARRAY)
                return false;
    }
    return true;
}

/* --- text ------------------------------------------------------------------------------------- */

static void add_cell(struct table *table, const redisReply *cell)
{
    if (cell->type == REDIS_REPLY_INTEGER) {
        char number[24];
        snprintf(number, sizeof number, "%lld", cell->integer);
        table_add_text(table, number);
    } else {
        table_add(table, cell->type == REDIS_REPLY_NIL ? NULL : cell->str, cell->len);
    }
}

static void print_rows(const struct output *output, const redisReply *reply)
{
    const redisReply *names = reply->element[0];
    struct table_style style = output_table_style(output);
    struct table table;
    table_init(&table, &style, names->elements);
    for (size_t column = 0; column < names->elements; column++)
        table_name(&table, column, names->element[column]->str, names->element[column]->len);
    for (size_t row = 1; row < reply->elements; row++)
        for (size_t column = 0; column < names->elements; column++)
            add_cell(&table, reply->element[row]->element[column]);
    table_print(&table, stdout);
    table_free(&table);
    size_t rows = reply->elements - 1;
    if (output->terminal)
        printf("(%zu row%s)\n", rows, rows == 1 ? "" : "s");
}

static void print_text(const struct output *output, const redisReply *reply)
{
    if (!output->terminal) {
        fwrite(reply->str, 1, reply->len, stdout);
    } else {
        struct text visible = {0};
        text_append_visible(&visible, reply->str, reply->len, TEXT_KEEP_LINES);
        fwrite(visible.data, 1, visible.size, stdout);
        text_free(&visible);
    }
    if (reply->len == 0 || reply->str[reply->len - 1] != '\n')
        putchar('\n');
}

static void print_indented(const struct output *output, const redisReply *reply, int indent);

/* On a terminal "1) ..." with what is inside further to the right, else one element a line. */
static void print_list(const struct output *output, const redisReply *reply, int indent)
{
    if (reply->elements == 0 && output->terminal)
        puts("(empty)");
    for (size_t index = 0; index < reply->elements; index++) {
        const redisReply *element = reply->element[index];
        if (output->terminal)
            printf("%*s%zu) ", index > 0 ? indent : 0, "", index + 1);
        if (output->terminal && reply_is_rows(element))
            putchar('\n');
        print_indented(output, element, indent + 3);
    }
}

static void print_indented(const struct output *output, const redisReply *reply, int indent)
{
    switch (reply->type) {
    case REDIS_REPLY_ARRAY:
        if (reply_is_rows(reply))
            print_rows(output, reply);
        else
            print_list(output, reply, indent);
        break;
    case REDIS_REPLY_INTEGER: printf("%lld\n", reply->integer); break;
    case REDIS_REPLY_NIL:
        puts(!output->terminal ? "" : output->colour ? "\033[2mNULL\033[0m" : "<NULL>");
        break;
    case REDIS_REPLY_ERROR:
        fputs("error: ", stdout);
        print_text(output, reply);
        break;
    default: print_text(output, reply);
    }
}

void reply_print(const struct output *output, const redisReply *reply)
{
    if (!output->json) {
        print_indented(output, reply, 0);
        return;
    }
    struct json json;
    json_init(&json, stdout);
    reply_json(&json, reply);
    putchar('\n');
}

/* --- JSON ------------------------------------------------------------------------------------- */

/* A second column of the same name gets a number, or an object would lose one of them. */
static void json_column_key(struct json *json, const redisReply *names, size_t column)
{
    const redisReply *name = names->element[column];
    size_t same = 1;
    for (size_t index = 0; index < column; index++) {
        const redisReply *other = names->element[index];
        if (other->len == name->len && memcmp(other->str, name->str, name->len) == 0)
            same++;
    }
    struct text key = {0};
    text_append(&key, name->str, name->len);
    if (same > 1)
        text_printf(&key, "_%zu", same);
    json_key(json, key.data, key.size);
    text_free(&key);
}

static void json_rows(struct json *json, const redisReply *reply)
{
    const redisReply *names = reply->element[0];
    json_array(json);
    for (size_t row = 1; row < reply->elements; row++) {
        json_object(json);
        for (size_t column = 0; column < names->elements; column++) {
            json_column_key(json, names, column);
            reply_json(json, reply->element[row]->element[column]);
        }
        json_object_end(json);
    }
    json_array_end(json);
}

static void json_error(struct json *json, const redisReply *reply)
{
    size_t word = first_word(reply);
    size_t rest = word < reply->len ? word + 1 : word;
    json_key_text(json, "error");
    json_object(json);
    json_key_text(json, "code");
    json_string(json, reply->str, word);
    json_key_text(json, "message");
    json_string(json, reply->str + rest, reply->len - rest);
    json_object_end(json);
}

void reply_json_member(struct json *json, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR) {
        json_error(json, reply);
        return;
    }
    json_key_text(json, "result");
    reply_json(json, reply);
}

void reply_json(struct json *json, const redisReply *reply)
{
    switch (reply->type) {
    case REDIS_REPLY_INTEGER: json_integer(json, reply->integer); break;
    case REDIS_REPLY_NIL: json_null(json); break;
    case REDIS_REPLY_ERROR:
        json_object(json);
        json_error(json, reply);
        json_object_end(json);
        break;
    case REDIS_REPLY_ARRAY:
        if (reply_is_rows(reply)) {
            json_rows(json, reply);
            break;
        }
        json_array(json);
        for (size_t index = 0; index < reply->elements; index++)
            reply_json(json, reply->element[index]);
        json_array_end(json);
        break;
    default: json_string(json, reply->str, reply->len);
    }
}
