/* clock.h - the time that only goes forward, for deadlines. */
#ifndef CTL_CLOCK_H
#define CTL_CLOCK_H

#include <stdint.h>

uint64_t clock_now_ms(void);

#endif
