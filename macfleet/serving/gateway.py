"""A gateway, talked to through the connection to its head Mac: loopback there is as good as here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from posixpath import join
from typing import Any

import httpx

from macfleet.core.errors import MacfleetError, RequestError, ServiceFailed
from macfleet.core.secret import Secret
from macfleet.fleet.connection import Connection
from macfleet.inventory.mac import Mac
from macfleet.serving.services import Deployed

_CONNECT_S = 10.0
_HEALTH_S = 4.0  # its event loop answers at once, or hangs
_PIECE_S = 600.0  # the first one waits for a place in the queue and for a long prompt to be read


@dataclass(frozen=True)
class Health:
    """What /health says. `state` "silent": nobody answers at the port."""

    state: str
    reason: str = ""
    epoch: int = 0
    running: int = 0
    waiting: int = 0
    workers: tuple[Mapping[str, Any], ...] = ()

    @property
    def is_ready(self) -> bool:
        return self.state == "ready"

    @property
    def in_flight(self) -> int:
        return self.running + self.waiting

    def worker(self, mac: str) -> Mapping[str, Any] | None:
        return next((worker for worker in self.workers if worker.get("mac") == mac), None)

    def sentence(self) -> str:
        if self.reason.startswith(self.state):  # "waiting", "waiting for the worker on studio-2"
            return self.reason
        return f"{self.state}: {self.reason}" if self.reason else self.state


@dataclass(frozen=True)
class Answer:
    """A whole completion."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


class Gateway:
    """The HTTP side of one service."""

    def __init__(self, http: httpx.Client, model: str):
        self._http = http
        self._model = model

    def health(self) -> Health:
        """Never raises for a gateway that is away or not ready: that is an answer too."""
        try:
            response = self._http.get("/health", timeout=_HEALTH_S)
            body = response.json()
            return Health(
                state=str(body["state"]),
                reason=str(body.get("reason") or ""),
                epoch=int(body.get("epoch", 0)),
                running=int(body.get("running", 0)),
                waiting=int(body.get("waiting", 0)),
                workers=tuple(body.get("workers", ())),
            )
        except httpx.HTTPError as error:
            return Health("silent", _said(error))
        except (ValueError, KeyError, TypeError, AttributeError):
            return Health("silent", "something answers at the port that is not a gateway of macfleet")

    def drain(self) -> None:
        """No new requests from now on; those in flight are finished."""
        self._post("/admin/drain", {})

    def resume(self) -> None:
        self._post("/admin/resume", {})

    def complete(self, prompt: str, *, max_tokens: int, timeout_s: float) -> Answer:
        """The most likely continuation of `prompt`, always the same."""
        body = {"model": self._model, "prompt": prompt, "max_tokens": max_tokens, "temperature": 0}
        return _answer(self._post("/v1/completions", body, timeout_s), lambda choice: choice["text"])

    def ask(self, question: str, *, max_tokens: int, timeout_s: float) -> Answer:
        """A chat of one question at temperature 0."""
        body = {"model": self._model, "messages": _messages(question), "max_tokens": max_tokens, "temperature": 0}
        return _answer(self._post("/v1/chat/completions", body, timeout_s), lambda choice: choice["message"]["content"])

    def stream(self, messages: Sequence[Mapping[str, str]], **options: Any) -> Iterator[str]:
        """The pieces of an answer as they are written. Raises ServiceFailed when the answer breaks off."""
        body = {"model": self._model, "messages": list(messages), "stream": True, **options}
        try:
            with self._http.stream("POST", "/v1/chat/completions", json=body, timeout=httpx.Timeout(_CONNECT_S, read=_PIECE_S)) as response:
                if response.status_code != 200:
                    response.read()
                    raise _refusal(response)
                yield from _pieces(response.iter_lines())
        except httpx.HTTPError as error:
            raise ServiceFailed(f"the gateway does not answer: {_said(error)}") from error

    def _post(self, path: str, body: Mapping[str, Any], timeout_s: float = 30.0) -> Any:
        try:
            response = self._http.post(path, json=body, timeout=httpx.Timeout(_CONNECT_S, read=timeout_s))
        except httpx.HTTPError as error:
            raise ServiceFailed(f"the gateway does not answer: {_said(error)}") from error
        if response.status_code != 200:
            raise _refusal(response)
        return response.json()


@contextmanager
def open_gateway(mac: Mac, connection: Connection, deployed: Deployed) -> Iterator[Gateway]:
    """The gateway of `deployed`, whose head is `mac`. Its key, if it has one, is read from the Mac and shown to nobody."""
    key = _read_key(mac, connection, deployed) if deployed.needs_key else None
    headers = {"authorization": f"Bearer {key.reveal()}"} if key else {}
    with (
        connection.tunnel(deployed.port, deployed.gateway_host) as port,
        # Nothing is verified because nothing is TLS: the tunnel is SSH. Loading certificates would cost 50 ms each time.
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False, verify=False) as http,
    ):
        yield Gateway(http, deployed.model)


def _read_key(mac: Mac, connection: Connection, deployed: Deployed) -> Secret:
    path = join(mac.paths.service(deployed.name), "gateway.json")
    try:
        return Secret(str(json.loads(connection.get(path, sudo=True))["api_key"]))
    except (ValueError, KeyError) as error:
        raise MacfleetError(f"{path} does not say the service's key", mac=mac.name, hint="deploy the service again") from error


def _messages(question: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}]


def _answer(body: Any, text_of: Any) -> Answer:
    try:
        choice, usage = body["choices"][0], body["usage"]
        return Answer(str(text_of(choice)), str(choice["finish_reason"]), int(usage["prompt_tokens"]), int(usage["completion_tokens"]))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ServiceFailed(f"the gateway's answer has not the shape of OpenAI's: {error!r}") from error


def _pieces(lines: Iterator[str]) -> Iterator[str]:
    """Server-sent events: `data: {…}`, at last `data: [DONE]`; an `error` object in between ends it."""
    for line in lines:
        if not line.startswith("data:"):
            continue
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            return
        event = json.loads(data)
        if "error" in event:
            raise ServiceFailed(f"the answer broke off: {event['error'].get('message', 'no reason given')}")
        for choice in event.get("choices", ()):
            yield choice.get("delta", {}).get("content") or ""
    raise ServiceFailed("the answer broke off: the connection to the gateway ended")


def _refusal(response: httpx.Response) -> MacfleetError:
    """A question that is wrong (a prompt longer than the context) is told from a service that is not well."""
    try:
        said = response.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        said = response.text[:200]
    if response.status_code in (400, 413):
        return RequestError(f"the gateway does not take the question: {said}", truths=("the service is as it was",))
    return ServiceFailed(f"the gateway refused with HTTP {response.status_code}: {said}")


def _said(error: httpx.HTTPError) -> str:
    match error:
        case httpx.TimeoutException():
            return "no answer in time"
        case httpx.ConnectError() | httpx.RemoteProtocolError() | httpx.ReadError():
            return "nothing listens at its port"
    return str(error) or type(error).__name__
