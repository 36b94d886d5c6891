"""test_awaitctl_worker.py - awaitctl worker and its single words against the real daemon: what the
command gets, what becomes of its end, leases, cancellation, signals, restarts."""

import collections
import json
import os
import signal
import subprocess

import pytest

from harness import daemon as daemon_module
from harness import process, wire

OK, FAILED, USAGE, UNREACHABLE, TIMEOUT, REFUSED = range(6)
LONG_S = 90


class Tools:
    """awaitctl with a daemon, and the workers a test has started."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.folder = daemon.folder
        self.environment = {**os.environ, "AWAITD_SOCKET": str(daemon.socket), "TZ": "UTC"}
        self.workers = []

    def run(self, *words, expect=OK, data=None):
        done = subprocess.run([daemon_module.AWAITCTL, *map(str, words)], env=self.environment,
                              input=data, capture_output=True, timeout=LONG_S, check=False)
        self.said = done.stderr.decode()
        assert done.returncode == expect, (done.returncode, done.stdout, self.said)
        return done.stdout.decode()

    def worker(self, *words):
        log = self.folder / f"worker-{len(self.workers)}.log"
        started = process.Process([daemon_module.AWAITCTL, "worker", *words], log,
                                  environment=self.environment)
        self.workers.append(started)
        return started

    def shell(self, script, *words):
        """A worker for `mail` that runs a shell script; the job's arguments are $1, $2 ..."""
        return self.worker("mail", *words, "--", "sh", "-c", script, "script")

    def submit(self, *words):
        return self.run("submit", *words).strip()

    def result(self, job, expect=OK):
        return self.run("await", "--timeout", "60s", job, expect=expect)

    def job(self, job):
        with self.daemon.connect() as client:
            fields = wire.as_map(client.call("JOB", job))
        return {name: wire.text(value) if isinstance(value, (bytes, str)) else value
                for name, value in fields.items()}

    def wait_for_file(self, name):
        path = self.folder / name
        process.wait_until(path.exists, LONG_S, f"{name} to appear")
        return path

    def lines(self, name):
        path = self.folder / name
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


@pytest.fixture
def tools(make_daemon):
    daemon = make_daemon(targets=daemon_module.target("mail", "worker")
                         + daemon_module.target("post", "worker") + daemon_module.LOCAL,
                         extra="[queue default]\nbackoff_min = 50ms\nbackoff_max = 50ms\n",
                         settings="stop_timeout = 200ms").start()
    made = Tools(daemon)
    yield made
    for worker in made.workers:
        worker.kill()
    for worker in made.workers:
        assert not daemon_module.SANITIZER_REPORT.search(worker.output()), worker.output()


# --- what the command gets, and its result ------------------------------------------------------

def test_output_is_the_result(tools):
    tools.shell('printf "sent %s to %s" "$2" "$1"')
    job = tools.submit("mail", "ann", "a  b")
    assert tools.result(job) == "sent a  b to ann\n"
    assert tools.job(job)["result"] == "sent a  b to ann"


def test_no_output_gives_ok(tools):
    tools.worker("mail", "--", "true")
    assert tools.result(tools.submit("mail", "x")) == "OK\n"


def test_environment(tools):
    tools.shell('echo "$AWAITD_JOB $AWAITD_ATTEMPT $AWAITD_TARGET $AWAITD_ARGC $AWAITD_ARG1 '
                '${AWAITD_ARG2-unset} $AWAITD_ARG3 $# [$2]"')
    job = tools.submit("--null", "2", "mail", "one", "", "three")
    assert tools.result(job) == f"{job} 1 mail 3 one unset three 3 []\n"


def test_first_argument_on_standard_input_keeps_any_bytes(tools):
    payload = bytes(range(256)) * 4096 + b"\0end"
    tools.worker("mail", "--stdin", "--", "sh", "-c", 'cat > "$1"', "script")
    with tools.daemon.connect() as client:
        job = client.call("SUBMIT", "mail", payload, str(tools.folder / "copy"))
    tools.result(wire.text(job))
    assert (tools.folder / "copy").read_bytes() == payload


def test_a_command_that_does_not_read_its_input_is_no_failure(tools):
    tools.worker("mail", "--stdin", "--", "true")
    with tools.daemon.connect() as client:
        job = client.call("SUBMIT", "mail", b"x" * 1000000)
    assert tools.result(wire.text(job)) == "OK\n"


def test_a_nul_byte_is_refused_with_the_remedy(tools):
    worker = tools.worker("mail", "--", "true")
    with tools.daemon.connect() as client:
        job = wire.text(client.call("SUBMIT", "RETRY", "0", "mail", b"a\0b"))
    tools.result(job, expect=FAILED)
    assert "NUL" in tools.said and "--stdin" in tools.said
    assert worker.running


