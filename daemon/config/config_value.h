/* config_value.h - the text of a setting to its value. */
#ifndef CONFIG_CONFIG_VALUE_H
#define CONFIG_CONFIG_VALUE_H

#include <await/base.h>

enum config_value_type {
    VALUE_TEXT,     /* char *, allocated; never repeated in an error, it may hold a password */
    VALUE_PATH,     /* char *, absolute */
    VALUE_NUMBER,   /* uint32_t */
    VALUE_SIZE,     /* uint64_t bytes: 64M */
    VALUE_DURATION, /* uint64_t milliseconds: 500ms, 30s */
    VALUE_RATE,     /* uint64_t nanoseconds from one to the next: 100/s, 30/m, 5/h; 0: no limit */
    VALUE_MODE,     /* uint32_t: 0660 */
    VALUE_CHOICE,   /* uint32_t: the position among the words */
    VALUE_FLAGS,    /* uint32_t: a bit for each of the words, in order; the last word means all */
};

/* One key of a section: where its value goes and what it may be. */
struct config_key {
    const char *name;
    enum config_value_type type;
    size_t offset;
    uint64_t min;
    uint64_t max;
    const char *const *words; /* of a choice or flags; ends with a NULL */
    const char *note;         /* added to the error, or NULL */
};

#define CONFIG_REASON_SIZE 400

/* Writes the value into the object. 0; -ENOMEM; -EINVAL with what it must be in `reason`
 * ("must be a number from 0 to 1023, got 'x'"), the object then being as it was. */
AW_MUST_CHECK int config_value_set(const struct config_key *key, void *object, const char *text,
                                   char reason[CONFIG_REASON_SIZE]);

/* The value as it could stand in the file, in memory of the caller's to free. "" is an absent text.
 * NULL: no memory. */
char *config_value_format(const struct config_key *key, const void *object);

#endif
