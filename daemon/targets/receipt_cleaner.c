/* receipt_cleaner.c - see receipt_cleaner.h.
 *
 * A pass goes through the receipts from the oldest id on. It ends at the first page without an old
 * one: ids ascend with the time of submission, so what is behind it is young too, except for jobs
 * that waited, which a later pass finds. */
#include "targets/receipt_cleaner.h"

#include "admin/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PASS_MAX (64u * RECEIPT_PAGE) /* receipts that wait for one fence */
#define PAUSE_MAX_MS 60000u
#define PAUSE_MIN_MS 500u

struct cleaner {
    struct target *target;
    const struct receipt_engine *engine;
    void *context;
    struct receipt_page page;
    uint64_t ids[PASS_MAX];
    uint32_t count;
    char said[AW_ERROR_MESSAGE_SIZE]; /* the trouble that is in the log already */
};

/* Adds the finished ones of the page. */
static int take_finished(struct cleaner *cleaner, struct aw_error *reterr)
{
    bool finished[RECEIPT_PAGE];
    struct target *target = cleaner->target;
    const struct receipt_page *page = &cleaner->page;
    int result =
        target->finished(target, target->context, page->ids, page->count, finished);
    if (result < 0)
        return aw_error_set(reterr, result, "the queue cannot be asked which jobs are finished");
    for (uint32_t i = 0; i < page->count; i++)
        if (finished[i])
            cleaner->ids[cleaner->count++] = page->ids[i];
    return 0;
}

static int collect(struct cleaner *cleaner, struct aw_error *reterr)
{
    struct receipt_page *page = &cleaner->page;
    page->last = 0;
    page->end = false;
    cleaner->count = 0;
    while (!page->end && cleaner->count + RECEIPT_PAGE <= PASS_MAX) {
        page->count = 0;
        int result = cleaner->engine->list(cleaner->context, page->last, page, reterr);
        if (result == 0)
            result = take_finished(cleaner, reterr);
        if (result < 0)
            return result;
    }
    return 0;
}

static int forget(struct cleaner *cleaner, struct aw_error *reterr)
{
    for (uint32_t at = 0; at < cleaner->count; at += RECEIPT_PAGE) {
        uint32_t left = cleaner->count - at;
        int result = cleaner->engine->forget(cleaner->context, cleaner->ids + at,
                                             left < RECEIPT_PAGE ? left : RECEIPT_PAGE, reterr);
        if (result < 0)
            return result;
    }
    return 0;
}

static int pass(struct cleaner *cleaner, struct aw_error *reterr)
{
    int result = collect(cleaner, reterr);
    if (result < 0 || cleaner->count == 0)
        return result;
    if (cleaner->engine->fence)
        result = cleaner->engine->fence(cleaner->context, reterr);
    return result < 0 ? result : forget(cleaner, reterr);
}

/* An engine that is down says so elsewhere. */
static void complain(struct cleaner *cleaner, int result, const struct aw_error *error)
{
    if (result == -ECANCELED || result == -ENOENT || !cleaner->target->up ||
        strcmp(cleaner->said, error->message) == 0)
        return;
    memcpy(cleaner->said, error->message, sizeof cleaner->said);
    log_line(LOG_LEVEL_WARNING, "target %s: old receipts stay, the next try comes by itself: %s",
             cleaner->target->settings.name, error->message);
}

static uint64_t pause_ms(const struct cleaner *cleaner)
{
    uint64_t pause = cleaner->target->settings.receipt_keep_ms / 8;
    if (cleaner->count + RECEIPT_PAGE > PASS_MAX || pause < PAUSE_MIN_MS)
        return PAUSE_MIN_MS;
    return pause > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause;
}

static int clean(void *argument)
{
    struct cleaner *cleaner = argument;
    aw_task_set_name(NULL, "receipt cleaner");
    for (uint64_t pause = PAUSE_MIN_MS; aw_sleep(pause) == 0; pause = pause_ms(cleaner)) {
        struct aw_error error = {0};
        cleaner->count = 0;
        int result = pass(cleaner, &error);
        if (result == 0)
            cleaner->said[0] = '\0';
        else
            complain(cleaner, result, &error);
        if (result < 0)
            cleaner->count = 0;
        else if (cleaner->count > 0)
            log_line(LOG_LEVEL_DEBUG, "target %s: %" PRIu32 " old receipts deleted",
                     cleaner->target->settings.name, cleaner->count);
    }
    free(cleaner);
    return 0;
}

int receipt_cleaner_start(struct target *target, const struct receipt_engine *engine,
                          void *context)
{
    if (target->settings.delivery != TARGET_EXACTLY_ONCE || target->settings.receipt_keep_ms == 0 ||
        !target->finished)
        return 0;
    struct cleaner *cleaner = calloc(1, sizeof *cleaner);
    if (!cleaner)
        return -ENOMEM;
    cleaner->target = target;
    cleaner->engine = engine;
    cleaner->context = context;
    int result = aw_group_spawn(target->group, clean, cleaner);
    if (result < 0)
        free(cleaner);
    return result;
}
