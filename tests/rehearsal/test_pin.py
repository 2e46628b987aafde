"""Trusting the Macs for the first time, and a Mac whose host key is suddenly another one. One fleet, in this order."""

import pytest

pytestmark = pytest.mark.rehearsal


def test_a_mac_that_is_not_pinned_gets_nothing_sent_until_it_is(stage):
    known_hosts = stage.folder / "known_hosts"
    known_hosts.unlink()

    before = stage.must("exec", "--mac", "studio-1", "--", "sw_vers", exit_code=3)
    seen = stage.must("inventory", "pin", "--dry-run", exit_code=1)
    unasked = stage.must("inventory", "pin", exit_code=2)
    pinned = stage.must("inventory", "pin", "--yes")
    after = stage.must("exec", "--mac", "studio-1", "--", "sw_vers")

    assert "no host key is pinned" in before.stderr
    assert "4 host keys would be pinned" in seen.stdout
    assert "nobody is there to ask" in unasked.stderr
    assert "4 host keys pinned" in pinned.stdout
    assert "ProductVersion" in after.stdout


def test_a_key_that_changed_is_refused_until_its_replacement_is_asked_for_by_name(stage):
    known_hosts = stage.folder / "known_hosts"
    first, *others = known_hosts.read_text().splitlines()
    wrong = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
    known_hosts.write_text("\n".join([" ".join([*first.split()[:2], wrong]), *others]) + "\n")

    refused = stage.must("exec", "--", "sw_vers", exit_code=3)
    kept = stage.must("inventory", "pin", "--yes", exit_code=3)
    replaced = stage.must("inventory", "pin", "--yes", "--replace")
    after = stage.must("exec", "--", "sw_vers")

    assert "is not the pinned one" in refused.stderr
    assert "--replace" in kept.stderr
    assert known_hosts.read_text().count("\n") == 4
    assert "1 host key pinned" in replaced.stdout
    assert "studio-1, studio-2, studio-3, studio-4" in after.stdout
