"""An inventory of Macs that were found, commented like the example: what was read is filled in, what is left to decide is said."""

from __future__ import annotations

import json
import re
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from macfleet.core.units import GIB, format_size
from macfleet.inventory import hardware
from macfleet.inventory.settings import Topology

_COMMENT_COLUMN = 37


@dataclass(frozen=True)
class FoundMac:
    """A Mac that was read. `hardware` is Apple's identifier; `remarks` what a person wants to see beside it.

    `ports`: each Thunderbolt port in words, with its interface and what it leads to.
    """

    name: str
    address: str
    hardware: str
    memory_bytes: int
    port: int = 22
    remarks: str = ""
    ports: tuple[str, ...] = ()


@dataclass(frozen=True)
class UnreadMac:
    """Something that answers and could not be read; it stands in the file as a comment. `model` as Bonjour announced it."""

    name: str
    address: str
    reason: str
    port: int = 22
    model: str | None = None


@dataclass(frozen=True)
class Findings:
    """What one search gave. `cables` as the inventory writes them; `notes` about cables that lead elsewhere."""

    user: str
    macs: tuple[FoundMac, ...]
    unread: tuple[UnreadMac, ...] = ()
    cables: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    topology: Topology = Topology.MESH


def mac_name(said: str) -> str:
    """The name of an inventory out of the name of a computer: "Ann's Mac Studio" → "anns-mac-studio"; empty when nothing is left."""
    plain = unicodedata.normalize("NFKD", re.sub(r"['’]", "", said)).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:48].strip("-")


def distinct_names(said: Iterable[str]) -> list[str]:
    """One name for each, also where several Macs are called the same: mac-studio, mac-studio-2, mac-studio-3."""
    names: list[str] = []
    for wanted in (mac_name(name) or "mac" for name in said):
        number, name = 1, wanted
        while name in names:
            number += 1
            name = f"{wanted}-{number}"
        names.append(name)
    return names


def render_inventory(found: Findings, *, key: str | None, known_hosts: str) -> str:
    """The whole file. It loads without a mistake when at least one Mac was read."""
    return "\n".join(_lines(found, key, known_hosts)) + "\n"


def _lines(found: Findings, key: str | None, known_hosts: str) -> Iterator[str]:
    yield "# yaml-language-server: $schema=inventory.schema.json"
    yield "#"
    yield "# Written by `macfleet inventory init` from what the Macs said. Change it as you like: nothing writes it a second time."
    yield "# `macfleet inventory check` points at mistakes by line, an editor with `macfleet inventory schema > inventory.schema.json`."
    yield "# inventory.example.yaml explains every key there is."
    yield ""
    yield _line("fleet:", "what holds for every Mac")
    yield _line("  name: fleet", "what this fleet is called in reports and locks")
    yield _line(f"  user: {_word(found.user)}", "who logs in")
    yield _line("  ssh:", "how the controller logs in")
    if key is not None:
        yield _line(f"    key: {_word(key)}", "private key; relative paths are beside this file")
    else:
        yield _line("    # key: ~/.ssh/id_ed25519", "private key; left out, what ssh itself would use")
    yield _line(f"    known_hosts: {_word(known_hosts)}", "pinned host keys, filled by `inventory init`, `inventory pin` and `enroll`")
    yield from _cables(found)
    yield from _settings(found)
    yield ""
    yield _line("macs:", "their order is the order of every output")
    for mac in found.macs:
        yield from _mac(mac)
    for other in found.unread:
        yield from _unread(other)
    yield ""
    yield from _services(found.macs)


def _cables(found: Findings) -> Iterator[str]:
    if found.cables:
        yield _line("  cables:", 'which port leads where, as found: MAC:PORT MAC:PORT, the N of "Thunderbolt N"')
        for number, cable in enumerate(found.cables):
            yield _line(f"    - {cable}", "`verify` tells what was moved since" if number == 0 else "")
    elif len(found.macs) > 1:
        yield "  # cables:  none were found; `macfleet cables --plan mesh` says which ports to connect"
    for note in found.notes:
        yield f"  # {note}"


