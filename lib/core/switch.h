/* switch.h - from one stack to another.
 *
 * A context is a suspended stack: the callee-saved registers, the floating-point control words and
 * the return address lie on it, and `pointer` is its stack pointer. Signal masks are not switched.
 *
 * User shadow stacks are not supported: the switch returns on another stack. The kernel enables
 * them only for programs that ask (all objects marked SHSTK); switch_*.S is not marked, so the
 * linker leaves the mark off. */
#ifndef CORE_SWITCH_H
#define CORE_SWITCH_H

#include <stddef.h>

#if defined(__x86_64__) || defined(__aarch64__)
#define SWITCH_ASSEMBLY 1
struct context {
    void *pointer;
};
#else
#define SWITCH_ASSEMBLY 0
#include <ucontext.h>
struct context {
    ucontext_t machine;
};
#endif

/* Prepares a context that will run entry(argument) on the stack [bottom, bottom + size). The entry
 * must never return. */
void context_prepare(struct context *context, void *bottom, size_t size,
                     void (*entry)(void *argument), void *argument);

/* Saves the running context in *from and goes on with *to; returns when somebody switches back. */
void context_switch(struct context *from, struct context *to);

#endif
