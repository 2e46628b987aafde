"""A key put in front of the others and taken away again, by the real sh."""

import stat
import subprocess

import pytest

from macfleet.macos import authorized_keys
from macfleet.macos.authorized_keys import Listed

LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOURS ann@laptop"
OTHERS = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABTHEIRS bob@desk\n"


@pytest.fixture
def home(tmp_path):
    (tmp_path / "a home").mkdir()
    return tmp_path / "a home"


def listed(home):
    file = home / ".ssh/authorized_keys"
    return Listed(str(home), (home / ".ssh").exists(), file.read_text() if file.exists() else None)


def run(command):
    subprocess.run(command.argv, check=True, timeout=20)


def tree(home):
    return {
        str(path.relative_to(home)): (stat.S_IMODE(path.stat().st_mode), path.read_bytes() if path.is_file() else None)
        for path in sorted(home.rglob("*"))
    }


def write(home, text, mode=0o644):
    (home / ".ssh").mkdir(mode=0o755)
    (home / ".ssh/authorized_keys").write_text(text)
    (home / ".ssh/authorized_keys").chmod(mode)


@pytest.mark.parametrize("before", [None, "", OTHERS, OTHERS.rstrip("\n"), f"# a comment\n\n{OTHERS}"])
def test_a_key_is_let_in_and_taken_away_without_a_trace(home, before):
    if before is not None:
        write(home, before)
    was, there = tree(home), listed(home)

    run(authorized_keys.add(there, LINE))
    assert (home / ".ssh/authorized_keys").read_text() == f"{LINE}\n{before or ''}"
    assert listed(home).holds(LINE)
    run(authorized_keys.remove(there, LINE))

    assert tree(home) == was


def test_a_directory_that_was_there_stays(home):
    (home / ".ssh").mkdir(mode=0o700)
    there = listed(home)

    run(authorized_keys.add(there, LINE))
    run(authorized_keys.remove(there, LINE))

    assert list(tree(home)) == [".ssh"]


def test_what_others_have_added_meanwhile_stays(home):
    there = listed(home)
    run(authorized_keys.add(there, LINE))
    file = home / ".ssh/authorized_keys"
    file.write_text(OTHERS + file.read_text() + OTHERS)

    run(authorized_keys.remove(there, LINE))

    assert file.read_text() == OTHERS + OTHERS


def test_taking_away_twice_does_no_harm(home):
    there = listed(home)
    run(authorized_keys.add(there, LINE))

    run(authorized_keys.remove(there, LINE))
    run(authorized_keys.remove(there, LINE))

    assert tree(home) == {}


def test_new_files_are_for_their_owner_alone(home):
    run(authorized_keys.add(listed(home), LINE))

    assert {name: oct(mode) for name, (mode, _) in tree(home).items()} == {".ssh": "0o700", ".ssh/authorized_keys": "0o600"}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        (None, False),
        ("", False),
        (LINE, True),
        (f'from="10.0.0.0/8",no-pty {LINE}\n', True),
        (LINE.rpartition(" ")[0] + " another comment", True),
        (f"# {LINE}\n", False),
        (OTHERS, False),
        (LINE.replace("OURS", "OURSX"), False),
    ],
)
def test_a_key_is_known_by_itself_and_not_by_its_comment(text, holds):
    assert Listed("/Users/admin", True, text).holds(LINE) is holds
