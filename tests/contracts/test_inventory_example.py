"""inventory.example.yaml is the reference of the inventory: complete, explained, and it loads."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from macfleet.core.data import data_path
from macfleet.core.units import GIB
from macfleet.inventory.load import load_inventory
from macfleet.inventory.problems import model_in
from macfleet.inventory.schema import InventoryFile
from macfleet.inventory.settings import SecretSource, Settings
from macfleet.inventory.yaml_text import read_yaml

TEXT = data_path("inventory.example.yaml").read_text()


def keys_of(model: type[BaseModel], place: tuple[str, ...] = ()):
    """Every key path of the schema; an entry's name is "*". A secret's source counts as one key."""
    for name, field in model.model_fields.items():
        yield (*place, name)
        inner, below = model_in(field.annotation), (*place, name)
        if inner is None:
            inner, below = (
                next((model_in(part) for part in getattr(field.annotation, "__args__", ()) if model_in(part)), None),
                (*below, "*"),
            )
        if inner is not None and inner is not SecretSource and not (inner is Settings and place[:1] in (("groups",), ("macs",))):
            yield from keys_of(inner, below)


def written_keys():
    named = ("groups", "macs", "services", "models", "api_keys")
    for path in read_yaml(TEXT).lines:
        words = [str(step) for step in path]
        yield tuple("*" if words[index - 1] in named and index in (1, 3) else word for index, word in enumerate(words))


def test_the_example_loads_without_a_word():
    inventory = load_inventory(Path("inventory.example.yaml"), TEXT)

    assert [mac.name for mac in inventory.macs] == ["studio-1", "studio-2", "studio-3", "studio-4"]
    assert {(mac.hardware, mac.memory_bytes, mac.settings.wired_limit) for mac in inventory.macs} == {("Mac15,14", 512 * GIB, 448 * GIB)}
    assert inventory.service("deepseek").macs == ("studio-1", "studio-2", "studio-3", "studio-4")


@pytest.mark.parametrize("key", sorted(set(keys_of(InventoryFile))), ids="/".join)
def test_every_key_of_the_schema_stands_in_the_example(key):
    assert key in set(written_keys())


@pytest.mark.parametrize("source", SecretSource.model_fields)
def test_every_source_of_a_secret_is_shown(source):
    assert f"{{{source}: " in TEXT


def test_every_key_has_a_comment():
    lines = TEXT.splitlines()
    bare = [line for line in lines if line.strip() and not line.lstrip().startswith("#") and "#" not in line]

    assert bare == []


def test_what_the_example_says_of_defaults_is_true():
    """The settings of the fleet in the example are those of a fleet that says nothing."""
    shown = read_yaml(TEXT).value["fleet"]["settings"]
    quiet = {**shown, "tailscale": {}, "gateway": {key: value for key, value in shown["gateway"].items() if key != "control_port"}}

    assert Settings.model_validate(quiet) == Settings()
