/* file_chunk.h - how much of a file moves in one operation. What is in the page cache is copied
 * while the loop waits: 1 MiB takes about a tenth of a millisecond, a gigabyte would take a tenth
 * of a second. */
#ifndef IO_FILE_CHUNK_H
#define IO_FILE_CHUNK_H

#define FILE_CHUNK_BYTES ((size_t)1 << 20)

#endif
