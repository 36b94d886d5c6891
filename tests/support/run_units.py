#!/usr/bin/python3
"""run_units.py - runs Criterion binaries and prints only failures and a summary.

run_units.py RESULT BINARY ... writes "passed failed skipped" to the file RESULT, and the end of
what the failing ones said to RESULT.failures. A binary that crashes, hangs beyond the limit or runs
no test at all counts as a failure: a silent binary must not look green. With --valgrind each binary
runs under memcheck.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import time

LIMIT_S = 400
LIMIT_VALGRIND_S = 1200
SYNTHESIS = re.compile(
    r"Tested: (\d+) \| Passing: (\d+) \| Failing: (\d+) \| Crashing: (\d+)")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
VALGRIND = ["valgrind", "-q", "--trace-children=yes", "--error-exitcode=99", "--leak-check=no",
            "--child-silent-after-fork=yes"]


def stacks_of(session):
    """Where every process of the session hangs, as far as gdb can tell."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            if os.getsid(int(entry)) != session:
                continue
            trace = subprocess.run(
                ["gdb", "-p", entry, "-batch", "-nx", "-ex", "thread apply all backtrace 30"],
                capture_output=True, text=True, timeout=60, check=False).stdout
        except (OSError, subprocess.TimeoutExpired) as problem:
            trace = str(problem)
        found.append(f"process {entry}:\n{trace}")
    return "\n".join(found)


def run(binary, under_valgrind):
    """One binary: (passed, failed, output)."""
    command = [os.path.abspath(binary), "--color=never"]
    limit = LIMIT_S
    if under_valgrind:
        command = VALGRIND + command + ["--jobs", "1"]
        limit = LIMIT_VALGRIND_S
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               start_new_session=True)
    try:
        raw, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        stacks = stacks_of(process.pid)
        os.killpg(process.pid, signal.SIGKILL)
        raw, _ = process.communicate()
        raw += f"\n{stacks}\nrun_units: killed after {limit} s\n".encode()
    text = COLOURS.sub("", raw.decode("utf-8", "replace"))
    match = SYNTHESIS.search(text)
    if not match:
        return 0, 1, text + "\nrun_units: no summary: the binary did not finish\n"
    # Criterion counts a crashed test among the failing ones too.
    tested, passing, failed, _ = (int(number) for number in match.groups())
    if process.returncode != 0 and failed == 0:
        failed = 1
    # Criterion does not look at the exit status of its test processes, only memcheck's words tell.
    if under_valgrind and re.search(r"^==\d+== \S", text, re.M):
        failed = max(failed, 1)
    if tested == 0:
        failed, text = 1, text + "\nrun_units: the binary holds no test\n"
    return passing, failed, text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--valgrind", action="store_true")
    parser.add_argument("result")
    parser.add_argument("binaries", nargs="*")
    arguments = parser.parse_args()
    passed = failed = 0
    failures = []
    if not arguments.binaries:
        print("run_units: no unit tests")
        failed = 1
    for binary in arguments.binaries:
        begin = time.monotonic()
        binary_passed, binary_failed, text = run(binary, arguments.valgrind)
        passed += binary_passed
        failed += binary_failed
        seconds = time.monotonic() - begin
        state = "FAIL" if binary_failed else "ok"
        print(f"  {state:4} {os.path.basename(binary):32} {binary_passed:4} passed "
              f"{binary_failed:2} failed {seconds:6.1f} s", flush=True)
        if binary_failed:
            print(text, flush=True)
            failures += [os.path.basename(binary), *text.splitlines()[-40:]]
    os.makedirs(os.path.dirname(arguments.result), exist_ok=True)
    with open(arguments.result, "w", encoding="utf-8") as file:
        file.write(f"{passed} {failed} 0\n")
    with open(f"{arguments.result}.failures", "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in failures)
    print(f"units: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
