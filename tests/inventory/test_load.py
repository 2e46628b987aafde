from pathlib import Path

import pytest

from macfleet.core.errors import InventoryError, RequestError
from macfleet.core.units import GIB
from macfleet.inventory.load import load_inventory

SMALL = """\
fleet:
  name: shelf
  user: admin
  ssh: {key: keys/id_ed25519, known_hosts: known_hosts, connect_timeout: 5 s}
  settings:
    wired_limit: 400 GiB
    power: {display_sleep_min: 5}
groups:
  studios:
    settings:
      wired_limit: 448 GiB
      power: {sleep_min: 3}
macs:
  studio-1:
    address: 10.0.0.1
    hardware: mac-studio-m3-ultra
    memory: 512 GiB
    groups: [studios]
    tags: [rack-a]
    settings:
      power: {sleep_min: 0}
  studio-2: {address: 10.0.0.2, port: 2222, user: root, hardware: "Mac15,14", memory: 512 GiB, root: /srv/mac/}
services:
  chat: {model: smollm2-135m, macs: [studio-*], port: 9000}
models:
  mine: {path: models/mine}
"""


def load(text):
    return load_inventory(Path("inventory.yaml"), text)


def complaints(text):
    with pytest.raises(InventoryError) as caught:
        load(text)
    return [caught.value.what, *caught.value.truths]


def one_mac(**extra):
    keys = {"address": "10.0.0.1", "hardware": "mac-studio-m3-ultra", "memory": "512 GiB", **extra}
    return "macs:\n  studio-1:\n" + "".join(f"    {key}: {value}\n" for key, value in keys.items())


def test_a_mac_carries_its_fleet_then_its_groups_then_its_own_settings():
    studio_1, studio_2 = load(SMALL).macs

    assert studio_1.settings.wired_limit == 448 * GIB
    assert studio_2.settings.wired_limit == 400 * GIB
    assert (studio_1.settings.power.display_sleep_min, studio_1.settings.power.sleep_min) == (5, 0)


def test_what_a_mac_does_not_say_the_fleet_says():
    studio_1, studio_2 = load(SMALL).macs

    assert (studio_1.user, studio_1.port, studio_1.root) == ("admin", 22, "/")
    assert (studio_2.user, studio_2.port, studio_2.root) == ("root", 2222, "/srv/mac")


def test_an_alias_of_a_hardware_is_its_identifier():
    assert load(SMALL).mac("studio-1").hardware == "Mac15,14"


def test_relative_paths_are_beside_the_inventory(tmp_path):
    inventory = load_inventory(tmp_path / "inventory.yaml", SMALL)

    assert inventory.ssh.key == tmp_path / "keys/id_ed25519"
    assert inventory.models[0].path == tmp_path / "models/mine"
    assert inventory.state_dir == tmp_path / ".macfleet"


def test_a_service_takes_its_ports_from_itself_and_its_macs_from_patterns():
    service = load(SMALL).service("chat")

    assert service.macs == ("studio-1", "studio-2")
    assert (service.listen, service.port, service.control_port) == ("127.0.0.1", 9000, 9001)


def test_a_service_may_name_a_group_and_keeps_the_order_it_was_told():
    text = SMALL.replace("macs: [studio-*]", "macs: [studio-2, studios]")

    assert load(text).service("chat").macs == ("studio-2", "studio-1")


def test_a_service_without_ports_takes_them_from_its_head():
    text = SMALL.replace(", port: 9000", "").replace("power: {sleep_min: 0}", "gateway: {port: 7000, control_port: 7100}")

    service = load(text).service("chat")

    assert (service.port, service.control_port) == (7000, 7100)


@pytest.mark.parametrize(("written", "meant"), [("on", "on"), ("off", "off"), ("any", "any"), ('"on"', "on")])
def test_on_and_off_stay_words(written, meant):
    text = one_mac(settings=f"{{filevault: {written}}}")

    assert load(text).macs[0].settings.filevault == meant


@pytest.mark.parametrize(("written", "meant"), [("off", False), ("on", True), ("yes", True), ("false", False), ("no", False)])
def test_every_usual_spelling_of_a_boolean_is_one(written, meant):
    text = one_mac(settings=f"{{automatic_updates: {written}}}")

    assert load(text).macs[0].settings.automatic_updates is meant


