"""What a worker is told: one JSON file, mode 0600, because it holds the worker's secret key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from macfleet.core.errors import RequestError

Z85Key = Annotated[str, Field(min_length=40, max_length=40)]
LinkKind = Literal["tcp", "ring", "jaccl", "jaccl-ring"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RingSettings(_Strict):
    """`ring`: mx.distributed over TCP. The file holds `[["ip:port"], …]`, one entry per rank."""

    hostfile: Path


class JacclSettings(_Strict):
    """`jaccl`, `jaccl-ring`: mx.distributed over RDMA.

    The file holds the matrix of RDMA devices, row i column j = the device on i that leads to j. Rank 0 listens on `coordinator`.
    """

    devices_file: Path
    coordinator: str
    # Deadlocks that wedge the GPU until a reboot were seen with it (mlx#3142), so it is asked for by name.
    fast_synch: bool = False


class WiredGate(_Strict):
    """What must be true of this Mac's GPU memory before a weight is loaded.

    A killed process can leave its wired memory behind in the kernel (omlx#2184): loading on top of it ends in a panic.
    """

    limit_mib: int | None = Field(None, ge=1, description="iogpu.wired_limit_mb that must be in force; None: macOS's own")
    most_wired_bytes: int | None = Field(None, ge=1, description="Wired memory must be below this; None: not looked at")
    wait_s: float = Field(120.0, ge=0, description="How long to wait for both before giving up")


class KvSettings(_Strict):
    """KV caches in fewer bits, as the placement has counted them."""

    bits: Literal[4, 8]
    group_size: Literal[32, 64]


class WorkerConfig(_Strict):
    """One stage: layers `first_layer` up to, not including, `last_layer`, of the model in `model_dir`."""

    service: str
    mac: str
    rank: int = Field(ge=0)
    world: int = Field(ge=1)
    model_dir: Path
    first_layer: int = Field(ge=0)
    last_layer: int = Field(ge=1)
    kind: LinkKind = "tcp"
    listen_address: str = Field("127.0.0.1", description="Where the previous rank connects to; the kernel picks the port")
    control: str = Field(description="The gateway's control endpoint, tcp://HEAD:PORT")
    public_key: Z85Key
    secret_key: Z85Key = Field(repr=False)
    gateway_public_key: Z85Key
    previous_public_key: Z85Key | None = Field(None, description="The previous rank's; it may connect before `assemble` names it")
    is_proved: bool = Field(False, description="Its family is not on the allow-list; deploy proved it on the spot")
    batched: bool | None = Field(None, description="Whether requests may share batches; None: as is known of the family")
    kv: KvSettings | None = Field(None, description="How the KV caches are kept; None: as wide as activations")
    context_tokens: int = Field(8192, ge=1)
    concurrency: int = Field(4, ge=1)
    prefill_chunk_tokens: int = Field(512, ge=1)
    heartbeat_file: Path
    wired_gate: WiredGate | None = None
    ring: RingSettings | None = None
    jaccl: JacclSettings | None = None
    link_deadline_s: float = Field(60.0, gt=0, description="How long the other ranks may take until the links are proved")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.rank >= self.world:
            raise ValueError(f"rank {self.rank} of {self.world}")
        if self.first_layer >= self.last_layer:
            raise ValueError(f"layers {self.first_layer}..{self.last_layer} are none")
        if (self.first_layer == 0) != (self.rank == 0):
            raise ValueError("layer 0 belongs to rank 0")
        if self.world > 1 and self.kind == "ring" and self.ring is None:
            raise ValueError("a ring needs `ring`")
        if self.world > 1 and self.kind.startswith("jaccl") and self.jaccl is None:
            raise ValueError(f"{self.kind} needs `jaccl`")
        return self

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @property
    def is_last(self) -> bool:
        return self.rank == self.world - 1


def load_config(path: Path) -> WorkerConfig:
    """The worker's file. Raises RequestError that names the file and the key."""
    try:
        return WorkerConfig.model_validate_json(path.read_text())
    except OSError as error:
        raise RequestError(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = "/".join(str(part) for part in first["loc"])
        raise RequestError(f"{path}: {place}: {first['msg']}") from error
