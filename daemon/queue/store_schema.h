/* store_schema.h - the schema of queue.db and its version. */
#ifndef QUEUE_STORE_SCHEMA_H
#define QUEUE_STORE_SCHEMA_H

#define STORE_SCHEMA_VERSION 1
#define STORE_APPLICATION_ID 0x61776169 /* "awai" */

extern const char store_schema[];

#endif