def test_a_version_is_read_as_written_and_not_as_a_number():
    text = one_mac(settings="{macos: {minimum: 26.10}, runtime: {python: 3.10}}")

    settings = load(text).macs[0].settings

    assert (settings.macos.minimum, settings.runtime.python) == ("26.10", "3.10")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (one_mac(settings="{wird_limit: 448 GiB}"),
         'inventory.yaml:6: macs/studio-1/settings/wird_limit: "wird_limit" is not a key here; did you mean "wired_limit"?'),
        (one_mac(wired_limit="448 GiB"),
         'inventory.yaml:6: macs/studio-1/wired_limit: "wired_limit" stands one level too high; write it under "settings:"'),
        (one_mac(settings="{wired_limit: 448}"),
         'inventory.yaml:6: macs/studio-1/settings/wired_limit: "448" is not a size; write "448 GiB"'),
        (one_mac(settings="{reboot: {deadline: 600}}"),
         'inventory.yaml:6: macs/studio-1/settings/reboot/deadline: "600" is not a duration; write "600 s" or "600 min"'),
        (one_mac(settings="{interconnect: {topology: rnig}}"),
         'inventory.yaml:6: macs/studio-1/settings/interconnect/topology: "rnig" is not one of mesh, ring, none; did you mean "ring"?'),
        (one_mac(settings="{filevault: yes}"),
         'inventory.yaml:6: macs/studio-1/settings/filevault: "yes" is not one of on, off, any'),
        (one_mac(settings="{interconnect: {network: 10.55}}"),
         'inventory.yaml:6: macs/studio-1/settings/interconnect/network: "10.55" is not an IPv4 network; write it like "10.55.0.0/16"'),
        (one_mac(memory="512"), 'inventory.yaml:5: macs/studio-1/memory: "512" is not a size; write "512 GiB"'),
        (one_mac(memory="512 GB"), 'inventory.yaml:5: macs/studio-1/memory: a Mac has whole GiB of memory; write "512 GiB"'),
        (one_mac(memory="128 GiB"),
         "inventory.yaml:5: macs/studio-1/memory: a Mac Studio M3 Ultra (2025) comes with 96, 256, 512 GiB, not with 128 GiB"),
        (one_mac(hardware="mac-studio-m3-ulta"),
         'inventory.yaml:4: macs/studio-1/hardware: "mac-studio-m3-ulta" is no Mac that macfleet knows;'
         ' did you mean "mac-studio-m3-ultra"?'),
        (one_mac(port="99999"), 'inventory.yaml:6: macs/studio-1/port: "99999" is too large; at most 65535'),
        (one_mac(port="ssh"), 'inventory.yaml:6: macs/studio-1/port: "ssh" is not a whole number'),
        (one_mac(address="admin@10.0.0.1"),
         'inventory.yaml:3: macs/studio-1/address: "admin@10.0.0.1" holds a user; write "address: 10.0.0.1" and "user: admin"'),
        (one_mac(address="10.0.0.1:2222"),
         'inventory.yaml:3: macs/studio-1/address: "10.0.0.1:2222" holds a port; write "address: 10.0.0.1" and "port: 2222"'),
        (one_mac(groups="studios"), "inventory.yaml:6: macs/studio-1/groups: write a list: [studios]"),
        (one_mac(groups="[studio]"), 'inventory.yaml:6: macs/studio-1/groups/0: there is no group "studio"; add it under "groups:"'),
        (one_mac(root="srv/mac"), 'inventory.yaml:6: macs/studio-1/root: "srv/mac" is not an absolute path; write "/srv/mac"'),
        (one_mac(settings="[448 GiB]"),
         "inventory.yaml:6: macs/studio-1/settings: a list stands where keys are wanted: macos, wired_limit, power, ups, filevault,"
         " automatic_updates, spotlight, tailscale, interconnect, minimum_free_disk, runtime, gateway, reboot"),
        (one_mac(settings="{wired_limit: 512 GiB}"),
         "inventory.yaml:6: macs/studio-1/settings/wired_limit: 512 GiB for the GPU leaves nothing of studio-1's 512 GiB to macOS"),
        ("macs:\n  studio-1: {address: 10.0.0.1, memory: 512 GiB, hardware: Mac15}\n",
         'inventory.yaml:2: macs/studio-1/hardware: a comma ends a value inside { }; write it in quotes, like "Mac15,14"'),
        ("macs:\n  studio-1: {address: 10.0.0.1, memory: 512 GiB}\n",
         'inventory.yaml:2: macs/studio-1/hardware: "hardware" is missing; write "hardware: mac-studio-m3-ultra"'),
        ("fleet: {}\n", 'inventory.yaml:1: macs: "macs" is missing'),
        ("macs:\n", "inventory.yaml:1: macs: nothing stands here; write at least one"),
        ("", 'inventory.yaml:1: this file holds no inventory; it starts with "macs:"'),
        ("- studio-1\n", 'inventory.yaml:1: this file holds no inventory; it starts with "macs:"'),
        ("macs:\n\tstudio-1: {}\n", "inventory.yaml:2: a tab stands where YAML wants spaces; indent with spaces"),
    ],
)  # fmt: skip
def test_a_mistake_is_shown_with_its_line_its_path_and_the_correction(text, line):
    assert complaints(text) == [line]


