/* execute.h - performs one ring request on the simulated disk, faults included. */
#ifndef SIM_EXECUTE_H
#define SIM_EXECUTE_H

#include "ring/request.h"

int execute_request(const struct ring_request *request);

/* The process dies while the request is under way: the kernel may finish a write. */
void execute_at_crash(const struct ring_request *request);

#endif