def test_output_above_the_limit_is_cut_and_told(tools):
    worker = tools.shell("head -c 3000000 /dev/zero | tr '\\0' x")
    with tools.daemon.connect() as client:
        assert client.call("AWAIT", tools.submit("mail", "x")) == b"x" * 1048576
    assert "cut to 1048576 bytes" in worker.output()


# --- failures -----------------------------------------------------------------------------------

def test_a_failing_command_is_tried_again_and_its_last_words_are_the_reason(tools):
    worker = tools.shell('echo run >> runs; echo first >&2; echo "no route to $1" >&2; exit 75'
                         .replace("runs", str(tools.folder / "runs")))
    job = tools.submit("--retry", "2", "mail", "host")
    tools.result(job, expect=FAILED)
    assert tools.said.rstrip().endswith("no route to host")
    assert tools.lines("runs") == ["run"] * 3
    assert tools.job(job)["attempts"] == 3
    assert f"job {job}: first" in worker.output()


def test_the_second_attempt_may_succeed(tools):
    tools.shell('test "$AWAITD_ATTEMPT" = 2 && echo well')
    assert tools.result(tools.submit("mail", "x")) == "well\n"


@pytest.mark.parametrize("script, reason", [("exit 3", "exit code 3"),
                                            ("kill -9 $$", "signal 9")])
def test_a_silent_failure_has_a_reason(tools, script, reason):
    tools.shell(script)
    tools.result(tools.submit("--retry", "0", "mail", "x"), expect=FAILED)
    assert reason in tools.said


def test_a_run_that_takes_too_long_is_ended_with_what_it_started(tools):
    tools.shell(f"sleep 1000 & echo $! > {tools.folder}/pid; wait", "--timeout", "3s")
    tools.result(tools.submit("--retry", "0", "mail", "x"), expect=FAILED)
    assert "ran for more than 3s" in tools.said
    pid = int(tools.lines("pid")[0])
    process.wait_until(lambda: not alive(pid), LONG_S, "the grandchild to end")


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as status:
            return status.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


# --- leases -------------------------------------------------------------------------------------

def test_the_lease_is_extended_while_the_command_runs(tools):
    tools.shell(f"echo run >> {tools.folder}/runs; sleep 5; echo slow", "--lease", "3s")
    other = tools.shell("echo stolen")
    other.send_signal(signal.SIGSTOP)  # it would take the job if the lease ran out
    job = tools.submit("mail", "x")
    tools.wait_for_file("runs")
    other.send_signal(signal.SIGCONT)
    assert tools.result(job) == "slow\n"
    assert tools.lines("runs") == ["run"]
    assert tools.job(job)["interruptions"] == 0


def test_cancelling_the_job_ends_the_command(tools):
    worker = tools.shell(f"echo $$ > {tools.folder}/pid.new && mv {tools.folder}/pid.new "
                         f"{tools.folder}/pid; sleep 1000", "--lease", "3s")
    job = tools.submit("mail", "x")
    pid = int(tools.wait_for_file("pid").read_text(encoding="ascii"))
    assert tools.run("cancel", job) == "1\n"
    process.wait_until(lambda: not alive(pid), LONG_S, "the command to end")
    process.wait_until(lambda: "CANCELLED" in worker.output(), LONG_S, "the worker to say why")
    tools.result(tools.submit("--timeout", "100ms", "--retry", "0", "mail", "y"), expect=FAILED)


def test_a_command_that_ignores_sigterm_is_killed(tools):
    tools.shell(f"trap '' TERM; echo $$ > {tools.folder}/pid.new && mv {tools.folder}/pid.new "
                f"{tools.folder}/pid; while :; do sleep 1; done", "--timeout", "3s")
    job = tools.submit("--retry", "0", "mail", "x")
    pid = int(tools.wait_for_file("pid").read_text(encoding="ascii"))
    tools.result(job, expect=FAILED)
    assert not alive(pid)


def test_a_killed_worker_takes_its_command_along_and_the_job_goes_on_elsewhere(tools):
    first = tools.shell(f"echo $$ > {tools.folder}/pid.new && mv {tools.folder}/pid.new "
                        f"{tools.folder}/pid; exec sleep 1000", "--lease", "3s")
    job = tools.submit("mail", "x")
    pid = int(tools.wait_for_file("pid").read_text(encoding="ascii"))
    first.kill()
    process.wait_until(lambda: not alive(pid), LONG_S, "the command to end")
    tools.shell("echo second")
    assert tools.result(job) == "second\n"


