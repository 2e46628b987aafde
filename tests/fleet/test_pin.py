import base64
import hashlib
import hmac
import stat
import subprocess
from pathlib import Path

import pytest

from macfleet.core.errors import RequestError, Unreachable
from macfleet.fleet.pin import HostKey, PinState, look, pinned_keys, with_key, write
from macfleet.inventory.load import load_inventory
from macfleet.inventory.mac import Inventory

# The key and the fingerprint that `ssh-keygen -l` prints for it.
KEY = HostKey("ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl")
FINGERPRINT = "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"
OTHER = HostKey("ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5AAAAIBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB")


def inventory_in(directory, known_hosts="known_hosts"):
    text = f"""\
fleet: {{ssh: {{known_hosts: {known_hosts}}}}}
macs:
  studio-1: {{address: 10.0.0.1, hardware: mac-studio-m3-ultra, memory: 512 GiB}}
  studio-2: {{address: 10.0.0.2, port: 2222, hardware: mac-studio-m3-ultra, memory: 512 GiB}}
"""
    return load_inventory(Path(directory) / "inventory.yaml", text)


def hashed(name, salt=b"01234567890123456789"):
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def test_a_fingerprint_is_the_one_that_ssh_keygen_prints():
    assert KEY.fingerprint == FINGERPRINT


@pytest.mark.parametrize(
    "line",
    ["10.0.0.1 {}", "studio-1,10.0.0.1 {}", "10.0.0.1 {} a comment", hashed("10.0.0.1") + " {}"],
)
def test_a_pinned_key_is_found_under_every_way_to_write_its_name(line):
    text = line.format(f"{KEY.type} {KEY.base64}")

    assert pinned_keys(text, "10.0.0.1") == (KEY,)
    assert pinned_keys(text, "10.0.0.2") == ()
    assert pinned_keys(text, "[10.0.0.1]:2222") == ()


@pytest.mark.parametrize(
    "line", ["# 10.0.0.1 {}", "@revoked 10.0.0.1 {}", "@cert-authority 10.0.0.1 {}", "", "10.0.0.1 ssh-rsa", "|1|x {}"]
)
def test_what_pins_nothing_pins_nothing(line):
    assert pinned_keys(line.format(f"{KEY.type} {KEY.base64}"), "10.0.0.1") == ()


def test_a_new_key_takes_the_place_of_the_old_one_and_leaves_the_others():
    text = (
        f"# mine\nstudio-1,10.0.0.1 {OTHER.type} {OTHER.base64}\n10.0.0.9 {OTHER.type} {OTHER.base64}\n{hashed('10.0.0.1')} ssh-rsa AAAA\n"
    )

    changed = with_key(text, "10.0.0.1", KEY)

    assert changed.splitlines() == [
        "# mine",
        f"studio-1 {OTHER.type} {OTHER.base64}",
        f"10.0.0.9 {OTHER.type} {OTHER.base64}",
        f"10.0.0.1 {KEY.type} {KEY.base64}",
    ]


def test_what_was_written_is_pinned_and_readable_by_its_owner_alone(tmp_path):
    inventory = inventory_in(tmp_path, known_hosts="keys/known_hosts")

    before = look(inventory, inventory.macs, scan=lambda mac: KEY)
    path = write(inventory, before.values().values())
    after = look(inventory, inventory.macs, scan=lambda mac: KEY)
    later = look(inventory, inventory.macs, scan=lambda mac: OTHER)

    assert path == tmp_path / "keys/known_hosts"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [line.split()[0] for line in path.read_text().splitlines()] == ["10.0.0.1", "[10.0.0.2]:2222"]
    assert [[pin.state for pin in report.values().values()] for report in (before, after, later)] == [
        [PinState.NEW] * 2,
        [PinState.SAME] * 2,
        [PinState.CHANGED] * 2,
    ]


def test_a_linked_known_hosts_stays_a_link(tmp_path):
    (tmp_path / "real").write_text("# mine\n")
    (tmp_path / "known_hosts").symlink_to("real")
    inventory = inventory_in(tmp_path)

    write(inventory, look(inventory, inventory.macs, scan=lambda mac: KEY).values().values())

    assert (tmp_path / "known_hosts").is_symlink()
    assert (tmp_path / "real").read_text().startswith("# mine\n10.0.0.1 ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["known_hosts", "real"]


def test_a_mac_that_does_not_answer_is_an_outcome_of_its_own(tmp_path):
    inventory = inventory_in(tmp_path)

    def scan(mac):
        if mac.name == "studio-1":
            raise Unreachable("10.0.0.1:22 refuses connections")
        return KEY

    report = look(inventory, inventory.macs, scan=scan)

    assert list(report.values()) == ["studio-2"]
    assert str(report.errors()["studio-1"]) == "studio-1: 10.0.0.1:22 refuses connections"


def test_a_known_hosts_that_cannot_be_read_is_a_wrong_request(tmp_path):
    (tmp_path / "known_hosts").mkdir()
    inventory = inventory_in(tmp_path)

    with pytest.raises(RequestError, match=r"the known hosts in .* cannot be read"):
        look(inventory, inventory.macs, scan=lambda mac: KEY)


@pytest.mark.openssh
def test_what_was_written_openssh_finds_and_what_openssh_hashed_is_found(tmp_path):
    inventory = inventory_in(tmp_path)
    path = write(inventory, look(inventory, inventory.macs, scan=lambda mac: KEY).values().values())

    found = subprocess.run(["ssh-keygen", "-F", "[10.0.0.2]:2222", "-f", path], capture_output=True, text=True, check=True, timeout=20)
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", path], capture_output=True, check=True, timeout=20)

    assert KEY.base64 in found.stdout
    assert "10.0.0.2" not in path.read_text()
    assert pinned_keys(path.read_text(), "[10.0.0.2]:2222") == (KEY,)


@pytest.mark.openssh
def test_the_key_that_a_server_shows_is_its_own_and_once_pinned_it_is_trusted(sshd):
    own = HostKey(*sshd.host_key.with_suffix(".pub").read_text().split()[:2])
    sshd.known_hosts.unlink()
    inventory = Inventory(sshd.directory / "inventory.yaml", "shelf", (sshd.mac,), ssh=sshd.ssh)

    [pin] = look(inventory, inventory.macs).values().values()
    write(inventory, [pin])
    [again] = look(inventory, inventory.macs).values().values()

    assert (pin.shown, pin.state, again.state) == (own, PinState.NEW, PinState.SAME)


@pytest.mark.openssh
def test_a_server_whose_key_changed_is_seen_as_changed(sshd):
    inventory = Inventory(sshd.directory / "inventory.yaml", "shelf", (sshd.mac,), ssh=sshd.ssh)
    sshd.known_hosts.write_text(f"[127.0.0.1]:{sshd.port} {KEY.type} {KEY.base64}\n")

    [pin] = look(inventory, inventory.macs).values().values()

    assert (pin.state, pin.pinned) == (PinState.CHANGED, (KEY,))
