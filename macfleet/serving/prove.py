"""A family that is not on the allow-list, proved on the spot: a small model of its config is split on the head Mac, in its runtime."""

from __future__ import annotations

import json
from dataclasses import dataclass
from posixpath import join

from macfleet.core.command import command
from macfleet.core.errors import CommandFailed, ServiceFailed
from macfleet.core.result import Result
from macfleet.core.words import count
from macfleet.fleet.connection import Connection
from macfleet.inventory.mac import Mac
from macfleet.serving.jobs import must
from macfleet.serving.model import HubModel, Model
from macfleet.serving.staging import fetch_files

_PROVE_S = 900.0  # seconds on a free core; a busy Mac, the first import of mlx, sixteen layers
_WORDS = "small random model"


class NotProved(ServiceFailed):
    """The split of such a model is not the whole, or nobody can tell."""

    exit_code = 1


@dataclass(frozen=True)
class Proved:
    """What a Mac has shown. `why_alone`: why its requests do not share batches; empty when they may."""

    mac: str
    family: str
    layers: int
    mlx_lm: str
    why_alone: str
    took_s: float

    @property
    def is_batched(self) -> bool:
        return not self.why_alone

    def sentence(self) -> str:
        alone = f"; requests are answered one by one ({self.why_alone})" if self.why_alone else ", alone and in a batch"
        return (
            f'the family "{self.family}" is proved on {self.mac} with mlx-lm {self.mlx_lm} in {self.took_s:g} s: '
            f"a {_WORDS} of this config, {count(self.layers, 'layer')} over 2 and 3 stages, says what the whole one says{alone}"
        )


def prove_on(mac: Mac, connection: Connection, model: Model, python: str, kv_bits: int | None = None) -> Proved:
    """The proof by `python`, the interpreter of the Mac's runtime. Raises NotProved with the reason; nothing stays on the Mac."""
    directory = join(mac.paths.models, f".prove-{model.name}")
    bits = ("--kv-bits", str(kv_bits)) if kv_bits else ()
    # -I: a directory named macfleet in the user's home must not answer for the installed one.
    asking = command(python, "-I", "-m", "macfleet.worker.prove", directory, *bits, timeout_s=_PROVE_S)
    must(mac, connection, [command("mkdir", "-p", directory)])
    try:
        if isinstance(model, HubModel):
            fetch_files(mac, connection, model, directory, ["config.json"])
        else:
            connection.put((model.directory / "config.json").read_bytes(), join(directory, "config.json"))
        return _understand(mac, model, connection.run([asking])[0], kv_bits)
    finally:
        connection.run([command("rm", "-rf", directory)])


def _understand(mac: Mac, model: Model, result: Result, kv_bits: int | None) -> Proved:
    try:
        said = json.loads(result.stdout.strip().rpartition("\n")[2])
        is_proved = said["is_proved"]
    except (ValueError, KeyError):
        last = result.stderr.strip().splitlines()[-1:] or [result.failure()]
        raise CommandFailed(
            f"nobody knows whether {model.name} may be split: the proof on {mac.name} did not come to its end: {last[0]}",
            mac=mac.name,
            truths=("no weight was sent, no job was started",),
            hint=f"`{result.command}` on that Mac says more",
        ) from None
    if not is_proved:
        kept = f" with its KV cache in {kv_bits} bits" if kv_bits else ""
        raise NotProved(
            f'{model.name} is not served: the proof of the family "{said["family"]}"{kept} failed on {mac.name}: {said["reason"]}',
            truths=(f"it was tried with a {_WORDS} of its config, by mlx-lm {said['mlx_lm']}", "no weight was sent, no job was started"),
            hint="it may go well without `kv_bits`"
            if kv_bits
            else "`macfleet deploy` without --unproven lists the families that are known to survive a split",
        )
    return Proved(mac.name, said["family"], said["layers"], said["mlx_lm"], said["why_alone"], said["took_s"])
