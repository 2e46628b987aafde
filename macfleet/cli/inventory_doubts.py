"""What is well-formed in an inventory and may still not be what was meant."""

from __future__ import annotations

import os
from collections.abc import Iterator
from ipaddress import ip_address

from macfleet.core.units import GIB, format_size
from macfleet.inventory import hardware
from macfleet.inventory.mac import Inventory, Mac, Service
from macfleet.inventory.settings import Topology
from macfleet.macos.cabling import missing_pairs
from macfleet.models import catalog
from macfleet.models.store import model_store
from macfleet.placement.cabling_plan import recorded_links


def doubts(inventory: Inventory) -> Iterator[str]:
    """One sentence each, beginning with its place in the file. Nothing here stops a command."""
    for service in inventory.services:
        yield from _unknown_model(inventory, service)
        yield from _open_to_everybody(service)
        yield from _too_few_ports(inventory, service)
    for mac in inventory.macs:
        yield from _little_left_for_macos(mac)
    yield from _cables_that_do_not_suffice(inventory)
    yield from _missing_files(inventory)


def _unknown_model(inventory: Inventory, service: Service) -> Iterator[str]:
    named = {model.name for model in inventory.models} | {path.name for path in model_store(os.environ).glob("*")}
    if service.model not in named and catalog.find(service.model) is None:
        near = catalog.suggestion(service.model)
        yield f"services/{service.name}/model: no card and no entry of `models` is called {service.model}; {near}"


def _open_to_everybody(service: Service) -> Iterator[str]:
    if not service.wants_key and not _is_loopback(service.listen):
        yield (
            f"services/{service.name}: it listens on {service.listen} without an api_key; "
            f"whoever reaches {service.macs[0]} may use it"
        )  # fmt: skip


def _is_loopback(listen: str) -> bool:
    try:
        return ip_address(listen).is_loopback
    except ValueError:
        return listen == "localhost"


def _too_few_ports(inventory: Inventory, service: Service) -> Iterator[str]:
    macs = [inventory.mac(name) for name in service.macs]
    wanted = macs[0].settings.interconnect
    if wanted.topology is not Topology.MESH or wanted.over != "thunderbolt":
        return
    for mac in macs:
        row = hardware.find(mac.hardware)
        if row is not None and row.thunderbolt_ports < len(macs) - 1:
            yield (
                f"services/{service.name}/macs: a mesh of {len(macs)} Macs takes {len(macs) - 1} Thunderbolt ports of each, "
                f"{mac.name} has {row.thunderbolt_ports}; `topology: ring` takes two"
            )


def _little_left_for_macos(mac: Mac) -> Iterator[str]:
    limit = mac.settings.wired_limit
    if limit != "auto" and mac.memory_bytes - limit < 8 * GIB:
        left = format_size(mac.memory_bytes - limit)
        yield f"macs/{mac.name}: a wired_limit of {format_size(limit)} leaves {left} to macOS, which wants 8 GiB to stay well"


def _cables_that_do_not_suffice(inventory: Inventory) -> Iterator[str]:
    if inventory.cables is None:
        return
    written = recorded_links(inventory.cables, inventory.order)
    for topology in (Topology.MESH, Topology.RING):
        macs = [mac.name for mac in inventory.macs if mac.settings.interconnect.topology is topology]
        pairs = [" and ".join(pair) for pair in missing_pairs(written, macs, topology)]
        if pairs:
            told = ", ".join(pairs[:3]) + (f", and {len(pairs) - 3} more" if len(pairs) > 3 else "")
            yield f"fleet/cables: a {topology} is wanted, and there is no cable between {told}; see `macfleet cables --plan {topology}`"


def _missing_files(inventory: Inventory) -> Iterator[str]:
    for model in inventory.models:
        if model.path is not None and not (model.path / "config.json").is_file():
            yield f"models/{model.name}/path: there is no config.json in {model.path}"
    if inventory.ssh.key is not None and not inventory.ssh.key.is_file():
        yield f"fleet/ssh/key: there is no file {inventory.ssh.key}"
    if inventory.ssh.known_hosts is not None and not inventory.ssh.known_hosts.is_file():
        yield f"fleet/ssh/known_hosts: there is no file {inventory.ssh.known_hosts}; `macfleet inventory pin` makes it"
