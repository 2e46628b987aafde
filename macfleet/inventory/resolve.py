"""The parts of an inventory put together: settings merged, patterns expanded, contradictions found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from posixpath import normpath

from macfleet.core.near import did_you_mean
from macfleet.core.units import GIB, format_size
from macfleet.inventory import hardware as catalog
from macfleet.inventory.mac import ApiKey, Cable, Inventory, Mac, ModelSource, Service, SshSettings
from macfleet.inventory.schema import InventoryFile, MacSection, ServiceSection
from macfleet.inventory.settings import Settings, merged
from macfleet.inventory.yaml_text import Path as Place
from macfleet.inventory.yaml_text import Problem, YamlText


def resolve(file: InventoryFile, source: YamlText, path: Path) -> tuple[Inventory, list[Problem]]:
    """The inventory, and the contradictions between its parts. With contradictions, the inventory must not be used."""
    macs = tuple(_mac(name, section, file) for name, section in file.macs.items())
    by_name = {mac.name: mac for mac in macs}
    services = tuple(_service(name, section, file, by_name) for name, section in file.services.items())
    inventory = Inventory(
        path=path,
        name=file.fleet.name,
        macs=macs,
        services=services,
        models=tuple(
            ModelSource(name, _beside(path, section.path), section.repo) for name, section in file.models.items()
        ),
        ssh=SshSettings(
            key=_beside(path, file.fleet.ssh.key),
            known_hosts=_beside(path, file.fleet.ssh.known_hosts),
            connect_timeout_s=file.fleet.ssh.connect_timeout,
        ),
        cables=None if file.fleet.cables is None else tuple(map(_cable, file.fleet.cables)),
    )  # fmt: skip
    return inventory, list(_Contradictions(file, source, inventory).all())


def macs_meant(word: str, macs: Iterable[str], groups: Iterable[str], groups_of: dict[str, tuple[str, ...]]) -> list[str]:
    """The Macs that one word of a list means: a Mac, the members of a group, or everything a pattern matches."""
    known = list(macs)
    if word in known:
        return [word]
    if word in groups:
        return [mac for mac in known if word in groups_of.get(mac, ())]
    return [mac for mac in known if fnmatchcase(mac, word)] if is_pattern(word) else []


def is_pattern(word: str) -> bool:
    return any(sign in word for sign in "*?[")


def _mac(name: str, section: MacSection, file: InventoryFile) -> Mac:
    settings = file.fleet.settings
    for group in section.groups:
        if group in file.groups:
            settings = merged(settings, file.groups[group].settings)
    return Mac(
        name=name,
        address=section.address,
        hardware=section.hardware,
        memory_bytes=section.memory,
        port=section.port,
        user=file.fleet.user if section.user is None else section.user,
        groups=section.groups,
        tags=section.tags,
        root=normpath(section.root),
        settings=merged(settings, section.settings),
    )


def _cable(text: str) -> Cable:
    one, other = (end.rsplit(":", 1) for end in text.split())
    return Cable(one[0], int(one[1]), other[0], int(other[1]))


def _service(name: str, section: ServiceSection, file: InventoryFile, macs: dict[str, Mac]) -> Service:
    """What the service does not say, its head's `settings.gateway` says."""
    groups_of = {mac.name: mac.groups for mac in macs.values()}
    meant = [mac for word in section.macs for mac in macs_meant(word, macs, file.groups, groups_of)]
    members = tuple(dict.fromkeys(meant))
    gateway = (macs[members[0]].settings if members else Settings()).gateway
    port = section.port or gateway.port
    own_control_port = section.control_port or (gateway.control_port if section.port is None else None)
    return Service(
        name=name,
        model=section.model,
        macs=members,
        context_tokens=section.context,
        concurrency=section.concurrency,
        listen=section.listen or gateway.listen,
        port=port,
        control_port=own_control_port or port + 1,
        kv_bits=section.kv_bits,
        api_key=section.api_key,
        api_keys=tuple(ApiKey(name, each.key, each.concurrency) for name, each in section.api_keys.items()),
    )


def _beside(inventory: Path, written: str | None) -> Path | None:
    return None if written is None else inventory.parent / Path(written).expanduser()


