"""Who announces an SSH server on this network: Bonjour, as macOS does when Remote Login is on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING

from macfleet.core.errors import MacfleetError

if TYPE_CHECKING:
    from zeroconf import ServiceStateChange, Zeroconf

SSH, DEVICE = "_ssh._tcp.local.", "_device-info._tcp.local."
_RESOLVE_S = 1.5


@dataclass(frozen=True)
class Sighting:
    """One announced SSH server. `model` is a Mac's own word ("Mac15,14"), None where it says nothing."""

    name: str
    address: str
    port: int
    model: str | None = None

    @property
    def may_be_a_mac(self) -> bool:
        """Other machines announce SSH too; one that says what it is, and is no Mac, is left out."""
        return self.model is None or self.model.startswith(("Mac", "VirtualMac", "iMac"))


def browse(seconds: float, interfaces: Sequence[str] | None = None) -> tuple[Sighting, ...]:
    """Everybody who answered within `seconds`, by name. Raises MacfleetError where this machine may not ask."""
    from zeroconf import DNSQuestionType, InterfaceChoice, IPVersion, ServiceBrowser, Zeroconf

    try:
        zeroconf = Zeroconf(interfaces=list(interfaces) if interfaces else InterfaceChoice.All, ip_version=IPVersion.V4Only)
    except OSError as error:
        raise MacfleetError(
            f"Bonjour cannot be asked from this machine: {error.strerror or error}",
            hint="name the Macs instead: `macfleet inventory init 10.0.0.1 10.0.0.2`",
        ) from error
    try:
        names = _Names()
        # Answers to everybody, not to us alone: macOS's own responder shares port 5353 and may get what is sent to one.
        ServiceBrowser(zeroconf, SSH, handlers=[names.heard], question_type=DNSQuestionType.QM)
        time.sleep(seconds)
        with ThreadPoolExecutor(max_workers=32, thread_name_prefix="bonjour") as pool:
            found = list(pool.map(lambda name: _resolve(zeroconf, name), sorted(names.seen)))
    finally:
        zeroconf.close()
    return tuple(sighting for sighting in found if sighting is not None)


def best_address(addresses: Sequence[str]) -> str | None:
    """The one to write down: not the self-assigned one of a Thunderbolt port, not loopback unless there is no other."""
    usable = [each for each in map(ip_address, addresses) if isinstance(each, IPv4Address)]
    usable.sort(key=lambda each: (each.is_loopback, each.is_link_local))
    return str(usable[0]) if usable else None


def _resolve(zeroconf: Zeroconf, name: str) -> Sighting | None:
    from zeroconf import DNSQuestionType, ServiceInfo

    server = ServiceInfo(SSH, name)
    if not server.request(zeroconf, _RESOLVE_S * 1000, DNSQuestionType.QM):
        return None
    address = best_address(server.parsed_addresses())
    if address is None or server.port is None:
        return None
    instance = name.removesuffix(f".{SSH}")
    # A Mac announces its model as a record without a port, so the request as a whole fails and the record is there even so.
    device = ServiceInfo(DEVICE, f"{instance}.{DEVICE}")
    device.request(zeroconf, _RESOLVE_S * 1000, DNSQuestionType.QM)
    model = device.properties.get(b"model")
    return Sighting(instance, address, server.port, model.decode(errors="replace") if model else None)


class _Names:
    """The names that are announced now."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def heard(self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        if state_change.name == "Removed":
            self.seen.discard(name)
        else:
            self.seen.add(name)
