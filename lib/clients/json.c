/* json.c - see json.h. */
#include "clients/json.h"

#include "clients/library.h"

#include <await/http_json.h>
#include <await/offload.h>
#include <errno.h>
#include <stdlib.h>

#define ON_A_THREAD_BYTES (64u * 1024u)
#define VALUES_ON_THE_LOOP 2000u
#define VALUES_MAX 10000000u

static struct {
    __typeof__(json_loadb) *loadb;
    __typeof__(json_dumpb) *dumpb;
    __typeof__(json_delete) *delete;
    __typeof__(json_array_size) *array_size;
    __typeof__(json_array_get) *array_get;
    __typeof__(json_object_iter) *object_iter;
    __typeof__(json_object_iter_next) *object_iter_next;
    __typeof__(json_object_iter_value) *object_iter_value;
} library;

int json_library_load(struct aw_error *reterr)
{
    static const struct library_function functions[] = {
        {"json_loadb", &library.loadb},
        {"json_dumpb", &library.dumpb},
        {"json_delete", &library.delete},
        {"json_array_size", &library.array_size},
        {"json_array_get", &library.array_get},
        {"json_object_iter", &library.object_iter},
        {"json_object_iter_next", &library.object_iter_next},
        {"json_object_iter_value", &library.object_iter_value},
    };
    static bool loaded;
    if (loaded)
        return 0;
    int result = library_load("libjansson.so.4", functions, sizeof functions / sizeof functions[0],
                              reterr);
    loaded = result == 0;
    return result;
}

void json_drop(json_t *value)
{
    if (value != NULL && value->refcount == 1) /* true, false and null are not counted */
        library.delete(value);
}

static int run(aw_function function, void *job, bool on_a_thread)
{
    return on_a_thread ? aw_to_thread(function, job) : function(job);
}

/* --- reading ---------------------------------------------------------------------------------- */

struct reading {
    const char *text;
    size_t size;
    json_t *value;
    json_error_t error;
    size_t too_deep_at;
};

/* Where the text goes deeper than allowed, counted from 1, or 0. Text that is no JSON may count
 * wrongly: the reader finds that. */
static size_t find_too_deep(const char *text, size_t size)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < size; i++) {
        char byte = text[i];
        if (in_string) {
            i += byte == '\\'; /* what follows is no end */
            in_string = byte != '"';
            continue;
        }
        in_string = byte == '"';
        if ((byte == '[' || byte == '{') && ++depth > AW_HTTP_JSON_DEPTH_MAX)
            return i + 1;
        depth -= (byte == ']' || byte == '}') && depth > 0;
    }
    return 0;
}

static int read_value(void *argument)
{
    struct reading *reading = argument;
    reading->too_deep_at = find_too_deep(reading->text, reading->size);
    if (reading->too_deep_at == 0)
        reading->value =
            library.loadb(reading->text, reading->size, JSON_DECODE_ANY, &reading->error);
    return 0;
}

int json_from_text(const char *text, size_t size, json_t **ret_value, struct aw_error *reterr)
{
    struct reading reading = {.text = text, .size = size};
    int result = run(read_value, &reading, size > ON_A_THREAD_BYTES);
    if (result < 0) {
        json_drop(reading.value);
        return result;
    }
    if (reading.too_deep_at > 0)
        return aw_error_set_code(reterr, -EBADMSG, "JSON",
                                 "arrays and objects more than %d deep at byte %zu",
                                 AW_HTTP_JSON_DEPTH_MAX, reading.too_deep_at);
    if (reading.value == NULL && json_error_code(&reading.error) == json_error_out_of_memory)
        return aw_error_set_code(reterr, -ENOMEM, "FAILED", "no memory for a JSON value");
    if (reading.value == NULL)
        return aw_error_set_code(reterr, -EBADMSG, "JSON", "line %d, column %d: %s",
                                 reading.error.line, reading.error.column, reading.error.text);
    *ret_value = reading.value;
    return 0;
}

/* --- writing ---------------------------------------------------------------------------------- */

struct writing {
    const json_t *value;
    char *text;
    size_t size;
    int failure;
};

struct measure {
    size_t left; /* values to look at; 0: there are more */
    bool too_deep; /* as what holds itself is */
};

static void measure(const json_t *value, unsigned levels, struct measure *so_far)
{
    bool holds = value != NULL && (json_is_array(value) || json_is_object(value));
    so_far->left -= so_far->left > 0;
    so_far->too_deep = so_far->too_deep || (holds && levels == 0);
    if (!holds || so_far->too_deep)
        return;
    if (json_is_array(value)) {
        size_t size = library.array_size(value);
        for (size_t i = 0; i < size && so_far->left > 0 && !so_far->too_deep; i++)
            measure(library.array_get(value, i), levels - 1, so_far);
        return;
    }
    json_t *object = (json_t *)(uintptr_t)value; /* only looked at */
    void *at = library.object_iter(object);
    for (; at != NULL && so_far->left > 0 && !so_far->too_deep;
         at = library.object_iter_next(object, at))
        measure(library.object_iter_value(at), levels - 1, so_far);
}

static int write_value(void *argument)
{
    struct writing *writing = argument;
    const size_t flags = JSON_COMPACT | JSON_ENCODE_ANY;
    struct measure whole = {.left = VALUES_MAX};
    measure(writing->value, AW_HTTP_JSON_DEPTH_MAX, &whole);
    if (whole.too_deep || whole.left == 0) {
        writing->failure = -E2BIG;
        return 0;
    }
    writing->size = library.dumpb(writing->value, NULL, 0, flags);
    writing->failure = writing->size == 0 ? -EINVAL : 0;
    if (writing->failure == 0) {
        writing->text = malloc(writing->size);
        writing->failure = writing->text != NULL ? 0 : -ENOMEM;
    }
    if (writing->failure == 0 &&
        library.dumpb(writing->value, writing->text, writing->size, flags) != writing->size)
        writing->failure = -EINVAL;
    return 0;
}

int json_to_text(const json_t *value, char **ret_text, size_t *ret_size, struct aw_error *reterr)
{
    struct writing writing = {.value = value};
    struct measure first = {.left = VALUES_ON_THE_LOOP};
    measure(value, AW_HTTP_JSON_DEPTH_MAX, &first);
    int result = run(write_value, &writing, first.left == 0);
    if (result == 0)
        result = writing.failure;
    if (result < 0)
        free(writing.text);
    if (result == -E2BIG)
        return aw_error_set_code(reterr, -EINVAL, "REQUEST",
                                 "the value holds more than %u values, or itself, or arrays and "
                                 "objects more than %d deep", VALUES_MAX, AW_HTTP_JSON_DEPTH_MAX);
    if (result == -EINVAL)
        return aw_error_set_code(reterr, result, "REQUEST", "the value cannot be written as JSON");
    if (result == -ENOMEM)
        return aw_error_set_code(reterr, result, "FAILED", "no memory for a JSON text");
    if (result < 0)
        return result;
    *ret_text = writing.text;
    *ret_size = writing.size;
    return 0;
}
