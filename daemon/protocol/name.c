/* name.c - see name.h. */
#include "protocol/name.h"
#include "protocol/word.h"

/* The options of SUBMIT and RUN, and those that may follow a target's name in RESERVE. */
static const char *const option_words[] = {
    "QUEUE",  "PRIORITY", "DELAY", "AT",     "TIMEOUT", "EXPIRE", "RETRY",  "BACKOFF", "KEY",
    "SERIAL", "AFTER",    "ONFAIL", "BIND",  "NULL",    "KEEP",   "FORMAT", "COUNT",   "LEASE",
};

static bool is_letter(char byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
}

static bool is_name_byte(char byte)
{
    return is_letter(byte) || (byte >= '0' && byte <= '9') || byte == '_' || byte == '.' ||
           byte == ':' || byte == '-';
}

static const char *why_not(const char *data, size_t size)
{
    if (size == 0)
        return "is empty";
    if (size > NAME_SIZE_MAX)
        return "is longer than 64 characters";
    if (!is_letter(data[0]))
        return "does not begin with a letter";
    for (size_t i = 1; i < size; i++)
        if (!is_name_byte(data[i]))
            return "has a character other than letters, digits and _ . : -";
    for (size_t i = 0; i < sizeof option_words / sizeof *option_words; i++)
        if (word_equal(data, size, option_words[i]))
            return "is the word of an option";
    return NULL;
}

bool name_is_valid(const char *data, size_t size, const char **ret_reason)
{
    const char *reason = why_not(data, size);
    if (reason && ret_reason)
        *ret_reason = reason;
    return !reason;
}
