/* await.h - libawait, asyncio for C: the umbrella header. Include this one. */
#ifndef AWAIT_H
#define AWAIT_H

#include <await/barrier.h>
#include <await/base.h>
#include <await/clock.h>
#include <await/condition.h>
#include <await/datagram.h>
#include <await/directory.h>
#include <await/dump.h>
#include <await/error.h>
#include <await/file.h>
#include <await/group.h>
#include <await/http.h>
#include <await/interval.h>
#include <await/loop.h>
#include <await/offload.h>
#include <await/once.h>
#include <await/pg.h>
#include <await/pg_copy.h>
#include <await/pg_listener.h>
#include <await/pg_rows.h>
#include <await/pg_transaction.h>
#include <await/pipe.h>
#include <await/priority_queue.h>
#include <await/process.h>
#include <await/redis.h>
#include <await/redis_key.h>
#include <await/redis_multi.h>
#include <await/redis_stream.h>
#include <await/redis_subscriber.h>
#include <await/resolve.h>
#include <await/scope.h>
#include <await/server.h>
#include <await/signal.h>
#include <await/socket.h>
#include <await/sqlite.h>
#include <await/stream.h>
#include <await/sync.h>
#include <await/task.h>
#include <await/tls.h>
#include <await/unix_socket.h>
#include <await/with.h>

#endif