def test_every_mistake_of_a_file_is_shown_at_once_in_its_order():
    text = SMALL.replace("400 GiB", "400").replace("wired_limit: 448", "wird_limit: 448").replace("smollm2-135m", "x, prot: 1")

    assert [line.split(": ")[0] for line in complaints(text)] == ["inventory.yaml:6", "inventory.yaml:11", "inventory.yaml:24"]


def test_a_wrong_mac_does_not_hide_what_is_wrong_between_the_others():
    text = one_mac() + "  studio-2: {address: 10.0.0.1, hardware: mac-studio-m3-ultra, memory: 512 GiB}\n  studio-3: {addres: x}\n"

    lines = complaints(text)

    assert lines[0] == "inventory.yaml:6: macs/studio-2/address: 10.0.0.1 port 22 is already studio-1; two Macs cannot be at one place"
    assert 'inventory.yaml:7: macs/studio-3/addres: "addres" is not a key here; did you mean "address"?' in lines


def test_two_macs_on_one_address_and_two_ports_are_two_macs():
    text = one_mac() + "  studio-2: {address: 10.0.0.1, port: 2222, hardware: mac-studio-m3-ultra, memory: 512 GiB}\n"

    assert len(load(text).macs) == 2


@pytest.mark.parametrize(
    ("macs", "said"),
    [
        ("[studoi-1]", 'macs/0: there is no Mac or group "studoi-1"; did you mean "studio-1"?'),
        ("[studio-1, mini-*]", 'macs/1: "mini-*" matches no Mac; known: studio-1, studio-2'),
        ("[]", "macs: nothing stands here; write at least one"),
    ],
)
def test_a_service_on_an_unknown_mac_is_refused_with_the_near_name(macs, said):
    text = SMALL.replace("macs: [studio-*]", f"macs: {macs}")

    assert complaints(text) == [f"inventory.yaml:24: services/chat/{said}"]


def test_a_service_on_a_mac_that_is_written_wrongly_is_not_told_that_there_is_no_such_mac():
    text = SMALL.replace("memory: 512 GiB\n", "memory: 512\n").replace("studio-*", "studio-1")

    assert complaints(text) == ['inventory.yaml:17: macs/studio-1/memory: "512" is not a size; write "512 GiB"']


def with_service(line):
    return SMALL.replace("macs: [studio-*]", f"macs: [studio-*], {line}")


def test_a_service_may_have_several_keys_and_its_cache_in_fewer_bits():
    [service] = load(with_service("kv_bits: 8, api_keys: {red: {key: {env: RED}, concurrency: 2}, blue: {key: {env: BLUE}}}")).services

    assert service.kv_bits == 8
    assert service.wants_key
    assert [(key.name, key.source.env, key.concurrency) for key in service.api_keys] == [("red", "RED", 2), ("blue", "BLUE", None)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("kv_bits: 6", "kv_bits: a KV cache is kept in 4 or 8 bits, not in 6"),
        ("api_keys: {red: {key: sk-red}}", "api_keys/red/key: a secret does not stand in the inventory"),
        ("api_keys: {red: sk-red}", "api_keys/red: a key does not stand in the inventory"),
        ("api_keys: {red: {key: {env: RED}, concurrency: 0}}", "api_keys/red/concurrency"),
        ("api_keys: {default: {key: {env: RED}}}", '"default" is what metrics call those who come with `api_key` itself'),
    ],
)
def test_keys_and_bits_that_cannot_be_are_refused(line, said):
    [complaint] = complaints(with_service(line))

    assert complaint.startswith("inventory.yaml:24: services/chat")
    assert said in complaint
    assert "sk-red" not in complaint


def test_two_services_cannot_have_one_port_of_one_head():
    text = SMALL.replace("models:", "  other: {model: x, macs: [studio-1], port: 8999}\nmodels:")

    [line] = complaints(text)

    assert line.startswith("inventory.yaml:25: services/other/control_port: studio-1 would need port 9000 twice")


def test_a_limit_of_a_group_that_is_too_high_for_one_of_its_macs_points_to_the_group():
    text = SMALL.replace("memory: 512 GiB\n", "memory: 256 GiB\n")

    [line] = complaints(text)

    assert line.startswith("inventory.yaml:11: groups/studios/settings/wired_limit: 448 GiB for the GPU leaves nothing")


