/* json.c - see json.h. */
#include "ctl/json.h"

#include "ctl/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void json_init(struct json *json, FILE *out)
{
    *json = (struct json){.out = out};
}

static void begin_value(struct json *json)
{
    if (json->after_key)
        json->after_key = false;
    else if (json->filled[json->depth])
        fputc(',', json->out);
    json->filled[json->depth] = true;
}

static void open_level(struct json *json, char bracket)
{
    begin_value(json);
    if (json->depth + 1 >= JSON_DEPTH_MAX)
        abort(); /* the reply's depth is checked when it is received */
    json->filled[++json->depth] = false;
    fputc(bracket, json->out);
}

static void close_level(struct json *json, char bracket)
{
    json->depth--;
    fputc(bracket, json->out);
}

void json_object(struct json *json) { open_level(json, '{'); }
void json_object_end(struct json *json) { close_level(json, '}'); }
void json_array(struct json *json) { open_level(json, '['); }
void json_array_end(struct json *json) { close_level(json, ']'); }

static void write_quoted(FILE *out, const char *data, size_t size)
{
    fputc('"', out);
    for (size_t at = 0; at < size;) {
        uint32_t character;
        size_t length = utf8_decode(data + at, size - at, &character);
        if (length == 0) {
            fputs("\\ufffd", out);
            at++;
            continue;
        }
        if (character == '"' || character == '\\')
            fprintf(out, "\\%c", (int)character);
        else if (character == '\n')
            fputs("\\n", out);
        else if (character < 0x20 || character == 0x7f)
            fprintf(out, "\\u%04x", character);
        else
            fwrite(data + at, 1, length, out);
        at += length;
    }
    fputc('"', out);
}

static void write_base64(FILE *out, const uint8_t *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t at = 0; at < size; at += 3) {
        size_t left = size - at;
        uint32_t group = (uint32_t)data[at] << 16;
        group |= left > 1 ? (uint32_t)data[at + 1] << 8 : 0;
        group |= left > 2 ? data[at + 2] : 0;
        fputc(digits[group >> 18], out);
        fputc(digits[group >> 12 & 63], out);
        fputc(left > 1 ? digits[group >> 6 & 63] : '=', out);
        fputc(left > 2 ? digits[group & 63] : '=', out);
    }
}

void json_key(struct json *json, const char *data, size_t size)
{
    begin_value(json);
    write_quoted(json->out, data, size);
    fputc(':', json->out);
    json->after_key = true;
}

void json_key_text(struct json *json, const char *text)
{
    json_key(json, text, strlen(text));
}

void json_string(struct json *json, const char *data, size_t size)
{
    begin_value(json);
    if (utf8_valid(data, size)) {
        write_quoted(json->out, data, size);
        return;
    }
    fputs("{\"base64\":\"", json->out);
    write_base64(json->out, (const uint8_t *)data, size);
    fputs("\"}", json->out);
}

void json_string_text(struct json *json, const char *text)
{
    json_string(json, text, strlen(text));
}

void json_integer(struct json *json, int64_t number)
{
    begin_value(json);
    fprintf(json->out, "%" PRId64, number);
}

void json_null(struct json *json)
{
    begin_value(json);
    fputs("null", json->out);
}

void json_raw(struct json *json, const char *data, size_t size)
{
    begin_value(json);
    fwrite(data, 1, size, json->out);
}
