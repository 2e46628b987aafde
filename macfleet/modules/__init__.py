"""The verbs a playbook may use: fact and diff, giving Changes. Pure; every module works as a check too."""

from typing import Any

from macfleet.modules.base import Module
from macfleet.modules.command_ import CommandModule
from macfleet.modules.directory import Directory
from macfleet.modules.file import File
from macfleet.modules.firewall import FirewallModule
from macfleet.modules.homebrew import Homebrew
from macfleet.modules.hostname import Hostname
from macfleet.modules.launchd import Launchd
from macfleet.modules.line import Line
from macfleet.modules.network_service import NetworkServiceModule
from macfleet.modules.pmset import Pmset
from macfleet.modules.runtime import RuntimeModule
from macfleet.modules.software_update_policy import SoftwareUpdatePolicy
from macfleet.modules.spotlight import SpotlightModule
from macfleet.modules.sysctl import Sysctl
from macfleet.modules.tailscale import TailscaleModule
from macfleet.modules.template import Template
from macfleet.modules.thunderbolt_network import ThunderboltNetwork
from macfleet.modules.user_default import UserDefault

MODULES: tuple[Module[Any], ...] = (
    CommandModule(),
    Directory(),
    File(),
    FirewallModule(),
    Homebrew(),
    Hostname(),
    Launchd(),
    Line(),
    NetworkServiceModule(),
    Pmset(),
    RuntimeModule(),
    SoftwareUpdatePolicy(),
    SpotlightModule(),
    Sysctl(),
    TailscaleModule(),
    Template(),
    ThunderboltNetwork(),
    UserDefault(),
)