def test_a_key_that_stands_twice_is_refused():
    text = one_mac() + "    address: 10.0.0.2\n"

    assert complaints(text) == ["inventory.yaml:6: macs/studio-1/address: this key stands twice; the first is on line 3"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (one_mac(tags="&a [x]", groups="*a"), "anchors and aliases are not used here; put what Macs share in a group"),
        (one_mac(tags="!vault x"), "the tag !vault is not used here; write the value without it"),
        ("macs:\n  studio-1: {<<: {port: 22}, address: a, hardware: mac-mini-m4, memory: 16 GiB}\n", "merge keys (`<<`) are not used here"),
    ],
)
def test_what_only_yaml_experts_understand_is_refused(text, said):
    [line] = complaints(text)

    assert said in line


def test_an_unknown_section_gets_the_near_name():
    assert complaints(SMALL.replace("services:", "servces:")) == [
        'inventory.yaml:23: servces: "servces" is not a key here; did you mean "services"?'
    ]


@pytest.mark.parametrize(
    "written",
    ["tskey-auth-k4", "{env: tskey-auth-k4}", "{value: tskey-auth-k4}", "[tskey-auth-k4]", "{command: tskey-auth-k4}",
     "{env: A, file: tskey-auth-k4}", "{file: [tskey-auth-k4]}", "{env: {a: tskey-auth-k4}}"],
)  # fmt: skip
def test_a_secret_in_the_wrong_place_is_refused_without_being_shown(written):
    lines = complaints(one_mac(settings=f"{{tailscale: {{auth_key: {written}}}}}"))

    assert lines[0].startswith("inventory.yaml:6: macs/studio-1/settings/tailscale/auth_key")
    assert not any("tskey" in line for line in lines)


def test_the_nearer_source_of_a_secret_replaces_the_whole_source():
    text = "fleet: {settings: {tailscale: {auth_key: {env: FLEET_KEY}}}}\n" + one_mac(
        settings="{tailscale: {auth_key: {command: [op, read, x]}}}"
    )

    source = load(text).macs[0].settings.tailscale.auth_key

    assert (source.env, source.command, str(source)) == (None, ("op", "read", "x"), "the command `op`")


def test_a_missing_file_is_a_wrong_request_that_says_how_to_name_one(tmp_path):
    with pytest.raises(RequestError, match="there is no inventory at") as caught:
        load_inventory(tmp_path / "none.yaml")

    assert "--inventory" in caught.value.hint
    assert caught.value.exit_code == 2


def test_a_file_that_is_not_utf_8_is_said_to_be_so(tmp_path):
    path = tmp_path / "inventory.yaml"
    path.write_bytes(b"macs: \xff\xfe")

    with pytest.raises(InventoryError, match=r"inventory.yaml:1: this is not UTF-8 text"):
        load_inventory(path)


def test_an_unknown_mac_of_a_loaded_inventory_gets_the_near_name():
    with pytest.raises(RequestError) as caught:
        load(SMALL).mac("studio-3")

    assert caught.value.hint.startswith("did you mean")


def cabled(*cables):
    lines = "".join(f"    - {cable}\n" for cable in cables)
    macs = "".join(f"  s{number}: {{address: 10.0.0.{number}, hardware: mac-mini-m4-pro, memory: 64 GiB}}\n" for number in (1, 2, 3))
    return f"fleet:\n  cables:\n{lines}macs:\n{macs}"


def test_cables_are_read_with_both_their_ends():
    inventory = load_inventory(Path("inventory.yaml"), cabled("s1:1 s2:1", "s1:2   s3:1"))

    assert [str(cable) for cable in inventory.cables] == ["s1:1 s2:1", "s1:2 s3:1"]
    assert inventory.cables[1].ends == {("s1", 2), ("s3", 1)}


def test_an_inventory_without_cables_is_not_one_that_wants_none():
    assert load_inventory(Path("inventory.yaml"), cabled("s1:1 s2:1").replace("  cables:\n    - s1:1 s2:1", "  name: shelf")).cables is None


@pytest.mark.parametrize(
    ("cables", "said"),
    [
        (["s1:1 s2:1", "s1-2 s3"],
         '4: fleet/cables/1: "s1-2 s3" is not a cable; write both its ends as MAC:PORT, like "studio-1:2 studio-3:1"'),
        (["s1:1 sss1:1"], '3: fleet/cables/0: there is no Mac "sss1"; did you mean "s1"?'),
        (["s1:1 s2:1", "s3:1 s1:1"], "4: fleet/cables/1: a second cable in s1:1; a port holds one"),
        (["s1:1 s1:1"], "3: fleet/cables/0: a second cable in s1:1; a port holds one"),
        (["s1:4 s2:1"], "3: fleet/cables/0: s1 has 3 Thunderbolt ports, and no port 4"),
    ],
)  # fmt: skip
def test_a_cable_that_cannot_be_is_refused_with_its_line(cables, said):
    with pytest.raises(InventoryError) as caught:
        load_inventory(Path("inventory.yaml"), cabled(*cables))

    assert caught.value.what == f"inventory.yaml:{said}"
