import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from macfleet.core.errors import InventoryError
from macfleet.inventory import hardware
from macfleet.inventory.load import load_inventory
from macfleet.inventory.schema import json_schema
from macfleet.inventory.settings import SecretSource, Settings, merged
from macfleet.inventory.yaml_text import read_yaml

from .test_load import SMALL, Path, one_mac

SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "wired_limit": st.sampled_from(["auto", "100 GiB", "448 GiB"]),
        "filevault": st.sampled_from(["on", "off", "any"]),
        "power": st.fixed_dictionaries({}, optional={"sleep_min": st.integers(0, 9), "power_nap": st.booleans()}),
        "tailscale": st.fixed_dictionaries({}, optional={"tags": st.lists(st.sampled_from(["tag:a", "tag:b"])), "enabled": st.booleans()}),
        "minimum_free_disk": st.sampled_from(["1 GiB", "2 TB"]),
    },
).map(Settings.model_validate)


def test_the_schema_knows_every_section_and_refuses_unknown_keys():
    schema = json_schema()

    assert set(schema["properties"]) == {"fleet", "groups", "macs", "services", "models"}
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["macs"]


def test_every_key_of_the_schema_says_what_it_means():
    def undescribed(name, properties):
        return [f"{name}.{key}" for key, value in properties.items() if "description" not in value and "$ref" not in value]

    parts = json_schema()["$defs"] | {"inventory": json_schema()}

    assert [key for name, part in parts.items() for key in undescribed(name, part.get("properties", {}))] == []


def test_a_default_is_shown_as_it_would_be_written():
    parts = json_schema()["$defs"]

    assert parts["Settings"]["properties"]["minimum_free_disk"]["default"] == "50 GiB"
    assert parts["Reboot"]["properties"]["deadline"]["default"] == "10 min"
    assert "default" not in parts["Settings"]["properties"]["power"]


@pytest.mark.parametrize(("text", "fits"), [("448 GiB", True), ("1.5 TB", True), ("448", False), ("448GiB", True), ("auto", False)])
def test_the_editor_s_idea_of_a_size_is_the_loader_s(text, fits):
    pattern = next(
        rule["pattern"] for rule in json_schema()["$defs"]["Settings"]["properties"]["wired_limit"]["anyOf"] if "pattern" in rule
    )

    assert bool(re.search(pattern, text)) is fits


@given(SETTINGS, SETTINGS)
def test_merging_keeps_what_only_one_says_and_takes_the_nearer_where_both_do(far, near):
    both = merged(far, near)

    assert merged(both, near) == both
    assert merged(Settings(), both) == both
    assert all(getattr(both, key) == getattr(near, key) for key in near.model_fields_set if key not in ("power", "tailscale"))
    assert all(getattr(both, key) == getattr(far, key) for key in far.model_fields_set - near.model_fields_set)
    assert all(getattr(both.power, key) == getattr(near.power, key) for key in near.power.model_fields_set)


@given(SETTINGS, SETTINGS, SETTINGS)
def test_it_does_not_matter_which_levels_are_merged_first(fleet, group, mac):
    assert merged(merged(fleet, group), mac) == merged(fleet, merged(group, mac))


def test_a_list_is_replaced_and_a_secret_s_source_too():
    far = Settings.model_validate({"tailscale": {"tags": ["tag:a"], "auth_key": {"env": "A"}}})
    near = Settings.model_validate({"tailscale": {"tags": ["tag:b"], "auth_key": {"file": "b"}}})

    assert merged(far, near).tailscale.tags == ("tag:b",)
    assert merged(far, near).tailscale.auth_key == SecretSource(file="b")


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused_with_a_line_and_never_crashes(text):
    source = read_yaml(text)

    assert all(problem.line >= 1 for problem in source.problems)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_line_broken_anywhere_gives_an_inventory_or_an_error_with_a_line(data):
    lines = SMALL.splitlines()
    number = data.draw(st.integers(0, len(lines) - 1))
    lines[number] = data.draw(st.one_of(st.just(""), st.text(max_size=30), st.sampled_from(lines), st.just(lines[number] + " x")))

    said = complaints("\n".join(lines))

    assert all(re.match(r"inventory\.yaml:\d+: ", line) for line in said)


def complaints(text):
    try:
        load_inventory(Path("inventory.yaml"), text)
    except InventoryError as error:
        return [error.what, *error.truths]
    return []


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=15).filter(lambda key: key not in Settings.model_fields))
def test_no_misspelt_setting_is_ever_taken_for_another(key):
    with pytest.raises(InventoryError, match=f'settings/{key}: "{key}" is not a key here; '):
        load_inventory(Path("inventory.yaml"), one_mac(settings=f"{{{key!r}: 1}}"))


def test_a_nest_of_lists_is_refused_and_not_followed():
    with pytest.raises(InventoryError, match="nests too deeply"):
        load_inventory(Path("inventory.yaml"), "macs: " + "[" * 2000 + "]" * 2000)


@pytest.mark.parametrize("row", hardware.HARDWARE, ids=lambda row: row.alias)
def test_each_mac_of_the_catalog_is_found_by_its_identifier_and_its_alias(row):
    assert hardware.find(row.id) is row
    assert hardware.find(row.alias.upper().replace("-", " ")) is row
    assert len(row.interfaces) in (0, row.thunderbolt_ports)


def test_identifiers_and_aliases_are_unique():
    assert len(set(hardware.names())) == 2 * len(hardware.HARDWARE)


@pytest.mark.parametrize(
    ("name", "ports", "has_rdma"),
    [("mac-mini-m4", 3, False), ("mac-mini-m4-pro", 3, True), ("mac-studio-m3-ultra", 6, True), ("macbook-pro-14-m5", 3, False)],
)
def test_rdma_follows_the_ports_and_not_the_chip_s_number(name, ports, has_rdma):
    row = hardware.find(name)

    assert (row.thunderbolt_ports, row.has_rdma) == (ports, has_rdma)


def test_only_rows_that_rest_on_recordings_refuse_a_memory_size():
    assert not hardware.find("mac-studio-m3-ultra").comes_with(128)
    assert hardware.find("mac-studio-m5-ultra").comes_with(128)


def test_the_smaller_bin_of_a_chip_has_its_own_bandwidth():
    row = hardware.find("mac-studio-m4-max")

    assert (row.bandwidth_with(36), row.bandwidth_with(128)) == (410, 546)