@dataclass(frozen=True)
class _Contradictions:
    """What each part says well, but not together with the others."""

    file: InventoryFile
    source: YamlText
    inventory: Inventory

    def all(self) -> Iterator[Problem]:
        yield from self._addresses()
        yield from self._groups()
        for mac in self.inventory.macs:
            yield from self._memory(mac)
        for service in self.inventory.services:
            yield from self._members(service.name)
        yield from self._ports()
        yield from self._cables()

    def _written(self, section: str) -> list[str]:
        """Every name of a section, also of entries that are wrong: they exist, so nobody misspelt them."""
        entries = self.source.value.get(section)
        return list(entries) if isinstance(entries, dict) else []

    def _addresses(self) -> Iterator[Problem]:
        first_at: dict[tuple[str, int], str] = {}
        for mac in self.inventory.macs:
            other = first_at.setdefault((mac.address.lower(), mac.port), mac.name)
            if other != mac.name:
                yield self.source.problem(
                    ("macs", mac.name, "address"), f"{mac.address} port {mac.port} is already {other}; two Macs cannot be at one place"
                )

    def _groups(self) -> Iterator[Problem]:
        groups = self._written("groups")
        for name, section in self.file.macs.items():
            for index, group in enumerate(section.groups):
                if group not in groups:
                    text = f'there is no group "{group}"; ' + (did_you_mean(group, groups) or 'add it under "groups:"')
                    yield self.source.problem(("macs", name, "groups", index), text)
        for both in set(groups) & set(self._written("macs")):
            yield self.source.problem(("groups", both), f'"{both}" is also the name of a Mac; rename one of them')

    def _memory(self, mac: Mac) -> Iterator[Problem]:
        row = catalog.find(mac.hardware)
        if row is not None and not row.comes_with(mac.memory_bytes // GIB):
            sold = ", ".join(str(size) for size in row.memory_gib)
            text = f"a {row.name} comes with {sold} GiB, not with {mac.memory_bytes // GIB} GiB"
            yield self.source.problem(("macs", mac.name, "memory"), text)
        limit = mac.settings.wired_limit
        if limit != "auto" and limit >= mac.memory_bytes:
            text = f"{format_size(limit)} for the GPU leaves nothing of {mac.name}'s {format_size(mac.memory_bytes)} to macOS"
            yield self.source.problem(self._where_set(mac, "wired_limit"), text)

    def _where_set(self, mac: Mac, key: str) -> Place:
        """The nearest place that wrote this setting: the one to change."""
        places: list[Place] = [("macs", mac.name), *[("groups", group) for group in reversed(mac.groups)], ("fleet",)]
        wanted: list[Place] = [(*place, "settings", key) for place in places]
        return next((place for place in wanted if place in self.source.lines), ("macs", mac.name))

    def _members(self, name: str) -> Iterator[Problem]:
        macs, groups = self._written("macs"), self._written("groups")
        groups_of = {mac: section.groups for mac, section in self.file.macs.items()}
        for index, word in enumerate(self.file.services[name].macs):
            if word in macs or word in groups or macs_meant(word, macs, groups, groups_of):
                continue
            what = f'"{word}" matches no Mac; known: {", ".join(macs)}'
            if not is_pattern(word):
                what = f'there is no Mac or group "{word}"; {did_you_mean(word, [*macs, *groups])}'
            yield self.source.problem(("services", name, "macs", index), what)

    def _ports(self) -> Iterator[Problem]:
        taken: dict[tuple[str, int], str] = {}
        for service in self.inventory.services:
            if not service.macs:
                continue
            for key, port in (("port", service.port), ("control_port", service.control_port)):
                other = taken.setdefault((service.macs[0], port), f"{key} of {service.name}")
                if other != f"{key} of {service.name}":
                    text = f"{service.macs[0]} would need port {port} twice, it is also the {other}; give {service.name} another {key}"
                    yield self.source.problem(("services", service.name, key), text)

    def _cables(self) -> Iterator[Problem]:
        taken: dict[tuple[str, int], int] = {}
        for index, cable in enumerate(self.inventory.cables or ()):
            place: Place = ("fleet", "cables", index)
            for mac, port in ((cable.mac, cable.port), (cable.other_mac, cable.other_port)):
                if mac not in self._written("macs"):
                    yield self.source.problem(place, f'there is no Mac "{mac}"; {did_you_mean(mac, self._written("macs"))}')
                elif taken.setdefault((mac, port), index) != index or len(cable.ends) == 1:
                    yield self.source.problem(place, f"a second cable in {mac}:{port}; a port holds one")
                    break
                elif (ports := self._port_count(mac)) is not None and port > ports:
                    yield self.source.problem(place, f"{mac} has {ports} Thunderbolt ports, and no port {port}")

    def _port_count(self, mac: str) -> int | None:
        """None where the catalog is not sure, or the Mac's own entry is wrong."""
        row = next((catalog.find(each.hardware) for each in self.inventory.macs if each.name == mac), None)
        return row.thunderbolt_ports if row is not None and row.is_captured else None
