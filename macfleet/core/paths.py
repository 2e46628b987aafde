"""Where macfleet keeps things on a Mac. Everything it writes is under the Mac's `root` (the DESTDIR convention)."""

from __future__ import annotations

from dataclasses import dataclass
from posixpath import join, normpath


@dataclass(frozen=True)
class MacPaths:
    """The paths of one Mac, all below `root` ("/" on a real one)."""

    root: str = "/"

    def at(self, path: str) -> str:
        """`/Library/X` → `ROOT/Library/X`."""
        return normpath(join(self.root, path.lstrip("/")))

    def shown(self, path: str) -> str:
        """The path as people on that Mac call it: without the `root`."""
        root = normpath(self.root)
        return path.removeprefix(root) if root != "/" and path.startswith(f"{root}/") else path

    @property
    def home(self) -> str:
        return self.at("/opt/macfleet")

    @property
    def runtime(self) -> str:
        """The virtual environment of the workers; a link to the installed version.

        For what is over soon. A job that runs for weeks is started from `runtime_of`: its late imports must find its own files.
        """
        return self.at("/opt/macfleet/runtime")

    @property
    def runtimes(self) -> str:
        return self.at("/opt/macfleet/runtimes")

    def runtime_of(self, runtime_id: str) -> str:
        """One installed version; it never changes."""
        return join(self.runtimes, runtime_id)

    def python_of(self, runtime_id: str) -> str:
        return join(self.runtime_of(runtime_id), "bin/python")

    @property
    def python(self) -> str:
        return self.at("/opt/macfleet/runtime/bin/python")

    @property
    def models(self) -> str:
        return self.at("/opt/macfleet/models")

    @property
    def services(self) -> str:
        return self.at("/opt/macfleet/services")

    def model(self, name: str) -> str:
        return join(self.models, name)

    def service(self, name: str) -> str:
        return join(self.services, name)

    @property
    def logs(self) -> str:
        return self.at("/var/log/macfleet")

    @property
    def state(self) -> str:
        """Lock and roll state, kept over a reboot."""
        return self.at("/var/db/macfleet")

    def plist(self, label: str) -> str:
        return self.at(f"/Library/LaunchDaemons/{label}.plist")

    @property
    def search_path(self) -> tuple[str, ...]:
        """Appended to the Mac's own PATH: a non-login SSH shell has only /usr/bin:/bin:/usr/sbin:/sbin."""
        return tuple(
            self.at(path)
            for path in (
                "/opt/homebrew/bin",
                "/opt/homebrew/sbin",
                "/usr/local/bin",
                "/usr/libexec/ApplicationFirewall",
            )
        )
