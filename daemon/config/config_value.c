/* config_value.c - see config_value.h. */
#include "config/config_value.h"
#include "protocol/number.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_SIZE_MAX 4096
#define QUANTITY_SIZE 32

struct unit {
    const char *suffix;
    uint64_t factor;
};

/* Largest first, as they are printed. */
static const struct unit size_units[] = {
    {"T", UINT64_C(1) << 40}, {"G", UINT64_C(1) << 30}, {"M", UINT64_C(1) << 20},
    {"K", UINT64_C(1) << 10}, {"", 1},                  {NULL, 0},
};
static const struct unit duration_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0},
};

static const struct unit periods[] = {
    {"", 1000000000}, {"/s", 1000000000}, {"/m", 60000000000}, {"/h", 3600000000000}, {NULL, 0},
};

/* "<digits><suffix>" */
static int parse_quantity(const char *text, const struct unit *units, uint64_t *ret_number)
{
    size_t digits = strspn(text, "0123456789");
    uint64_t number;
    if (number_parse_unsigned(text, digits, 0, UINT64_MAX, &number) < 0)
        return -EINVAL;
    for (; units->suffix; units++)
        if (strcmp(units->suffix, text + digits) == 0)
            return __builtin_mul_overflow(number, units->factor, ret_number) ? -EINVAL : 0;
    if (number == 0 && text[digits] == '\0') {
        *ret_number = 0;
        return 0;
    }
    return -EINVAL;
}

/* In the largest unit that divides it. */
static const char *format_quantity(char out[QUANTITY_SIZE], uint64_t number,
                                   const struct unit *units)
{
    if (number == 0)
        return "0";
    while (number % units->factor != 0)
        units++;
    snprintf(out, QUANTITY_SIZE, "%llu%s", (unsigned long long)(number / units->factor),
             units->suffix);
    return out;
}

static void *field(const struct config_key *key, void *object)
{
    return (char *)object + key->offset;
}

static int set_text(const struct config_key *key, void *object, const char *text, char *reason)
{
    if (strlen(text) > TEXT_SIZE_MAX) {
        snprintf(reason, CONFIG_REASON_SIZE, "must not be longer than %d bytes", TEXT_SIZE_MAX);
        return -EINVAL;
    }
    if (key->type == VALUE_PATH && text[0] != '/') {
        snprintf(reason, CONFIG_REASON_SIZE, "must be an absolute path, got '%.100s'", text);
        return -EINVAL;
    }
    if (key->type == VALUE_PATH && key->max && strlen(text) > key->max) {
        snprintf(reason, CONFIG_REASON_SIZE, "must not be longer than %llu bytes",
                 (unsigned long long)key->max);
        return -EINVAL;
    }
    char *copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    char **target = field(key, object);
    free(*target);
    *target = copy;
    return 0;
}

static int set_number(const struct config_key *key, void *object, const char *text, char *reason)
{
    uint64_t number;
    if (number_parse_unsigned(text, strlen(text), key->min, key->max, &number) < 0) {
        snprintf(reason, CONFIG_REASON_SIZE, "must be a number from %llu to %llu, got '%.40s'",
                 (unsigned long long)key->min, (unsigned long long)key->max, text);
        return -EINVAL;
    }
    *(uint32_t *)field(key, object) = (uint32_t)number;
    return 0;
}

static int set_quantity(const struct config_key *key, void *object, const char *text, char *reason)
{
    bool is_size = key->type == VALUE_SIZE;
    const struct unit *units = is_size ? size_units : duration_units;
    uint64_t number;
    if (parse_quantity(text, units, &number) < 0 || number < key->min || number > key->max) {
        char min[QUANTITY_SIZE];
        char max[QUANTITY_SIZE];
        snprintf(reason, CONFIG_REASON_SIZE, "must be a %s from %s to %s, got '%.40s'",
                 is_size ? "size such as 4096, 512K, 64M or 1G,"
                         : "duration such as 500ms, 30s, 5m, 12h or 30d,",
                 format_quantity(min, key->min, units), format_quantity(max, key->max, units),
                 text);
        return -EINVAL;
    }
    *(uint64_t *)field(key, object) = number;
    return 0;
}

