"""One question to a service, its answer as it is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from macfleet.core.errors import ServiceFailed, Unreachable
from macfleet.core.units import format_duration
from macfleet.fleet.connection import Connection
from macfleet.fleet.fleet import Fleet
from macfleet.inventory.mac import Mac
from macfleet.serving.gateway import Gateway, open_gateway
from macfleet.serving.services import Deployed

Say = Callable[[str], None]

_POLL_S = 0.3


@dataclass(frozen=True)
class Question:
    """What is asked. None leaves a setting to the service."""

    text: str
    system: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None


def chat(fleet: Fleet, deployed: Deployed, question: Question, *, wait_s: float = 0.0, say: Say = lambda text: None) -> Iterator[str]:
    """The pieces of the answer. Goes through the connection to the head, so it works wherever `verify` does.

    A service that is not ready is waited for, at most `wait_s`: a gang that lost a worker is back within seconds.
    """
    head = fleet.inventory.mac(deployed.head)
    messages = [{"role": "system", "content": question.system}] if question.system else []
    messages.append({"role": "user", "content": question.text})
    options: dict[str, Any] = {"max_tokens": question.max_tokens, "temperature": question.temperature}
    with open_gateway(head, _connection(fleet, head, deployed), deployed) as gateway:
        with fleet.awaiting(deployed.name, "getting ready to answer"):
            _wait(fleet, deployed, gateway, wait_s, say)
        pieces = gateway.stream(messages, **{name: value for name, value in options.items() if value is not None})
        with fleet.awaiting(deployed.name, "reading the question"):
            first = next(pieces, "")
        yield first
        yield from pieces


def _connection(fleet: Fleet, head: Mac, deployed: Deployed) -> Connection:
    try:
        return fleet.connection(head)
    except Unreachable as error:
        what = f"{head.name}, the head of {deployed.name}, does not answer: {error.what}"
        hint = f"wait until it is back, or deploy {deployed.name} without it: `macfleet status {deployed.name}` says how"
        raise type(error)(what, mac=head.name, truths=error.truths, hint=hint) from error


def _wait(fleet: Fleet, deployed: Deployed, gateway: Gateway, wait_s: float, say: Say) -> None:
    """Until it is ready or the time is over: then the gateway's own refusal says best why it does not answer, if it says anything."""
    deadline, last = fleet.clock.monotonic() + wait_s, ""
    while not (health := gateway.health()).is_ready and fleet.clock.monotonic() < deadline:
        if health.sentence() != last:
            last = health.sentence()
            say(f"{deployed.name}: {last}; asking again, for at most {format_duration(wait_s)}")
        fleet.clock.sleep(_POLL_S)
    if health.state == "silent":
        raise ServiceFailed(
            f"the gateway of {deployed.name} on {deployed.head} does not answer: {health.reason}",
            mac=deployed.head,
            hint=f"`macfleet status {deployed.name}` shows its jobs; launchd restarts one that ended, macfleet's agent one that hangs",
        )
