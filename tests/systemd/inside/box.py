"""box.py - what the tests in the booted Debian share: commands, units, the journal, waiting."""

import json
import os
import pathlib
import subprocess
import time

import wire

SHARED = pathlib.Path("/shared")
SOCKET = "/run/awaitd/awaitd.sock"
SNIPPETS = pathlib.Path("/etc/awaitd/awaitd.conf.d")
DROP_INS = pathlib.Path("/etc/systemd/system/awaitd.service.d")
QUIET_ENVIRONMENT = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C",
                     "SYSTEMD_PAGER": ""}
HANG_GUARD_S = 120


def attempt(*command, **options):
    """The command's CompletedProcess, whatever its exit code."""
    return subprocess.run([str(word) for word in command], text=True, capture_output=True,
                          env=QUIET_ENVIRONMENT, timeout=300, check=False, **options)


def run(*command, **options):
    """The command's output; it must succeed."""
    done = attempt(*command, **options)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout.strip()


def show(*command):
    """As run, and printed as a user would see it."""
    print("$ " + " ".join(str(word) for word in command))
    output = run(*command)
    lines = [line for line in output.splitlines() if "(Reading database" not in line]
    print("\n".join(f"  {line}" for line in lines[:25]))
    return output


def wait_until(condition, what):
    end = time.monotonic() + HANG_GUARD_S
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited {HANG_GUARD_S} s for {what}\n{journal_text()[-3000:]}")


def unit(name, unit_name="awaitd.service"):
    return run("systemctl", "show", "--value", "--property", name, unit_name)


def is_active(unit_name="awaitd.service"):
    return unit("ActiveState", unit_name) == "active"


def main_pid(unit_name="awaitd.service"):
    """The daemon's process, or 0 while there is none."""
    return int(unit("MainPID", unit_name))


def send_signal(number):
    pid = main_pid()
    assert pid > 0, "the daemon runs"  # 0 would be our own process group
    os.kill(pid, number)
    return pid


def journal_cursor():
    """A point in the journal; what is logged from now on comes after it."""
    run("journalctl", "--sync")
    return json.loads(run("journalctl", "--no-pager", "-n", "1", "-o", "json"))["__CURSOR"]


def journal(cursor=None, unit_name="awaitd.service"):
    """The entries of the unit, each with all of its fields."""
    run("journalctl", "--sync")
    after = ["--after-cursor", cursor] if cursor else []
    lines = run("journalctl", "--no-pager", "-u", unit_name, "-o", "json", *after).splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def journal_text(cursor=None):
    return "\n".join(str(entry.get("MESSAGE")) for entry in journal(cursor))


def wait_for_line(cursor, text):
    return wait_until(lambda: [entry for entry in journal(cursor)
                               if text in str(entry.get("MESSAGE"))], f"the line '{text}'")


def call(*arguments, path=SOCKET):
    with wire.Wire(path) as client:
        return client.call(*arguments)


def info(path=SOCKET):
    lines = wire.text(call("INFO", path=path)).split("\r\n")
    return dict(line.split(":", 1) for line in lines if ":" in line)


def configure(name, text):
    """A file in awaitd.conf.d, readable as the packages leave it: by root and the group."""
    path = SNIPPETS / f"{name}.conf"
    path.write_text(text, encoding="utf-8")
    run("chgrp", "awaitd", path)
    path.chmod(0o640)
    return path


def drop_in(name, text):
    DROP_INS.mkdir(exist_ok=True)
    path = DROP_INS / f"{name}.conf"
    path.write_text(f"[Service]\n{text}\n", encoding="utf-8")
    run("systemctl", "daemon-reload")
    return path


def remove(*paths):
    for path in paths:
        path.unlink()
    run("systemctl", "daemon-reload")
