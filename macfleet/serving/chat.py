"""One question to a service, its answer as it is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from macfleet.fleet.fleet import Fleet
from macfleet.serving.gateway import open_gateway
from macfleet.serving.services import Deployed


@dataclass(frozen=True)
class Question:
    """What is asked. None leaves a setting to the service."""

    text: str
    system: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None


def chat(fleet: Fleet, deployed: Deployed, question: Question) -> Iterator[str]:
    """The pieces of the answer. Goes through the connection to the head, so it works wherever `verify` does."""
    head = fleet.inventory.mac(deployed.head)
    messages = [{"role": "system", "content": question.system}] if question.system else []
    messages.append({"role": "user", "content": question.text})
    options: dict[str, Any] = {"max_tokens": question.max_tokens, "temperature": question.temperature}
    with open_gateway(head, fleet.connection(head), deployed) as gateway:
        yield from gateway.stream(messages, **{name: value for name, value in options.items() if value is not None})
