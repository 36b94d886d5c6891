/* descriptors.h - the process's open files: gone with the process, like its locks. */
#ifndef SIM_DESCRIPTORS_H
#define SIM_DESCRIPTORS_H

#include <stdint.h>
#include <sys/types.h>

struct descriptor {
    uint32_t inode; /* 0: free */
    int flags;      /* of open */
    uint64_t position;
};

/* NULL when it is not open. */
struct descriptor *descriptor_of(int fd);
int descriptor_open(uint32_t inode, int flags);
int descriptor_close(int fd);

/* locks.c: OFD locks; 0 or -EAGAIN. */
int locks_set(int fd, uint32_t inode, short type, uint64_t start, uint64_t length);
int locks_test(int fd, uint32_t inode, short type, uint64_t start, uint64_t length);
void locks_drop(int fd);

#endif
