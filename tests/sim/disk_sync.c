/* disk_sync.c - what becomes durable: by a sync, by a sync that fails, by a power loss. */
#include "sim/disk.h"
#include "sim/world.h"

#include <string.h>

static void make_durable(struct disk *disk, const struct change *change)
{
    struct image *image = &disk->inodes[change->inode].durable;
    if (change->data)
        image_write(image, change->data, change->size, change->offset);
    else
        image_truncate(image, change->offset);
}

/* Only some of its sectors. */
static void tear(struct disk *disk, const struct change *change, uint32_t keep_ppm)
{
    if (!change->data) {
        if (random_chance(&world->random, keep_ppm))
            make_durable(disk, change);
        return;
    }
    uint64_t at = change->offset;
    uint64_t end = change->offset + change->size;
    world->statistics.torn_writes++;
    while (at < end) {
        uint64_t next = (at / DISK_SECTOR + 1) * DISK_SECTOR;
        if (next > end)
            next = end;
        struct change sector = {.inode = change->inode, .offset = at, .size = next - at,
                                .data = change->data + (at - change->offset)};
        if (random_chance(&world->random, keep_ppm))
            make_durable(disk, &sector);
        at = next;
    }
}

/* File systems keep the order of sizes: a write beyond a truncation goes to other blocks than
 * the ones it gave up, so it cannot survive where the truncation does not. */
static bool is_cut_off(const struct change *change, uint64_t cuts[DISK_INODES], bool *kept)
{
    uint64_t *cut = &cuts[change->inode];
    if (change->data)
        return *cut > 0 && change->offset + change->size > *cut - 1;
    *kept = *kept && *cut == 0;
    if (!*kept && (*cut == 0 || change->offset + 1 < *cut))
        *cut = change->offset + 1;
    return !*kept;
}

/* Takes the inode's changes off the list. */
static void drop_changes(struct disk *disk, uint32_t inode)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < disk->change_count; i++)
        if (disk->changes[i].inode != inode)
            disk->changes[kept++] = disk->changes[i];
    disk->change_count = kept;
}

void disk_sync(struct disk *disk, uint32_t inode)
{
    for (uint32_t i = 0; i < disk->change_count; i++)
        if (disk->changes[i].inode == inode)
            make_durable(disk, &disk->changes[i]);
    drop_changes(disk, inode);
}

/* The parts of a write that lie outside [from, to). */
static uint32_t split(const struct change *change, uint64_t from, uint64_t to, struct change *out)
{
    uint64_t end = change->offset + change->size;
    uint32_t count = 0;
    if (!change->data || end <= from || change->offset >= to) {
        out[count++] = *change;
        return count;
    }
    if (change->offset < from) {
        out[count] = *change;
        out[count++].size = from - change->offset;
    }
    if (end > to) {
        out[count] = *change;
        out[count].offset = to;
        out[count].size = end - to;
        out[count++].data = change->data + (to - change->offset);
    }
    return count;
}

void disk_sync_range(struct disk *disk, uint32_t inode, uint64_t from, uint64_t to)
{
    for (uint32_t i = 0; i < disk->change_count; i++)
        if (disk->changes[i].inode == inode && !disk->changes[i].data) {
            disk_sync(disk, inode); /* the new size goes with it, and what came before that */
            return;
        }
    if (disk->change_count * 2 > DISK_CHANGES) {
        disk_sync(disk, inode);
        return;
    }
    struct inode *file = &disk->inodes[inode];
    uint32_t count = 0;
    for (uint32_t i = 0; i < disk->change_count; i++) {
        if (disk->changes[i].inode == inode)
            count += split(&disk->changes[i], from, to, &disk->spare[count]);
        else
            disk->spare[count++] = disk->changes[i];
    }
    memcpy(disk->changes, disk->spare, count * sizeof disk->changes[0]);
    disk->change_count = count;
    if (to > file->cached.size)
        to = file->cached.size;
    if (to > from)
        image_write(&file->durable, file->cached.data + from, to - from, from);
}

