/* test_config_leases.c - how many connections of a target may be leased, and for how long. */
#include "support/config_stage.h"

#include "config/config.h"

#include <criterion/criterion.h>

Test(config_leases, a_quarter_unless_configured)
{
    static const char text[] = "[target a]\ntype = postgres\nuri = postgresql://h/d\n"
                               "connections = 1\n"
                               "[target b]\ntype = postgres\nuri = postgresql://h/d\n"
                               "connections = 2\n"
                               "[target c]\ntype = sqlite\npath = c.db\n"
                               "[target d]\ntype = redis\nuri = redis://h\nleases = 7\n"
                               "lease_max = 5s\n"
                               "[target e]\ntype = sqlite\npath = e.db\nconnections = 1\n"
                               "leases = 0\n";
    static const uint32_t expected[] = {0, 1, 2, 7, 0};
    struct config config = parsed(text);
    for (uint32_t i = 0; i < 5; i++)
        cr_expect_eq(config.targets[i].leases, expected[i], "%s", config.targets[i].name);
    cr_expect_eq(config.targets[2].lease_max_ms, 30000);
    cr_expect_eq(config.targets[3].lease_max_ms, 5000);
    config_free(&config);
}

Test(config_leases, leave_jobs_a_connection)
{
    assert_refused("[target a]\ntype = sqlite\npath = a.db\nconnections = 3\nleases = 3\n",
                   "a.conf:5: leases in [target a] must be less than connections (3), or "
                   "jobs would have none");
    assert_refused("[target mail]\ntype = worker\nleases = 2\n",
                   "a.conf:3: leases in [target mail] is not for type worker");
    assert_refused("[target a]\ntype = sqlite\npath = a.db\nlease_max = 2d\n",
                   "a.conf:4: lease_max in [target a] must be a duration such as 500ms, "
                   "30s, 5m, 12h or 30d, from 1ms to 1d, got '2d'");
}
