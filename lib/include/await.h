/* await.h - libawait, asyncio for C: the umbrella header. Include this one. */
#ifndef AWAIT_H
#define AWAIT_H

#include <await/base.h>
#include <await/clock.h>
#include <await/error.h>
#include <await/file.h>
#include <await/group.h>
#include <await/offload.h>
#include <await/pg.h>
#include <await/redis.h>
#include <await/resolve.h>
#include <await/scope.h>
#include <await/signal.h>
#include <await/socket.h>
#include <await/sqlite.h>
#include <await/sync.h>
#include <await/task.h>

#endif
