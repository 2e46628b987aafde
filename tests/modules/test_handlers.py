"""Modules as handlers: they do their work once more on a Mac that agrees, when what they depend on has changed."""

from macfleet.playbook.load import load_playbook
from macfleet.playbook.plan import fill_tasks, plan_mac, wanted_facts
from macfleet.playbook.tasks import owed
from tests.modules.memory_mac import MAC, MemoryMac
from tests.modules.play import AROUND, play

JOB = "launchd: {label: dev.macfleet.agent, template: agent.plist.j2, vars: {runtime_id: aaa}}"
BOOK = f"""
tasks:
  - name: It reads its file
    notify: [It starts anew]
    file: {{path: /etc/agent.conf, content: x}}
handlers:
  - name: It starts anew
    {JOB}
"""


def run(memory, text=BOOK):
    """Rounds of changes as a run makes them, until the Mac is as wanted; the lines of each."""
    book = load_playbook(text, "x.yaml")
    filled, done, rounds = fill_tasks(book, MAC, {}), [], []
    while (made := look(memory, book, filled, done)).changes:
        for task, change in made.runnable:
            assert all(result.ok for result in memory.apply(change.commands))
            done.append(task)
        rounds.append([change.line() for _, change in made.runnable])
        assert len(rounds) < 5
    return rounds


def look(memory, book, filled, done):
    return plan_mac(filled, MAC, memory.ask(wanted_facts(filled, MAC)), AROUND, owed((*book.tasks, *book.handlers), done))


def test_a_job_that_stands_is_restarted_behind_the_change():
    memory = MemoryMac()
    play(memory, JOB)
    memory.log.clear()

    rounds = run(memory)

    assert rounds == [
        ["file /etc/agent.conf absent → 1 bytes, 644 root:wheel"],
        ["launchd dev.macfleet.agent running since before the change → running"],
    ]
    assert [line for line in memory.log if "launchctl bootout" in line]
    assert run(memory) == []


def test_a_job_that_is_not_there_yet_is_brought_and_not_restarted_too():
    rounds = run(MemoryMac())

    assert rounds[1:] == [["launchd dev.macfleet.agent absent → running"]]


def test_a_job_that_a_task_of_the_same_run_brings_is_restarted_behind_it():
    with_task = BOOK.replace("handlers:", f"  - name: It is there\n    {JOB}\nhandlers:")

    rounds = run(MemoryMac(), with_task)

    assert rounds[0][1:] == ["launchd dev.macfleet.agent absent → running"]
    assert rounds[1:] == [["launchd dev.macfleet.agent running since before the change → running"]]
