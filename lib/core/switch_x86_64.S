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
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r12, 0
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r13, 0
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r14, 0
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r15, 0
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        stmxcsr (%rsp)
        fnstcw  4(%rsp)
        movl    (%rsp), %eax
        movzwl  4(%rsp), %ecx
        movq    %rsp, (%rdi)
        movq    (%rsi), %rsp
        /* Loading the control words is slow and they hardly ever differ. Bits 0-5 of MXCSR are its
         * status flags, which a call may change: not compared. */
        xorl    (%rsp), %eax
        andl    $0xffc0, %eax
        xorw    4(%rsp), %cx
        orl     %ecx, %eax
        jz      1f
        ldmxcsr (%rsp)
        fldcw   4(%rsp)
1:      addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        popq    %r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r15
        popq    %r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r14
        popq    %r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r13
        popq    %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r12
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbx
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbp
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
