"""`ifconfig`: the interfaces as the kernel has them, and the members of the Thunderbolt bridge."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Interface

from macfleet.core.command import Command, command
from macfleet.macos.answers import ask, unparsable

# The first line of a script is what an error shows of it.
_ADD_MEMBER = """# ifconfig addm, where there is the bridge
now=$(ifconfig "$1" 2>/dev/null) || exit 0
case $now in *"member: $2 "*) exit 0;; esac
ifconfig "$1" addm "$2\""""
_UP = """# ifconfig up, where there is the bridge
ifconfig "$1" >/dev/null 2>&1 || exit 0
ifconfig "$1" up"""


@dataclass(frozen=True)
class Interface:
    """`ipv4` as address/prefix; `members` only of a bridge; `is_active` None where ifconfig prints no status."""

    name: str
    is_up: bool
    mtu: int
    ipv4: tuple[IPv4Interface, ...] = ()
    members: tuple[str, ...] = ()
    is_active: bool | None = None
    ether: str | None = None
    link_mb_s: int | None = None  # what a wired link has come up at, where the medium says it


def parse_ifconfig(text: str) -> tuple[Interface, ...]:
    """Every interface, in order. A bridge that is down still has its members: down does not free a port."""
    starts = list(re.finditer(r"^([A-Za-z]\w*): flags=[0-9a-f]+<([^>\n]*)>.*?\bmtu (\d{1,9})", text, re.MULTILINE))
    if not starts:
        raise unparsable("ifconfig", "no line like `en0: flags=…<UP,…> mtu 1500`")
    ends = [start.start() for start in starts[1:]] + [len(text)]
    return tuple(_interface(start, text[start.end() : end]) for start, end in zip(starts, ends, strict=True))


INTERFACES = ask("interfaces", command("ifconfig", "-a", timeout_s=10), parse_ifconfig)


def is_sharing(bridge: str) -> bool:
    """bridge100 and above are Internet Sharing's and virtual machines'; configd leaves them alone."""
    digits = bridge.removeprefix("bridge")
    return bridge.startswith("bridge") and digits.isdigit() and int(digits) >= 100


def remove_bridge_member(interface: str, bridge: str = "bridge0") -> Command:
    """Until the next boot; the stored membership is in the preferences that `plutil` reads."""
    return command("ifconfig", bridge, "deletem", interface, sudo=True, timeout_s=10)


def add_bridge_member(interface: str, bridge: str) -> Command:
    """Where there is no such bridge now, the stored membership brings it at the next boot."""
    return command("sh", "-c", _ADD_MEMBER, "sh", bridge, interface, sudo=True, timeout_s=10)


def bridge_up(bridge: str) -> Command:
    return command("sh", "-c", _UP, "sh", bridge, sudo=True, timeout_s=10)


def bridge_down(bridge: str = "bridge0") -> Command:
    return command("ifconfig", bridge, "down", sudo=True, timeout_s=10)


def _interface(start: re.Match[str], body: str) -> Interface:
    status = re.search(r"^[ \t]+status: (\w+)", body, re.MULTILINE)
    ether = re.search(r"^[ \t]+ether ([0-9a-f:]{17})", body, re.MULTILINE)
    return Interface(
        name=start[1],
        is_up="UP" in start[2].split(","),
        mtu=int(start[3]),
        ipv4=tuple(_address(ip, mask) for ip, mask in re.findall(r"^[ \t]+inet (\S+)(?: --> \S+)? netmask (\S+)", body, re.MULTILINE)),
        members=tuple(re.findall(r"^[ \t]+member: (\w+) flags=", body, re.MULTILINE)),
        is_active=None if status is None else status[1] == "active",
        ether=ether[1] if ether else None,
        link_mb_s=_link_speed(body),
    )


def _link_speed(body: str) -> int | None:
    """100 of `media: autoselect (100baseTX <full-duplex>)`, 10000 of `(10Gbase-T <…>)`; Wi-Fi and an idle port say no number."""
    media = re.search(r"^[ \t]+media: .*?\b(\d{1,5})(G?)(?:base|BASE|Base)", body, re.MULTILINE | re.ASCII)
    return int(media[1]) * (1000 if media[2] else 1) if media else None


def _address(ip: str, mask: str) -> IPv4Interface:
    """`netmask 0xfffffffc` is macOS's spelling of /30."""
    try:
        return IPv4Interface(f"{ip}/{int(mask, 16).bit_count()}")
    except ValueError:
        raise unparsable("ifconfig", f'"inet {ip} netmask {mask}" is no address') from None
