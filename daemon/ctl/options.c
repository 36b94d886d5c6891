/* options.c - see options.h. */
#include "ctl/options.h"

#include "ctl/duration.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

static bool parse_number(const char *text, uint64_t *ret_number)
{
    uint64_t number = 0;
    if (*text == '\0')
        return false;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at < '0' || *at > '9' || number > (INT64_MAX - 9) / 10)
            return false;
        number = number * 10 + (uint64_t)(*at - '0');
    }
    *ret_number = number;
    return true;
}

static bool is_number_list(const char *text)
{
    bool digit = false;
    for (; *text != '\0'; text++) {
        if (*text != ',' && (*text < '0' || *text > '9'))
            return false;
        if (*text == ',' && !digit)
            return false;
        digit = *text != ',';
    }
    return digit;
}

/* Groups of four numbers with colons between, and commas between the groups. */
static bool is_bind_list(const char *text)
{
    int numbers = 0;
    do {
        size_t digits = strspn(text, "0123456789");
        char end = text[digits];
        numbers++;
        if (digits == 0 || (end != ':' && end != ',' && end != '\0') ||
            (end == ':') != (numbers < 4))
            return false;
        numbers = end == ':' ? numbers : 0;
        text += digits + (end != '\0');
        if (end == '\0')
            return true;
    } while (*text != '\0');
    return false;
}

static bool parse_pair(const char *text, struct option_value *value)
{
    char low[32];
    const char *comma = strchr(text, ',');
    if (comma == NULL || (size_t)(comma - text) >= sizeof low)
        return false;
    memcpy(low, text, (size_t)(comma - text));
    low[comma - text] = '\0';
    return duration_parse(low, &value->number) && duration_parse(comma + 1, &value->number_max) &&
           value->number <= value->number_max;
}

static const char *describe(enum option_kind kind)
{
    switch (kind) {
    case OPTION_NUMBER: return "a whole number";
    case OPTION_NUMBER_LIST: return "whole numbers with commas between, such as 1,3";
    case OPTION_BIND_LIST:
        return "argument:job:row:column, such as 2:455895103311970304:0:0, with commas between";
    case OPTION_DURATION:
    case OPTION_DURATION_OPTIONAL:
        return "a duration with its unit, such as 500ms, 5s, 2m, 1h30m or 1d";
    case OPTION_DURATION_PAIR:
        return "two durations, the smaller first, such as 500ms,1m";
    case OPTION_MOMENT:
        return "a time, such as 08:00, 2030-01-31T08:00, 2030-01-31T08:00Z or Unix milliseconds";
    case OPTION_FLAG:
    case OPTION_TEXT: break;
    }
    return "a text";
}

static int set_value(const struct option *option, struct option_value *value, const char *text,
                     struct text *reterr)
{
    bool good = true;
    value->set = true;
    value->has_value = text != NULL;
    value->text = text;
    if (text == NULL)
        return 0;
    switch (option->kind) {
    case OPTION_NUMBER: good = parse_number(text, &value->number); break;
    case OPTION_NUMBER_LIST: good = is_number_list(text); break;
    case OPTION_BIND_LIST: good = is_bind_list(text); break;
    case OPTION_DURATION:
    case OPTION_DURATION_OPTIONAL: good = duration_parse(text, &value->number); break;
    case OPTION_DURATION_PAIR: good = parse_pair(text, value); break;
    case OPTION_MOMENT: good = moment_parse(text, time(NULL), &value->number); break;
    case OPTION_FLAG:
    case OPTION_TEXT: break;
    }
    if (good)
        return 0;
    text_printf(reterr, "--%s %s: must be %s", option->name, text, describe(option->kind));
    return -1;
}

/* The option of that name or letter in any of the sets; its value's place in *ret_value. */
static const struct option *find(const struct option_set *sets, int set_count, const char *name,
                                 size_t name_length, char letter, struct option_value **ret_value)
{
    for (int set = 0; set < set_count; set++) {
        for (int index = 0; sets[set].options[index].name != NULL; index++) {
            const struct option *option = &sets[set].options[index];
            bool named = name != NULL && strlen(option->name) == name_length &&
                         strncmp(option->name, name, name_length) == 0;
            if (named || (letter != 0 && option->letter == letter)) {
                *ret_value = &sets[set].values[index];
                return option;
            }
        }
    }
    return NULL;
}

/* One option at argv[0]; returns how many arguments it took, or -1. */
static int parse_one(const struct option_set *sets, int set_count, int argc,
                     const char *const *argv, struct text *reterr)
{
    const char *argument = argv[0];
    bool is_long = argument[1] == '-';
    const char *equals = is_long ? strchr(argument, '=') : NULL;
    size_t name_length =
        !is_long ? 0 : equals != NULL ? (size_t)(equals - argument - 2) : strlen(argument + 2);
    struct option_value *value = NULL;
    const struct option *option =
        is_long ? find(sets, set_count, argument + 2, name_length, '\0', &value)
                : find(sets, set_count, NULL, 0, argument[1], &value);
    if (option == NULL) {
        text_printf(reterr, "unknown option %s", argument);
        return -1;
    }
    const char *attached = equals != NULL ? equals + 1 : NULL;
    if (!is_long && argument[2] != '\0')
        attached = argument + 2;
    if (option->kind == OPTION_FLAG && attached != NULL) {
        text_printf(reterr, "%s: --%s takes no value", argument, option->name);
        return -1;
    }
    bool takes_next = option->kind != OPTION_FLAG && option->kind != OPTION_DURATION_OPTIONAL;
    if (!takes_next || attached != NULL)
        return set_value(option, value, attached, reterr) < 0 ? -1 : 1;
    if (argc < 2) {
        text_printf(reterr, "%s: needs a value: %s", argument, describe(option->kind));
        return -1;
    }
    return set_value(option, value, argv[1], reterr) < 0 ? -1 : 2;
}

int options_parse(const struct option_set *sets, int set_count, int argc,
                  const char *const *argv, bool stop_at_first, const char **positional,
                  int *ret_positional_count, struct text *reterr)
{
    int count = 0;
    int at = 0;
    bool options_ended = false;
    while (at < argc) {
        if (!options_ended && strcmp(argv[at], "--") == 0) {
            options_ended = true;
            at++;
        } else if (!options_ended && argv[at][0] == '-' && argv[at][1] != '\0') {
            int taken = parse_one(sets, set_count, argc - at, argv + at, reterr);
            if (taken < 0)
                return -1;
            at += taken;
        } else if (stop_at_first) {
            break;
        } else {
            positional[count++] = argv[at++];
        }
    }
    *ret_positional_count = count;
    return at;
}

void options_print_help(const struct option *options, FILE *out)
{
    for (const struct option *option = options; option->name != NULL; option++) {
        char form[64];
        bool optional = option->kind == OPTION_DURATION_OPTIONAL;
        snprintf(form, sizeof form, "%c%c%s--%s%s%s%s", option->letter != 0 ? '-' : ' ',
                 option->letter != 0 ? option->letter : ' ', option->letter != 0 ? ", " : "  ",
                 option->name, optional ? "[=" : option->kind == OPTION_FLAG ? "" : " ",
                 option->kind == OPTION_FLAG ? "" : option->value_name, optional ? "]" : "");
        fprintf(out, "  %-28s %s\n", form, option->help);
    }
}
