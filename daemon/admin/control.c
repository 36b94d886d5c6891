/* control.c - see control.h. */
#include "admin/control.h"

#include "admin/log.h"
#include "admin/notify.h"
#include "queue/broker.h"

#include <errno.h>

void control_init(struct control *control, const char *path, struct config *configuration)
{
    *control = (struct control){.path = path, .configuration = configuration};
    aw_event_init(&control->asked);
}

void control_stop(struct control *control, uint64_t timeout_ms)
{
    control->stop_timeout_ms = timeout_ms;
    control->stops++;
    aw_event_set(&control->asked);
}

int control_wait_stop(struct control *control, uint32_t times)
{
    int result = 0;
    while (control->stops < times && result == 0) {
        aw_event_clear(&control->asked);
        result = aw_event_wait(&control->asked);
    }
    return control->stops >= times ? 0 : result;
}

static void take_over(struct control *control, struct config *fresh,
                      char report[RELOAD_REPORT_SIZE])
{
    for (uint32_t i = 0; i < fresh->warning_count; i++)
        log_line(LOG_LEVEL_WARNING, "%s", fresh->warnings[i]);
    config_reload(control->configuration, fresh, report);
    broker_configuration_changed(control->broker);
    log_set_level((enum config_log_level)control->configuration->log_level);
    config_free(fresh);
}

int control_reload(struct control *control, char report[RELOAD_REPORT_SIZE],
                   struct aw_error *reterr)
{
    struct config fresh;
    report[0] = '\0';
    if (!control->broker)
        return aw_error_set_code(reterr, -EAGAIN, "UNAVAILABLE", "awaitd is starting or stopping");
    if (control->reloading)
        return aw_error_set_code(reterr, -EBUSY, "UNAVAILABLE", "another reload is under way");
    control->reloading = true;
    notify_reloading();
    int result = config_load(control->path, &fresh, reterr);
    control->reloading = false;
    if (result == 0 && control->broker)
        take_over(control, &fresh, report);
    else if (result == 0)
        config_free(&fresh);
    notify_ready();
    if (result < 0)
        log_line(LOG_LEVEL_ERROR, "reload: %s; the configuration in use stays",
                 reterr->message);
    else
        log_line(LOG_LEVEL_INFO, "reload: %s has been read%s%s", control->path,
                 report[0] ? "; needs a restart: " : "", report);
    return result;
}

void control_take_signals(struct control *control, int descriptor)
{
    for (;;) {
        int number = aw_signal_wait(descriptor);
        if (number == SIGHUP) {
            char report[RELOAD_REPORT_SIZE];
            struct aw_error error;
            AW_IGNORE(control_reload(control, report, &error)); /* it has logged the error */
        } else if (number > 0) {
            control_stop(control, control->configuration->stop_timeout_ms);
        } else if (number != -EINTR) {
            return;
        }
    }
}
