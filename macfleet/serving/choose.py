"""Which service a `deploy` means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from macfleet.core.errors import RequestError
from macfleet.inventory.mac import Inventory, Mac, Service


def choose_service(
    inventory: Inventory, model: str, name: str | None, macs: Sequence[Mac], *, port: int | None = None, most_context_tokens: int = 0
) -> Service:
    """What `deploy --model MODEL [--name ..] [--macs ..] [--port ..]` means: the inventory's service of that name or model, or a new one.

    `macs` empty: those the inventory says for the service, else all of them. A new one has no longer context than the model.
    """
    written = inventory.service(name) if name else next((service for service in inventory.services if service.model == model), None)
    members = tuple(mac.name for mac in macs)
    service = written or _new_service(inventory, name or label_of(model), members, most_context_tokens)
    service = replace(service, model=model, macs=members or service.macs)
    return replace(service, port=port, control_port=port + 1) if port else service


def _new_service(inventory: Inventory, name: str, members: Sequence[str], most_context_tokens: int) -> Service:
    if label_of(name) != name:
        raise RequestError(f'"{name}" cannot be a service\'s name', hint=f'launchd wants letters, digits and dashes: "{label_of(name)}"')
    everyone = tuple(members) or tuple(mac.name for mac in inventory.macs)
    gateway = inventory.mac(everyone[0]).settings.gateway
    service = Service(name, "", everyone, listen=gateway.listen, port=gateway.port, control_port=gateway.control_port or gateway.port + 1)
    return replace(service, context_tokens=min(service.context_tokens, most_context_tokens or service.context_tokens))


def label_of(model: str) -> str:
    """A model's name as part of a launchd label: "DeepSeek-V3.1" → "deepseek-v3-1"."""
    return "".join(letter if letter.isalnum() else "-" for letter in model.lower()).strip("-")
