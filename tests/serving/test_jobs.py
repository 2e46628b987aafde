import plistlib

import pytest

from macfleet.core.clock import HandClock
from macfleet.core.errors import CommandFailed, ServiceFailed
from macfleet.core.secret import Secret
from macfleet.engines.base import Job, JobFile
from macfleet.inventory.mac import Mac
from macfleet.serving import jobs
from tests.serving.small_mac import SmallMac

LABEL = "dev.macfleet.chat.worker"
PLIST = f"/Library/LaunchDaemons/{LABEL}.plist"
MAC = Mac("studio-1", "10.0.0.1", "Mac15,14", 1)
JOB = Job(
    mac="studio-1",
    label=LABEL,
    kind="worker",
    plist_path=PLIST,
    plist=plistlib.dumps({"Label": LABEL}).decode(),
    log="/var/log/macfleet/chat.worker.log",
    user="fleet",
    group="staff",
    files=(JobFile("/opt/macfleet/services/chat/worker.json", Secret('{"secret_key": "hush"}'), 0o600),),
)


def installed(**changes):
    mac = SmallMac(**changes)
    jobs.install(MAC, mac, JOB)
    return mac


def test_secret_files_are_private_and_the_plist_is_launchds():
    mac = installed()

    assert mac.files["/opt/macfleet/services/chat/worker.json"] == b'{"secret_key": "hush"}'
    assert mac.modes == {"/opt/macfleet/services/chat": "755", "/opt/macfleet/services/chat/worker.json": "600", PLIST: "644"}
    assert any("chown root:wheel" in line for line in mac.log)
    assert not any("hush" in line for line in mac.log)


def test_a_started_job_is_looked_at_until_it_runs():
    mac = installed()

    assert jobs.start(MAC, mac, JOB, HandClock()).is_running


def test_a_job_is_enabled_only_when_somebody_disabled_it():
    usual, switched_off = installed(), installed(disabled={LABEL})

    jobs.start(MAC, usual, JOB, HandClock())
    jobs.start(MAC, switched_off, JOB, HandClock())

    assert [line for line in usual.log if " enable " in line] == []
    assert switched_off.disabled == set()


def test_a_job_of_the_same_label_is_gone_before_the_new_plist_is_read():
    mac = installed(slow_bootout=3)
    jobs.start(MAC, mac, JOB, HandClock())
    mac.log.clear()

    jobs.start(MAC, mac, JOB, HandClock())

    verbs = [line.partition("launchctl ")[2].split()[0] for line in mac.log]
    assert verbs[:2] == ["print", "bootout"]
    assert verbs.index("bootstrap") > 4  # the old one was asked about until it was gone
    assert mac.jobs[LABEL]["pid"]


def test_a_busy_domain_is_asked_again():
    mac = installed(refuses_bootstrap=3)

    assert jobs.start(MAC, mac, JOB, HandClock()).is_running


def test_a_plist_that_launchd_never_takes_is_an_error_with_what_it_wants():
    mac = installed(refuses_bootstrap=99)

    with pytest.raises(CommandFailed, match="Input/output error") as failed:
        jobs.start(MAC, mac, JOB, HandClock())

    assert "root:wheel" in failed.value.hint


def test_a_job_that_launchd_accepts_and_never_spawns_has_not_started():
    mac = installed(never_spawns=True)

    with pytest.raises(ServiceFailed, match=r"launchd accepted dev\.macfleet\.chat\.worker and does not run it") as failed:
        jobs.start(MAC, mac, JOB, HandClock())

    assert "Low Power Mode" in failed.value.hint


def test_a_stopped_job_is_waited_for_until_launchd_has_forgotten_it():
    mac = installed(slow_bootout=5)
    jobs.start(MAC, mac, JOB, HandClock())

    stopped = jobs.stop(mac, LABEL, HandClock())

    assert stopped.was_loaded
    assert stopped.took_s > 0
    assert LABEL not in mac.jobs


def test_stopping_what_is_not_there_is_done_at_once():
    assert jobs.stop(SmallMac(), LABEL, HandClock()) == jobs.Stopped(LABEL, was_loaded=False)


def test_a_job_that_does_not_end_is_named_and_not_killed():
    mac = installed(slow_bootout=10**9)
    jobs.start(MAC, mac, JOB, HandClock())

    with pytest.raises(ServiceFailed, match="did not end within 5 min"):
        jobs.stop(mac, LABEL, HandClock())

    assert not any("kill" in line for line in mac.log if "kickstart" not in line)
