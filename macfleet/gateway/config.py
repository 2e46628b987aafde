"""What a gateway is told: one JSON file, mode 0600, written by `deploy` and read once at start."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, SecretStr, ValidationError, model_validator

from macfleet.core.errors import RequestError
from macfleet.gateway.lines import DEFAULT

# A secret hides itself in every repr and error; only the file itself shows it.
FileSecret = Annotated[SecretStr, PlainSerializer(lambda secret: secret.get_secret_value(), when_used="json")]
Z85Key = Annotated[str, Field(min_length=40, max_length=40, description="A CURVE key as zmq.curve_keypair() prints it")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WorkerSeat(_Strict):
    """One place in the gang: the only worker that may sit there, and the layers it must have."""

    rank: int = Field(ge=0)
    mac: str
    public_key: Z85Key = Field(description="CURVE public key; no other client is let in at the control port")
    first_layer: int = Field(ge=0)
    last_layer: int = Field(description="Exclusive")


class ClientKey(_Strict):
    """The key of one team or program. `concurrency`: how many of its requests are answered at once; None: as many as of all."""

    key: FileSecret
    concurrency: int | None = Field(None, ge=1)


class GatewayConfig(_Strict):
    """Everything `python -m macfleet.gateway CONFIG` needs."""

    service: str
    model: str = Field(description="The name clients use and /v1/models shows")
    model_dir: Path = Field(description="For tokenizer, chat template and config only; weights are not read")
    listen: str = Field("127.0.0.1", description="Loopback unless told an address")
    port: int = Field(ge=0, le=65535, description="0 lets the kernel choose; the log says which")
    control_bind: str = Field(description="tcp://HEAD:PORT, where the workers connect")
    public_key: Z85Key
    secret_key: FileSecret
    workers: tuple[WorkerSeat, ...] = Field(min_length=1, description="In rank order, 0 first")
    context_tokens: int = Field(ge=2, description="Prompt and answer together")
    concurrency: int = Field(ge=1, description="Requests in the pipeline at once; more wait in the queue")
    queue_limit: int = Field(64, ge=0, description="Requests that may wait; one more gets 429")
    api_key: FileSecret | None = Field(
        None, description="Bearer key of the service itself; none and no api_keys: everybody who can connect"
    )
    api_keys: dict[str, ClientKey] = Field({}, description="Name → a key of some of the clients; they may ask, not operate")
    state_dir: Path
    heartbeat_file: Path | None = Field(None, description="A sign of life for the agent on this Mac; none: it does not watch this gateway")
    heartbeat_timeout_s: float = Field(3.0, gt=0, description="A worker silent for longer is lost")
    drain_timeout_s: float = Field(120.0, ge=0, description="How long running requests may take after SIGTERM")

    @property
    def world(self) -> int:
        return len(self.workers)

    @model_validator(mode="after")
    def _keys_tell_clients_apart(self) -> GatewayConfig:
        if DEFAULT in self.api_keys:
            raise ValueError(f'"{DEFAULT}" is the name of api_key itself')
        if self.api_keys and self.api_key is None:
            raise ValueError("api_keys are for clients; without an api_key nobody could operate the service")
        values = [key.key.get_secret_value() for key in self.api_keys.values()]
        values += [self.api_key.get_secret_value()] if self.api_key else []
        if len(set(values)) < len(values):
            raise ValueError("two names have the same key")
        return self

    @model_validator(mode="after")
    def _seats_cover_the_layers_once(self) -> GatewayConfig:
        next_layer = 0
        for rank, seat in enumerate(self.workers):
            if seat.rank != rank:
                raise ValueError(f"workers[{rank}] has rank {seat.rank}; ranks go 0, 1, 2 … in order")
            if seat.first_layer != next_layer or seat.last_layer <= seat.first_layer:
                raise ValueError(f"rank {rank} has layers {seat.first_layer}-{seat.last_layer}, layer {next_layer} must come next")
            next_layer = seat.last_layer
        return self


def parse_config(text: str, origin: str) -> GatewayConfig:
    """The config in `text`. Raises RequestError naming `origin` and the wrong key; values are not shown, they may be secret."""
    try:
        return GatewayConfig.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = "/".join(str(step) for step in first["loc"])
        raise RequestError(f"{origin}: {where or 'the file'}: {first['msg']}", hint="`macfleet deploy` writes this file anew") from None


def render_config(config: GatewayConfig) -> str:
    """The file's text, secrets included: it belongs into a 0600 file and nowhere else."""
    return config.model_dump_json(indent=2) + "\n"
