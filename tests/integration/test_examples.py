"""test_examples.py - every program of docs/examples does what it says, in the time it promises; the
listings of the documentation are excerpts of these programs."""

import concurrent.futures
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from harness import daemon

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs/examples"
PAGES = ["README.md", "docs/LIBAWAIT.md", "docs/CANCELLATION.md"]
# Seconds that a loaded machine may add to what an example promises: only a hang is longer.
MARGIN_S = 60

# name: what the whole program takes, in seconds
PROMISED_S = {
    "hello": 1, "sequential_concurrent": 8, "gather": 3, "create_task": 2, "downloads": 8,
    "kitchen": 3.3, "gather_then_third": 3, "database_manager": 0.6, "timer_manager": 1,
    "numbers": 1, "video": 1, "producer_consumer": 0.5, "cancellation": 0.09, "first_of": 0.9,
}
# They need a server or a client: tested below, or elsewhere.
WITHOUT_A_RUN = {"service", "three_downloads", "gigabyte_file", "http_downloads",
                 "notifications", "copy", "scraper", "chat", "chat_clients"}


def run(name):
    began = time.monotonic()
    done = subprocess.run([str(daemon.BUILD / "examples" / name)], capture_output=True, text=True,
                          timeout=120, check=False)
    return done, time.monotonic() - began


@pytest.fixture(scope="module")
def finished():
    """All examples run at the same time: they sleep most of it."""
    with concurrent.futures.ThreadPoolExecutor(len(PROMISED_S)) as pool:
        return dict(zip(PROMISED_S, pool.map(run, PROMISED_S)))


@pytest.fixture(name="lines")
def lines_of(finished):
    return lambda name: finished[name][0].stdout.splitlines()


def number(pattern, text):
    match = re.search(pattern, text)
    assert match, text
    return float(match.group(1))


def test_none_is_left_out():
    names = {path.stem for path in FOLDER.glob("*.c")}
    assert names == set(PROMISED_S) | WITHOUT_A_RUN


@pytest.mark.parametrize("name", PROMISED_S)
def test_succeeds_in_the_promised_time(finished, name):
    done, elapsed_s = finished[name]
    assert done.stderr == ""
    assert done.returncode == 0
    assert PROMISED_S[name] - 0.05 <= elapsed_s <= PROMISED_S[name] + MARGIN_S


def test_hello(lines):
    assert lines("hello") == ["Hello ...", "... world!"]


class Stall(threading.Thread):
    """How long the machine does not let a thread go on that only ever sleeps."""

    def __init__(self):
        super().__init__(daemon=True)
        self.seconds = 0.0
        self.ended = threading.Event()

    def run(self):
        while not self.ended.is_set():
            began = time.monotonic()
            time.sleep(0.01)
            self.seconds += time.monotonic() - began - 0.01

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()


def expect_together(finished, name, pattern, least, in_turn, unit_s=1.0):
    """What ran together took the longest of them at least, and less than all of them in turn: on
    a machine that stood still it is run again, and what a plain sleep was late is not counted."""
    took = number(pattern, finished[name][0].stdout)
    assert took >= least
    if took >= in_turn:
        with Stall() as stall:
            took = number(pattern, run(name)[0].stdout)
        assert least <= took
        assert took - stall.seconds / unit_s < in_turn, f"{stall.seconds:.1f} s were stolen"


def test_sequential_against_concurrent(finished):
    text = finished["sequential_concurrent"][0].stdout
    assert 4.99 <= number(r"sequential: (\S+) s", text)
    expect_together(finished, "sequential_concurrent", r"concurrent: (\S+) s", 2.99, 5)


def test_gather_keeps_the_order_of_the_tasks(lines):
    assert lines("gather") == ["A starts", "B starts", "C starts", "B is done", "A is done",
                               "C is done", "results: 10 20 30"]


def test_other_work_goes_on_beside_a_task(lines):
    assert lines("create_task") == ["fetching ...", "other work 1", "other work 2", "other work 3",
                                    "fetched 42"]


def test_three_downloads(finished):
    text = finished["downloads"][0].stdout
    assert 5.99 <= number(r"in turn: (\S+) s", text)
    expect_together(finished, "downloads", r"at once: (\S+) s", 1.99, 6)


def test_kitchen(finished):
    text = finished["kitchen"][0].stdout
    assert 22.9 <= number(r"one by one: (\S+) units", text)
    expect_together(finished, "kitchen", r"all together: (\S+) units", 9.9, 23, unit_s=0.1)
    assert text.splitlines()[-4:-1] == ["salad: ready", "pasta: ready", "soup: ready"]


def test_a_third_after_two(lines):
    assert lines("gather_then_third") == ["user loaded", "prices loaded",
                                          "invoice for user 7: 100"]


def test_the_database_is_disconnected_also_when_the_body_fails(lines):
    assert lines("database_manager") == [
        "connecting to shop", "SELECT 1: ok", "disconnecting: committed",
        "connecting to shop", "INSERT 1: ok", "disconnecting: rolled back", "it failed: EDOM"]


