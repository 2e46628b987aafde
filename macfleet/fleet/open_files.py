"""How many files this process may hold open. macOS gives a terminal's programs 256, and a fleet of a hundred Macs needs more."""

from __future__ import annotations

import contextlib
import resource

FILES_PER_MAC = 4  # a socket; a pipe of paramiko's while a command runs; one to spare for a tunnel
OTHER_FILES = 128
# macOS takes no soft limit above OPEN_MAX while the hard one is "unlimited": man 2 setrlimit.
MOST = 10240


def allow_for(macs: int) -> None:
    """Raises the soft limit where it is too low for so many Macs, as far as the hard one lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(macs * FILES_PER_MAC + OTHER_FILES, MOST if hard == resource.RLIM_INFINITY else hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # not allowed: the Macs that find no file will say so
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
