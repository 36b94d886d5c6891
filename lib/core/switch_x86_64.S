/* switch_x86_64.S - the coroutine switch for the System V x86-64 ABI.
 *
 * Saved: rbx rbp r12-r15 (callee-saved by the ABI), MXCSR and the x87 control word (whose control
 * bits are callee-saved too). Frame, from the stack pointer up:
 *   mxcsr+fcw  r15 r14 r13 r12 rbx rbp  return address */
#if defined(__x86_64__)

        .text
        .globl  context_switch
        .hidden context_switch
        .type   context_switch, @function
        .align  16
context_switch:
        .cfi_startproc
        endbr64
        pushq   %rbp
        pushq   %rbx
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        subq    $8, %rsp
        stmxcsr (%rsp)
        fnstcw  4(%rsp)
        movq    (%rsp), %rax
        movq    %rsp, (%rdi)
        movq    (%rsi), %rsp
        /* loading the control words is slow and they hardly ever differ */
        cmpq    (%rsp), %rax
        je      1f
        ldmxcsr (%rsp)
        fldcw   4(%rsp)
1:      addq    $8, %rsp
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbx
        popq    %rbp
        ret
        .cfi_endproc
        .size   context_switch, .-context_switch

/* The first return of a new context lands here: r12 is the entry, r13 its argument. */
        .globl  context_begin
        .hidden context_begin
        .type   context_begin, @function
        .align  16
context_begin:
        .cfi_startproc
        .cfi_undefined rip
        endbr64
        xorl    %ebp, %ebp
        movq    %r13, %rdi
        callq   *%r12
        ud2
        .cfi_endproc
        .size   context_begin, .-context_begin

#endif
        .section .note.GNU-stack, "", %progbits
