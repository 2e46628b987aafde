"""What the controller brings along to the Macs: templates, playbooks, the runtime's lock and wheel, secrets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from macfleet.core.data import data_path
from macfleet.core.errors import RequestError
from macfleet.core.near import did_you_mean
from macfleet.core.secret import Secret
from macfleet.fleet.secrets import read_secret
from macfleet.inventory.mac import Inventory
from macfleet.inventory.settings import SecretSource
from macfleet.macos.runtime import Bundle
from macfleet.playbook.load import Playbook, load_playbook
from macfleet.serving.wheel import read_bundle


@dataclass(frozen=True)
class Materials:
    """The same for every Mac of a run."""

    templates: Mapping[str, str]
    bundle: Bundle
    secret: Callable[[SecretSource], Secret]


def read_materials(inventory: Inventory) -> Materials:
    """Templates, lock file and wheel of this installation; secrets as the inventory names them, each read once, if at all."""
    return Materials(read_templates(), read_bundle(), Vault(inventory.path.parent).read)


def read_templates() -> dict[str, str]:
    """Name → text of every template that travels with macfleet."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(data_path("templates").glob("*.j2"))}


def read_playbook(name: str = "provision.yaml") -> Playbook:
    """A playbook that travels with macfleet, by its name, or one of the operator's own, by its path."""
    path = Path(name) if "/" in name else data_path("playbooks") / name
    try:
        return load_playbook(path.read_text(encoding="utf-8"), path.name)
    except OSError as error:
        known = [found.name for found in data_path("playbooks").glob("*.yaml")]
        hint = "" if "/" in name else f"{did_you_mean(name, known)} (a playbook of your own: write its path, ./{name})"
        raise RequestError(f"cannot read the playbook {path}: {error.strerror}", hint=hint or None) from error


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
