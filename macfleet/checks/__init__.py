"""Questions to a Mac or to the fleet; one file per question. Pure: facts in, findings out. No commands are run here.

A fault is named once, by its cause: what another check reports shows elsewhere only as an explanation.
"""

from __future__ import annotations

from macfleet.checks.automatic_updates import AutomaticUpdates
from macfleet.checks.base import Check, FleetCheck
from macfleet.checks.cable_addresses import CableAddresses
from macfleet.checks.cable_rdma import CableRdma
from macfleet.checks.cable_routes import CableRoutes
from macfleet.checks.cabling import Cabling
from macfleet.checks.clocks import Clocks
from macfleet.checks.disk_space import DiskSpace
from macfleet.checks.ethernet import Ethernet
from macfleet.checks.filevault import FileVault
from macfleet.checks.firewall import Firewall
from macfleet.checks.hardware import Hardware
from macfleet.checks.heartbeats import Heartbeats
from macfleet.checks.homebrew import Homebrew
from macfleet.checks.jobs import Jobs
from macfleet.checks.local_network import LocalNetwork
from macfleet.checks.macos_version import MacosVersion
from macfleet.checks.memory import Memory
from macfleet.checks.past import NOTHING, Past
from macfleet.checks.power import Power
from macfleet.checks.rdma import Rdma
from macfleet.checks.remote_login import RemoteLogin
from macfleet.checks.restarts import Restarts
from macfleet.checks.runtime import Runtime
from macfleet.checks.same_build import SameBuild
from macfleet.checks.same_runtime import SameRuntime
from macfleet.checks.same_weights import SameWeights
from macfleet.checks.spotlight import Spotlight
from macfleet.checks.ssd import Ssd
from macfleet.checks.sudo import Sudo
from macfleet.checks.tailscale import Tailscale
from macfleet.checks.thermal import Thermal
from macfleet.checks.thunderbolt_bridge import ThunderboltBridge
from macfleet.checks.time_machine import TimeMachine
from macfleet.checks.ups import Ups
from macfleet.checks.volume_owner import VolumeOwner
from macfleet.checks.wired_limit import WiredLimit
from macfleet.checks.wired_limit_at_boot import WiredLimitAtBoot
from macfleet.checks.wired_memory import WiredMemory
from macfleet.macos.runtime import Bundle


def checks_for(bundle: Bundle, past: Past = NOTHING) -> tuple[Check, ...]:
    """All checks of one Mac. `bundle` is the runtime that the controller brings: `serving/checks.py` knows it.

    `past` is what earlier looks saw, for what has to be new or has a rate.
    """
    return (
        Sudo(),
        RemoteLogin(),
        VolumeOwner(),
        MacosVersion(),
        Hardware(),
        Rdma(),
        ThunderboltBridge(),
        Power(),
        Ups(),
        Restarts(past),
        WiredLimit(),
        WiredLimitAtBoot(),
        WiredMemory(),
        Memory(),
        Thermal(),
        Ssd(past),
        FileVault(),
        AutomaticUpdates(),
        Homebrew(),
        Tailscale(),
        Firewall(),
        LocalNetwork(),
        Ethernet(),
        Spotlight(),
        TimeMachine(),
        DiskSpace(),
        Runtime(bundle),
        Jobs(past),
        Heartbeats(),
    )


FLEET_CHECKS: tuple[FleetCheck, ...] = (
    SameBuild(),
    SameRuntime(),
    Cabling(),
    CableAddresses(),
    CableRdma(),
    CableRoutes(),
    SameWeights(),
    Clocks(),
)
