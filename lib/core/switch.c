/* switch.c - builds the first frame of a new context; see switch.h.
 *
 * Where there is no assembly for the machine, ucontext does it all: slower (it saves the signal
 * mask with a system call each time), but right everywhere. */
#include "core/switch.h"

#include <stdint.h>
#include <string.h>

#if SWITCH_ASSEMBLY

void context_begin(void);

#if defined(__x86_64__)

void context_prepare(struct context *context, void *bottom, size_t size,
                     void (*entry)(void *argument), void *argument)
{
    uintptr_t top = ((uintptr_t)bottom + size) & ~(uintptr_t)15;
    /* 16 spare bytes keep an unwinder that looks above the first frame inside the stack */
    uint64_t *frame = (uint64_t *)(top - 16) - 8;
    uint32_t mxcsr;
    uint16_t control;

    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    __asm__ volatile("fnstcw %0" : "=m"(control));
    memset(frame, 0, 8 * sizeof *frame);
    frame[0] = (uint64_t)mxcsr | ((uint64_t)control << 32);
    frame[3] = (uint64_t)(uintptr_t)argument; /* r13 */
    frame[4] = (uint64_t)(uintptr_t)entry;    /* r12 */
    frame[7] = (uint64_t)(uintptr_t)context_begin;
    context->pointer = frame;
}

#else /* aarch64 */

void context_prepare(struct context *context, void *bottom, size_t size,
                     void (*entry)(void *argument), void *argument)
{
    uintptr_t top = ((uintptr_t)bottom + size) & ~(uintptr_t)15;
    uint64_t *frame = (uint64_t *)(top - 16 - 176);
    uint64_t control;

    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    memset(frame, 0, 176);
    frame[0] = (uint64_t)(uintptr_t)entry;    /* x19 */
    frame[1] = (uint64_t)(uintptr_t)argument; /* x20 */
    frame[11] = (uint64_t)(uintptr_t)context_begin; /* x30 */
    frame[20] = control;
    context->pointer = frame;
}

#endif

#else /* ucontext */

static void begin(unsigned entry_high, unsigned entry_low, unsigned argument_high,
                  unsigned argument_low)
{
    uintptr_t entry = (uintptr_t)(((uint64_t)entry_high << 32) | entry_low);
    uintptr_t argument = (uintptr_t)(((uint64_t)argument_high << 32) | argument_low);

    ((void (*)(void *))entry)((void *)argument);
}

void context_prepare(struct context *context, void *bottom, size_t size,
                     void (*entry)(void *argument), void *argument)
{
    uint64_t function = (uint64_t)(uintptr_t)entry;
    uint64_t value = (uint64_t)(uintptr_t)argument;

    (void)getcontext(&context->machine);
    context->machine.uc_stack.ss_sp = bottom;
    context->machine.uc_stack.ss_size = size;
    context->machine.uc_link = NULL;
    makecontext(&context->machine, (void (*)(void))begin, 4, (unsigned)(function >> 32),
                (unsigned)function, (unsigned)(value >> 32), (unsigned)value);
}

void context_switch(struct context *from, struct context *to)
{
    (void)swapcontext(&from->machine, &to->machine);
}

#endif
