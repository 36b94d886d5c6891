/* json.h - writes JSON to a stream, commas included.
 *
 * A value that is not UTF-8 text becomes {"base64": "..."}: JSON has no other place for bytes,
 * and losing them silently would be worse. */
#ifndef CTL_JSON_H
#define CTL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define JSON_DEPTH_MAX 64 /* arrays and objects inside each other; opening more aborts */

struct json {
    FILE *out;
    unsigned depth;
    bool filled[JSON_DEPTH_MAX]; /* whether a comma is due, per level */
    bool after_key;
};

void json_init(struct json *json, FILE *out);
void json_object(struct json *json);
void json_object_end(struct json *json);
void json_array(struct json *json);
void json_array_end(struct json *json);
/* A key; bytes that are not UTF-8 become U+FFFD. */
void json_key(struct json *json, const char *data, size_t size);
void json_key_text(struct json *json, const char *text);
void json_string(struct json *json, const char *data, size_t size);
void json_string_text(struct json *json, const char *text);
void json_integer(struct json *json, int64_t number);
void json_null(struct json *json);
/* Text that is JSON already. */
void json_raw(struct json *json, const char *data, size_t size);

#endif
