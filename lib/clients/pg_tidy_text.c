/* pg_tidy_text.c - whether a statement, by its text, may call a function that changes its session.
 *
 * A name in front of a parenthesis is a call, unless it is a keyword, a type, the name behind an
 * INTO or AS, or one of the server's functions that are known to change nothing. What is not known
 * counts as may: that costs a cleaning, the other way round would cost a leak. */
#include "clients/pg_internal.h"

#include <stdlib.h>
#include <string.h>

#define WORD_SIZE 32 /* longer than every word below */

/* Sorted: keywords and types that stand in front of parentheses, and functions. */
static const char *const harmless[] = {
    "abs", "age", "all", "and", "any", "array", "array_agg", "array_length", "array_to_json",
    "array_to_string", "as", "avg", "between", "bit", "bool_and", "bool_or", "btrim", "by",
    "cardinality", "case", "cast", "ceil", "ceiling", "char", "character", "clock_timestamp",
    "coalesce", "concat", "concat_ws", "conflict", "convert_from", "convert_to", "count", "cube",
    "current_setting", "currval", "date_part", "date_trunc", "decimal", "decode", "dense_rank",
    "distinct", "else", "encode", "except", "exists", "extract", "filter", "first_value", "float",
    "floor", "format", "from", "gen_random_uuid", "generate_series", "greatest", "grouping",
    "having", "ilike", "in", "intersect", "interval", "is", "join", "json_agg",
    "json_array_elements", "json_build_array", "json_build_object", "json_object_agg",
    "json_populate_recordset", "json_to_recordset", "jsonb_agg", "jsonb_array_elements",
    "jsonb_array_elements_text", "jsonb_build_array", "jsonb_build_object", "jsonb_each",
    "jsonb_object_agg", "jsonb_populate_recordset", "jsonb_set", "jsonb_to_recordset", "lag",
    "last_value", "lateral", "lead", "least", "left", "length", "like", "limit", "lower", "lpad",
    "ltrim", "make_interval", "materialized", "max", "md5", "min", "mod", "nextval", "not", "now",
    "nullif", "numeric", "octet_length", "offset", "on", "or", "over", "overlay", "partition",
    "pg_backend_pid", "pg_column_size", "pg_sleep", "position", "power", "random", "rank",
    "regexp_replace", "repeat", "replace", "returning", "right", "rollup", "round", "row",
    "row_number", "row_to_json", "rpad", "rtrim", "select", "set", "sets", "sha256", "similar",
    "some", "split_part", "sqrt", "starts_with", "statement_timestamp", "string_agg",
    "string_to_array", "strpos", "substr", "substring", "sum", "then", "time", "timestamp",
    "timestamptz", "to_char", "to_date", "to_json", "to_jsonb", "to_number", "to_timestamp",
    "translate", "trim", "trunc", "txid_current", "union", "unnest", "upper", "using", "values",
    "varchar", "varying", "when", "where", "within",
};

enum token { TOKEN_END, TOKEN_WORD, TOKEN_QUOTED, TOKEN_OPEN, TOKEN_DOT, TOKEN_OTHER,
             TOKEN_UNKNOWN };

struct text {
    const char *at;
    const char *end;
    char word[WORD_SIZE]; /* of the last TOKEN_WORD, in small letters, cut when it is longer */
};

static bool starts_word(char character)
{
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           character == '_' || (unsigned char)character >= 0x80;
}

static bool continues_word(char character)
{
    return starts_word(character) || (character >= '0' && character <= '9') || character == '$';
}

static enum token take_word(struct text *text)
{
    size_t length = 0;
    for (; text->at < text->end && continues_word(*text->at); text->at++, length++) {
        char letter = *text->at;
        if (length < WORD_SIZE - 1) {
            text->word[length] =
                (char)(letter >= 'A' && letter <= 'Z' ? letter - 'A' + 'a' : letter);
        }
    }
    text->word[length < WORD_SIZE ? length : WORD_SIZE - 1] = '\0';
    return TOKEN_WORD;
}

/* Up to the closing quote, doubled ones inside. A backslash means one thing or the other, by the
 * session's settings. */
static enum token take_quoted(struct text *text, char quote)
{
    for (text->at++; text->at < text->end; text->at++) {
        if (*text->at == '\\') {
            return TOKEN_UNKNOWN;
        }
        if (*text->at == quote) {
            text->at++;
            if (text->at == text->end || *text->at != quote) {
                return quote == '"' ? TOKEN_QUOTED : TOKEN_OTHER;
            }
        }
    }
    return TOKEN_UNKNOWN;
}

static enum token next_token(struct text *text)
{
    text->at += pg_skip_blanks(text->at, (size_t)(text->end - text->at));
    if (text->at == text->end) {
        return TOKEN_END;
    }
    char first = *text->at;
    if (starts_word(first)) {
        return take_word(text);
    }
    if (first == '\'' || first == '"') {
        return take_quoted(text, first);
    }
    text->at++;
    if (first == '$' && (text->at == text->end || *text->at < '0' || *text->at > '9')) {
        return TOKEN_UNKNOWN; /* a dollar quote */
    }
    while (first >= '0' && first <= '9' && text->at < text->end && continues_word(*text->at)) {
        text->at++;
    }
    return first == '(' ? TOKEN_OPEN : first == '.' ? TOKEN_DOT : TOKEN_OTHER;
}

static int compare(const void *word, const void *entry)
{
    return strcmp(word, *(const char *const *)entry);
}

static bool is_harmless(const char *word)
{
    return bsearch(word, harmless, sizeof harmless / sizeof harmless[0], sizeof harmless[0],
                   compare) != NULL;
}

/* A temporary table needs one of these words. */
static bool is_temporary(const char *word)
{
    return (word[0] == 't' && (strcmp(word, "temp") == 0 || strcmp(word, "temporary") == 0)) ||
           (word[0] == 'p' && strncmp(word, "pg_temp", 7) == 0);
}

/* What comes behind it is a name. */
static bool names(const char *word)
{
    return (word[0] == 'i' && strcmp(word, "into") == 0) ||
           (word[0] == 'a' && strcmp(word, "as") == 0);
}

bool aw_pg_leaves_nothing(const char *sql, size_t size)
{
    struct text text = {.at = sql, .end = sql + size};
    enum token before = TOKEN_OTHER; /* TOKEN_WORD: `text.word` is the name so far */
    bool qualified = false;          /* that name has a dot in front */
    bool behind = false;             /* the token before was INTO or AS */
    bool named = false;              /* the name so far is what they name */
    if (!aw_pg_is_plain(sql, size)) {
        return false;
    }
    for (enum token token; (token = next_token(&text)) != TOKEN_END; before = token) {
        if (token == TOKEN_UNKNOWN || (token == TOKEN_WORD && is_temporary(text.word))) {
            return false;
        }
        if (token == TOKEN_OPEN && !named &&
            (before == TOKEN_QUOTED ||
             (before == TOKEN_WORD && (qualified || !is_harmless(text.word))))) {
            return false;
        }
        if (token == TOKEN_WORD || token == TOKEN_QUOTED) {
            qualified = before == TOKEN_DOT;
            named = behind || (named && qualified);
        }
        behind = token == TOKEN_WORD && names(text.word);
    }
    return true;
}
