"""How facts are shown."""

import json

import yaml

from macfleet.cli.facts import as_plain, as_text, as_values
from macfleet.core.fact import Unknown
from macfleet.macos.files import FileState
from macfleet.macos.sw_vers import Version
from tests.checks.macs import Shelf

VALUES = {
    "file /etc/x": as_plain(FileState(0o644, "root", "wheel", 3, "ab")),
    "macos-version": as_plain(Version("macOS", "26.5", "25F71")),
    "text of /etc/x": "one\n\ttwo",
    "rdma-ports": as_plain(Unknown("ibv_devinfo did not end")),
}


def test_a_files_mode_is_written_as_everybody_writes_it():
    assert VALUES["file /etc/x"]["mode"] == "644"


def test_for_a_person_facts_are_yaml_and_say_the_same_as_the_json():
    text = as_text("studio-1", VALUES)

    assert yaml.safe_load(text) == {"studio-1": json.loads(json.dumps(VALUES))}
    assert "  macos-version: {product: macOS, version: '26.5', build: 25F71}\n" in text


def test_everything_that_is_read_of_a_mac_can_be_shown_in_both_ways():
    values = as_values(Shelf(count=1).facts(1))

    assert yaml.safe_load(as_text("studio-1", values)) == {"studio-1": json.loads(json.dumps(values))}
    assert (values["thermal-level"], values["clock"]) == ("nominal", "2026-11-20T09:27:03+01:00")
