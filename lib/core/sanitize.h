/* sanitize.h - tells ASan, TSan and Valgrind of stacks and of every switch between them; without it
 * ASan reports false overflows and Valgrind takes a switch for a giant frame. Empty in plain
 * builds. */
#ifndef CORE_SANITIZE_H
#define CORE_SANITIZE_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZE_ADDRESS 1
#endif
#if __has_feature(thread_sanitizer)
#define SANITIZE_THREAD 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(SANITIZE_ADDRESS)
#define SANITIZE_ADDRESS 1
#endif
#if defined(__SANITIZE_THREAD__) && !defined(SANITIZE_THREAD)
#define SANITIZE_THREAD 1
#endif

#ifdef SANITIZE_ADDRESS
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef SANITIZE_THREAD
#include <sanitizer/tsan_interface.h>
#endif
#if defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define SANITIZE_VALGRIND 1
#endif
#endif

/* What the tools keep for one stack. */
struct sanitize_stack {
    void *fake_stack;   /* ASan's, while the stack is suspended */
    const void *bottom; /* bounds of the stack, as ASan wants them */
    size_t size;
    void *thread_fiber;   /* TSan's name for the stack */
    unsigned valgrind_id; /* 0: not under Valgrind */
};

/* For the two functions that leave a stack for good or begin on one: TSan pushes a frame at entry
 * and pops it at exit, which never comes there, so a pooled stack's list of frames would grow
 * without end. */
#if defined(SANITIZE_THREAD) && defined(__clang__)
#define SANITIZE_NO_FRAME __attribute__((disable_sanitizer_instrumentation))
#elif defined(SANITIZE_THREAD)
#define SANITIZE_NO_FRAME __attribute__((no_sanitize("thread")))
#else
#define SANITIZE_NO_FRAME
#endif

static inline void sanitize_stack_created(struct sanitize_stack *stack, void *bottom, size_t size)
{
    stack->bottom = bottom;
    stack->size = size;
#ifdef SANITIZE_THREAD
    stack->thread_fiber = __tsan_create_fiber(0);
#endif
#ifdef SANITIZE_VALGRIND
    stack->valgrind_id = VALGRIND_STACK_REGISTER(bottom, (char *)bottom + size);
#endif
}

static inline void sanitize_stack_destroyed(struct sanitize_stack *stack)
{
#ifdef SANITIZE_THREAD
    __tsan_destroy_fiber(stack->thread_fiber);
#endif
#ifdef SANITIZE_VALGRIND
    VALGRIND_STACK_DEREGISTER(stack->valgrind_id);
#endif
    (void)stack;
}

/* A pooled stack is looked at or used again: frames of the task before must not poison it. */
static inline void sanitize_stack_reused(struct sanitize_stack *stack)
{
#ifdef SANITIZE_ADDRESS
    __asan_unpoison_memory_region(stack->bottom, stack->size);
#endif
#ifdef SANITIZE_VALGRIND
    /* memcheck takes what lies below a stack pointer for gone */
    if (stack->valgrind_id != 0)
        (void)VALGRIND_MAKE_MEM_DEFINED(stack->bottom, stack->size);
#endif
    (void)stack;
}

/* Just before a switch. A stack that ends here passes `ends`: its fake stack is freed. */
static inline __attribute__((always_inline)) void sanitize_switch_begin(struct sanitize_stack *from,
                                                                        struct sanitize_stack *to,
                                                                        int ends)
{
#ifdef SANITIZE_ADDRESS
    __sanitizer_start_switch_fiber(ends ? NULL : &from->fake_stack, to->bottom, to->size);
#endif
#ifdef SANITIZE_THREAD
    __tsan_switch_to_fiber(to->thread_fiber, 0);
#endif
    (void)from;
    (void)to;
    (void)ends;
}

/* First thing on arrival. `self` NULL: a stack that runs for the first time; `root` then learns the
 * bounds of the thread's own stack, which nobody else knows. */
static inline __attribute__((always_inline)) void sanitize_switch_end(struct sanitize_stack *self,
                                                                      struct sanitize_stack *root)
{
#ifdef SANITIZE_ADDRESS
    const void *bottom;
    size_t size;
    __sanitizer_finish_switch_fiber(self ? self->fake_stack : NULL, &bottom, &size);
    if (root && !root->bottom) {
        root->bottom = bottom;
        root->size = size;
    }
#endif
    (void)self;
    (void)root;
}

/* What the kernel has written behind memcheck's back, which knows no operation of the ring. */
static inline void sanitize_written(const void *memory, size_t size)
{
#ifdef SANITIZE_VALGRIND
    (void)VALGRIND_MAKE_MEM_DEFINED(memory, size);
#endif
    (void)memory;
    (void)size;
}

static inline bool sanitize_on_valgrind(void)
{
#ifdef SANITIZE_VALGRIND
    return RUNNING_ON_VALGRIND;
#else
    return false;
#endif
}

/* Valgrind runs one thread at a time, and up to 3.19 at least keeps the others out while one is in
 * io_uring_enter: a wait there for a thread's answer has to end by itself, or it never comes. */
static inline bool sanitize_waits_must_end(void)
{
    return sanitize_on_valgrind();
}

static inline void sanitize_root(struct sanitize_stack *root)
{
#ifdef SANITIZE_THREAD
    root->thread_fiber = __tsan_get_current_fiber();
#endif
    (void)root;
}

#endif
