/* mutations.c - defects planted between the product's objects by the linker (--wrap), so that the
 * product's own code stays as it is. Without a mutation each call passes through. */
#include "queue/store.h"
#include "sim/world.h"

#include <await/sqlite.h>

int __real_aw_sqlite_checkpoint(struct aw_sqlite *database, bool truncate,
                                struct aw_error *reterr);
int __wrap_aw_sqlite_checkpoint(struct aw_sqlite *database, bool truncate,
                                struct aw_error *reterr);
int __real_store_commit(struct store *store, struct aw_error *reterr);
int __wrap_store_commit(struct store *store, struct aw_error *reterr);

int __wrap_aw_sqlite_checkpoint(struct aw_sqlite *database, bool truncate, struct aw_error *reterr)
{
    if (world->mutation == MUTATION_NO_RECOVERY && world->recovering)
        return 0;
    return __real_aw_sqlite_checkpoint(database, truncate, reterr);
}

int __wrap_store_commit(struct store *store, struct aw_error *reterr)
{
    if (world->mutation == MUTATION_FALSE_COMMIT && !world->calm &&
        random_chance(&world->random, 20000))
        return store_roll_back(store, reterr);
    return __real_store_commit(store, reterr);
}
