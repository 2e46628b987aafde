"""What a shell may complete: names that are known without asking a Mac. A mistake in the inventory completes to nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from macfleet.core.errors import MacfleetError

if TYPE_CHECKING:
    from macfleet.inventory.mac import Inventory


def mac_names(ctx: typer.Context) -> list[str]:
    inventory = _inventory(ctx)
    return [mac.name for mac in inventory.macs] if inventory else []


def group_names(ctx: typer.Context) -> list[str]:
    inventory = _inventory(ctx)
    return list(dict.fromkeys(group for mac in inventory.macs for group in mac.groups)) if inventory else []


def hardware_names() -> list[str]:
    from macfleet.inventory.hardware import names

    return list(names())


def check_names() -> list[str]:
    from macfleet.cli.explain import names

    return names()


def risk_names() -> list[str]:
    from macfleet.window.preflight import RISKS

    return list(RISKS)


def playbook_names() -> list[str]:
    from macfleet.core.data import data_path

    own = [path.name for pattern in ("*.yaml", "*.yml") for path in sorted(Path.cwd().glob(pattern))]
    return [path.stem for path in sorted(data_path("playbooks").glob("*.yaml"))] + own


def module_names() -> list[str]:
    from macfleet.modules import MODULES

    return [module.name for module in MODULES]


def _inventory(ctx: typer.Context) -> Inventory | None:
    from macfleet.inventory.load import load_inventory

    named = ctx.params.get("inventory") or os.environ.get("MACFLEET_INVENTORY")
    try:
        return load_inventory(Path(named or "inventory.yaml").absolute())
    except (MacfleetError, OSError):
        return None
