"""What the controller brings along to the Macs: templates, playbooks, the runtime's lock and wheel, secrets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from macfleet.core.secret import Secret
from macfleet.fleet.secrets import read_secret
from macfleet.inventory.mac import Inventory
from macfleet.inventory.settings import SecretSource
from macfleet.macos.runtime import Bundle
from macfleet.playbook.tasks import Playbook
from macfleet.serving.playbooks import open_playbook, read_templates
from macfleet.serving.wheel import read_bundle

__all__ = ["Materials", "Vault", "read_materials", "read_playbook", "read_templates"]


@dataclass(frozen=True)
class Materials:
    """The same for every Mac of a run."""

    templates: Mapping[str, str]
    bundle: Bundle
    secret: Callable[[SecretSource], Secret]


def read_materials(inventory: Inventory, templates: Mapping[str, str] | None = None) -> Materials:
    """Templates, lock file and wheel of this installation; secrets as the inventory names them, each read once, if at all."""
    return Materials(read_templates() if templates is None else templates, read_bundle(), Vault(inventory.path.parent).read)


def read_playbook(name: str = "provision") -> Playbook:
    """A playbook that travels with macfleet, by its name, or one of the operator's own, by its path."""
    return open_playbook(name).playbook


class Vault:
    """Secrets, each asked for once: a password manager must not want a finger for every Mac."""

    def __init__(self, base_dir: Path):
        self._base_dir = base_dir
        self._lock = threading.Lock()
        self._known: dict[SecretSource, Secret] = {}

    def read(self, source: SecretSource) -> Secret:
        with self._lock:
            if source not in self._known:
                self._known[source] = read_secret(source, self._base_dir)
            return self._known[source]
