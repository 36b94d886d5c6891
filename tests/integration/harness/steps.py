"""steps.py - how many instructions a thread executes, counted one by one by ptrace(2): what an
answer costs, on any machine and however busy it is. The kernel's own work is not counted."""

import ctypes
import os
import select
import signal

ATTACH, SINGLE_STEP, DETACH = 16, 9, 17
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
LIBC.ptrace.restype = ctypes.c_long


def trace(request, thread, number=0):
    if LIBC.ptrace(request, thread, None, number) != 0:
        problem = ctypes.get_errno()
        raise OSError(problem, f"ptrace({request}) of {thread}: {os.strerror(problem)}")


class Stepper:
    """The main thread of a child process, held, and let go on one instruction after the other.
    Nobody may wait for the child meanwhile: its stops would be taken for its end."""

    def __init__(self, thread):
        self.thread = thread
        self.number = 0  # the signal to be handed on with the next step

    def __enter__(self):
        trace(ATTACH, self.thread)
        self.wait()
        return self

    def __exit__(self, *_):
        trace(DETACH, self.thread, self.number)

    def wait(self):
        _, status = os.waitpid(self.thread, 0)
        assert os.WIFSTOPPED(status), f"{self.thread} ended with {status}"
        number = os.WSTOPSIG(status)
        self.number = 0 if number in (signal.SIGTRAP, signal.SIGSTOP) else number

    def until(self, finished, limit=10_000_000):
        """How many instructions it takes until `finished()`."""
        steps = 0
        while not finished():
            trace(SINGLE_STEP, self.thread, self.number)
            self.wait()
            steps += 1
            assert steps < limit, f"not finished after {steps} instructions"
        return steps


def of_answers(thread, client, answers, *command):
    """The instructions that some requests and their answers cost, one after the other."""
    def answered():
        return bool(select.select([client.socket], [], [], 0)[0])

    steps = 0
    with Stepper(thread) as stepper:
        for _ in range(answers):
            client.send(*command)
            steps += stepper.until(answered)
            client.read()
    return steps