/* "<number>/<period>"; a number alone is a second's. */
static int set_rate(const struct config_key *key, void *object, const char *text, char *reason)
{
    size_t digits = strspn(text, "0123456789");
    const struct unit *period = periods;
    while (period->suffix && strcmp(period->suffix, text + digits) != 0)
        period++;
    uint64_t number;
    if (!period->suffix || number_parse_unsigned(text, digits, 0, key->max, &number) < 0) {
        snprintf(reason, CONFIG_REASON_SIZE,
                 "must be a rate such as 100/s, 30/m or 5/h with a number from 1 to %llu, or 0 for "
                 "no limit, got '%.40s'",
                 (unsigned long long)key->max, text);
        return -EINVAL;
    }
    *(uint64_t *)field(key, object) = number ? period->factor / number : 0;
    return 0;
}

static int set_mode(const struct config_key *key, void *object, const char *text, char *reason)
{
    size_t size = strlen(text);
    if (size < 3 || size > 4 || strspn(text, "01234567") != size ||
        (size == 4 && text[0] != '0')) {
        snprintf(reason, CONFIG_REASON_SIZE,
                 "must be an octal mode from 0000 to 0777, got '%.40s'", text);
        return -EINVAL;
    }
    *(uint32_t *)field(key, object) = (uint32_t)strtoul(text, NULL, 8);
    return 0;
}

static void append(char *reason, const char *text)
{
    size_t size = strlen(reason);
    snprintf(reason + size, CONFIG_REASON_SIZE - size, "%s", text);
}

static int refuse_word(const struct config_key *key, const char *what, const char *text,
                       char *reason)
{
    snprintf(reason, CONFIG_REASON_SIZE, "must be %s", what);
    for (const char *const *word = key->words; *word; word++) {
        append(reason, word == key->words ? " " : word[1] ? ", " : " or ");
        append(reason, *word);
    }
    append(reason, ", got '");
    char got[41];
    snprintf(got, sizeof got, "%s", text);
    append(reason, got);
    append(reason, "'");
    return -EINVAL;
}

/* The position of the word among the known ones, or -1. */
static int find_word(const struct config_key *key, const char *text, size_t size)
{
    for (int i = 0; key->words[i]; i++)
        if (strlen(key->words[i]) == size && memcmp(key->words[i], text, size) == 0)
            return i;
    return -1;
}

static int set_choice(const struct config_key *key, void *object, const char *text, char *reason)
{
    int position = find_word(key, text, strlen(text));
    if (position < 0)
        return refuse_word(key, key->words[1] ? "one of" : "exactly", text, reason);
    *(uint32_t *)field(key, object) = (uint32_t)position;
    return 0;
}

static int set_flags(const struct config_key *key, void *object, const char *text, char *reason)
{
    uint32_t flags = 0;
    for (const char *at = text + strspn(text, " \t,"); *at; at += strspn(at, " \t,")) {
        size_t size = strcspn(at, " \t,");
        int position = find_word(key, at, size);
        if (position < 0)
            return refuse_word(key, "some of", text, reason);
        uint32_t bit = UINT32_C(1) << position;
        flags |= key->words[position + 1] ? bit : bit - 1;
        at += size;
    }
    if (flags == 0)
        return refuse_word(key, "some of", text, reason);
    *(uint32_t *)field(key, object) = flags;
    return 0;
}

