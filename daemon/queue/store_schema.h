/* store_schema.h - the schema of queue.db and its version. */
#ifndef QUEUE_STORE_SCHEMA_H
#define QUEUE_STORE_SCHEMA_H

#define STORE_SCHEMA_VERSION 4
#define STORE_APPLICATION_ID 0x61776169 /* "awai" */

/* From nothing to version 1, from version 1 to 2, and so on. */
extern const char *const store_migrations[STORE_SCHEMA_VERSION];

#endif
