"""seccomp.py - a child whose kernel refuses some system calls, by what they are asked for."""

import ctypes
import errno
import platform
import struct

from harness import process

LOAD, EQUAL, GREATER, SET, RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, MODE_FILTER = 22, 38, 2
NUMBER_OFFSET, ARGUMENTS_OFFSET = 0, 16

MADVISE = {"x86_64": 28, "aarch64": 233}[platform.machine()]
PROCESS_MADVISE = 440
IO_URING_SETUP, IO_URING_ENTER, IO_URING_REGISTER = 425, 426, 427

# The newest of each that Linux 6.1 has: its system calls end with set_mempolicy_home_node, the
# advices of madvise with MADV_COLLAPSE, io_uring's registrations with FILE_ALLOC_RANGE, the flags
# of io_uring_enter with REGISTERED_RING.
LAST_CALL, LAST_ADVICE, LAST_REGISTRATION, ENTER_FLAGS = 450, 25, 25, 0x1F
LAST_DESCRIPTOR = 0x7FFFFFFF  # none of its descriptors of processes is negative, as PIDFD_SELF is


def _instruction(code, jump_true, jump_false, value):
    return struct.pack("HBBI", code, jump_true, jump_false, value)


def _refuse(number):
    return _instruction(RETURN, 0, 0, ERRNO | number)


def _rule(call, argument, test, value, number):
    """`call` gets the errno when its argument meets the test."""
    return (_instruction(LOAD, 0, 0, NUMBER_OFFSET) + _instruction(EQUAL, 0, 3, call)
            + _instruction(LOAD, 0, 0, ARGUMENTS_OFFSET + 8 * argument)
            + _instruction(test, 0, 1, value) + _refuse(number))


def _install(program):
    program += _instruction(RETURN, 0, 0, ALLOW)
    filters = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(filters))
    assert process.LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert process.LIBC.prctl(PR_SET_SECCOMP, MODE_FILTER, header, 0, 0) == 0


def forbid_io_uring():
    """As containers do. For `limits` of a child."""
    _install(_instruction(LOAD, 0, 0, NUMBER_OFFSET) + _instruction(EQUAL, 0, 1, IO_URING_SETUP)
             + _refuse(errno.EPERM))


def be_linux_6_1():
    """Refuses what came after Linux 6.1, with the errno that it gives. For `limits` of a child."""
    _install(_instruction(LOAD, 0, 0, NUMBER_OFFSET) + _instruction(GREATER, 0, 1, LAST_CALL)
             + _refuse(errno.ENOSYS)
             + _rule(MADVISE, 2, GREATER, LAST_ADVICE, errno.EINVAL)
             + _rule(PROCESS_MADVISE, 0, GREATER, LAST_DESCRIPTOR, errno.EBADF)
             + _rule(IO_URING_REGISTER, 1, GREATER, LAST_REGISTRATION, errno.EINVAL)
             + _rule(IO_URING_ENTER, 3, SET, 0xFFFFFFFF & ~ENTER_FLAGS, errno.EINVAL))
