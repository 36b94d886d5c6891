"""test_5_leaving.py - remove keeps the jobs and the configuration, purge leaves nothing."""

import pathlib
import pwd

import box
import wire

STATE = pathlib.Path("/var/lib/awaitd")
CONFIGURATION = pathlib.Path("/etc/awaitd")


def test_an_edited_configuration_survives_a_reinstallation():
    path = CONFIGURATION / "awaitd.conf"
    path.write_text(path.read_text(encoding="utf-8") + "; the administrator's own line\n",
                    encoding="utf-8")
    box.run("apt-get", "install", "-q", "-y", "--reinstall", box.SHARED / "next" / "awaitd.deb")
    assert path.read_text(encoding="utf-8").endswith("own line\n")
    assert box.call("PING") == "PONG"


def test_removed_and_installed_again_the_jobs_are_there():
    job = box.call("SUBMIT", "DELAY", 3600000, "local", "SELECT 1")
    box.run("apt-get", "remove", "-q", "-y", "awaitd")
    assert not box.is_active() and not box.is_active("awaitd.socket")
    assert not pathlib.Path(box.SOCKET).exists()
    assert (STATE / "queue.db").exists() and (CONFIGURATION / "awaitd.conf").exists()
    box.run("apt-get", "install", "-q", "-y", box.SHARED / "next" / "awaitd.deb")
    assert box.is_active() and box.is_active("awaitd.socket")
    assert not isinstance(box.call("JOB", job), wire.Error)


def test_purge():
    box.run("apt-get", "purge", "-q", "-y", "awaitd")
    assert not STATE.exists() and not CONFIGURATION.exists()
    assert not pathlib.Path("/run/awaitd").exists()
    leftovers = [str(path) for root in ("/etc", "/usr", "/lib", "/var/lib/systemd")
                 for path in pathlib.Path(root).rglob("*awaitd*")
                 if "awaitd-test" not in path.name and not str(path).startswith(str(box.DROP_INS))]
    assert leftovers == []
    assert pwd.getpwnam("awaitd"), "the user stays: files of its own may be elsewhere"
    assert "awaitd" not in box.run("systemctl", "--failed", "--no-legend")