static int set_value(const struct config_key *key, void *object, const char *text, char *reason)
{
    switch (key->type) {
    case VALUE_TEXT:
    case VALUE_PATH:
        return set_text(key, object, text, reason);
    case VALUE_NUMBER:
        return set_number(key, object, text, reason);
    case VALUE_SIZE:
    case VALUE_DURATION:
        return set_quantity(key, object, text, reason);
    case VALUE_RATE:
        return set_rate(key, object, text, reason);
    case VALUE_MODE:
        return set_mode(key, object, text, reason);
    case VALUE_CHOICE:
        return set_choice(key, object, text, reason);
    case VALUE_FLAGS:
        return set_flags(key, object, text, reason);
    }
    return -EINVAL;
}

int config_value_set(const struct config_key *key, void *object, const char *text,
                     char reason[CONFIG_REASON_SIZE])
{
    if (text[0] == '\0') {
        snprintf(reason, CONFIG_REASON_SIZE, "has no value");
        return -EINVAL;
    }
    reason[0] = '\0';
    int result = set_value(key, object, text, reason);
    if (result == -EINVAL && key->note) {
        append(reason, "; ");
        append(reason, key->note);
    }
    return result;
}

/* --- back to text ----------------------------------------------------------------------------- */

/* The rate whose interval this is: the number was divided, so the period is tried that gives it. */
static int format_rate(char **ret_text, uint64_t interval_ns)
{
    if (interval_ns == 0)
        return asprintf(ret_text, "0");
    for (const struct unit *period = &periods[1]; period->suffix; period++) {
        uint64_t number = period->factor / interval_ns;
        if (number > 0 && period->factor / number == interval_ns)
            return asprintf(ret_text, "%llu%s", (unsigned long long)number, period->suffix);
    }
    return asprintf(ret_text, "%llu/h",
                    (unsigned long long)(UINT64_C(3600000000000) / interval_ns));
}

/* The last word stands for all the others. */
static int format_flags(char **ret_text, const struct config_key *key, uint32_t flags)
{
    char text[256] = "";
    uint32_t count = 0;
    while (key->words[count + 1])
        count++;
    if (flags == (UINT32_C(1) << count) - 1)
        return asprintf(ret_text, "%s", key->words[count]);
    for (uint32_t i = 0; i < count; i++) {
        size_t used = strlen(text);
        if (flags & UINT32_C(1) << i)
            snprintf(text + used, sizeof text - used, "%s%s", used > 0 ? " " : "", key->words[i]);
    }
    return asprintf(ret_text, "%s", text);
}

char *config_value_format(const struct config_key *key, const void *object)
{
    const void *at = (const char *)object + key->offset;
    const char *text_value = NULL;
    uint32_t number = 0;
    uint64_t quantity = 0;
    char scratch[QUANTITY_SIZE];
    char *text = NULL;
    int result = -1;
    if (key->type == VALUE_TEXT || key->type == VALUE_PATH)
        memcpy(&text_value, at, sizeof text_value);
    else if (key->type == VALUE_SIZE || key->type == VALUE_DURATION || key->type == VALUE_RATE)
        memcpy(&quantity, at, sizeof quantity);
    else
        memcpy(&number, at, sizeof number);
    switch (key->type) {
    case VALUE_TEXT:
    case VALUE_PATH:
        result = asprintf(&text, "%s", text_value ? text_value : "");
        break;
    case VALUE_NUMBER:
        result = asprintf(&text, "%u", number);
        break;
    case VALUE_SIZE:
    case VALUE_DURATION:
        result = asprintf(&text, "%s",
                          format_quantity(scratch, quantity,
                                          key->type == VALUE_SIZE ? size_units : duration_units));
        break;
    case VALUE_RATE:
        result = format_rate(&text, quantity);
        break;
    case VALUE_MODE:
        result = asprintf(&text, "%04o", number);
        break;
    case VALUE_CHOICE:
        result = asprintf(&text, "%s", key->words[number]);
        break;
    case VALUE_FLAGS:
        result = format_flags(&text, key, number);
        break;
    }
    return result < 0 ? NULL : text;
}