# --- signals ------------------------------------------------------------------------------------

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_running_finish_and_takes_no_more(tools, number):
    worker = tools.shell(f"touch {tools.folder}/begun; while ! test -e {tools.folder}/go; do "
                         "sleep 0.05; done; echo finished")
    running = tools.submit("mail", "x")
    tools.wait_for_file("begun")
    waiting = tools.submit("mail", "y")
    worker.send_signal(number)
    process.wait_until(lambda: "takes no more jobs" in worker.output(), LONG_S, "it to say so")
    assert worker.running
    (tools.folder / "go").touch()
    assert tools.result(running) == "finished\n"
    assert worker.wait(LONG_S) == OK
    assert tools.job(waiting)["state"] == "ready"


def test_an_idle_worker_ends_at_once_and_silently(tools):
    worker = tools.worker("mail", "--", "true")
    tools.result(tools.submit("mail", "x"))
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(LONG_S) == OK
    assert worker.output() == ""


def test_the_second_signal_ends_the_running_and_gives_them_back(tools):
    worker = tools.shell(f"touch {tools.folder}/begun; sleep 1000")
    job = tools.submit("--backoff", "1h,1h", "mail", "x")
    tools.wait_for_file("begun")
    worker.send_signal(signal.SIGTERM)
    process.wait_until(lambda: "takes no more jobs" in worker.output(), LONG_S, "it to say so")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(LONG_S) == OK
    assert tools.job(job)["error"] == "NACK its worker was stopped"
    tools.shell("echo again")
    assert tools.result(job) == "again\n"


def test_a_drained_worker_whose_answer_nobody_takes_says_so(tools):
    worker = tools.shell(f"touch {tools.folder}/begun; while ! test -e {tools.folder}/go; do "
                         "sleep 0.05; done")
    tools.submit("mail", "x")
    tools.wait_for_file("begun")
    tools.daemon.kill()
    worker.send_signal(signal.SIGTERM)
    process.wait_until(lambda: "takes no more jobs" in worker.output(), LONG_S, "it to say so")
    (tools.folder / "go").touch()
    assert worker.wait(LONG_S) == UNREACHABLE
    assert "did not take the outcome of 1 job;" in worker.output()


# --- restarts -----------------------------------------------------------------------------------

@pytest.mark.parametrize("hard", [False, True])
def test_a_restart_of_the_daemon_is_survived(tools, hard):
    # It has looked for the file `go` before it says that it runs.
    worker = tools.shell(f'test "$1" = quick || test -e {tools.folder}/go || slow=1000; '
                         f'echo "$1" >> {tools.folder}/runs; sleep ${{slow:-0}}; echo done')
    job = tools.submit("mail", "slow")
    tools.wait_for_file("runs")
    (tools.folder / "go").touch()
    if hard:
        tools.daemon.kill()
    else:
        tools.daemon.stop()
    tools.daemon.start()
    # The lease has died with the daemon: the first run is ended, the second one is answered.
    assert tools.result(job) == "done\n"
    assert tools.lines("runs") == ["slow", "slow"]
    assert tools.result(tools.submit("mail", "quick")) == "done\n"
    said = worker.output()
    assert "connection to awaitd was lost" in said and "is back" in said
    assert f"job {job}: ending its command: BADTOKEN" in said
    assert worker.running


def test_an_answer_after_the_lease_is_refused_with_a_warning(tools):
    worker = tools.shell(f'echo run >> {tools.folder}/runs; echo "$AWAITD_TOKEN" > '
                         f"{tools.folder}/token.new; mv {tools.folder}/token.new "
                         f"{tools.folder}/token; while ! test -e {tools.folder}/go; do sleep 0.05; "
                         "done")
    job = tools.submit("mail", "x")
    token = tools.wait_for_file("token").read_text(encoding="ascii").strip()
    tools.run("ack", job, token, "faster")
    (tools.folder / "go").touch()
    process.wait_until(lambda: f"job {job}: its ACK was not taken: BADTOKEN" in worker.output(),
                       LONG_S, "the warning")
    assert tools.result(job) == "faster\n"


# --- many ---------------------------------------------------------------------------------------

def test_two_hundred_messages_by_four_at_once(tools):
    tools.shell(f'echo "$1" >> {tools.folder}/runs; echo "result $1"', "--jobs", "4")
    with tools.daemon.connect() as client:
        jobs = [client.call("SUBMIT", "mail", str(number)) for number in range(200)]
        results = client.call("GATHER", *jobs, "TIMEOUT", "60000")
    assert results == [f"result {number}\n".encode() for number in range(200)]
    runs = collections.Counter(tools.lines("runs"))
    assert len(runs) == 200 and set(runs.values()) == {1}


