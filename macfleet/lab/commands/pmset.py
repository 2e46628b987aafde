"""`pmset`: the stored power settings."""

from __future__ import annotations

from macfleet.lab.factory import FACTORY_PMSET
from macfleet.lab.strange import power_keys
from macfleet.lab.world import Call, Reply, World

THRESHOLDS = ("haltlevel", "haltafter", "haltremain")
USAGE = "Usage:  pmset <options>\nSee pmset(1) for details: 'man pmset'\n"


def pmset(world: World, call: Call) -> Reply:
    match call.arguments:
        case ("-g", "custom"):
            return Reply("AC Power:\n" + _rows(world))
        case ("-g", "cap"):
            return Reply("Capabilities for AC Power:\n" + "".join(f" {key}\n" for key in _offered(world)))
        case ("-g",) | ("-g", "live"):
            return Reply("System-wide power settings:\nCurrently in use:\n" + _rows(world))
        case ("-g", "batt" | "ps"):
            return Reply(_sources(world))
        case ("-g", "ups"):
            return Reply(_thresholds(world))
        case ("-a" | "-c", *pairs) if pairs and len(pairs) % 2 == 0:
            return _set(world, dict(zip(pairs[::2], pairs[1::2], strict=True)), call.is_root)
        case ("-u", key, value) if key in THRESHOLDS:
            return _set_threshold(world, key, value, call.is_root)
    return Reply(USAGE, exit_status=1)


def _sources(world: World) -> str:
    wear = world.state.wear
    ups = f" -{wear.ups} (id=1234567)\t87%; {'discharging' if wear.is_on_ups else 'charged'}; 0:45 remaining present: true\n"
    return f"Now drawing from '{'UPS' if wear.is_on_ups else 'AC'} Power'\n" + (ups if wear.ups else "")


def _thresholds(world: World) -> str:
    """pmset's own `printf("  %s\\t%s\\t%d\\n")`; nothing at all where powerd never saw a UPS."""
    wanted = world.state.wear.ups_thresholds
    if not world.state.wear.ups and not wanted:
        return ""
    rows = [(key, "on" if key in wanted else "off", wanted.get(key, 0)) for key in THRESHOLDS]
    return "UPS settings:\n" + "".join(f"  {key}\t{state}\t{value}\n" for key, state, value in rows)


def _rows(world: World) -> str:
    """Apple's own `printf(" %-20s ", key)`: a long key pushes its value to the right."""
    return "".join(f" {key:<20} {value}\n" for key, value in _offered(world).items())


def _offered(world: World) -> dict[str, int]:
    return power_keys(world.state, world.state.pmset)


def _set(world: World, wanted: dict[str, str], is_root: bool) -> Reply:
    if not is_root:
        return Reply("'pmset' must be run as root...\n", exit_status=1)  # on stdout, as Apple's source has it
    if not all(value.isdecimal() for value in wanted.values()) or not wanted.keys() <= FACTORY_PMSET.keys():
        return Reply(USAGE, exit_status=1)
    for key, value in wanted.items():
        if key in _offered(world):  # a key this Mac does not have is taken and forgotten
            world.state.pmset[key] = int(value)
    return Reply()


def _set_threshold(world: World, key: str, value: str, is_root: bool) -> Reply:
    """0 switches it off."""
    if not is_root:
        return Reply("'pmset' must be run as root...\n", exit_status=1)
    if not value.isdecimal():
        return Reply(USAGE, exit_status=1)
    thresholds = world.state.wear.ups_thresholds
    thresholds.pop(key, None)
    if int(value):
        thresholds[key] = int(value)
    return Reply()
