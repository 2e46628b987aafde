"""`hostname`: what the Mac is called: in Finder, in Bonjour (NAME.local) and by `hostname`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from macfleet.core.change import Change, Diff
from macfleet.core.errors import RequestError
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Strict
from macfleet.macos.scutil import NAMES, set_name
from macfleet.modules.base import Surroundings

_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"


class HostnameArgs(Strict):
    name: Annotated[str, StringConstraints(pattern=f"^{_LABEL}$")] = Field(description="Letters, digits and hyphens, as DNS wants them")
    computer_name: str | None = Field(None, description="What Finder shows, if not the same; blanks are welcome there")
    domain: Annotated[str, StringConstraints(pattern=rf"^{_LABEL}(\.{_LABEL})*$")] | None = Field(
        None, description="Behind the name that `hostname` prints, like example.net"
    )

    def wanted(self) -> dict[str, str]:
        full = f"{self.name}.{self.domain}" if self.domain else self.name
        return {"ComputerName": self.computer_name or self.name, "LocalHostName": self.name, "HostName": full}


class Hostname:
    """Without a name of its own a Mac takes one from DHCP, and the logs of one night know it by two."""

    name = "hostname"
    Args = HostnameArgs
    looks_around: tuple[Fact[Any], ...] = ()
    example = """
hostname: {name: "{{ mac.name }}"}
"""

    def facts(self, args: HostnameArgs, mac: Mac) -> Sequence[Fact[Any]]:
        return (NAMES,)

    def diff(self, args: HostnameArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        have = facts[NAMES]
        if isinstance(have, Unknown):
            return (have,)
        _refuse_own_line(mac, args, have)
        return [
            Change(kind, have[kind] or "not set", name, (set_name(kind, name),), undo=(set_name(kind, have[kind]),))
            for kind, name in args.wanted().items()
            if have[kind] != name
        ]


def _refuse_own_line(mac: Mac, args: HostnameArgs, have: Mapping[str, str | None]) -> None:
    """A Mac that is known by its Bonjour name is found no more under another one."""
    own = f"{have['LocalHostName']}.local"
    if mac.address.lower().rstrip(".") == own.lower() and have["LocalHostName"] != args.name:
        raise RequestError(
            f"{own} is the address macfleet comes in by: under another name it would not find {mac.name} again",
            mac=mac.name,
            hint=f"write its IP address into the inventory, or name it {have['LocalHostName']}",
        )
