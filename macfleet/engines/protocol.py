"""What the gateway and the workers of a service say to each other, one JSON object per message.

The gateway binds a ROUTER, every worker connects a DEALER (CURVE keys on both sides). A gang lives in epochs:

    hello from every rank → assemble{epoch} to all → each links to the next rank, proves the link by a probe → ready from all
    a rank lost, new or broken → epoch + 1: reset to the survivors, which keep their weights and drop every request; assemble when complete

Ranks form a ring: rank r sends hidden states to r + 1, the last rank sends sampled tokens to rank 0. Requests go to rank 0
only. A message of another epoch than the receiver's own is history and is dropped by whoever receives it.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from macfleet.core.errors import MacfleetError

T = TypeVar("T")

HEARTBEAT_INTERVAL_S = 0.5
HEARTBEAT_LOST_S = 3.0

Rank = Annotated[int, Field(ge=0)]
Epoch = Annotated[int, Field(ge=0)]  # 0: not assembled yet
RequestId = Annotated[str, Field(min_length=1, max_length=128)]
TokenId = Annotated[int, Field(ge=0)]


class ProtocolError(MacfleetError):
    """A message is not one of this protocol: the two sides are of different versions, or somebody else is talking."""


class Message(BaseModel):
    """A value with a `type`; unknown keys, wrong types and values out of range are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


# --- worker → gateway -------------------------------------------------------------------------------------------------


class Hello(Message):
    """A worker has loaded its layers and waits to be assembled. Said once per start and again after a lost gateway.

    `last_layer` is exclusive. `data_endpoint` is where the previous rank connects to (tcp links); None for ring and jaccl,
    whose addresses stand in their own files. `phase_s` says how long each phase of the start took.
    """

    type: Literal["hello"] = "hello"
    rank: Rank
    mac: str
    pid: int
    version: str
    kind: Literal["tcp", "ring", "jaccl", "jaccl-ring"]
    data_endpoint: str | None
    data_public_key: str | None
    first_layer: int
    last_layer: int
    weights_sha256: str | None = None
    weight_bytes: int = 0
    phase_s: dict[str, float] = {}


class Work(Message):
    """What a worker has done. `busy_share`: of the time since the last heartbeat. Counts are since the process began.

    From rank 0 only: the rows of each lane, what a step of the slowest stage takes and one of each stage in rank order (0.0: not
    measured yet), and the kept prefixes.
    """

    busy_share: float = Field(0.0, ge=0)
    sent_bytes: int = 0
    lanes: tuple[int, ...] = ()
    step_s: float = 0.0
    stage_step_s: tuple[float, ...] = ()
    prefix_hits: int = 0
    prefix_tokens: int = 0
    reused_tokens: int = 0


class Heartbeat(Message):
    """Twice a second, whatever the worker is doing. `busy_s`: how long the step that runs now has been running; None: idle."""

    type: Literal["heartbeat"] = "heartbeat"
    rank: Rank
    pid: int  # a process that was started anew beats while it loads, long before its hello
    epoch: Epoch
    active: int
    busy_s: float | None
    rss_bytes: int
    work: Work | None = None


class Ready(Message):
    """The link from the previous rank is proved: its probe of this epoch arrived, and ours was sent on."""

    type: Literal["ready"] = "ready"
    rank: Rank
    epoch: Epoch


class Token(Message):
    """The next token of a request, from rank 0. `index` counts from 0. A token that ends by `eos` is sent too, with `finished`."""

    type: Literal["token"] = "token"
    request: RequestId
    epoch: Epoch
    index: int
    token: TokenId
    logprob: float | None = None
    top_logprobs: tuple[tuple[int, float], ...] = ()
    finished: Literal["stop", "length"] | None = None


class Failed(Message):
    """This request cannot go on; the others do, and the gang stays as it is."""

    type: Literal["failed"] = "failed"
    request: RequestId
    epoch: Epoch
    error: str


