"""Questions to a Mac or to the fleet; one file per question. Pure: facts in, findings out. No commands are run here.

A fault is named once, by its cause: what another check reports shows elsewhere only as an explanation.
"""

from __future__ import annotations

from macfleet.checks.automatic_updates import AutomaticUpdates
from macfleet.checks.base import Check, FleetCheck
from macfleet.checks.cable_addresses import CableAddresses
from macfleet.checks.cabling import Cabling
from macfleet.checks.disk_space import DiskSpace
from macfleet.checks.filevault import FileVault
from macfleet.checks.hardware import Hardware
from macfleet.checks.macos_version import MacosVersion
from macfleet.checks.power import Power
from macfleet.checks.rdma import Rdma
from macfleet.checks.runtime import Runtime
from macfleet.checks.same_build import SameBuild
from macfleet.checks.same_runtime import SameRuntime
from macfleet.checks.sudo import Sudo
from macfleet.checks.tailscale import Tailscale
from macfleet.checks.thunderbolt_bridge import ThunderboltBridge
from macfleet.checks.wired_limit import WiredLimit
from macfleet.checks.wired_limit_at_boot import WiredLimitAtBoot
from macfleet.macos.runtime import Bundle


def checks_for(bundle: Bundle) -> tuple[Check, ...]:
    """All checks of one Mac. `bundle` is the runtime that the controller brings: `serving/checks.py` knows it."""
    return (
        Sudo(),
        MacosVersion(),
        Hardware(),
        Rdma(),
        ThunderboltBridge(),
        Power(),
        WiredLimit(),
        WiredLimitAtBoot(),
        FileVault(),
        AutomaticUpdates(),
        Tailscale(),
        DiskSpace(),
        Runtime(bundle),
    )


FLEET_CHECKS: tuple[FleetCheck, ...] = (
    SameBuild(),
    SameRuntime(),
    Cabling(),
    CableAddresses(),
)
