"""Cables: out, slow, or one too many."""

from __future__ import annotations

from macfleet.core.errors import RequestError
from macfleet.inventory import hardware
from macfleet.lab.cables import Cable, Plug, cabling, load_cables, save_cables
from macfleet.lab.fault import Fault, FaultOptions, change, forget, marked, remember
from macfleet.lab.paths import MacDir
from macfleet.lab.state import load_state
from macfleet.lab.status import missing_cables


def _inject_cable_out(mac: MacDir, options: FaultOptions) -> str:
    return f"{_edit_cable(mac, options, is_in=False)} is out"


def _inject_tb4_cable(mac: MacDir, options: FaultOptions) -> str:
    return f"{_edit_cable(mac, options, speed_gb_s=40)} is a Thunderbolt 4 cable: 40 Gb/s"


def _inject_dock(mac: MacDir, options: FaultOptions) -> str:
    edited = _edit_cable(mac, options, has_dock=True)
    return remember(mac, "dock", f"{edited} goes through a Thunderbolt 4 dock: 40 Gb/s")


def _heal_dock(mac: MacDir) -> None:
    if forget(mac, "dock") is not None:
        cables = load_cables(mac.lab.cables)
        save_cables(
            [cable.model_copy(update={"has_dock": False}) if cable.touches(mac.name) else cable for cable in cables], mac.lab.cables
        )


def _edit_cable(mac: MacDir, options: FaultOptions, **update: object) -> Cable:
    chosen = _own_cable(mac, options)
    edited = chosen.model_copy(update=update)
    save_cables([edited if cable == chosen else cable for cable in load_cables(mac.lab.cables)], mac.lab.cables)
    return edited


def _own_cable(mac: MacDir, options: FaultOptions) -> Cable:
    own = [(cable, end) for cable in load_cables(mac.lab.cables) for end in cable.ends if end.mac == mac.name and cable.is_in]
    chosen = [cable for cable, end in own if options.port in (None, end.receptacle)]
    if not chosen:
        where = Plug(mac=mac.name, receptacle=options.port) if options.port else mac.name
        used = ", ".join(str(end.receptacle) for _, end in own) or "none"
        raise RequestError(f"there is no cable in {where}", hint=f"{mac.name} has cables in port {used}")
    return chosen[0]


def _heal_cable_out(mac: MacDir) -> None:
    """Every cable that the fleet is planned with is in at this Mac, also where there never was one."""
    cables = load_cables(mac.lab.cables)
    there = [cable.model_copy(update={"is_in": True}) if cable.touches(mac.name) else cable for cable in cables]
    save_cables([*there, *missing_cables(mac)], mac.lab.cables)


def _heal_tb4_cable(mac: MacDir) -> None:
    cables = load_cables(mac.lab.cables)
    save_cables([cable.model_copy(update={"speed_gb_s": 80}) if cable.touches(mac.name) else cable for cable in cables], mac.lab.cables)


def _inject_two_cables(mac: MacDir, options: FaultOptions) -> str:
    """A second one beside the first, in the lowest port that is free at each end."""
    first = _own_cable(mac, options)
    second = Cable(ends=(_free_port(mac, first.ends[0].mac), _free_port(mac, first.ends[1].mac)))
    save_cables([*load_cables(mac.lab.cables), second], mac.lab.cables)
    return remember(mac, "two-cables", f"{second} is a second cable beside {first}")


def _heal_two_cables(mac: MacDir) -> None:
    if forget(mac, "two-cables") is not None:
        _take_unplanned_out(mac)


def _inject_cable_moved(mac: MacDir, options: FaultOptions) -> str:
    """Somebody tidied up behind the rack: its end at this Mac is in another port."""
    cable = _own_cable(mac, options)
    ends = [_free_port(mac, mac.name) if end.mac == mac.name else end for end in cable.ends]
    moved = cable.model_copy(update={"ends": tuple(ends)})
    save_cables([moved if each == cable else each for each in load_cables(mac.lab.cables)], mac.lab.cables)
    return remember(mac, "cable-moved", f"{cable} is now {moved}")


def _heal_cable_moved(mac: MacDir) -> None:
    if forget(mac, "cable-moved") is not None:
        _take_unplanned_out(mac)
        _heal_cable_out(mac)


def _free_port(mac: MacDir, name: str) -> Plug:
    used = {end.receptacle for cable in load_cables(mac.lab.cables) for end in cable.ends if end.mac == name}
    free = [port.receptacle for port in load_state(mac.lab.mac(name).state).ports if port.receptacle not in used]
    if not free:
        raise RequestError(f"{name} has no free Thunderbolt port", hint="`macfleet lab fault cable-out` frees none: its place is kept")
    return Plug(mac=name, receptacle=min(free))


def _take_unplanned_out(mac: MacDir) -> None:
    """What the fleet is not planned with goes out again at this Mac."""
    kind = hardware.find(load_state(mac.state).hardware)
    planned = {cable.ends for cable in cabling(kind, [each.name for each in mac.lab.macs()])[1]} if kind else set()
    cables = load_cables(mac.lab.cables)
    save_cables([cable for cable in cables if cable.ends in planned or not cable.touches(mac.name)], mac.lab.cables)


def _inject_rdma_port_down(mac: MacDir, options: FaultOptions) -> str:
    cable = _own_cable(mac, options)
    port = next(end.receptacle for end in cable.ends if end.mac == mac.name)
    change(mac, rdma_ports_down=[*load_state(mac.state).rdma_ports_down, port])
    return remember(mac, "rdma-port-down", f"the RDMA port of {cable} stays down at {mac.name}")


def _heal_rdma_port_down(mac: MacDir) -> None:
    if forget(mac, "rdma-port-down") is not None:
        change(mac, rdma_ports_down=[])


def _inject_internet_sharing(mac: MacDir, options: FaultOptions) -> str:
    port = options.port or next(end.receptacle for end in _own_cable(mac, options).ends if end.mac == mac.name)
    change(mac, shares_internet_on=port)
    return remember(mac, "internet-sharing", f"{mac.name} shares its internet on Thunderbolt {port}")


def _heal_internet_sharing(mac: MacDir) -> None:
    if forget(mac, "internet-sharing") is not None:
        change(mac, shares_internet_on=None)


CABLES: tuple[Fault, ...] = (
    marked("slow-link", "The Mac's Ethernet has come up at 100 Mb/s", "its Ethernet runs at 100 Mb/s"),
    Fault("tb4-cable", "A cable of the Mac (MAC:PORT) is Thunderbolt 4: 40 Gb/s", _inject_tb4_cable, _heal_tb4_cable),
    Fault("dock", "A cable of the Mac (MAC:PORT) goes through a Thunderbolt 4 dock: 40 Gb/s", _inject_dock, _heal_dock),
    Fault("cable-out", "A cable of the Mac (MAC:PORT) is not plugged in", _inject_cable_out, _heal_cable_out),
    Fault(
        "rdma-port-down",
        "The RDMA port of a cable (MAC:PORT) stays down, though all is right",
        _inject_rdma_port_down,
        _heal_rdma_port_down,
    ),
    Fault(
        "internet-sharing",
        "The Mac shares its internet on a Thunderbolt port (MAC:PORT)",
        _inject_internet_sharing,
        _heal_internet_sharing,
    ),
    Fault(
        "cable-moved", "A cable of the Mac (MAC:PORT) is in another port than the inventory says", _inject_cable_moved, _heal_cable_moved
    ),
    Fault("two-cables", "A second cable runs beside one of the Mac (MAC:PORT)", _inject_two_cables, _heal_two_cables),
)
