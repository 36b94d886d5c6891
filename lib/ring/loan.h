/* loan.h - receive buffers that belong to the ring and are lent out one at a time, so that
 * thousands of idle connections hold none. See aw_receive_loan in await/socket.h for the contract.
 */
#ifndef RING_LOAN_H
#define RING_LOAN_H

#include <await/base.h>

#define RING_LOAN_SIZE_BYTES 16384u
#define RING_LOAN_COUNT 64u /* power of two */

/* Receives into a lent buffer. > 0: that many bytes at *ret_data, give it back with
 * ring_loan_return(*ret_buffer); 0: end of stream. All buffers being out is not an error: the call
 * waits its turn. */
AW_MUST_CHECK AW_SUSPENDS int ring_receive_loan(int fd, const void **ret_data,
                                                uint32_t *ret_buffer);
void ring_loan_return(uint32_t buffer);

#endif
