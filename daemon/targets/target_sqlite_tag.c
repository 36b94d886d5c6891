/* target_sqlite_tag.c - the command tag of a statement, in PostgreSQL's style: the verb, for
 * CREATE, DROP and ALTER what kind of thing, for changes of rows how many. */
#include "protocol/word.h"
#include "targets/target_sqlite.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

struct word {
    const char *data;
    size_t size;
};

static bool is(struct word word, const char *text)
{
    return word_equal(word.data, word.size, text);
}

static bool is_any(struct word word, const char *const *texts)
{
    for (; *texts; texts++)
        if (is(word, *texts))
            return true;
    return false;
}

/* Behind the quoted stretch that begins at `at`; a doubled quote stays inside by reading as two. */
static const char *skip_quoted(const char *at, const char *end)
{
    char close = *at == '[' ? ']' : *at;
    const char *found = memchr(at + 1, close, (size_t)(end - at - 1));
    return found ? found + 1 : end;
}

/* The next word outside of parentheses and quotes; size 0 at the end. */
static struct word next_outer_word(const char **cursor, const char *end)
{
    unsigned depth = 0;
    while (*cursor < end) {
        size_t size;
        const char *data = aw_sqlite_next_word(cursor, end, &size);
        if (size > 0 && depth == 0)
            return (struct word){ data, size };
        if (size > 0 || *cursor >= end)
            continue;
        char c = **cursor;
        if (c == '\'' || c == '"' || c == '`' || c == '[') {
            *cursor = skip_quoted(*cursor, end);
            continue;
        }
        depth += c == '(';
        depth -= c == ')' && depth > 0;
        (*cursor)++;
    }
    return (struct word){ end, 0 };
}

void sqlite_command_tag(const char *sql, size_t sql_size, int64_t changes, char *ret_tag,
                        size_t size)
{
    static const char *const row_verbs[] = { "INSERT", "REPLACE", "UPDATE", "DELETE", NULL };
    static const char *const kind_verbs[] = { "CREATE", "DROP", "ALTER", NULL };
    static const char *const adjectives[] = { "TEMP", "TEMPORARY", "UNIQUE", "VIRTUAL", NULL };
    const char *cursor = sql;
    const char *end = sql + sql_size;
    struct word verb = next_outer_word(&cursor, end);
    if (is(verb, "WITH"))
        do
            verb = next_outer_word(&cursor, end);
        while (verb.size > 0 && !is_any(verb, row_verbs));

    struct word kind = { end, 0 };
    if (is_any(verb, kind_verbs)) {
        do
            kind = next_outer_word(&cursor, end);
        while (is_any(kind, adjectives));
    }

    if (is(verb, "INSERT") || is(verb, "REPLACE"))
        snprintf(ret_tag, size, "INSERT 0 %lld", (long long)changes);
    else if (is_any(verb, row_verbs))
        snprintf(ret_tag, size, "%.*s %lld", (int)verb.size, verb.data, (long long)changes);
    else
        snprintf(ret_tag, size, "%.*s%s%.*s", (int)(verb.size < 20 ? verb.size : 20), verb.data,
                 kind.size > 0 ? " " : "", (int)(kind.size < 20 ? kind.size : 20), kind.data);
    for (char *c = ret_tag; *c; c++)
        *c = (char)toupper((unsigned char)*c);
}
