/* config_reload.h - a new configuration in the place of the one that is in use. */
#ifndef CONFIG_CONFIG_RELOAD_H
#define CONFIG_CONFIG_RELOAD_H

#include "config/config.h"

#define RELOAD_REPORT_SIZE 512

/* Moves from `fresh` into `current` what can change while the daemon runs: the limits of [daemon]
 * and every [queue]. `report` names what differs and stays as it was until a restart ("[target
 * main], state"), or is empty. Whoever holds a struct config_queue of `current` must look it up
 * again; `fresh` is still to be freed. */
void config_reload(struct config *current, struct config *fresh,
                   char report[RELOAD_REPORT_SIZE]);

#endif
