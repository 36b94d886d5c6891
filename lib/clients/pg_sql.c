/* pg_sql.c - what a statement is, by its first keyword: may it run on a connection that others
 * share?
 *
 * The server drops comments and empty statements before it looks, so both are skipped here too: a
 * gate that reads ";COMMIT" or a commented COMMIT as harmless lets one job end another's
 * transaction. */
#include "clients/pg_internal.h"

#include <string.h>

static bool is_space(char character)
{
    return character == ' ' || (character >= '\t' && character <= '\r');
}

static bool is_letter(char character)
{
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           character == '_';
}

/* Past a comment (they nest in SQL); the end of the text when it is not closed. */
static size_t skip_block_comment(const char *sql, size_t size, size_t at)
{
    unsigned depth = 0;
    while (at + 1 < size) {
        if (sql[at] == '/' && sql[at + 1] == '*') {
            depth++;
            at += 2;
        } else if (sql[at] == '*' && sql[at + 1] == '/') {
            depth--;
            at += 2;
            if (depth == 0) {
                return at;
            }
        } else {
            at++;
        }
    }
    return size;
}

size_t pg_skip_blanks(const char *sql, size_t size)
{
    size_t at = 0;
    while (at < size) {
        if (is_space(sql[at])) {
            at++;
        } else if (at + 1 < size && sql[at] == '-' && sql[at + 1] == '-') {
            while (at < size && sql[at] != '\n' && sql[at] != '\r') {
                at++;
            }
        } else if (at + 1 < size && sql[at] == '/' && sql[at + 1] == '*') {
            at = skip_block_comment(sql, size, at);
        } else {
            break;
        }
    }
    return at;
}

static size_t skip_to_word(const char *sql, size_t size)
{
    size_t at = pg_skip_blanks(sql, size);
    while (at < size && (sql[at] == ';' || sql[at] == '(')) {
        at++;
        at += pg_skip_blanks(sql + at, size - at);
    }
    return at;
}

void aw_pg_first_word(const char *sql, size_t size, char ret_word[AW_PG_WORD_SIZE])
{
    size_t length = 0;
    for (size_t at = skip_to_word(sql, size); at < size && is_letter(sql[at]); at++) {
        if (length + 1 == AW_PG_WORD_SIZE) {
            length = 0; /* no keyword is that long */
            break;
        }
        char letter = sql[at];
        ret_word[length++] = (char)(letter >= 'a' && letter <= 'z' ? letter - 'a' + 'A' : letter);
    }
    ret_word[length] = '\0';
}

/* The first letter decides nearly always, and each statement asks a few dozen times. */
static bool same_word(const char *word, const char *other)
{
    return word[0] == other[0] && strcmp(word, other) == 0;
}

static const char transaction_reason[] =
    "a statement runs in a transaction of its own; to run several in one, give them all with TX";
static const char session_reason[] =
    "the connection is shared with other jobs; use SELECT set_config('name', 'value', true), which "
    "lasts for the transaction, or ALTER ROLE ... SET";
static const char prepare_reason[] =
    "the connection is shared with other jobs; repeated statements are prepared by themselves";
static const char copy_reason[] =
    "COPY cannot travel in a pipeline; use INSERT ... SELECT with unnest() or json_to_recordset()";
static const char listen_reason[] =
    "the connection is shared with other jobs and notifications would reach nobody";
static const char load_reason[] =
    "the connection is shared with other jobs; set session_preload_libraries on the server";

static const struct {
    const char *word;
    const char *reason;
} refused[] = {
    {"ABORT", transaction_reason},    {"BEGIN", transaction_reason},
    {"COMMIT", transaction_reason},   {"COPY", copy_reason},
    {"DEALLOCATE", prepare_reason},   {"DISCARD", session_reason},
    {"END", transaction_reason},      {"EXECUTE", prepare_reason},
    {"LISTEN", listen_reason},        {"LOAD", load_reason},
    {"PREPARE", prepare_reason},      {"RELEASE", transaction_reason},
    {"RESET", session_reason},        {"ROLLBACK", transaction_reason},
    {"SAVEPOINT", transaction_reason}, {"SET", session_reason},
    {"START", transaction_reason},    {"UNLISTEN", listen_reason},
};

const char *aw_pg_refusal(const char *sql, size_t size)
{
    char word[AW_PG_WORD_SIZE];
    aw_pg_first_word(sql, size, word);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (same_word(word, refused[i].word)) {
            return refused[i].reason;
        }
    }
    return skip_to_word(sql, size) == size ? "the statement is empty" : NULL;
}

const char *aw_pg_lease_refusal(const char *sql, size_t size)
{
    char word[AW_PG_WORD_SIZE];
    aw_pg_first_word(sql, size, word);
    if (strcmp(word, "COPY") == 0) {
        return copy_reason;
    }
    if (strcmp(word, "LISTEN") == 0) {
        return "notifications would reach nobody";
    }
    return skip_to_word(sql, size) == size ? "the statement is empty" : NULL;
}

bool aw_pg_is_plain(const char *sql, size_t size)
{
    static const char *const plain[] = {"SELECT", "INSERT", "UPDATE", "DELETE",
                                        "WITH",   "VALUES", "MERGE",  "TABLE"};
    char word[AW_PG_WORD_SIZE];
    aw_pg_first_word(sql, size, word);
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        if (same_word(word, plain[i])) {
            return true;
        }
    }
    return false;
}
