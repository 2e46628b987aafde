"""Host keys that nobody has pinned, and a password, as an operator meets them."""

import os
import select
import subprocess
import sys

import pytest

from macfleet.cli.first_login import pin_first
from macfleet.cli.output import Output
from macfleet.core.errors import HostKeyMismatch, Unreachable
from macfleet.fleet import pin
from macfleet.fleet.pin import HostKey
from macfleet.inventory.mac import Inventory, Mac, SshSettings

OURS, OTHER = HostKey("ssh-ed25519", "AAAA"), HostKey("ssh-ed25519", "BBBB")
ONE, TWO = Mac("studio-1", "10.0.0.1", "Mac15,14", 1), Mac("studio-2", "10.0.0.2", "Mac15,14", 1)

ASK = """
from macfleet.cli.first_login import read_password
from macfleet.cli.output import Output
from macfleet.core.errors import RequestError
import sys
try:
    print(repr(read_password(Output(), "admin", ["studio-1", "studio-2"], from_stdin=False).reveal()))
except RequestError as error:
    sys.exit(f"{error} {error.hint}")
"""


@pytest.fixture
def shelf(tmp_path):
    return Inventory(tmp_path / "inventory.yaml", "shelf", (ONE, TWO), ssh=SshSettings(known_hosts=tmp_path / "known_hosts"))


def shows(**keys):
    """A look at Macs that show these keys; the others do not answer."""

    def scan(mac):
        if mac.name.replace("-", "_") not in keys:
            raise Unreachable(f"{mac.address} does not answer", mac=mac.name)
        return keys[mac.name.replace("-", "_")]

    return scan


def pinned(shelf, scan, answer=True, *, dry_run=False):
    asked = []

    def consent(question):
        asked.append(question)
        return answer

    return pin_first(Output(quiet=True), shelf, shelf.macs, consent, dry_run=dry_run, scan=scan), asked


def test_new_keys_are_pinned_when_they_are_wanted(shelf):
    found, asked = pinned(shelf, shows(studio_1=OURS, studio_2=OTHER))

    assert [mac.name for mac in found.macs] == ["studio-1", "studio-2"]
    assert len(asked) == 1
    assert pin.pinned_keys(shelf.ssh.known_hosts.read_text(), "10.0.0.2") == (OTHER,)


def test_a_no_leaves_them_waiting_and_the_others_go_on(shelf):
    shelf.ssh.known_hosts.write_text("10.0.0.1 ssh-ed25519 AAAA\n")

    found, _ = pinned(shelf, shows(studio_1=OURS, studio_2=OTHER), answer=False)

    assert ([mac.name for mac in found.macs], found.waiting) == (["studio-1"], ["studio-2"])
    assert shelf.ssh.known_hosts.read_text() == "10.0.0.1 ssh-ed25519 AAAA\n"


def test_a_dry_run_pins_nothing_and_asks_nothing(shelf):
    found, asked = pinned(shelf, shows(studio_1=OURS, studio_2=OTHER), dry_run=True)

    assert (found.macs, found.waiting, asked) == ([], ["studio-1", "studio-2"], [])
    assert not shelf.ssh.known_hosts.exists()


def test_keys_that_are_pinned_already_are_not_asked_about(shelf):
    shelf.ssh.known_hosts.write_text("10.0.0.1 ssh-ed25519 AAAA\n10.0.0.2 ssh-ed25519 BBBB\n")

    found, asked = pinned(shelf, shows(studio_1=OURS, studio_2=OTHER))

    assert ([mac.name for mac in found.macs], asked) == (["studio-1", "studio-2"], [])


def test_another_key_than_the_pinned_one_is_never_talked_to(shelf):
    shelf.ssh.known_hosts.write_text("10.0.0.1 ssh-ed25519 BBBB\n")

    found, _ = pinned(shelf, shows(studio_1=OURS))

    assert found.macs == []
    assert isinstance(found.errors["studio-1"], HostKeyMismatch)
    assert isinstance(found.errors["studio-2"], Unreachable)
    assert "10.0.0.1 ssh-ed25519 BBBB\n" in shelf.ssh.known_hosts.read_text()


def asked(from_stdin, **streams):
    """A process that wants a password and says what it got."""
    script = ASK.replace("from_stdin=False", f"from_stdin={from_stdin}")
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **streams)


def test_a_password_is_typed_unseen():
    ours, theirs = os.openpty()
    process = asked(False, stdin=theirs, start_new_session=True)
    prompt = os.read(process.stderr.fileno(), 1000)

    os.write(ours, b"rehearsal\n")  # not before: what is typed ahead is thrown away
    stdout, stderr = process.communicate(timeout=60)

    assert prompt == b"Password of admin on studio-1 and studio-2: "
    assert (stdout, stderr.strip()) == (b"'rehearsal'\n", b"")
    assert select.select([ours], [], [], 0) == ([], [], []), "the terminal shows nothing of it"
    for end in (ours, theirs):
        os.close(end)


def test_without_a_terminal_nobody_is_asked():
    _, stderr = asked(False, stdin=subprocess.DEVNULL).communicate(timeout=60)

    assert b"pipe it in with --password-stdin" in stderr


@pytest.mark.parametrize(("piped", "given"), [(" with blanks \r\nmore\n", " with blanks "), ("last", "last")])
def test_a_password_is_the_first_line_of_what_is_piped_in(piped, given):
    stdout, _ = asked(True, stdin=subprocess.PIPE).communicate(piped.encode(), timeout=60)

    assert stdout.decode().strip() == repr(given)


def test_an_empty_password_is_none():
    _, stderr = asked(True, stdin=subprocess.PIPE).communicate(b"", timeout=60)

    assert b"stdin is empty" in stderr
