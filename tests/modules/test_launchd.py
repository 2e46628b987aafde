import pytest

from macfleet.core.errors import PlaybookError
from tests.modules.memory_mac import Entry, MemoryMac
from tests.modules.play import plan, play, tasks

AGENT = "launchd: {label: dev.macfleet.agent, template: agent.plist.j2, vars: {runtime_id: aaa}}"
NEWER = AGENT.replace("aaa", "bbb")
LOADED = AGENT.replace("vars", "state: loaded, vars")
ABSENT = "launchd: {label: dev.macfleet.agent, state: absent}"
PLIST = "/Library/LaunchDaemons/dev.macfleet.agent.plist"


def running():
    memory = MemoryMac()
    play(memory, AGENT)
    memory.log.clear()
    return memory


def verbs(memory):
    """What was done, in order, as far as launchd is concerned with it."""
    known = {
        "bootout": "leave",
        "launchctl bootstrap": "enter",
        "kickstart": "run",
        "mv -f": "rename",
        "enable": "enable",
        "rm -f": "remove",
    }
    return [verb for line in memory.log for word, verb in known.items() if word in line]


def test_a_new_job_is_written_loaded_and_started():
    memory = MemoryMac()

    done, left = play(memory, AGENT)

    assert done == ["launchd dev.macfleet.agent absent → running"]
    assert verbs(memory) == ["rename", "enter", "run"]
    assert memory.files[PLIST].owner == "root"
    assert left.is_as_wanted


def test_a_changed_plist_is_put_in_place_only_while_the_job_is_out():
    memory = running()

    done, _ = play(memory, NEWER)

    assert done == ["launchd dev.macfleet.agent running, plist other content → running"]
    assert verbs(memory) == ["leave", "rename", "enter", "run"]
    assert memory.jobs["dev.macfleet.agent"]["plist"] == memory.files[PLIST].content


def test_an_interruption_behind_the_bootout_is_made_good_by_the_next_run():
    memory = running()
    [(_, change)] = plan(memory, NEWER).changes
    upto_bootout = [command for command in change.commands if "launchctl bootstrap" not in str(command) and "kickstart" not in str(command)]
    memory.apply(upto_bootout)

    done, left = play(memory, NEWER)

    assert done == ["launchd dev.macfleet.agent not loaded → running"]
    assert left.is_as_wanted


def test_a_job_that_ended_is_started_without_touching_its_plist():
    memory = running()
    memory.jobs["dev.macfleet.agent"]["state"] = "not running"

    done, _ = play(memory, AGENT)

    assert done == ["launchd dev.macfleet.agent not running → running"]
    assert verbs(memory) == ["run"]


def test_a_job_that_runs_once_need_not_run():
    memory = MemoryMac()

    done, left = play(memory, LOADED)

    assert done == ["launchd dev.macfleet.agent absent → loaded"]
    assert memory.jobs["dev.macfleet.agent"]["state"] == "not running"
    assert left.is_as_wanted


def test_a_plist_of_somebody_else_is_taken_over():
    memory = running()
    memory.files[PLIST] = Entry(memory.files[PLIST].content, "644", "fleet", "staff")

    done, _ = play(memory, AGENT)

    assert done == ["launchd dev.macfleet.agent running, plist owner fleet:staff → running"]


def test_an_unwanted_job_is_booted_out_and_its_plist_removed():
    memory = running()

    done, left = play(memory, ABSENT)

    assert done == ["launchd dev.macfleet.agent running → absent"]
    assert verbs(memory) == ["leave", "remove"]
    assert left.is_as_wanted


def test_a_job_needs_a_template():
    with pytest.raises(PlaybookError, match='a job that is running needs a "template"'):
        tasks("launchd: {label: x}")


def test_a_job_that_does_not_stay_up_is_an_error():
    memory = MemoryMac(jobs_that_fail={"dev.macfleet.agent"})
    [(_, change)] = plan(memory, AGENT).changes

    results = memory.apply(change.commands)

    assert "last exit code = 78" in results[-1].failure()


def test_a_disabled_job_is_enabled_before_it_comes_and_disabled_again_when_it_goes():
    memory = MemoryMac(disabled=frozenset({"dev.macfleet.agent"}))
    [(_, change)] = plan(memory, AGENT).changes

    memory.apply(change.commands)
    assert memory.disabled == frozenset()

    memory.apply(change.undo)
    assert memory.disabled == {"dev.macfleet.agent"}


def test_launchd_is_not_told_to_enable_what_is_not_disabled():
    [(_, change)] = plan(MemoryMac(), AGENT).changes

    assert not any("enable" in str(command) for command in change.commands)


def test_a_changed_job_is_taken_back_with_its_old_plist_and_runs_again():
    memory = running()
    before = memory.without_our_notes()
    [(_, change)] = plan(memory, NEWER).changes
    memory.apply(change.commands)

    memory.apply(change.undo)

    assert memory.without_our_notes() == before
    assert memory.jobs["dev.macfleet.agent"]["state"] == "running"


def test_a_removed_job_comes_back_as_it_was():
    memory = running()
    before = memory.without_our_notes()
    [(_, change)] = plan(memory, ABSENT).changes
    memory.apply(change.commands)

    memory.apply(change.undo)

    assert memory.without_our_notes() == before


def test_the_lines_of_a_plist_that_change_are_shown():
    [(_, change)] = plan(running(), NEWER).changes

    assert any(line.startswith("-") and "aaa" in line for line in change.detail.splitlines())
    assert any(line.startswith("+") and "bbb" in line for line in change.detail.splitlines())


def test_a_job_that_launchd_keeps_pended_says_so():
    memory = running()
    memory.jobs["dev.macfleet.agent"] |= {"state": "not running", "pended": "inefficient"}

    [(_, change)] = plan(memory, AGENT).changes

    assert change.before == "not running, pended as inefficient"
