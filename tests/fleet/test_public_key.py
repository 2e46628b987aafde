import subprocess

import pytest

from macfleet.core.errors import RequestError
from macfleet.fleet.public_key import find_public_key
from macfleet.inventory.mac import SshSettings
from tests.fleet.sshd import make_key


def nobody():
    return []


def fingerprint(path):
    said = subprocess.run(["ssh-keygen", "-lf", str(path)], capture_output=True, text=True, check=True)
    return said.stdout.split()[1]


def test_the_key_of_the_inventory_comes_from_the_file_beside_it(tmp_path):
    key = make_key(tmp_path / "id_fleet")

    found = find_public_key(SshSettings(key=key), tmp_path, nobody)

    assert found.line == key.with_suffix(".pub").read_text().strip()
    assert (found.source, found.fingerprint) == (str(tmp_path / "id_fleet.pub"), fingerprint(key))


def test_without_that_file_it_comes_from_the_private_key_itself(tmp_path):
    key = make_key(tmp_path / "id_fleet")
    kind, blob, _ = key.with_suffix(".pub").read_text().split()
    key.with_suffix(".pub").unlink()

    found = find_public_key(SshSettings(key=key), tmp_path, nobody)

    assert (found.type, found.base64) == (kind, blob)
    assert found.comment


def test_a_file_beside_it_that_is_no_key_is_not_believed(tmp_path):
    key = make_key(tmp_path / "id_fleet")
    wanted = key.with_suffix(".pub").read_text().split()[1]
    key.with_suffix(".pub").write_text("<html>")

    assert find_public_key(SshSettings(key=key), tmp_path, nobody).base64 == wanted


def test_the_agents_first_key_goes_before_those_in_the_home_directory(tmp_path):
    (tmp_path / ".ssh").mkdir()
    make_key(tmp_path / ".ssh/id_ed25519")

    found = find_public_key(SshSettings(), tmp_path, lambda: [("ssh-ed25519", "AAAA", "card"), ("ssh-rsa", "BBBB", "")])

    assert (found.line, found.source) == ("ssh-ed25519 AAAA card", "your SSH agent")


def test_without_an_agent_it_is_the_one_that_ssh_tries_first(tmp_path):
    (tmp_path / ".ssh").mkdir()
    make_key(tmp_path / ".ssh/id_rsa", "rsa")
    first = make_key(tmp_path / ".ssh/id_ed25519")

    assert find_public_key(SshSettings(), tmp_path, nobody).fingerprint == fingerprint(first)


def test_without_any_key_it_says_how_to_make_one(tmp_path):
    with pytest.raises(RequestError) as refused:
        find_public_key(SshSettings(), tmp_path, nobody)

    assert "ssh-keygen -t ed25519" in refused.value.hint