void disk_sync_names(struct disk *disk, uint32_t folder)
{
    uint32_t kept = 0;
    bool taken = false;
    for (uint32_t i = 0; i < disk->name_change_count; i++) {
        const struct name_change change = disk->name_changes[i];
        taken = change.joined ? taken : change.folder == folder;
        if (taken)
            names_apply(disk->durable, &change);
        else
            disk->name_changes[kept++] = change;
    }
    disk->name_change_count = kept;
}

void disk_sync_failed(struct disk *disk, uint32_t inode, bool revert)
{
    uint32_t keep_ppm = (uint32_t)random_below(&world->random, 1000001);
    uint64_t cuts[DISK_INODES] = {0};
    for (uint32_t i = 0; i < disk->change_count; i++) {
        const struct change *change = &disk->changes[i];
        if (change->inode != inode)
            continue;
        bool kept = random_chance(&world->random, keep_ppm);
        if (!is_cut_off(change, cuts, &kept))
            tear(disk, change, change->data ? keep_ppm : 1000000);
    }
    drop_changes(disk, inode);
    if (!revert)
        return;
    struct inode *file = &disk->inodes[inode];
    image_truncate(&file->cached, 0);
    image_write(&file->cached, file->durable.data, file->durable.size, 0);
}

void disk_write_back(struct disk *disk)
{
    for (uint32_t i = 0; i < disk->change_count; i++)
        make_durable(disk, &disk->changes[i]);
    disk->change_count = 0;
    disk->arena_used = 0;
    for (uint32_t i = 0; i < disk->name_change_count; i++)
        names_apply(disk->durable, &disk->name_changes[i]);
    disk->name_change_count = 0;
}

static void lose_names(struct disk *disk)
{
    bool in_order = random_chance(&world->random, 500000);
    uint64_t reached = random_below(&world->random, disk->name_change_count + 1);
    bool kept = false;
    for (uint32_t i = 0; i < disk->name_change_count; i++) {
        const struct name_change *change = &disk->name_changes[i];
        if (!change->joined)
            kept = in_order ? i < reached : random_chance(&world->random, 500000);
        if (kept)
            names_apply(disk->durable, change);
        else
            world->statistics.lost_names++;
    }
    disk->name_change_count = 0;
    memcpy(disk->cached, disk->durable, sizeof disk->cached);
}

static void lose_data(struct disk *disk)
{
    enum tear mode = (enum tear)world->swarm.tear;
    uint32_t keep_ppm = world->swarm.keep_percent * 10000;
    uint64_t reached = random_below(&world->random, disk->change_count + 1);
    uint64_t cuts[DISK_INODES] = {0};
    for (uint32_t i = 0; i < disk->change_count; i++) {
        const struct change *change = &disk->changes[i];
        bool picked = (mode == TEAR_WRITES || (mode == TEAR_SECTORS && !change->data)) &&
                      random_chance(&world->random, keep_ppm);
        bool kept = mode == TEAR_EVERYTHING || (mode == TEAR_PREFIX && i < reached) || picked;
        if (is_cut_off(change, cuts, &kept))
            continue;
        if (kept)
            make_durable(disk, change);
        else if (mode == TEAR_SECTORS || (mode == TEAR_PREFIX && i == reached))
            tear(disk, change, keep_ppm);
    }
    disk->change_count = 0;
    disk->arena_used = 0;
}

void disk_power_loss(struct disk *disk)
{
    lose_data(disk);
    lose_names(disk);
    for (uint32_t i = 0; i < DISK_INODES; i++) {
        struct inode *inode = &disk->inodes[i];
        inode->opens = 0;
        inode->late_failure = false;
        image_truncate(&inode->cached, 0);
        image_write(&inode->cached, inode->durable.data, inode->durable.size, 0);
        inode->allocated = (inode->cached.size + 4095) / 4096 * 4096;
    }
    disk_collect(disk);
}
