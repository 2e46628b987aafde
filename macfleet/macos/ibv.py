"""`ibv_devices`, `ibv_devinfo`: the RDMA devices, the state of their ports, and their GIDs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from macfleet.core.command import command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.result import Result
from macfleet.macos.answers import ask, says, unparsable


@dataclass(frozen=True)
class RdmaDevice:
    """`name` is "rdma_" and the interface: rdma_en2 belongs to en2."""

    name: str
    guid: str


@dataclass(frozen=True)
class RdmaPort:
    """One device's port. `state` is "PORT_ACTIVE" or "PORT_DOWN"; `width` (lanes) is only true of an active port.

    `gids` by index. JACCL uses GID 1, which must be an IPv4-mapped address ("::ffff:10.55.0.1").
    """

    device: str
    state: str
    width: int | None = None
    gids: tuple[tuple[int, str], ...] = ()

    @property
    def interface(self) -> str:
        return self.device.removeprefix("rdma_")

    @property
    def is_active(self) -> bool:
        return self.state == "PORT_ACTIVE"

    @property
    def ipv4_gid(self) -> str | None:
        """The address behind GID 1, None when there is none."""
        gid = dict(self.gids).get(1, "")
        return gid.removeprefix("::ffff:") if re.fullmatch(r"::ffff:\d+\.\d+\.\d+\.\d+", gid) else None


def parse_devices(text: str) -> tuple[RdmaDevice, ...]:
    """The devices in printed order, which means nothing; the two header lines alone are "none"."""
    header = re.search(r"^[ \t]*device[ \t]+node GUID[ \t\r]*\n[ \t]*-+[ \t]+-+[ \t\r]*$", text, re.MULTILINE)
    if header is None:
        raise unparsable("ibv_devices", "no header line `device  node GUID` with its rule below")
    rows = [line.strip() for line in text[header.end() :].splitlines() if line.strip()]
    return tuple(_device(row) for row in rows)


def parse_devinfo(text: str) -> tuple[RdmaPort, ...]:
    """Every device's port from `ibv_devinfo [-v]`."""
    starts = list(re.finditer(r"\bhca_id:\s*(\w+)", text, re.ASCII))
    if not starts and "no ib devices found" in text.lower():
        return ()
    if not starts or len(starts) != text.count("hca_id:") or "PORT_" in text[: starts[0].start()]:
        raise unparsable("ibv_devinfo", "no hca_id, or a device without one")
    ends = [start.start() for start in starts[1:]] + [len(text)]
    return tuple(_port(start[1], text[start.end() : end]) for start, end in zip(starts, ends, strict=True))


def _understand_devinfo(results: Sequence[Result]) -> tuple[RdmaPort, ...] | Unknown:
    # Without devices it says so on stderr and fails; which exit status it uses on macOS is not recorded.
    if says(results[0], "no ib devices found"):
        return ()
    return parse_devinfo(results[0].stdout) if results[0].ok else Unknown(results[0].failure())


DEVICES = ask("rdma-devices", command("ibv_devices", timeout_s=10), parse_devices)
# It can hang for ever on a wedged driver: the short timeout is its normal end then.
PORTS: Fact[tuple[RdmaPort, ...]] = Fact("rdma-ports", (command("ibv_devinfo", "-v", timeout_s=10),), _understand_devinfo)


def _device(row: str) -> RdmaDevice:
    match = re.fullmatch(r"(rdma_\w+)\s+([0-9a-f]{16})", row, re.ASCII)
    if match is None:
        raise unparsable("ibv_devices", f'"{row[:80]}" is no device with its GUID')
    return RdmaDevice(match[1], match[2])


def _port(device: str, body: str) -> RdmaPort:
    states = re.findall(r"\bstate:\s*(PORT_\w+)", body, re.ASCII)
    if len(states) != 1:
        raise unparsable("ibv_devinfo", f"{device} has {len(states)} port states: cut short?")
    width = re.search(r"\bactive_width:\s*(\d{1,3})X", body, re.ASCII)
    gids = re.findall(r"\bGID\[\s*(\d{1,5})\]:\s*([0-9A-Fa-f:.]+)(?![^\s])", body, re.ASCII)
    if len(gids) != len(re.findall(r"\bGID\[", body)):
        raise unparsable("ibv_devinfo", f"{device} has a GID that is no address")
    return RdmaPort(device, states[0], int(width[1]) if width else None, tuple((int(index), gid.lower()) for index, gid in gids))
