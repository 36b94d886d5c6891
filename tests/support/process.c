/* process.c - it ended meanwhile */
#include "support/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int entries(const char *folder, int (*counts)(const char *name))
{
    DIR *directory = opendir(folder);
    if (directory == NULL)
        abort();
    int count = 0;
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL)
        if (entry->d_name[0] != '.')
            count += counts(entry->d_name);
    closedir(directory);
    return count;
}

static int any(const char *name)
{
    return name[0] != '\0';
}

int open_descriptors(void)
{
    return entries("/proc/self/fd", any) - 1;
}

static int is_thread(const char *name)
{
    char path[300];
    snprintf(path, sizeof path, "/proc/self/task/%s/comm", name);
    char comm[32] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t size = read(fd, comm, sizeof comm - 1);
    close(fd);
    return size > 0 && strncmp(comm, "iou-", 4) != 0;
}

int running_threads(void)
{
    return entries("/proc/self/task", is_thread);
}

void folder_make(char *path, size_t size)
{
    snprintf(path, size, "/tmp/await-test-XXXXXX");
    if (mkdtemp(path) == NULL)
        abort();
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

void folder_remove(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
