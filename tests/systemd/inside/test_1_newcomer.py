"""test_1_newcomer.py - what a new user does with the package, and sees; it is printed."""

import grp
import pathlib
import pwd
import stat

from box import SHARED, SOCKET, attempt, is_active, journal, run, show, unit, wait_for_line


def mode_and_owner(path):
    status = pathlib.Path(path).stat()
    return (stat.S_IMODE(status.st_mode), pwd.getpwuid(status.st_uid).pw_name,
            grp.getgrgid(status.st_gid).gr_name)


def test_the_new_users_transcript():
    print()
    package = next((SHARED / "debs").glob("awaitd_*.deb"))
    show("apt-get", "install", "-q", "-y", package)
    show("systemctl", "start", "awaitd")
    assert is_active() and is_active("awaitd.socket")
    show("awaitctl", "run", "local", "CREATE TABLE visits (page TEXT)")
    job = show("awaitctl", "submit", "local", "INSERT INTO visits VALUES (?)", "/index.html")
    assert job.isdigit()
    assert show("awaitctl", "await", job) == "INSERT 0 1"
    assert "/index.html" in show("awaitctl", "run", "local", "SELECT page FROM visits")
    assert "done" in show("awaitctl", "job", job)
    assert "local" in show("awaitctl", "info")
    assert "default" in show("awaitctl", "queues")
    assert 'awaitd_queue_jobs{queue="default",state="done"} 1' in show("awaitctl", "metrics")
    assert "serves" in show("journalctl", "-u", "awaitd", "-o", "cat", "--no-pager")


def test_the_journal_knows_levels_and_the_unit():
    line = next(entry for entry in journal() if entry["MESSAGE"].endswith(" serves"))
    assert line["PRIORITY"] == "6" and line["SYSLOG_IDENTIFIER"] == "awaitd"
    assert line["_SYSTEMD_UNIT"] == "awaitd.service"
    assert not line["MESSAGE"].startswith("<"), "the level is a field, not text"


def test_a_failed_job_is_found_by_the_fields_of_its_journal_line():
    job = run("awaitctl", "submit", "--retry", "0", "-q", "nightly", "local", "SELECT nonsense")
    assert attempt("awaitctl", "await", job).returncode == 1
    line = wait_for_line(None, f"job {job} ")[0]
    assert line["AWAITD_JOB"] == job and line["AWAITD_QUEUE"] == "nightly"
    assert line["AWAITD_TARGET"] == "local" and line["AWAITD_ERROR"]
    assert line["PRIORITY"] == "4" and line["SYSLOG_IDENTIFIER"] == "awaitd"
    assert line["_SYSTEMD_UNIT"] == "awaitd.service" and "is dead" in line["MESSAGE"]
    assert job in show("journalctl", "-o", "cat", "--no-pager", f"AWAITD_JOB={job}")


def test_what_the_package_leaves_on_the_system():
    assert mode_and_owner("/etc/awaitd") == (0o750, "root", "awaitd")
    assert mode_and_owner("/etc/awaitd/awaitd.conf") == (0o640, "root", "awaitd")
    assert mode_and_owner(SOCKET) == (0o660, "awaitd", "awaitd")
    assert mode_and_owner("/var/lib/awaitd") == (0o700, "awaitd", "awaitd")
    assert mode_and_owner("/var/lib/awaitd/queue.db") == (0o600, "awaitd", "awaitd")
    assert run("systemctl", "is-enabled", "awaitd.service", "awaitd.socket").split() == \
        ["enabled", "enabled"], "both come back after a boot"
    assert "/etc/awaitd/awaitd.conf" in run("dpkg-query", "-W", "-f", "${Conffiles}", "awaitd")
    assert run("dpkg", "--verify", "awaitd") == ""
    assert run("systemd-analyze", "verify", "--man=no", "awaitd.service", "awaitd.socket",
               "awaitd@x.service", "awaitd@x.socket") == ""


def test_who_may_connect():
    run("useradd", "stranger")
    run("useradd", "-G", "awaitd", "friend")
    refused = attempt("runuser", "-u", "stranger", "--", "awaitctl", "ping")
    assert refused.returncode == 3 and SOCKET in refused.stderr, refused.stderr
    assert run("runuser", "-u", "friend", "--", "awaitctl", "ping") == "PONG"


def test_the_check_of_the_configuration():
    said = run("runuser", "-u", "awaitd", "--", "awaitd", "--check")
    assert "is valid" in said and "io_uring works" in said and "sandbox: no filter" in said


def test_the_check_from_inside_the_sandbox():
    confinement = [f"--property={key}={value}" for key, value in (
        ("User", "awaitd"), ("SystemCallFilter", "@system-service"), ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""), ("ProtectSystem", "strict"),
        ("StateDirectory", "awaitd"))]
    assert "sandbox: on (" in run("systemd-run", "--quiet", "--pipe", "--wait", *confinement,
                                  "awaitd", "--check")


def test_the_library_is_a_package_of_its_own():
    """A program is built elsewhere; here the installed files are complete, and load."""
    for name in ("libawait0_*.deb", "libawait-dev_*.deb"):
        run("dpkg", "--force-depends", "-i", next((SHARED / "debs").glob(name)))
    run("python3", "-c", "import ctypes; ctypes.CDLL('libawait.so.0').aw_run")
    run("dpkg", "--purge", "libawait-dev", "libawait0")


def test_exposure():
    report = run("systemd-analyze", "security", "--no-pager", "--threshold=12", "awaitd.service")
    print(report.splitlines()[-1])


def test_the_sandbox_is_on():
    text = pathlib.Path(f"/proc/{unit('MainPID')}/status").read_text(encoding="utf-8")
    status = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1"
    assert int(status["CapBnd"], 16) == 0 and int(status["CapEff"], 16) == 0
