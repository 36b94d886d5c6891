/* test_command.c - the table of commands: finding, counting words, rights. */
#include "server/command.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct argument word(const char *text)
{
    return (struct argument){.data = text, .size = (uint32_t)strlen(text)};
}

/* The name of what is found, or the error. */
static const char *find(unsigned allowed, const char *name, uint32_t words)
{
    static char text[256];
    struct argument arguments[64];
    for (uint32_t i = 0; i < 64; i++)
        arguments[i] = word("1");
    arguments[0] = word(name);
    struct buffer reply = {0};
    const struct command *command = command_find(arguments, words, allowed, &reply);
    if (command) {
        cr_expect_eq(reply.size, 0);
        return command->name;
    }
    cr_assert(reply.size > 2 && reply.size < sizeof text);
    memcpy(text, reply.data, reply.size - 2);
    text[reply.size - 2] = '\0';
    cr_expect(memcmp(reply.data + reply.size - 2, "\r\n", 2) == 0);
    buffer_free(&reply);
    return text;
}

Test(command, table_is_sorted_and_every_entry_is_found)
{
    for (size_t i = 0; i < command_count; i++) {
        if (i > 0)
            cr_expect_lt(strcmp(command_table[i - 1].name, command_table[i].name), 0, "%s",
                         command_table[i].name);
        struct argument name = word(command_table[i].name);
        cr_expect_eq(command_lookup(&name), &command_table[i]);
    }
}

Test(command, names_match_in_any_case_and_only_whole)
{
    cr_expect_str_eq(find(ALLOW_ALL, "submit", 3), "SUBMIT");
    cr_expect_str_eq(find(ALLOW_ALL, "sUbMiT", 3), "SUBMIT");
    cr_expect(strncmp(find(ALLOW_ALL, "SUBMI", 3), "-ERR unknown command 'SUBMI'", 28) == 0);
    cr_expect(strncmp(find(ALLOW_ALL, "", 1), "-ERR unknown command ''", 23) == 0);
    struct argument with_nul = {.data = "PING\0", .size = 5};
    cr_expect_null(command_lookup(&with_nul));
    struct argument empty = {.data = NULL, .size = 0};
    cr_expect_null(command_lookup(&empty));
}

Test(command, unknown_name_gets_the_nearest_and_is_cut)
{
    cr_expect_str_eq(find(ALLOW_ALL, "SUBMTI", 3),
                     "-ERR unknown command 'SUBMTI'; did you mean SUBMIT?");
    cr_expect_str_eq(find(ALLOW_ALL, "FLUSHALL", 1), "-ERR unknown command 'FLUSHALL'");
    char name[5001];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    cr_expect_lt(strlen(find(ALLOW_ALL, name, 1)), 120);
}

Test(command, line_breaks_in_a_name_cannot_forge_a_reply)
{
    const char *reply = find(ALLOW_ALL, "a\r\n+OK\r\n", 1);
    cr_expect_null(strpbrk(reply, "\r\n"));
}

Test(command, number_of_words_is_checked)
{
    cr_expect_str_eq(find(ALLOW_ALL, "AWAIT", 1),
                     "-ERR wrong number of arguments for 'await' command");
    cr_expect_str_eq(find(ALLOW_ALL, "AWAIT", 2), "AWAIT");
    cr_expect_str_eq(find(ALLOW_ALL, "AWAIT", 4), "AWAIT");
    cr_expect_str_eq(find(ALLOW_ALL, "AWAIT", 5),
                     "-ERR wrong number of arguments for 'await' command");
    cr_expect_str_eq(find(ALLOW_ALL, "GATHER", 60), "GATHER");
    cr_expect_str_eq(find(ALLOW_ALL, "echo", 3),
                     "-ERR wrong number of arguments for 'echo' command");
}

Test(command, socket_decides_what_is_allowed)
{
    cr_expect_str_eq(find(ALLOW_SUBMIT, "SUBMIT", 3), "SUBMIT");
    cr_expect_str_eq(find(ALLOW_SUBMIT, "JOBS", 1),
                     "-NOPERM this socket does not allow JOBS (allowed: submit)");
    cr_expect_str_eq(find(ALLOW_OBSERVE | ALLOW_WORK, "SUBMIT", 3),
                     "-NOPERM this socket does not allow SUBMIT (allowed: work observe)");
    cr_expect_str_eq(find(ALLOW_OBSERVE, "AWAIT", 2), "AWAIT");
    cr_expect_str_eq(find(0, "RUN", 3),
                     "-NOPERM this socket does not allow RUN (allowed: nothing)");
    cr_expect_str_eq(find(0, "PING", 1), "PING");
    cr_expect_str_eq(find(0, "HELLO", 2), "HELLO");
}

Test(command, every_name_has_its_function_and_they_are_sorted)
{
    for (size_t i = 0; i < command_count; i++) {
        cr_expect_not_null(command_table[i].execute, "%s", command_table[i].name);
        if (i > 0)
            cr_expect_lt(strcmp(command_table[i - 1].name, command_table[i].name), 0);
    }
}

Test(command, rights_as_text)
{
    char text[40];
    command_rights_text(ALLOW_ALL, text);
    cr_expect_str_eq(text, "submit work observe admin");
    command_rights_text(0, text);
    cr_expect_str_eq(text, "nothing");
}
