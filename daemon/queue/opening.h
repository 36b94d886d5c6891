/* opening.h - what opening the queue is doing just now, in words for an operator. The service
 * manager shows them while a recovery takes long; log.h is for what has happened. */
#ifndef QUEUE_OPENING_H
#define QUEUE_OPENING_H

/* The next step has begun, for example "checking queue.db (12 MiB)"; what is too long is cut. */
void opening_step(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The step that was named last; "" before the first. */
const char *opening_current(void);

#endif
