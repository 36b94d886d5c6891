/* switch_aarch64.S - the coroutine switch for AAPCS64.
 *
 * Saved: x19-x30, d8-d15 (callee-saved) and FPCR. The frame is 176 bytes; the stack pointer stays
 * 16-byte aligned. */
#if defined(__aarch64__)

        .text
        .globl  context_switch
        .hidden context_switch
        .type   context_switch, %function
        .align  4
context_switch:
        .cfi_startproc
        hint    #34                     /* bti c */
        sub     sp, sp, #176
        stp     x19, x20, [sp, #0]
        stp     x21, x22, [sp, #16]
        stp     x23, x24, [sp, #32]
        stp     x25, x26, [sp, #48]
        stp     x27, x28, [sp, #64]
        stp     x29, x30, [sp, #80]
        stp     d8, d9, [sp, #96]
        stp     d10, d11, [sp, #112]
        stp     d12, d13, [sp, #128]
        stp     d14, d15, [sp, #144]
        mrs     x9, fpcr
        str     x9, [sp, #160]
        mov     x10, sp
        str     x10, [x0]
        ldr     x10, [x1]
        mov     sp, x10
        ldr     x11, [sp, #160]
        cmp     x11, x9
        b.eq    1f
        msr     fpcr, x11
1:      ldp     x19, x20, [sp, #0]
        ldp     x21, x22, [sp, #16]
        ldp     x23, x24, [sp, #32]
        ldp     x25, x26, [sp, #48]
        ldp     x27, x28, [sp, #64]
        ldp     x29, x30, [sp, #80]
        ldp     d8, d9, [sp, #96]
        ldp     d10, d11, [sp, #112]
        ldp     d12, d13, [sp, #128]
        ldp     d14, d15, [sp, #144]
        add     sp, sp, #176
        ret
        .cfi_endproc
        .size   context_switch, .-context_switch

/* The first return of a new context lands here: x19 is the entry, x20 its argument. */
        .globl  context_begin
        .hidden context_begin
        .type   context_begin, %function
        .align  4
context_begin:
        .cfi_startproc
        .cfi_undefined x30
        hint    #36                     /* bti j */
        mov     x29, #0
        mov     x0, x20
        blr     x19
        brk     #1
        .cfi_endproc
        .size   context_begin, .-context_begin

#endif
        .section .note.GNU-stack, "", %progbits
