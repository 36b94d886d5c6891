/* config_stage.c - see config_stage.h. */
#include "support/config_stage.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

struct config parsed(const char *text)
{
    struct config config;
    struct aw_error error = {0};
    cr_assert_eq(config_parse("a.conf", text, strlen(text), &config, &error), 0, "%s",
                 error.message);
    return config;
}

void assert_refused(const char *text, const char *message)
{
    struct config config;
    struct aw_error error = {0};
    cr_assert_eq(config_parse("a.conf", text, strlen(text), &config, &error), -EINVAL, "%s", text);
    cr_assert_str_eq(error.message, message, "%s", error.message);
}