def test_the_timer_prints_about_one_second(finished):
    text = finished["timer_manager"][0].stdout
    assert text.count("user ") == 3
    assert 1.00 <= number(r"took (\S+) s$", text.strip())


def test_only_the_sleeping_numbers_come_late(lines):
    others = [str(n) for n in range(1, 31) if n not in (8, 12)]
    assert lines("numbers") == others + ["12", "8"]


def test_the_upload_is_answered_before_its_video_is_encoded(finished):
    text = finished["video"][0].stdout
    first, *progress, last = text.splitlines()
    assert re.fullmatch(r"202 accepted after \S+ s", first)
    assert progress and all(re.fullmatch(r"encoding holiday.mp4: \d+ of 20 frames", line)
                            for line in progress)
    assert last == "holiday.mp4 is encoded"


def test_producer_and_consumers(lines):
    text = lines("producer_consumer")
    assert [line for line in text if "produced" in line] == [f"produced {n}" for n in range(1, 11)]
    consumed = sorted(int(line.split()[-1]) for line in text if "consumed" in line)
    assert consumed == list(range(1, 11))
    assert text[-1] == "total 55"
    # the queue holds three and the consumers one each: the producer had to wait
    assert text.index("produced 10") > text.index("A consumed 1")


def test_the_rules_of_cancellation(lines):
    assert lines("cancellation") == [
        "-- level-triggered", "first sleep: ECANCELED", "second sleep: ECANCELED", "task: 42",
        "-- whose deadline", "sleep: ETIME", "inner expired: 0", "outer expired: 1",
        "-- with a timeout", "body: ETIME",
        "-- shielded", "last write: ok", "task: ECANCELED",
        "-- structured", "child: ECANCELED", "parent: ok",
        "-- data first", "got an item", "next wait: ECANCELED", "task: ok",
        "-- polite", "computation: ECANCELED"]


def test_first_of_several(lines):
    assert lines("first_of") == [
        "race: Rome", "completed: Rome ok", "completed: Bern ECONNREFUSED", "completed: Oslo ok",
        "all or nothing: ECONNREFUSED", "Oslo: ECANCELED", "Rome: ok", "Bern: ECONNREFUSED"]


def connect(path):
    deadline = time.monotonic() + 60
    while True:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(60)
        try:
            client.connect(str(path))
            return client
        except OSError:
            client.close()
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_service(tmp_path):
    path = tmp_path / "service.sock"
    with subprocess.Popen([str(daemon.BUILD / "examples/service"), str(path)],
                          stderr=subprocess.PIPE) as service:
        try:
            with connect(path) as one, connect(path) as two:
                for client, text in ((one, b"hello"), (two, b"world"), (one, b"again")):
                    client.sendall(text)
                    assert client.recv(64) == text.upper()
                service.send_signal(signal.SIGUSR1)
                dump = []
                while len(dump) < 5:
                    dump.append(service.stderr.readline().decode())
                waits = sorted(re.sub(r"^\d+ | \(by \d+\)|\d+ ms: |;.*\n|\n", "", line)
                               for line in dump)
                assert waits == [
                    '"accept" waits accept', '"client" waits receive', '"client" waits receive',
                    '"main" runs', '"task" waits await a task']
                service.send_signal(signal.SIGTERM)
                assert one.recv(64) == b"" and two.recv(64) == b""
            assert service.wait(60) == 0
            assert service.stderr.read() == b""
        finally:
            service.kill()


# --- the listings of the documentation ----------------------------------------------------------

def listings(page):
    return re.findall(r"^```c\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def is_excerpt(listing, programs):
    """Of one program, in order; a line with only `...` stands for what is left out."""
    parts = [part.strip("\n") for part in re.split(r"^\s*\.\.\.$", listing, flags=re.MULTILINE)]
    for text in programs:
        position = 0
        for part in parts:
            position = text.find(part, position)
            if position < 0:
                break
            position += len(part)
        else:
            return True
    return False


@pytest.mark.parametrize("page", PAGES)
def test_listings_are_excerpts_of_the_examples(page):
    programs = [path.read_text() for path in sorted(FOLDER.glob("*.c"))]
    found = listings(page)
    assert found
    for listing in found:
        assert is_excerpt(listing, programs), listing
    assert not is_excerpt("int main(int argc)\n", programs)


@pytest.mark.parametrize("page", PAGES)
def test_pages_name_only_what_exists(page):
    """Every aw_ and AW_ name of a page is declared in a public header."""
    headers = "\n".join(path.read_text() for path in (ROOT / "lib/include").rglob("*.h"))
    known = set(re.findall(r"\b(?:aw|AW)_\w+", headers))
    text = (ROOT / page).read_text()
    names = set(re.findall(r"\b(?:aw|AW)_\w+", text))
    assert names and names <= known, names - known
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / page).parent.joinpath(link).exists(), link
