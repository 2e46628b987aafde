"""Where a rehearsal fleet keeps itself on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class MacDir:
    """One simulated Mac's directory: its state, its programs, and `root`, which is its whole disk."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def lab(self) -> LabDir:
        return LabDir(self.path.parent.parent)

    @property
    def root(self) -> Path:
        return self.path / "root"

    @property
    def bin(self) -> Path:
        """macOS's programs, emulated; ahead on the PATH of everything that runs on this Mac."""
        return self.path / "bin"

    @property
    def state(self) -> Path:
        return self.path / "state.json"

    @property
    def host_key(self) -> Path:
        return self.path / "ssh_host_ed25519_key"

    @property
    def log(self) -> Path:
        """What the simulator itself has to say; the Mac's own logs are below `root`."""
        return self.path / "simulator.log"


@dataclass(frozen=True)
class LabDir:
    """The directory that `lab up` makes and `lab down` empties of processes."""

    path: Path

    @property
    def inventory(self) -> Path:
        return self.path / "inventory.yaml"

    @property
    def key(self) -> Path:
        return self.path / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.path / "known_hosts"

    @property
    def cables(self) -> Path:
        return self.path / "cables.json"

    @property
    def tailscale_key(self) -> Path:
        return self.path / "tailscale.key"

    def mac(self, name: str) -> MacDir:
        return MacDir(self.path / "macs" / name)

    def macs(self) -> tuple[MacDir, ...]:
        """The Macs there are, in the order they were numbered."""
        found = [MacDir(state.parent) for state in (self.path / "macs").glob("*/state.json")]
        return tuple(sorted(found, key=lambda mac: (len(mac.name), mac.name)))
