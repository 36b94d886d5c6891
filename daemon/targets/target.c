/* target.c - what all types of target share: being up or down, and filling outcomes; see target.h.
 * */
#include "targets/target.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

uint32_t target_capacity(const struct target *target)
{
    uint64_t capacity = (uint64_t)target->settings.connections * target->settings.pipeline;
    return capacity < UINT32_MAX ? (uint32_t)capacity : UINT32_MAX;
}

void target_set_up(struct target *target)
{
    if (target->up)
        return;
    target->up = true;
    target->down_reason[0] = '\0';
    target->down_since_ms = 0;
    if (target->changed)
        target->changed(target, target->context);
}

void target_set_down(struct target *target, const char *reason)
{
    bool news = target->up || strcmp(target->down_reason, reason) != 0;
    if (!news)
        return;
    if (target->up)
        target->down_since_ms = aw_wall_ms();
    target->up = false;
    snprintf(target->down_reason, sizeof target->down_reason, "%s", reason);
    if (target->changed)
        target->changed(target, target->context);
}

void outcome_set(struct outcome *outcome, enum outcome_kind kind, const char *code,
                 const char *format, ...)
{
    buffer_free(&outcome->result);
    outcome->kind = kind;
    struct aw_error error;
    char message[AW_ERROR_MESSAGE_SIZE + 8]; /* longer: a cut must be seen as one below */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    /* aw_error_set_code makes it one line and cuts it at a character's end. */
    aw_error_set_code(&error, 0, code, "%s", message);
    memcpy(outcome->code, error.code, sizeof outcome->code);
    memcpy(outcome->message, error.message, sizeof outcome->message);
}
