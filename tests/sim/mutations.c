/* mutations.c - defects planted between the product's objects by the linker (--wrap), so that the
 * product's own code stays as it is. Without a mutation these calls pass through. */
#include "queue/store.h"
#include "sim/world.h"

#include <await/sqlite.h>

int __real_sqlite_renew(int fd);
int __wrap_sqlite_renew(int fd);
int __real_sqlite_renew_path(const char *path);
int __wrap_sqlite_renew_path(const char *path);
uint64_t __real_aw_sqlite_wal_size(const struct aw_sqlite *database);
uint64_t __wrap_aw_sqlite_wal_size(const struct aw_sqlite *database);
int __real_store_commit(struct store *store, struct aw_error *reterr);
int __wrap_store_commit(struct store *store, struct aw_error *reterr);

int __wrap_sqlite_renew(int fd)
{
    return world->mutation == MUTATION_NO_RENEWAL ? 0 : __real_sqlite_renew(fd);
}

int __wrap_sqlite_renew_path(const char *path)
{
    return world->mutation == MUTATION_NO_RENEWAL ? 0 : __real_sqlite_renew_path(path);
}

int __wrap_store_commit(struct store *store, struct aw_error *reterr)
{
    if (world->mutation == MUTATION_FALSE_COMMIT && !world->calm &&
        random_chance(&world->random, 20000))
        return store_roll_back(store, reterr);
    return __real_store_commit(store, reterr);
}

/* No defect: in some seeds the WAL seems larger than it is, so that checkpoints come often. */
uint64_t __wrap_aw_sqlite_wal_size(const struct aw_sqlite *database)
{
    return __real_aw_sqlite_wal_size(database) * world->swarm.wal_scale;
}
