"""file, template, directory: as a whole, with mode and owner, or left alone."""

from dataclasses import replace

import pytest

from macfleet.core.errors import PlaybookError, RequestError
from macfleet.core.fact import Facts, Unknown
from macfleet.macos.files import directory_state
from macfleet.playbook.plan import plan_mac, wanted_facts
from tests.modules.memory_mac import MAC, Entry, MemoryMac
from tests.modules.play import AROUND, plan, play, tasks

MOTD = "file: {path: /etc/motd, content: hello}"


def test_a_missing_file_is_written_as_root():
    memory = MemoryMac()

    done, _ = play(memory, MOTD)

    assert done == ["file /etc/motd absent → 5 bytes, 644 root:wheel"]
    assert memory.files["/etc/motd"] == Entry(b"hello", "644", "root", "wheel")


@pytest.mark.parametrize(
    ("entry", "before"),
    [
        (Entry(b"bye", "644", "root", "wheel"), "other content"),
        (Entry(b"hello", "666", "root", "wheel"), "mode 666"),
        (Entry(b"bye", "600", "fleet", "staff"), "other content, mode 600, owner fleet:staff"),
    ],
)
def test_what_differs_is_said(entry, before):
    memory = MemoryMac(files={"/etc/motd": entry})

    assert [change.before for _, change in plan(memory, MOTD).changes] == [before]


def test_login_is_whoever_logs_in():
    memory = MemoryMac()

    play(memory, "directory: {paths: [/opt/macfleet/models], owner: login}")

    assert (memory.files["/opt/macfleet/models"].owner, memory.files["/opt/macfleet/models"].group) == ("fleet", "staff")


def test_a_template_knows_the_mac_its_settings_and_its_paths():
    memory = MemoryMac()

    play(memory, "template: {template: newsyslog.conf.j2, path: /etc/newsyslog.d/macfleet.conf}")

    assert b"/var/log/macfleet/*.log\tfleet:staff" in memory.files["/etc/newsyslog.d/macfleet.conf"].content


def test_a_template_that_is_not_there_is_an_error_with_the_near_name():
    with pytest.raises(RequestError) as caught:
        plan(MemoryMac(), "template: {template: newsyslog.conf, path: /etc/x}")

    assert caught.value.hint == 'did you mean "newsyslog.conf.j2"?'


def test_paths_are_shown_without_the_root():
    mac = replace(MAC, root="/tmp/lab/root")

    [(_, change)] = plan(MemoryMac(), 'file: {path: "{{ mac.paths.home }}/motd", content: hello}', mac=mac).changes

    assert change.what == "file /opt/macfleet/motd"


@pytest.mark.parametrize(
    ("task", "problem"),
    [
        ("file: {path: motd, content: x}", '"motd" is not an absolute path'),
        ("file: {path: /motd, content: x, mode: rw}", '"rw" is not a mode; write it like "644"'),
        ("file: {path: /motd, content: x, owner: root}", '"root" names no owner and group'),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_mac_is_asked(task, problem):
    with pytest.raises(PlaybookError, match=problem):
        tasks(task)


def test_the_lines_that_change_are_shown():
    memory = MemoryMac(files={"/etc/motd": Entry(b"one\ntwo\n", "644", "root", "wheel")})

    [(_, change)] = plan(memory, 'file: {path: /etc/motd, content: "one\\nthree\\n"}').changes

    assert change.detail.splitlines() == ["--- /etc/motd", "+++ /etc/motd", "@@ -1,2 +1,2 @@", " one", "-two", "+three"]


def test_a_new_file_is_shown_against_nothing():
    [(_, change)] = plan(MemoryMac(), MOTD).changes

    assert change.detail.splitlines() == ["--- /dev/null", "+++ /etc/motd", "@@ -0,0 +1 @@", "+hello"]


@pytest.mark.parametrize(("have", "want"), [("600", "600"), ("644", "600"), ("600", "644")])
def test_what_not_everybody_may_read_is_not_shown(have, want):
    memory = MemoryMac(files={"/etc/key": Entry(b"old", have, "root", "wheel")})

    [(_, change)] = plan(memory, f'file: {{path: /etc/key, content: new, mode: "{want}"}}').changes

    assert change.detail == ""


def test_a_file_that_only_root_may_read_agrees_once_it_is_written():
    memory = MemoryMac()

    _, left = play(memory, 'file: {path: /etc/key, content: new, mode: "600"}')

    assert left.is_as_wanted


def test_a_file_that_was_there_comes_back_with_its_mode_and_owner():
    memory = MemoryMac()
    memory.files["/etc/motd"] = Entry(b"bye", "600", "fleet", "staff")
    before = memory.without_our_notes()
    [(_, change)] = plan(memory, MOTD).changes
    memory.apply(change.commands)

    memory.apply(change.undo)

    assert memory.without_our_notes() == before


def test_directories_made_for_a_file_go_with_it_unless_somebody_else_uses_them():
    memory = MemoryMac()
    [(_, change)] = plan(memory, "file: {path: /etc/a/b/motd, content: hello}").changes
    memory.apply(change.commands)
    memory.files["/etc/a/theirs"] = Entry(b"")

    memory.apply(change.undo)

    assert "/etc/a" in memory.files
    assert "/etc/a/b" not in memory.files


def test_a_directory_in_place_of_a_file_is_nobodys_to_remove():
    memory = MemoryMac()
    memory.files["/etc/motd"] = Entry(None, "755", "root", "wheel")

    made = plan(memory, MOTD)

    assert not made.changes
    assert made.unknown[0][1].reason == "/etc/motd is a directory, and a file is wanted there: move it away"


def test_a_directory_that_was_there_gets_back_its_mode_and_owner():
    memory = MemoryMac()
    memory.files["/opt/models"] = Entry(None, "700", "anna", "staff")
    before = memory.without_our_notes()
    [(_, change)] = plan(memory, "directory: {paths: [/opt/models]}").changes
    memory.apply(change.commands)

    memory.apply(change.undo)

    assert memory.without_our_notes() == before


def test_a_directory_nobody_could_look_at_is_unknown():
    filled = tasks("directory: {paths: [/opt/a, /opt/b]}")
    facts = MemoryMac().ask(wanted_facts(filled, MAC)).merged(Facts({directory_state("/opt/a"): Unknown("the line was cut")}))

    made = plan_mac(filled, MAC, facts, AROUND)

    assert [unknown.reason for _, unknown in made.unknown] == ["the line was cut"]
