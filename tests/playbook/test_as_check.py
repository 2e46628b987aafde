"""A playbook as a check: what differs is a finding with Mac, task and the command that closes it."""

from dataclasses import replace
from pathlib import Path

from macfleet.core.finding import Verdict
from macfleet.inventory.mac import Inventory
from macfleet.playbook.as_check import PlaybookCheck
from macfleet.playbook.load import load_playbook
from tests.modules.memory_mac import MAC, MemoryMac
from tests.modules.play import BUNDLE, TEMPLATES

AWAKE = "tasks:\n  - name: The Mac stays awake\n    pmset: {sleep: 0, ttyskeepawake: true}\n"
JOINED = "tasks:\n  - name: The Mac is in the tailnet\n    tailscale: {hostname: studio-1}\n"


def judge(text, memory, *, macs=(MAC,), name="./mine.yaml"):
    check = PlaybookCheck(load_playbook(text, name), TEMPLATES, BUNDLE)
    return check.judge(Inventory(Path("x"), "x", macs), {MAC.name: memory.ask(check.facts(MAC))})


def test_a_difference_says_which_mac_which_task_and_what_closes_it():
    [awake, tty] = judge(AWAKE, MemoryMac())

    assert (awake.verdict, awake.have, awake.want) == (Verdict.FAIL, "studio-1: pmset sleep is 1", "0")
    assert awake.hint == "The Mac stays awake: `macfleet run ./mine.yaml --mac studio-1`"
    assert (tty.verdict, tty.have) == (Verdict.WARN, "studio-1: this Mac has no pmset ttyskeepawake")


def test_a_playbook_of_macfleet_is_called_by_its_name():
    assert "`macfleet run provision --mac studio-1`" in judge(AWAKE, MemoryMac(), name="provision.yaml")[0].hint


def test_a_mac_that_agrees_is_one_finding():
    [found] = judge(AWAKE, MemoryMac(pmset={"sleep": "0", "ttyskeepawake": "1"}))

    assert (found.verdict, found.have) == (Verdict.OK, "studio-1 agrees with 1 task")


def test_what_nobody_could_read_is_unknown():
    [found] = judge(AWAKE, MemoryMac(broken={"pmset"}))

    assert found.verdict is Verdict.UNKNOWN


def test_a_difference_that_nothing_could_close_is_told_with_its_hint():
    [found] = judge(JOINED, MemoryMac())

    assert found.verdict is Verdict.FAIL
    assert "names no auth key" in found.have
    assert "tailscale up" in found.hint


def test_a_look_opens_no_vault():
    [found] = judge(JOINED.replace("studio-1}", "studio-1, auth_key: {command: [no-such-vault]}}"), MemoryMac())

    assert found.have == "studio-1: tailscale is NeedsLogin"


def test_a_mac_that_did_not_answer_is_no_finding_of_the_playbook():
    macs = (MAC, replace(MAC, name="studio-2"))

    assert {finding.have.split()[0] for finding in judge(AWAKE, MemoryMac(), macs=macs)} == {"studio-1:"}


def test_what_a_handler_would_do_is_no_difference_of_its_own():
    text = AWAKE.replace("    pmset", "    notify: [Sleep once]\n    pmset") + (
        "handlers:\n  - name: Sleep once\n    command: {argv: [pmset, sleepnow], unless: [test, -e, /x]}\n"
    )

    assert [finding.have for finding in judge(text, MemoryMac(pmset={"sleep": "1", "ttyskeepawake": "1"}))] == [
        "studio-1: pmset sleep is 1"
    ]