def test_jobs_bounds_what_runs_at_once(tools):
    tools.shell(f"touch {tools.folder}/run-$1; while ! test -e {tools.folder}/go; do sleep 0.05; "
                "done", "--jobs", "3")
    jobs = [tools.submit("mail", str(number)) for number in range(5)]
    process.wait_until(lambda: len(list(tools.folder.glob("run-*"))) == 3, LONG_S, "three to run")
    states = collections.Counter(tools.job(job)["state"] for job in jobs)
    assert states == {"running": 3, "ready": 2}
    (tools.folder / "go").touch()
    tools.run("gather", "--timeout", "60s", *jobs)


# --- the command line ---------------------------------------------------------------------------

@pytest.mark.parametrize("words, code, said", [
    (["mail"], USAGE, "needs <target>"),
    (["mail", "--jobs", "0", "--", "true"], USAGE, "1 to 256"),
    (["mail", "--jobs", "257", "--", "true"], USAGE, "1 to 256"),
    (["mail", "--lease", "2d", "--", "true"], USAGE, "100ms to 1d"),
    (["mail", "--", "no-such-program"], USAGE, "in PATH"),
    (["mail", "--", "/etc/passwd"], USAGE, "/etc/passwd"),
    (["nosuch", "--", "true"], REFUSED, "NOTARGET"),
    (["local", "--", "true"], REFUSED, "type sqlite"),
])
def test_wrong_use_is_told_at_once(tools, words, code, said):
    tools.run("worker", *words, expect=code)
    assert said in tools.said and tools.said.count("\n") == 1


def test_without_a_daemon_it_does_not_wait(tools):
    tools.daemon.stop()
    tools.run("worker", "mail", "--", "true", expect=UNREACHABLE)


def test_a_command_that_vanishes_ends_the_worker(tools):
    program = tools.folder / "program"
    program.write_text("#!/bin/sh\necho fine\n", encoding="utf-8")
    program.chmod(0o755)
    worker = tools.worker("mail", "--", program)
    assert tools.result(tools.submit("mail", "x")) == "fine\n"
    program.unlink()
    first, second = tools.submit("mail", "x"), tools.submit("mail", "y")
    assert worker.wait(LONG_S) == USAGE
    assert "cannot start" in worker.output()
    assert tools.job(first)["attempts"] + tools.job(second)["attempts"] == 1


# --- the single words ---------------------------------------------------------------------------

def test_reserve_ack_and_nack(tools):
    tools.run("reserve", "--timeout", "0", "mail", expect=TIMEOUT)
    job = tools.submit("mail", "a\tb", "c")
    leased, token, attempt, *arguments = tools.run("reserve", "mail").rstrip("\n").split("\t")
    assert (leased, attempt, arguments) == (job, "1", ["a\\tb", "c"])
    assert tools.run("extend", job, token, "5m") == ""
    assert tools.run("progress", job, token, "40", "half way") == ""
    assert tools.job(job)["progress"] == 40
    assert tools.run("nack", "--delay", "0ms", "--error", "no route", job, token) == ""
    assert tools.job(job)["error"] == "NACK no route"
    again = json.loads(tools.run("--json", "reserve", "mail", "post", "--count", "3"))
    assert [(one["id"], one["attempt"], one["arguments"]) for one in again] == \
        [(job, 2, ["a\tb", "c"])]
    assert tools.run("ack", "--files", job, again[0]["token"], "-", data=b"from a pipe") == ""
    assert tools.result(job) == "from a pipe\n"
    tools.run("ack", job, token, expect=REFUSED)
    assert "BADTOKEN" in tools.said


def test_words_about_a_cancelled_job(tools):
    job = tools.submit("mail", "x")
    token = tools.run("reserve", "mail").split("\t")[1]
    tools.run("cancel", job)
    tools.run("extend", job, token, "1m", expect=FAILED)
    assert "CANCELLED" in tools.said
    tools.run("extend", job, token, "60", expect=USAGE)


def test_the_command_tells_how_far_it_is(tools):
    tools.shell(f'"{daemon_module.AWAITCTL}" progress "$AWAITD_JOB" "$AWAITD_TOKEN" 40 "page 4"; '
                f"touch {tools.folder}/told; while ! test -e {tools.folder}/go; do sleep 0.05; "
                "done")
    job = tools.submit("mail", "x")
    tools.wait_for_file("told")
    assert (tools.job(job)["progress"], tools.job(job)["progress_text"]) == (40, "page 4")
    (tools.folder / "go").touch()
    tools.result(job)
