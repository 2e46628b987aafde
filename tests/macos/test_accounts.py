"""dscl, diskutil, dseditgroup, visudo: who somebody is on a Mac, and what that allows."""

import subprocess

import pytest

from macfleet.core.command import command
from macfleet.core.errors import RequestError, Unparsable
from macfleet.core.fact import Unknown
from macfleet.core.paths import MacPaths
from macfleet.core.secret import Secret
from macfleet.macos import diskutil, dscl, dseditgroup, sudo, visudo
from tests.macos.recordings import answer, recorded

NOW = "ops/diskutil_listcryptousers.macos26.txt"
BEFORE_OWNERS = "ops/diskutil_listusers.macos10_13.txt"
ADMIN = "DA145BD0-81C7-41AA-9676-794E0A14B63D"


def test_accounts_with_their_uuids():
    users = dscl.parse_users(recorded("ops/dscl_users_generateduid.macos10_13.excerpt.txt"))

    assert users["_uucp"] == "FFFFEEEE-DDDD-CCCC-BBBB-AAAA00000004"
    assert len(users) == 3


@pytest.mark.parametrize("text", ["", "\n", "eDSUnknownNodeName\n"])
def test_a_list_without_accounts_is_none(text):
    with pytest.raises(Unparsable, match="no account"):
        dscl.parse_users(text)


def test_everybody_who_may_unlock_the_volume():
    users = diskutil.parse_crypto_users(recorded(NOW))

    assert [(user.kind, user.is_volume_owner) for user in users] == [
        ("Local Open Directory User", True),
        ("MDM Bootstrap Token External Key", True),
        ("Personal Recovery User", True),
    ]
    assert users[0].uuid == ADMIN


def test_an_older_macos_names_no_owners():
    assert {user.is_volume_owner for user in diskutil.parse_crypto_users(recorded(BEFORE_OWNERS))} == {None}


def test_a_list_cut_short_is_not_taken_for_a_shorter_one():
    whole = recorded(NOW)
    for end in range(1, len(whole) - 1):
        with pytest.raises(Unparsable):
            diskutil.parse_crypto_users(whole[:end])


def test_where_macos_names_no_owners_nobody_knows():
    users = diskutil.parse_crypto_users(recorded(BEFORE_OWNERS))

    assert diskutil.owns_volume("fritz", {"fritz": users[0].uuid}, users) is None


def test_a_volume_without_such_users_is_an_answer():
    assert diskutil.parse_crypto_users("No cryptographic users for disk3s1s1\n") == ()


@pytest.mark.parametrize(
    ("user", "said", "owns"),
    [("admin", "Yes", True), ("admin", "No", False), ("guest", "Yes", False)],
)
def test_only_an_account_in_the_list_owns_the_volume(user, said, owns):
    listed = diskutil.parse_crypto_users(recorded(NOW).replace("Volume Owner: Yes", f"Volume Owner: {said}", 1))

    assert diskutil.owns_volume(user, {"admin": ADMIN, "guest": "FFFFEEEE-DDDD-CCCC-BBBB-AAAA000000C9"}, listed) is owns


@pytest.mark.parametrize(
    ("output", "is_admin"),
    [((0, "yes admin is a member of admin\n"), True), ((67, "no admin is NOT a member of admin\n"), False)],
)
def test_an_administrator_or_not(output, is_admin):
    assert answer(dseditgroup.is_admin("admin"), output) is is_admin


@pytest.mark.parametrize("output", [(64, "", "Unknown group.\n"), (0, ""), (0, "yes"), (0, "ja admin ist ein Mitglied\n")])
def test_anything_else_is_neither(output):
    assert isinstance(answer(dseditgroup.is_admin("admin"), output), Unknown)


@pytest.mark.parametrize(
    ("user", "file"), [("admin", "macfleet-admin"), ("_mac-fleet", "macfleet-_mac-fleet"), ("jane.doe2", "macfleet-jane_doe2")]
)
def test_the_rule_of_an_account_is_a_file_that_sudo_does_not_skip(user, file):
    assert visudo.rule_path(MacPaths(), user) == f"/etc/sudoers.d/{file}"
    assert visudo.render_rule(user).splitlines()[-1] == f"{user} ALL=(ALL) NOPASSWD: ALL"


@pytest.mark.parametrize("user", ["ALL", "%admin", "#501", "a b", "", "a,b", "a=b", "admin\n"])
def test_a_name_that_would_mean_something_else_is_refused(user):
    with pytest.raises(RequestError, match="no user name that a sudoers rule can hold"):
        visudo.render_rule(user)


@pytest.fixture
def install(tmp_path):
    """Runs the installation with this machine's sh; `visudo` finds good what has no "bad" in it, nobody is root."""
    for name, script in (
        ("visudo", '[ "$1" = -cf ] && ! grep -q bad "$2" || { echo "$2:1: syntax error" >&2; exit 1; }'),
        ("chown", "exit 0"),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    rules = tmp_path / "sudoers.d"
    rules.mkdir()

    def run(text):
        made = visudo.install_rule(str(rules / "macfleet-admin"), text)
        return subprocess.run(
            made.argv, input=made.stdin, capture_output=True, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, timeout=20
        ), rules

    return run


def test_a_good_rule_gets_there_readable_by_root_alone(install):
    ended, rules = install(visudo.render_rule("admin"))

    assert ended.returncode == 0
    assert [(path.name, oct(path.stat().st_mode & 0o777)) for path in rules.iterdir()] == [("macfleet-admin", "0o440")]
    assert (rules / "macfleet-admin").read_text() == visudo.render_rule("admin")


def test_a_bad_rule_never_gets_there_and_leaves_nothing(install):
    ended, rules = install("bad\n")

    assert ended.returncode == 1
    assert b"syntax error" in ended.stderr
    assert list(rules.iterdir()) == []


@pytest.fixture
def as_root(tmp_path):
    """Runs a command whose sudo asks, or does not: a stand-in that reads the password or leaves it."""

    def run(made, *, asks):
        script = 'IFS= read -r password; [ "$password" = "pass word" ] || exit 1' if asks else ":"
        (tmp_path / "sudo").write_text(f'#!/bin/sh\n{script}\nshift 4\nexec "$@"\n')
        (tmp_path / "sudo").chmod(0o755)
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        return subprocess.run(made.argv, input=made.stdin.reveal().encode(), capture_output=True, env=environment, timeout=20)

    return run


@pytest.mark.parametrize("asks", [True, False])
@pytest.mark.parametrize(("stdin", "read"), [(None, b""), (b"one\ntwo", b"one\ntwo"), (Secret("hidden\n"), b"hidden\n")])
def test_root_by_password_leaves_the_command_its_own_input_and_not_the_password(as_root, stdin, read, asks):
    made = sudo.by_password(command("cat", stdin=stdin, sudo=True, timeout_s=7), Secret("pass word"))

    ended = as_root(made, asks=asks)

    assert (ended.returncode, ended.stdout) == (0, read)
    assert (made.sudo, made.timeout_s) == (False, 7)
    assert "pass word" not in repr(made)
    assert "pass word" not in made.shell()


def test_a_password_is_tried_once(as_root):
    assert as_root(sudo.check_password(Secret("pass word")), asks=True).returncode == 0
    assert as_root(sudo.check_password(Secret("another")), asks=True).returncode == 1
    assert sudo.check_password(Secret("another")).stdin == Secret("another\n")
