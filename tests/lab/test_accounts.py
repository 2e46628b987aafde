"""What the lab's programs say of a Mac's account is what macos/ understands."""

import pytest

from macfleet.lab.commands import PROGRAMS
from macfleet.lab.world import Call
from macfleet.macos import diskutil, dscl, dseditgroup, tmutil
from tests.lab.simulated import answer, make_macs, run


@pytest.fixture
def mac(tmp_path):
    return make_macs(tmp_path / "lab", "studio-1")[0]


@pytest.mark.parametrize("is_owner", [True, False])
def test_the_volume_owner(mac, is_owner):
    mac.state.is_volume_owner = is_owner

    assert diskutil.owns_volume("admin", answer(mac, dscl.USERS), answer(mac, diskutil.CRYPTO_USERS)) is is_owner


@pytest.mark.parametrize("is_admin", [True, False])
def test_the_administrator(mac, is_admin):
    mac.state.is_admin = is_admin

    assert answer(mac, dseditgroup.is_admin("admin")) is is_admin


@pytest.mark.parametrize("has_access", [True, False])
def test_full_disk_access(mac, has_access):
    mac.state.remote_full_disk_access = has_access

    assert answer(mac, tmutil.FULL_DISK_ACCESS) is has_access


@pytest.mark.parametrize(("password", "status"), [(b"rehearsal\n", 0), (b"rehearsal", 0), (b"wrong\n", 78), (b"", 78)])
def test_a_password_is_checked(mac, password, status):
    assert PROGRAMS["dscl"](mac, Call(("dscl", ".", "-authonly", "admin"), stdin=password)).exit_status == status


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("admin ALL=(ALL) NOPASSWD: ALL\n", 0),
        ("# a comment\n\n%admin ALL = (ALL) ALL\nDefaults:admin !requiretty\n", 0),
        ("admin ALL=(root) NOPASSWD: /usr/sbin/sysctl, /usr/bin/pmset\n", 0),
        ("admin ALL=(ALL NOPASSWD: ALL\n", 1),
        ("admin\n", 1),
        ("<html>\n", 1),
    ],
)
def test_sudoers_rules_are_checked(mac, text, status):
    (mac.root / "private/tmp/rule").write_text(text)

    assert run(mac, "visudo", "-cf", str(mac.root / "private/tmp/rule"), is_root=True).exit_status == status
