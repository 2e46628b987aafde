from pathlib import Path

import pytest

from macfleet.core.errors import RequestError
from macfleet.inventory.load import load_inventory
from macfleet.inventory.select import select

INVENTORY = load_inventory(
    Path("inventory.yaml"),
    """\
groups: {studios: {}, minis: {}}
macs:
  studio-1: {address: 10.0.0.1, hardware: mac-studio-m3-ultra, memory: 512 GiB, groups: [studios], tags: [rack-a]}
  studio-2: {address: 10.0.0.2, hardware: mac-studio-m3-ultra, memory: 512 GiB, groups: [studios], tags: [rack-b]}
  mini-1: {address: 10.0.0.3, hardware: mac-mini-m4-pro, memory: 64 GiB, groups: [minis], tags: [rack-a]}
""",
)


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ({}, ["studio-1", "studio-2", "mini-1"]),
        ({"macs": ["mini-1", "studio-1"]}, ["studio-1", "mini-1"]),
        ({"macs": ["studio-*"]}, ["studio-1", "studio-2"]),
        ({"macs": ["*-1"]}, ["studio-1", "mini-1"]),
        ({"groups": ["minis"]}, ["mini-1"]),
        ({"tags": ["rack-*"]}, ["studio-1", "studio-2", "mini-1"]),
        ({"groups": ["studios"], "tags": ["rack-a"]}, ["studio-1"]),
        ({"macs": ["*-1"], "groups": ["studios", "minis"], "tags": ["rack-a"]}, ["studio-1", "mini-1"]),
    ],
)
def test_each_option_narrows_and_the_order_is_the_inventory_s(asked, meant):
    assert [mac.name for mac in select(INVENTORY, **asked)] == meant


@pytest.mark.parametrize(
    ("asked", "what", "hint"),
    [
        ({"macs": ["studoi-1"]}, 'there is no Mac "studoi-1"', 'did you mean "studio-1"?'),
        ({"macs": ["x*"]}, 'there is no Mac "x*"', "known: studio-1, studio-2, mini-1"),
        ({"groups": ["studio"]}, 'there is no group "studio"', 'did you mean "studios"?'),
        ({"tags": ["rack-c"]}, 'there is no tag "rack-c"', 'did you mean "rack-b"?'),
        ({"macs": ["mini-1"], "groups": ["studios"]}, "no Mac is named mini-1 and in group studios at once", "ask for less"),
    ],
)
def test_a_word_that_means_no_mac_is_refused_with_the_near_name(asked, what, hint):
    with pytest.raises(RequestError) as caught:
        select(INVENTORY, **asked)

    assert caught.value.what == what
    assert caught.value.hint.startswith(hint)