class Broken(Message):
    """The gang cannot go on in this epoch (a link ended, a frame was lost): raise the epoch and assemble again."""

    type: Literal["broken"] = "broken"
    rank: Rank
    epoch: Epoch
    error: str


class Leaving(Message):
    """This worker ends in an orderly way (SIGTERM): count it as lost now, without waiting for its heartbeat to fail."""

    type: Literal["leaving"] = "leaving"
    rank: Rank


# --- gateway → worker -------------------------------------------------------------------------------------------------


class Assemble(Message):
    """Drop every request, link to the next rank (rank 0's endpoint for the last one), answer `ready` when the link is proved.

    Endpoint and keys are None for a gang of one, and for ring and jaccl.
    """

    type: Literal["assemble"] = "assemble"
    epoch: Epoch
    next_endpoint: str | None = None
    next_public_key: str | None = None
    previous_public_key: str | None = None


class Reset(Message):
    """The gang is incomplete: drop every request, keep the weights, wait for `assemble`."""

    type: Literal["reset"] = "reset"
    epoch: Epoch


class Form(Message):
    """What an answer must look like: a grammar as llguidance writes it, and the tokens that may end it."""

    grammar: str
    eos: tuple[TokenId, ...] = ()


class Sampling(Message):
    """How the last rank picks a token. Temperature 0 is greedy. `logprobs`: how many alternatives to report, None for no logprobs.

    `form`: what the answer must look like; None: anything.
    """

    temperature: float = Field(0.0, ge=0)
    top_p: float = Field(1.0, gt=0, le=1)
    top_k: int = Field(0, ge=0)
    min_p: float = Field(0.0, ge=0, le=1)
    seed: int | None = Field(None, ge=0, lt=2**64)
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logit_bias: dict[int, float] = {}
    logprobs: int | None = Field(None, ge=0, le=20)
    form: Form | None = None


class Submit(Message):
    """Generate from `prompt` (token ids), to rank 0. Ids are unique while the gateway lives.

    Ends by a token of `eos` ("stop"), after `max_tokens` or a full context ("length"), by `cancel`, or by `failed`.
    """

    type: Literal["submit"] = "submit"
    request: RequestId
    epoch: Epoch
    prompt: tuple[TokenId, ...] = Field(min_length=1)
    max_tokens: int = Field(ge=1)
    eos: tuple[TokenId, ...] = ()
    sampling: Sampling = Sampling()


class Cancel(Message):
    """Nobody wants this request any more, to rank 0. A token already on its way may still arrive; there is no answer."""

    type: Literal["cancel"] = "cancel"
    request: RequestId


FromWorker = Hello | Heartbeat | Ready | Token | Failed | Broken | Leaving
FromGateway = Assemble | Reset | Submit | Cancel

_FROM_WORKER: TypeAdapter[FromWorker] = TypeAdapter(Annotated[FromWorker, Field(discriminator="type")])
_FROM_GATEWAY: TypeAdapter[FromGateway] = TypeAdapter(Annotated[FromGateway, Field(discriminator="type")])


def encode(message: FromWorker | FromGateway) -> bytes:
    """The message as the one frame that follows the ROUTER's identity frame."""
    return message.model_dump_json().encode()


def decode_from_worker(data: bytes) -> FromWorker:
    """What a worker said. Raises ProtocolError."""
    return _decode(_FROM_WORKER, data, "a worker")


def decode_from_gateway(data: bytes) -> FromGateway:
    """What the gateway said. Raises ProtocolError."""
    return _decode(_FROM_GATEWAY, data, "the gateway")


def _decode(adapter: TypeAdapter[T], data: bytes, sender: str) -> T:
    try:
        return adapter.validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = "/".join(str(part) for part in first["loc"])
        raise ProtocolError(f"{sender} sent something that is not of this protocol: {place}: {first['msg']}") from error
