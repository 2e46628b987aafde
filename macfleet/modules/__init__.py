"""The verbs a playbook may use: fact and diff, giving Changes. Pure; every module works as a check too."""

from typing import Any

from macfleet.modules.base import Module

MODULES: tuple[Module[Any], ...] = ()
