import os
import signal
import subprocess
import time

import pytest

from macfleet.core.errors import Unparsable
from macfleet.core.fact import Unknown
from macfleet.core.secret import Secret
from macfleet.macos import files
from macfleet.macos.files import FileState
from tests.macos.recordings import answer

DIGEST = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
ABSENT = (1, "", "stat: /x: stat: No such file or directory")


def test_a_file_is_mode_owner_size_and_hash():
    assert answer(files.file_state("/x"), "644 root wheel 0\n", f"{DIGEST}  /x\n") == FileState(0o644, "root", "wheel", 0, DIGEST)


def test_a_directory_has_no_hash():
    assert answer(files.file_state("/x"), "755 admin staff 64\n", (1, "", "shasum: /x: Is a directory")) == FileState(
        0o755, "admin", "staff", 64
    )


def test_nothing_there_is_an_answer():
    assert answer(files.file_state("/x"), ABSENT, (1, "", "shasum: /x: ")) is None
    assert answer(files.file_text("/x"), (1, "", "cat: /x: No such file or directory")) is None


def test_not_allowed_to_look_is_unknown():
    assert isinstance(answer(files.file_state("/x"), (1, "", "stat: /x: Permission denied"), (1, "")), Unknown)
    assert isinstance(answer(files.file_text("/x"), (1, "", "cat: /x: Permission denied")), Unknown)


def test_the_directories_above_that_are_not_there_are_those_that_stat_complains_of():
    path = "/opt/a: b/No such file or directory/c:/file"
    said = """\
stat: /opt/a: b/No such file or directory: stat: Permission denied
stat: /opt/a: b/No such file or directory/c:: stat: No such file or directory
"""

    assert answer(files.absent_directories((path,)), (1, "/opt\n/opt/a: b\n", said)) == ("/opt/a: b/No such file or directory/c:",)
    assert answer(files.absent_directories(("/opt/a/file",)), "/opt\n/opt/a\n") == ()


@pytest.mark.parametrize("ended", [(127, "", "sh: stat: command not found"), (2, "", "stat: /opt: stat: No such file or directory")])
def test_a_stat_that_did_not_look_says_of_no_directory_that_it_is_there(ended):
    assert isinstance(answer(files.absent_directories(("/opt/a/file",)), ended), Unknown)


@pytest.mark.parametrize("text", ["", "644 root wheel", "rw-r--r-- root wheel 0", "  File: x\n"])
def test_another_stat_than_bsds_is_refused(text):
    with pytest.raises(Unparsable, match="is not mode, owner, group, size"):
        files.parse_stat(text)


def test_a_file_name_with_a_backslash_marks_its_hash():
    assert files.parse_shasum(f"\\{DIGEST}  a\\\\b\n") == DIGEST
    with pytest.raises(Unparsable):
        files.parse_shasum("shasum: x")


def test_a_secret_is_in_no_argument():
    commands = files.write_file("/etc/key", Secret("tskey-1"), mode=0o600, owner="root:wheel", sudo=True)

    assert not any("tskey" in word for command in commands for word in command.argv)
    assert commands[0].stdin == Secret("tskey-1")


def test_a_file_is_whole_before_it_has_its_name():
    commands = files.write_file("/etc/x y", b"1", owner="root:wheel", sudo=True)

    assert [str(command) for command in commands] == [
        "sudo -n sh -c 'umask 077 …' sh '/etc/x y.macfleet-new'",
        "sudo -n chmod 644 '/etc/x y.macfleet-new'",
        "sudo -n chown root:wheel '/etc/x y.macfleet-new'",
        "sudo -n mv -f '/etc/x y.macfleet-new' '/etc/x y'",
    ]


def test_these_commands_really_write(tmp_path):
    target = tmp_path / "a file"

    for command in (*files.make_directory(str(tmp_path / "d"), 0o750), *files.write_file(str(target), b"hello\n", mode=0o640)):
        subprocess.run(command.argv, input=command.stdin, check=True, timeout=10)

    assert (target.read_bytes(), target.stat().st_mode & 0o777) == (b"hello\n", 0o640)
    assert (tmp_path / "d").stat().st_mode & 0o777 == 0o750
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a file", "d"]


def test_what_cannot_be_written_whole_does_not_stay(tmp_path):
    write, *_ = files.write_file(str(tmp_path / "a file"), b"x" * 9000)
    full = ("sh", "-c", 'ulimit -f 1; exec "$@"', "sh", *write.argv)

    ended = subprocess.run(full, input=write.stdin, stderr=subprocess.DEVNULL, timeout=10, check=False)

    assert ended.returncode != 0
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_is_told_to_stop_leaves_nothing(tmp_path):
    write, *_ = files.write_file(str(tmp_path / "a file"), b"")
    writing = subprocess.Popen(write.argv, stdin=subprocess.PIPE, start_new_session=True)
    writing.stdin.write(b"half")
    writing.stdin.flush()
    wait_until(lambda: [path.read_bytes() for path in tmp_path.iterdir()] == [b"half"])

    os.killpg(writing.pid, signal.SIGTERM)
    writing.communicate(timeout=10)

    assert list(tmp_path.iterdir()) == []


def wait_until(condition, deadline_s=20.0):
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
