"""file, template, directory: as a whole, with mode and owner, or left alone."""

from dataclasses import replace

import pytest

from macfleet.core.errors import PlaybookError, RequestError
from tests.modules.memory_mac import MAC, Entry, MemoryMac
from tests.modules.play import plan, play, tasks

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
