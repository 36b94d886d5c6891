/* glob.c - see glob.h. Only the last `*` is ever gone back to: an earlier one could give nothing
 * that this one does not. */
#include "protocol/glob.h"

/* Whether the class at pattern[at] == '[' holds the byte; *ret_end is behind its ']'. A class that
 * is not closed ends with the pattern. */
static bool class_holds(const char *pattern, size_t size, size_t at, unsigned char byte,
                        size_t *ret_end)
{
    bool found = false;
    size_t i = at + 1;
    bool negated = i < size && pattern[i] == '^';
    i += negated ? 1 : 0;
    for (; i < size && pattern[i] != ']'; i++) {
        if (pattern[i] == '\\' && i + 1 < size)
            i++;
        unsigned char first = (unsigned char)pattern[i];
        unsigned char last = first;
        if (i + 2 < size && pattern[i + 1] == '-' && pattern[i + 2] != ']') {
            last = (unsigned char)pattern[i + 2];
            i += 2;
        }
        if (first > last) {
            unsigned char swapped = first;
            first = last;
            last = swapped;
        }
        found = found || (byte >= first && byte <= last);
    }
    *ret_end = i < size ? i + 1 : size;
    return found != negated;
}

/* Whether the element at pattern[at] (not a `*`) matches the byte; *ret_next is behind it. */
static bool element_matches(const char *pattern, size_t size, size_t at, unsigned char byte,
                            size_t *ret_next)
{
    *ret_next = at + 1;
    if (pattern[at] == '?')
        return true;
    if (pattern[at] == '[')
        return class_holds(pattern, size, at, byte, ret_next);
    if (pattern[at] == '\\' && at + 1 < size) {
        at++;
        *ret_next = at + 1;
    }
    return (unsigned char)pattern[at] == byte;
}

bool glob_matches(const char *pattern, size_t pattern_size, const char *text, size_t text_size)
{
    size_t p = 0;
    size_t t = 0;
    size_t star = SIZE_MAX; /* behind the last `*` met */
    size_t star_text = 0;   /* where what it stands for ends */
    while (t < text_size) {
        size_t next;
        if (p < pattern_size && pattern[p] == '*') {
            star = ++p;
            star_text = t;
        } else if (p < pattern_size &&
                   element_matches(pattern, pattern_size, p, (unsigned char)text[t], &next)) {
            p = next;
            t++;
        } else if (star != SIZE_MAX) {
            p = star;
            t = ++star_text;
        } else {
            return false;
        }
    }
    while (p < pattern_size && pattern[p] == '*')
        p++;
    return p == pattern_size;
}
