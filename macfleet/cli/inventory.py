"""`macfleet inventory init|show|check|schema|pin`: what the inventory says, whether it is right, and the host keys it trusts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from macfleet.cli import inventory_init, inventory_pin
from macfleet.cli.output import column_width
from macfleet.cli.session import (
    GroupOption,
    InventoryOption,
    JsonOption,
    MacOption,
    Options,
    QuietOption,
    Session,
    TagOption,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from macfleet.cli.output import Output
    from macfleet.inventory.mac import Inventory, Mac

app = typer.Typer(help="Write, show, check and complete the inventory. Asks no Mac, but for `init` and `pin`.", no_args_is_help=True)


app.command("init")(inventory_init.init)


@app.command("show")
def show(
    inventory: InventoryOption = None,
    mac: MacOption = None,
    group: GroupOption = None,
    tag: TagOption = None,
    settings: Annotated[bool, typer.Option("--settings", help="With the settings of each Mac, merged")] = False,
    hardware: Annotated[bool, typer.Option("--hardware", help="The kinds of Mac that `hardware:` may name, instead")] = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show the Macs and services of the inventory as macfleet understands them.

    Example: `macfleet inventory show --mac studio-1 --settings`

    Exits 2 when the inventory has a mistake.
    """
    session = Session(Options(inventory, mac, group, tag, json, quiet=quiet))
    if hardware:
        _show_hardware(session.output)
    elif json:
        session.output.json(as_json(session.inventory, session.macs))
    else:
        _show(session.output, session.inventory, session.macs, with_settings=settings)


@app.command("check")
def check(inventory: InventoryOption = None, quiet: QuietOption = False) -> None:
    """Check the inventory without asking a Mac, and show every mistake at once.

    Example: `macfleet inventory check --inventory shelf.yaml`

    Exits 2 when there is a mistake; what may be meant so is a warning.
    """
    from macfleet.cli.inventory_doubts import doubts

    session = Session(Options(inventory, quiet=quiet))
    found = session.inventory
    for warning in doubts(found):
        session.output.warn(warning)
    macs, services = _counted(len(found.macs), "Mac"), _counted(len(found.services), "service")
    session.output.answer(f"{found.path.name} is well-formed: {macs}, {services}")


@app.command("schema")
def schema() -> None:
    """Print the JSON Schema of an inventory, for editors.

    Example: `macfleet inventory schema > inventory.schema.json`

    An editor uses it when the inventory starts with `# yaml-language-server: $schema=inventory.schema.json`.
    """
    from macfleet.cli.output import Output
    from macfleet.inventory.schema import json_schema

    Output().json(json_schema())


app.command("pin")(inventory_pin.pin)


def as_json(inventory: Inventory, macs: Sequence[Mac]) -> dict[str, Any]:
    """The inventory with everything merged and filled in; of a secret only its source."""
    return {
        "schema": 1,
        "fleet": inventory.name,
        "path": str(inventory.path),
        "macs": [_mac_json(mac) for mac in macs],
        "services": [
            {
                "service": service.name,
                "model": service.model,
                "macs": list(service.macs),
                "context_tokens": service.context_tokens,
                "concurrency": service.concurrency,
                "listen": service.listen,
                "port": service.port,
                "control_port": service.control_port,
                "kv_bits": service.kv_bits,
                "api_key": str(service.api_key) if service.api_key else None,
                "api_keys": {key.name: {"key": str(key.source), "concurrency": key.concurrency} for key in service.api_keys},
            }
            for service in inventory.services
        ],
        "summary": {"macs": len(macs), "services": len(inventory.services)},
    }


def _mac_json(mac: Mac) -> dict[str, Any]:
    return {
        "mac": mac.name,
        "address": mac.address,
        "port": mac.port,
        "user": mac.user,
        "hardware": mac.hardware,
        "memory_bytes": mac.memory_bytes,
        "groups": list(mac.groups),
        "tags": list(mac.tags),
        "root": mac.root,
        "settings": mac.settings.model_dump(mode="json"),
    }


def _show(output: Output, inventory: Inventory, macs: Sequence[Mac], *, with_settings: bool) -> None:
    from macfleet.core.units import format_size
    from macfleet.inventory import hardware

    rows = [
        [mac.name, f"{mac.address}:{mac.port}", _kind(mac, hardware), format_size(mac.memory_bytes), _labels(mac)] for mac in macs
    ]  # fmt: skip
    for row, mac in zip(aligned(rows), macs, strict=True):
        output.answer(row)
        if with_settings:
            for line in settings_lines(mac):
                output.answer(f"    {line}")
    for service in inventory.services:
        where = f"{service.listen}:{service.port} on {service.macs[0]}"
        output.answer(f"service {service.name}: {service.model} on {', '.join(service.macs)}; {where}")


def _kind(mac: Mac, hardware: Any) -> str:
    row = hardware.find(mac.hardware)
    return f"{mac.hardware} {row.name}" if row else mac.hardware


def _labels(mac: Mac) -> str:
    return " ".join([*mac.groups, *(f"#{tag}" for tag in mac.tags)])


def _show_hardware(output: Output) -> None:
    from macfleet.inventory.hardware import HARDWARE

    rows = [["alias", "identifier", "kind", "memory GiB", "Thunderbolt", "RDMA"]]
    rows += [
        [
            row.alias,
            row.id,
            row.name,
            "/".join(str(size) for size in row.memory_gib) or "any",
            f"{row.thunderbolt_ports} × {row.thunderbolt_generation}" if row.thunderbolt_ports else "none",
            "yes" if row.has_rdma else "no",
        ]
        for row in HARDWARE
    ]
    for line in aligned(rows):
        output.answer(line)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows as lines, each column as wide as its widest word."""
    widths = [column_width(column) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{word:<{width}}" for word, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def settings_lines(mac: Mac) -> list[str]:
    """The merged settings as they could stand in the inventory."""
    import yaml

    text: str = yaml.safe_dump(mac.settings.model_dump(mode="json", exclude_none=True), sort_keys=False, allow_unicode=True)
    return text.splitlines()


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
