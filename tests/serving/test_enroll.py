import json
from pathlib import Path

import pytest

from macfleet.core.clock import HandClock
from macfleet.core.outcome import Outcome, Report
from macfleet.core.secret import Secret
from macfleet.fleet.fleet import Fleet
from macfleet.fleet.public_key import PublicKey
from macfleet.inventory.mac import Inventory
from macfleet.serving import enroll, unenroll
from macfleet.serving.enroll_plan import Need
from tests.serving.account_mac import PASSWORD, AccountMac

KEY = PublicKey("ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5AAAAIOURKEYX", "ann@laptop", "~/.ssh/id_ed25519.pub")


@pytest.fixture
def mac(tmp_path):
    return AccountMac(tmp_path, KEY.base64)


def fleet(mac, connect=None):
    return Fleet(Inventory(Path("/x/inventory.yaml"), "x", (mac.mac,)), (mac.mac,), connect=connect or mac.connect, clock=HandClock())


def planned(mac):
    return enroll.plan(fleet(mac, mac.connect_by_password), enroll.look(fleet(mac)), KEY)


def enrolled(mac, password=PASSWORD):
    plans = planned(mac)
    done = enroll.apply(fleet(mac, mac.connect_by_password), plans, password)
    return plans, done, enroll.prove(fleet(mac), plans)


def tree(mac):
    return {
        str(path.relative_to(mac.world.root)): (oct(path.stat().st_mode), path.read_bytes() if path.is_file() else None)
        for path in mac.world.root.rglob("*")
    }


def test_a_mac_out_of_the_box_lets_the_key_not_in(mac):
    assert enroll.look(fleet(mac))["studio-1"].value is Need.LOGIN


def test_the_plan_is_a_rule_and_a_key_and_writes_nothing(mac):
    before = tree(mac)

    plans = planned(mac)

    assert [change.line() for change in plans["studio-1"].value.changes] == [
        "sudoers /etc/sudoers.d/macfleet-admin absent → admin may use sudo without a password",
        f"key {KEY.fingerprint} of admin not let in → let in (~/.ssh/id_ed25519.pub)",
    ]
    assert tree(mac) == before


def test_an_enrolled_mac_lets_the_key_in_and_sudo_does_not_ask(mac):
    _, done, proved = enrolled(mac)

    assert done.ok
    assert proved["studio-1"].error is None
    assert proved["studio-1"].value.owns_volume is True
    assert mac.rule.read_text().splitlines()[-1] == "admin ALL=(ALL) NOPASSWD: ALL"
    assert oct(mac.rule.stat().st_mode & 0o777) == "0o440"
    assert mac.authorized.read_text() == f"{KEY.line}\n"


def test_the_ledger_knows_both_before_they_are_made(mac):
    enrolled(mac)

    lines = [json.loads(line) for line in (mac.world.root / "var/db/macfleet/ledger.jsonl").read_text().splitlines()]

    assert [(line["what"], line["by"], line["before"]) for line in lines] == [
        ("sudoers /etc/sudoers.d/macfleet-admin", "enroll", "absent"),
        (f"key {KEY.fingerprint} of admin", "enroll", "not let in"),
    ]


def test_the_password_is_in_no_argument_and_only_sudo_reads_it(mac):
    enrolled(mac)

    assert not any(PASSWORD.reveal() in line for line in mac.log)
    assert all(said.startswith("rehearsal\n") for said in mac.said)
    assert len(mac.said) == 3  # the check, the ledger, the rule


def test_a_second_enrolment_has_nothing_to_do(mac):
    enrolled(mac)

    assert enroll.look(fleet(mac))["studio-1"].value is Need.NOTHING
    assert list(planned(mac)) == []


def test_where_only_sudo_asks_the_keys_are_left_alone(mac):
    enrolled(mac)
    mac.rule.unlink()
    mac.authorized.write_text(mac.authorized.read_text().replace("ann@laptop", "somebody"))

    assert enroll.look(fleet(mac))["studio-1"].value is Need.SUDO
    assert [change.what for change in planned(mac)["studio-1"].value.changes] == ["sudoers /etc/sudoers.d/macfleet-admin"]


def test_a_wrong_password_changes_nothing(mac):
    before = tree(mac)

    _, done, _ = enrolled(mac, Secret("wrong"))

    error = done["studio-1"].error
    assert str(error) == "studio-1: sudo does not take this password from admin"
    assert error.truths == ("nothing was changed there",)
    assert tree(mac) == before


def test_who_is_no_administrator_is_told_before_anything_is_tried(mac):
    mac.world.state.is_admin = False

    error = planned(mac)["studio-1"].error

    assert "admin is no administrator on studio-1" in str(error)
    assert mac.said == []


def test_somebody_elses_rule_of_that_name_is_not_written_over(mac):
    mac.rule.write_text("admin ALL=(ALL) ALL\n")

    assert "is there already on studio-1, and still sudo asks" in str(planned(mac)["studio-1"].error)


