#include "io/transfer.h"

#include <errno.h>

#define TRANSFER_ATTEMPTS_MAX 8

int transfer(struct ring_request request)
{
    if (request.size > INT32_MAX)
        request.size = INT32_MAX;
    int result = -EINTR;
    for (int attempt = 0; attempt < TRANSFER_ATTEMPTS_MAX; attempt++) {
        result = ring_perform(&request);
        if (result != -EINTR && result != -EAGAIN)
            break;
    }
    return result;
}

void *transfer_source(const void *buffer)
{
    union {
        const void *constant;
        void *writable;
    } pointer = {.constant = buffer};
    return pointer.writable;
}
