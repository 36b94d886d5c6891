/* scenario_queue.c - placeholder */
#include "sim/scenario.h"
static void prepare(void) {}
static int live(void *a) { (void)a; return 0; }
const struct scenario scenario_queue = {.name = "queue", .prepare = prepare, .live = live, .lives_max = 1, .crash_bits = 10};
#include "targets/target.h"
const struct target_type target_type_postgres, target_type_redis, target_type_sqlite;
