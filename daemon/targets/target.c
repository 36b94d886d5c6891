/* target.c - what all types of target share: being up or down, and filling an outcome. */
#include "targets/target.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

uint32_t target_capacity(const struct target *target)
{
    const struct target_settings *settings = &target->settings;
    uint32_t width = settings->coalesce > settings->pipeline ? settings->coalesce
                                                             : settings->pipeline;
    uint64_t capacity = (uint64_t)settings->connections * width;
    return capacity > UINT32_MAX ? UINT32_MAX : (uint32_t)capacity;
}

static void tell(struct target *target)
{
    if (target->changed)
        target->changed(target, target->context);
}

void target_set_up(struct target *target)
{
    if (target->up)
        return;
    target->up = true;
    target->down_reason[0] = '\0';
    target->down_since_ms = 0;
    tell(target);
}

void target_set_down(struct target *target, const char *reason)
{
    snprintf(target->down_reason, sizeof(target->down_reason), "%s", reason);
    if (!target->up)
        return; /* the newest reason is kept; that it is down is no news */
    target->up = false;
    target->down_since_ms = aw_wall_ms();
    tell(target);
}

void outcome_set(struct outcome *outcome, enum outcome_kind kind, const char *code,
                 const char *format, ...)
{
    buffer_free(&outcome->result);
    outcome->kind = kind;
    /* aw_error knows how to keep a message to one line and cut it between characters. */
    struct aw_error error;
    char message[AW_ERROR_MESSAGE_SIZE + 64]; /* more, so that aw_error does the cutting */
    va_list values;
    va_start(values, format);
    int length = vsnprintf(message, sizeof(message), format, values);
    va_end(values);
    if (length < 0)
        message[0] = '\0';
    aw_error_set_code(&error, 0, code, "%s", message);
    memcpy(outcome->code, error.code, sizeof(outcome->code));
    memcpy(outcome->message, error.message, sizeof(outcome->message));
}

void outcome_done(struct outcome *outcome)
{
    buffer_free(&outcome->result);
    outcome->kind = OUTCOME_DONE;
    outcome->code[0] = '\0';
    outcome->message[0] = '\0';
}
