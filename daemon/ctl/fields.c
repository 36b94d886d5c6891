/* fields.c - see fields.h. RESP2 has neither booleans nor fractions: they are told by the names of
 * their fields. */
#include "ctl/fields.h"

#include <stdlib.h>
#include <string.h>

static bool is_name(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS;
}

bool fields_are(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements % 2 != 0)
        return false;
    for (size_t index = 0; index < reply->elements; index += 2)
        if (!is_name(reply->element[index]) ||
            reply->element[index + 1]->type == REDIS_REPLY_ARRAY)
            return false;
    return true;
}

static bool same_names(const redisReply *left, const redisReply *right)
{
    if (left->elements != right->elements)
        return false;
    for (size_t index = 0; index < left->elements; index += 2)
        if (strcmp(left->element[index]->str, right->element[index]->str) != 0)
            return false;
    return true;
}

bool fields_are_list(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY)
        return false;
    for (size_t index = 0; index < reply->elements; index++)
        if (!fields_are(reply->element[index]) || reply->element[index]->elements == 0 ||
            !same_names(reply->element[0], reply->element[index]))
            return false;
    return true;
}

static bool is_boolean(const char *name, const redisReply *value)
{
    return value->type == REDIS_REPLY_INTEGER &&
           (strcmp(name, "paused") == 0 || strcmp(name, "up") == 0);
}

static bool ends_with(const char *name, const char *end)
{
    size_t size = strlen(name);
    return size >= strlen(end) && strcmp(name + size - strlen(end), end) == 0;
}

static bool is_fraction(const char *name, const redisReply *value)
{
    if (value->type != REDIS_REPLY_STRING ||
        !(ends_with(name, "_ms") || ends_with(name, "_1m") || ends_with(name, "_5m") ||
          ends_with(name, "_per_s")))
        return false;
    char *end;
    (void)strtod(value->str, &end);
    return value->len > 0 && *end == '\0';
}

static void add_value(struct table *table, const char *name, const redisReply *value)
{
    char number[24];
    if (is_boolean(name, value)) {
        table_add_text(table, value->integer ? "yes" : "no");
    } else if (value->type == REDIS_REPLY_INTEGER) {
        snprintf(number, sizeof number, "%lld", value->integer);
        table_add_text(table, number);
    } else {
        table_add(table, value->type == REDIS_REPLY_NIL ? NULL : value->str, value->len);
    }
}

static void write_json(struct json *json, const redisReply *map)
{
    json_object(json);
    for (size_t index = 0; index < map->elements; index += 2) {
        const char *name = map->element[index]->str;
        const redisReply *value = map->element[index + 1];
        json_key_text(json, name);
        if (is_boolean(name, value))
            json_raw(json, value->integer ? "true" : "false", value->integer ? 4 : 5);
        else if (value->type == REDIS_REPLY_INTEGER)
            json_integer(json, value->integer);
        else if (value->type == REDIS_REPLY_NIL)
            json_null(json);
        else if (is_fraction(name, value))
            json_raw(json, value->str, value->len);
        else
            json_string(json, value->str, value->len);
    }
    json_object_end(json);
}

void fields_print(const struct output *output, const redisReply *map)
{
    if (output->json) {
        struct json json;
        json_init(&json, stdout);
        write_json(&json, map);
        putchar('\n');
        return;
    }
    struct table_style style = output_table_style(output);
    struct table table;
    table_init(&table, &style, 2);
    table_name(&table, 0, "field", 5);
    table_name(&table, 1, "value", 5);
    for (size_t index = 0; index < map->elements; index += 2) {
        table_add_text(&table, map->element[index]->str);
        add_value(&table, map->element[index]->str, map->element[index + 1]);
    }
    table_print(&table, stdout);
    table_free(&table);
}

static void print_table(const struct output *output, const redisReply *list)
{
    const redisReply *first = list->element[0];
    struct table_style style = output_table_style(output);
    style.width_max = output->screen_width;
    struct table table;
    table_init(&table, &style, first->elements / 2);
    for (size_t index = 0; index < first->elements; index += 2)
        table_name(&table, index / 2, first->element[index]->str, first->element[index]->len);
    for (size_t row = 0; row < list->elements; row++)
        for (size_t index = 0; index < first->elements; index += 2)
            add_value(&table, first->element[index]->str, list->element[row]->element[index + 1]);
    table_print(&table, stdout);
    table_free(&table);
}

void fields_print_list(const struct output *output, const redisReply *list)
{
    if (output->json) {
        struct json json;
        json_init(&json, stdout);
        json_array(&json);
        for (size_t index = 0; index < list->elements; index++)
            write_json(&json, list->element[index]);
        json_array_end(&json);
        putchar('\n');
    } else if (list->elements > 0) {
        print_table(output, list);
    }
}