def test_keys_that_cannot_be_read_are_not_written_over(mac):
    (mac.home / ".ssh").write_text("a file where the directory should be")

    error = planned(mac)["studio-1"].error

    assert "whose keys admin lets in cannot be read" in str(error)
    assert mac.said == []


def test_a_change_shows_the_text_it_makes(mac):
    rule, key = planned(mac)["studio-1"].value.changes

    assert rule.detail.splitlines()[-1] == "+admin ALL=(ALL) NOPASSWD: ALL"
    assert key.detail.splitlines()[-1] == f"+{KEY.line}"


def test_a_linux_box_is_no_mac(mac):
    mac.run = lambda command, run=mac.run: type(run(command))(command, 0, "Linux\n") if command.argv[0] == "uname" else run(command)

    assert str(planned(mac)["studio-1"].error) == "studio-1: 10.0.0.1 is no Mac: its kernel is Linux"
    assert "is no Mac" in str(enroll.look(fleet(mac, mac.connect_by_password))["studio-1"].error)


def test_an_account_that_owns_no_volume_is_said(mac):
    mac.world.state.is_volume_owner = False

    _, _, proved = enrolled(mac)

    assert proved["studio-1"].value.owns_volume is False
    assert proved["studio-1"].value.by_hand[0].what.startswith("admin is no owner of the system volume")


def test_what_needs_a_hand_at_a_mac_as_shipped(mac):
    _, _, proved = enrolled(mac)

    assert [step.what for step in proved["studio-1"].value.by_hand] == [
        "RDMA over Thunderbolt is off",
        "FileVault is on: after every restart the disk waits for a password",
        "SSH logins have no full disk access",
        "Homebrew is not installed",
    ]


@pytest.mark.parametrize(
    ("version", "where"), [("26.5", "`rdma_ctl enable`"), ("27.0", "System Settings > Privacy & Security > Developer")]
)
def test_where_rdma_is_switched_on_depends_on_the_macos(mac, version, where):
    mac.world.state.macos_version = version

    _, _, proved = enrolled(mac)

    assert where in proved["studio-1"].value.by_hand[0].do


def test_a_key_that_is_still_not_let_in_points_at_its_modes(mac):
    plans = planned(mac)
    enroll.apply(fleet(mac, mac.connect_by_password), plans, PASSWORD)
    mac.authorized.write_text("")

    error = enroll.prove(fleet(mac), plans)["studio-1"].error

    assert "chmod go-w ~ ~/.ssh ~/.ssh/authorized_keys" in error.hint
    assert len([truth for truth in error.truths if truth.startswith("done: ")]) == 2


# --- and back


def unenrolled(mac):
    with fleet(mac) as one:
        plans = unenroll.plan(one)
        return plans, unenroll.apply(one, plans) if plans.ok else None


def test_unenrolling_leaves_the_mac_byte_for_byte_as_it_was(mac):
    before = tree(mac)
    enrolled(mac)

    plans, done = unenrolled(mac)

    assert [entry.what for entry in plans["studio-1"].value.entries] == [
        "sudoers /etc/sudoers.d/macfleet-admin",
        f"key {KEY.fingerprint} of admin",
    ]
    assert done.ok
    assert tree(mac) == before


def test_keys_that_were_there_before_stay(mac):
    (mac.home / ".ssh").mkdir(mode=0o700)
    mac.authorized.write_text("ssh-rsa THEIRS bob@desk")
    before = tree(mac)
    enrolled(mac)

    unenrolled(mac)

    assert tree(mac) == before


def test_two_operators_each_have_their_key_and_both_are_taken_away(mac):
    before = tree(mac)
    enrolled(mac)
    other = PublicKey("ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5AAAAITHEIRS=", "bob@desk", "his SSH agent")
    with fleet(mac, mac.connect_by_password) as one:
        plans = enroll.plan(one, Report((Outcome("studio-1", Need.LOGIN),)), other)
        enroll.apply(one, plans, PASSWORD)
    assert mac.authorized.read_text() == f"{other.line}\n{KEY.line}\n"

    unenrolled(mac)

    assert tree(mac) == before


def test_a_mac_that_holds_more_of_macfleet_is_not_unenrolled(mac):
    enrolled(mac)
    ledger = mac.world.root / "var/db/macfleet/ledger.jsonl"
    row = {"what": "pmset sleep", "undo": [["sudo", "-n", "pmset", "-a", "sleep", "1"]], "before": "1", "by": "provision", "time": "now"}
    ledger.write_text(ledger.read_text() + json.dumps(row) + "\n")

    plans, _ = unenrolled(mac)

    error = plans["studio-1"].error
    assert "1 thing would stay behind" in str(error)
    assert "pmset sleep" in error.truths
    assert "macfleet unprovision --mac studio-1" in error.hint
    assert mac.rule.exists()


def test_a_careful_owners_mac_that_was_never_enrolled_keeps_what_it_has(mac):
    enrolled(mac)
    (mac.world.root / "var/db/macfleet/ledger.jsonl").unlink()

    plans, done = unenrolled(mac)

    assert plans["studio-1"].value.entries == ()
    assert list(done) == []
    assert mac.rule.exists()
