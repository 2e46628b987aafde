"""sudo of a rehearsal Mac: who is let in, with which password, and what it says to the others."""

import os
import stat
import subprocess

import pytest

from macfleet.lab.programs import install_programs
from macfleet.lab.sudo import RULES, give_rules_back, take_rules
from tests.lab.simulated import make_macs

RIGHT, WRONG = "rehearsal\n", "wrong\n"


@pytest.fixture
def mac(tmp_path):
    """A Mac whose two directory programs are stand-ins: nothing answers behind the emulated ones here."""
    (made,) = make_macs(tmp_path / "a lab", "studio-1", as_shipped=True)
    install_programs(made.dir, "/nonexistent/socket", "admin")
    stand_in(made, "dscl", '[ "$*" = ". -authonly admin" ] && IFS= read -r given && [ "$given" = rehearsal ]')
    stand_in(made, "dseditgroup", '[ "$*" = "-o checkmember -m admin admin" ]')
    return made


def stand_in(mac, name, script):
    path = mac.dir.bin / name
    path.unlink()
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def allow(mac, rule, name="macfleet"):
    (mac.root / RULES / name).write_text(rule)


def sudo(mac, line, said=""):
    ended = subprocess.run(
        ["/bin/sh", "-c", line], capture_output=True, text=True, input=said, env={"PATH": f"{mac.dir.bin}:/usr/bin:/bin"}, cwd=mac.root
    )
    return ended.returncode, ended.stdout, ended.stderr


def test_without_a_rule_it_asks_and_nobody_answers(mac):
    assert sudo(mac, "sudo -n echo started") == (1, "", "sudo: a password is required\n")
    assert sudo(mac, "sudo echo started")[2].splitlines()[0].startswith("sudo: a terminal is required to read the password")


def test_the_password_lets_in_and_what_follows_it_is_the_commands(mac):
    assert sudo(mac, "sudo -S -p '' sh -c 'cat; printenv MACFLEET_LAB_ROOT'", RIGHT + "and more\n") == (0, "and more\n1\n", "")


def test_a_wrong_password_may_be_mended_three_times(mac):
    assert sudo(mac, "sudo -S -p '' echo in", WRONG + WRONG + RIGHT) == (0, "in\n", "Sorry, try again.\nSorry, try again.\n")
    assert sudo(mac, "sudo -S -p '' echo in", WRONG * 3)[2].endswith("sudo: 3 incorrect password attempts\n")


def test_a_wrong_password_and_no_other_is_an_error(mac):
    assert sudo(mac, "sudo -S -k -p '' echo in", WRONG) == (
        1,
        "",
        "Sorry, try again.\nsudo: no password was provided\nsudo: 1 incorrect password attempt\n",
    )


def test_no_password_at_all_is_an_error(mac):
    assert sudo(mac, "sudo -S -p '' echo in") == (1, "", "sudo: no password was provided\nsudo: a password is required\n")


def test_who_is_no_administrator_does_not_get_in_with_the_right_password(mac):
    stand_in(mac, "dseditgroup", "exit 67")

    assert sudo(mac, "sudo -S -p '' echo in", RIGHT)[:2] == (1, "")
    assert "admin is not in the sudoers file." in sudo(mac, "sudo -S -p '' echo in", RIGHT)[2]


@pytest.mark.parametrize(
    "rule", ["admin ALL=(ALL) NOPASSWD: ALL\n", "%admin ALL = (ALL) NOPASSWD:ALL", "# who\nadmin ALL=(root) NOPASSWD: ALL\n"]
)
def test_a_rule_lets_in_without_a_password(mac, rule):
    allow(mac, rule)

    assert sudo(mac, "sudo -n echo in") == (0, "in\n", "")


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        ("jane ALL=(ALL) NOPASSWD: ALL\n", "macfleet"),
        ("admin ALL=(ALL) ALL\n", "macfleet"),
        ("admin ALL=(ALL) NOPASSWD: ALL\n", "macfleet.new"),
        ("# admin ALL=(ALL) NOPASSWD: ALL\n", "macfleet"),
    ],
)
def test_a_rule_for_others_or_in_a_file_that_sudo_skips_does_not(mac, rule, name):
    allow(mac, rule, name)

    assert sudo(mac, "sudo -n echo in")[0] == 1


def test_a_rule_may_be_for_some_programs_only(mac):
    allow(mac, "admin ALL=(root) NOPASSWD: /bin/cat, /usr/bin/printenv\n")

    assert sudo(mac, "sudo -n printenv MACFLEET_LAB_ROOT") == (0, "1\n", "")
    assert sudo(mac, "sudo -n /bin/cat", "x") == (0, "x", "")
    assert sudo(mac, "sudo -n ls")[0] == 1


def test_root_is_not_asked_again(mac):
    assert sudo(mac, "sudo -S -p '' sh -c 'sudo -n echo in'", RIGHT) == (0, "in\n", "")


def test_rules_that_are_taken_come_back_as_they_were(mac):
    allow(mac, "admin ALL=(ALL) NOPASSWD: ALL\n")
    (mac.root / RULES / "macfleet").chmod(0o440)

    take_rules(mac.dir)
    assert sudo(mac, "sudo -n true")[0] == 1
    give_rules_back(mac.dir)

    assert sudo(mac, "sudo -n true")[0] == 0
    assert stat.S_IMODE((mac.root / RULES / "macfleet").stat().st_mode) == 0o440
    assert os.listdir(mac.root / RULES) == ["macfleet"]
