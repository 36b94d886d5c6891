/* system_file.c - the real half of system_file.h. */
#include "ring/system_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static DIR *open_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    DIR *directory = fdopendir(fd);
    if (!directory) {
        int failure = errno;
        (void)close(fd);
        errno = failure;
    }
    return directory;
}

static bool is_itself_or_parent(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

int system_list_directory(const char *path, system_entry entry, void *argument)
{
    DIR *directory = open_directory(path);
    if (!directory)
        return -errno;
    int result = 0;
    while (result >= 0) {
        errno = 0;
        const struct dirent *found = readdir(directory);
        if (!found) {
            result = -errno;
            break;
        }
        if (!is_itself_or_parent(found->d_name))
            result = entry(argument, found->d_name, found->d_type);
    }
    (void)closedir(directory);
    return result < 0 ? result : 0;
}

int system_copy_range(int from, int to, uint64_t offset, size_t size)
{
    if (offset > INT64_MAX)
        return -EFBIG;
    loff_t source = (loff_t)offset;
    loff_t target = (loff_t)offset;
    ssize_t copied;
    do {
        copied = copy_file_range(from, &source, to, &target, size < (1u << 30) ? size : 1u << 30,
                                 0);
    } while (copied < 0 && errno == EINTR);
    return copied < 0 ? -errno : (int)copied;
}