def _settings(found: Findings) -> Iterator[str]:
    yield _line("  settings:", "wanted of every Mac; what is left out here is as in inventory.example.yaml")
    yield _line("    macos:", "which macOS")
    yield _line("      minimum: 26.2", "RDMA over Thunderbolt exists from 26.2 on; all Macs must have the same build")
    yield from _wired_limit(found.macs)
    yield _line("    power:", "`pmset` for a server that nobody sits at")
    yield _line("      sleep_min: 0", "minutes until the Mac sleeps; 0 is never")
    yield _line(
        "      power_on: after-failure", "when power returns: never, after-failure, always (macOS 26.5 and a 2024 or later desktop)"
    )
    yield _line("    automatic_updates: false", "macOS must not update itself and restart when it likes")
    yield _line("    interconnect:", "how the Macs of a service are wired")
    yield _line(f"      topology: {found.topology.value}", "the cabling wanted: mesh (every pair), ring, none (not looked at)")


def _wired_limit(macs: Sequence[FoundMac]) -> Iterator[str]:
    """A limit for all only where all have the same memory; seven eighths leave macOS enough on every size there is."""
    sizes = {mac.memory_bytes for mac in macs}
    example = format_size(min(sizes) * 7 // 8 // GIB * GIB) if len(sizes) == 1 else "448 GiB"
    yield _line("    wired_limit: auto", f"memory the GPU may hold; auto leaves it to macOS, {example} would be 7/8 of it"
                if len(sizes) == 1 else "memory the GPU may hold; auto leaves it to macOS")  # fmt: skip


def _mac(mac: FoundMac) -> Iterator[str]:
    row = hardware.find(mac.hardware)
    yield _line(f"  {mac.name}:", mac.remarks or "a Mac's name")
    yield _line(f"    address: {_word(mac.address)}", "host name or IP address")
    if mac.port != 22:
        yield _line(f"    port: {mac.port}", "of its SSH server")
    yield _line(f"    hardware: {row.alias if row else _word(mac.hardware)}", f"{mac.hardware}, {row.name}" if row else "as it says itself")
    yield _line(f"    memory: {mac.memory_bytes // GIB} GiB", "memory it must have")
    if mac.ports:
        yield from textwrap.wrap(f"Thunderbolt {', '.join(mac.ports)}", 120, initial_indent="    # ", subsequent_indent="    #   ")


def _unread(mac: UnreadMac) -> Iterator[str]:
    """As a comment that becomes an entry when its first sign is removed and what is missing is filled in."""
    row = hardware.find(mac.model) if mac.model else None
    kind = row.alias if row else "mac-studio-m3-ultra"
    port = f", port: {mac.port}" if mac.port != 22 else ""
    yield f"  # {mac.reason}"
    yield f"  # {mac.name}: {{address: {_word(mac.address)}{port}, hardware: {kind}, memory: 512 GiB}}"


def _services(macs: Sequence[FoundMac]) -> Iterator[str]:
    names = ", ".join(mac.name for mac in macs)
    yield "# services:                          # a model served by some of the Macs"
    yield "#   chat:                            # a service's name"
    yield "#     model: smollm2-135m            # a model card, or a name under `models`"
    yield f"#     macs: [{names}]"


def _line(text: str, comment: str) -> str:
    return f"{text:<{_COMMENT_COLUMN - 2}}  # {comment}" if comment else text


def _word(text: str) -> str:
    """As YAML takes it for this very text."""
    return text if re.fullmatch(r"[A-Za-z~/][\w./~-]*|\d+\.\d+\.\d+\.\d+", text) and text.lower() not in _NOT_WORDS else json.dumps(text)


_NOT_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "~", "y", "n"}
