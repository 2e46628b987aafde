"""Where a rolling reboot is written down before each of its steps."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from macfleet.core.errors import RequestError, Unparsable
from macfleet.inventory.mac import Inventory
from macfleet.serving.services import Deployed, parse_deployed, render_deployed
from macfleet.window.roll import HOW_TO_START_AGAIN, Roll, StateDamaged, Step, parse_roll, render_roll


class RollFile:
    """Where the state of the roll is kept: beside the inventory, so that the next command finds it."""

    def __init__(self, inventory: Inventory):
        self.path = inventory.state_dir / "roll.json"
        self._services = inventory.state_dir / "roll-services.json"

    def load(self) -> tuple[Roll, dict[str, Deployed]] | None:
        """The roll that was begun and not ended, with the services it knew; None when there is none."""
        if not self.path.exists():
            return None
        roll = parse_roll(self.path.read_text(errors="replace"), str(self.path))
        try:
            services = parse_deployed(self._services.read_text(errors="replace")) if self._services.exists() else ()
        except Unparsable as error:
            raise StateDamaged(f"{self._services}: {error.what}", hint=HOW_TO_START_AGAIN) from error
        return roll, {service.name: service for service in services}

    def save(self, roll: Roll) -> None:
        _write(self.path, render_roll(roll))

    def save_services(self, services: Mapping[str, Deployed]) -> None:
        _write(self._services, "".join(render_deployed(service) for service in services.values()))

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self._services.unlink(missing_ok=True)


def refuse_unfinished(found: tuple[Roll, dict[str, Deployed]] | None) -> None:
    """A roll that has touched a Mac is resumed or abandoned, never silently replaced."""
    if found is None or all(mac.step is Step.PENDING for mac in found[0].macs):
        return
    current = found[0].current
    where = f"it stands at {current.name} ({current.step.value})" if current else "it is finished"
    raise RequestError(
        f"a rolling reboot is under way: {where}",
        truths=found[0].truths(),
        hint="`macfleet rolling-reboot --resume` goes on, `--abandon` forgets it",
    )


def _write(path: Path, text: str) -> None:
    """Whole or not at all, and on the disk before anything is done because of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    neighbour = path.with_suffix(".new")
    with neighbour.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    neighbour.replace(path)
