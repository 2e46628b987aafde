"""Weights onto Macs: each one gets the bytes of its own layers and nothing else, hashed on both sides. What is there and true stays."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from posixpath import join

from macfleet.core.clock import Clock
from macfleet.core.command import Command, command
from macfleet.core.errors import CommandFailed, MacfleetError, WeightsBroken
from macfleet.core.fact import Unknown
from macfleet.core.units import format_size
from macfleet.fleet.connection import Connection
from macfleet.inventory.mac import Mac
from macfleet.macos import df, files
from macfleet.serving.jobs import must, understand
from macfleet.serving.model import HubModel, LocalModel
from macfleet.weights.index import INDEX_FILE
from macfleet.weights.manifest import MANIFEST_FILE, Manifest, ManifestFile, parse_manifest
from macfleet.weights.stage import StageFile, plan_stage_file, stage_name

Say = Callable[[str], None]

_HASH_S = 3600.0  # 100 GiB at the speed of a slow SSD and a busy core
_FETCH_S = 24 * 3600.0
_SAY_EVERY_S = 5.0


@dataclass(frozen=True)
class Source:
    """One file to be on the Mac: where its bytes come from, how many, and what stands for its content."""

    name: str
    size_bytes: int
    fingerprint: str
    pieces: Callable[[], Iterable[bytes]]


@dataclass(frozen=True)
class Staged:
    """What became of one Mac's files. `weights_sha256` None: nobody here has seen the bytes."""

    mac: str
    sent_bytes: int
    kept_bytes: int
    weights_sha256: str | None = None

    def sentence(self) -> str:
        if self.sent_bytes == 0:
            return f"{format_size(self.kept_bytes)} of weights are there already and true"
        kept = f", {format_size(self.kept_bytes)} were there already" if self.kept_bytes else ""
        return f"{format_size(self.sent_bytes)} sent{kept}"


def sources(model: LocalModel, first_layer: int, last_layer: int) -> tuple[Source, ...]:
    """The files of one stage: config, tokenizer and the like whole, and one file with its own tensors."""
    stage = plan_stage_file(model.index, model.layout, first_layer, last_layer)
    identity = {part.file: model.identity(part.file) for part in stage.ranges}
    weights = Source(stage.name, stage.size_bytes, stage.fingerprint(identity), lambda: _stage_pieces(model, stage))
    return (*(_companion(model, file) for file in model.companions), weights)


def stage_on(mac: Mac, connection: Connection, model: LocalModel, layers: tuple[int, int], clock: Clock, say: Say) -> Staged:
    """Make the Mac hold `layers` (last exclusive) of `model`. The manifest is written last: with it, the directory is complete."""
    directory = mac.paths.model(model.name)
    wanted = sources(model, *layers)
    old = _read_manifest(connection, join(directory, MANIFEST_FILE))
    true = _true_files(connection, directory, old, wanted)
    missing = [source for source in wanted if source.name not in true]
    kept_bytes = sum(source.size_bytes for source in wanted if source.name in true)
    if not missing and old is not None and _is_of(old, model, layers):
        return Staged(mac.name, 0, kept_bytes, true[stage_name(*layers)].sha256)
    # What a run that was killed left half sent takes the room of what is to come. Nobody else sends: the fleet lock is held.
    half_sent = command("find", directory, "-maxdepth", "1", "-name", "*.macfleet-new", "-delete")
    must(mac, connection, [command("mkdir", "-p", directory), half_sent])
    _check_room(mac, connection, missing)
    sent = [_send(mac, connection, directory, source, clock, say) for source in missing]
    here = {**true, **{file.name: file for file in sent}}
    # Another service on this Mac may hold other layers of the model: what is known of its file stays known.
    others = [file for file in (old.files if old is not None else ()) if file.name not in here]
    manifest = Manifest(model.name, *layers, model.card.layers, tuple(sorted((*here.values(), *others), key=lambda file: file.name)))
    connection.put(manifest.render().encode(), join(directory, MANIFEST_FILE))
    return Staged(mac.name, sum(source.size_bytes for source in missing), kept_bytes, here[stage_name(*layers)].sha256)


def fetch_on(mac: Mac, connection: Connection, model: HubModel, layers: tuple[int, int], clock: Clock, say: Say) -> Staged:
    """Let the Mac fetch from the hub the files that hold its layers: first what is small, then what the index says."""
    directory = mac.paths.model(model.name)
    fetch = _fetching(mac, model, directory)
    say(f"{mac.name} fetches {model.repo} from the hub")
    small = [word for pattern in ("*.json", "*.txt", "*.jinja", "*.model", "*.tiktoken") for word in ("--include", pattern)]
    must(mac, connection, [command("mkdir", "-p", directory)])
    _fetch(mac, connection, model, command(*fetch, *small, timeout_s=_FETCH_S))
    needed = _hub_files(connection, join(directory, INDEX_FILE), layers, model.card.layers)
    _fetch(mac, connection, model, command(*fetch, *needed, timeout_s=_FETCH_S))
    return Staged(mac.name, model.card.weight_bytes(*layers), 0)


def fetch_files(mac: Mac, connection: Connection, model: HubModel, directory: str, names: Sequence[str]) -> None:
    """Let the Mac fetch only these files of the model, into `directory`."""
    _fetch(mac, connection, model, command(*_fetching(mac, model, directory), *names, timeout_s=_FETCH_S))


def prune_on(mac: Mac, connection: Connection, model: str, keep: tuple[int, int]) -> tuple[str, ...]:
    """Remove the stages of `model` that are not the one of the layers `keep`; their names. Only when no other service needs them."""
    directory = mac.paths.model(model)
    listed = connection.read([command("ls", directory, timeout_s=10)])[0].stdout.split()
    stale = tuple(name for name in listed if name.startswith("stage-") and name.endswith(".safetensors") and name != stage_name(*keep))
    if stale:
        must(mac, connection, [one for name in stale for one in files.remove_file(join(directory, name))])
    return stale


def _companion(model: LocalModel, name: str) -> Source:
    path = model.directory / name
    return Source(name, path.stat().st_size, model.identity(name), lambda: _file_pieces(path))


def _file_pieces(path: Path) -> Iterator[bytes]:
    yield path.read_bytes()


def _stage_pieces(model: LocalModel, stage: StageFile) -> Iterator[bytes]:
    yield stage.header
    for part in stage.ranges:
        yield from model.read(part)


def _read_manifest(connection: Connection, path: str) -> Manifest | None:
    """None for no manifest and for one that is damaged: then everything is sent."""
    text = understand(connection, files.file_text(path))
    if text is None or isinstance(text, Unknown):
        return None
    try:
        return parse_manifest(text)
    except WeightsBroken:
        return None


def _true_files(connection: Connection, directory: str, old: Manifest | None, wanted: Iterable[Source]) -> dict[str, ManifestFile]:
    """Files that were made from the same bytes and still have the hash they arrived with."""
    recorded = {file.name: file for file in old.files} if old is not None else {}
    alike = [
        recorded[source.name]
        for source in wanted
        if source.name in recorded
        and (recorded[source.name].size_bytes, recorded[source.name].fingerprint) == (source.size_bytes, source.fingerprint)
    ]
    if not alike:
        return {}
    paths = {join(directory, file.name): file for file in alike}
    result = connection.read([command("shasum", "-a", "256", *paths, timeout_s=_HASH_S)])[0]
    found = {path: digest for digest, _, path in (line.partition("  ") for line in result.stdout.splitlines())}
    return {file.name: file for path, file in paths.items() if found.get(path) == file.sha256}


def _is_of(manifest: Manifest, model: LocalModel, layers: tuple[int, int]) -> bool:
    return (manifest.model, manifest.first_layer, manifest.last_layer) == (model.name, *layers)


def _check_room(mac: Mac, connection: Connection, missing: Iterable[Source]) -> None:
    needed = sum(source.size_bytes for source in missing)
    disk = understand(connection, df.free(df.volume(mac.root)))
    if isinstance(disk, Unknown) or disk.free_bytes >= needed:
        return  # what cannot be read is found out by the first write
    raise CommandFailed(
        f"{mac.name} has {format_size(disk.free_bytes)} free, its stage needs {format_size(needed)} more",
        mac=mac.name,
        truths=("nothing was sent to it",),
        hint=f"remove models that no service uses from {mac.paths.models}",
    )


def _send(mac: Mac, connection: Connection, directory: str, source: Source, clock: Clock, say: Say) -> ManifestFile:
    """The file as the manifest lists it. `put` compares the hash of what arrived with the hash of what was sent."""
    digest = hashlib.sha256()

    def told() -> Iterator[bytes]:
        sent, said_at = 0, clock.monotonic()
        for piece in source.pieces():
            digest.update(piece)
            sent += len(piece)
            yield piece
            if clock.monotonic() - said_at > _SAY_EVERY_S:
                said_at = clock.monotonic()
                say(f"{mac.name}: {format_size(sent)} of {format_size(source.size_bytes)} of {source.name} sent")
        if sent != source.size_bytes:
            raise WeightsBroken(f"{source.name} has {sent} bytes, {source.size_bytes} were planned", hint="is the model being written?")

    connection.put(told(), join(directory, source.name))
    return ManifestFile(source.name, source.size_bytes, digest.hexdigest(), source.fingerprint)


def _fetching(mac: Mac, model: HubModel, directory: str) -> tuple[str, ...]:
    return (join(mac.paths.runtime, "bin", "hf"), "download", model.repo, "--local-dir", directory)


def _fetch(mac: Mac, connection: Connection, model: HubModel, fetching: Command) -> None:
    result = connection.run([fetching])[0]
    if result.ok:
        return
    # hf ends with a coloured hint about its own tracebacks; what happened stands before it.
    lines = [line for line in map(str.strip, re.sub(r"\x1b\[[0-9;]*m", "", result.stderr).splitlines()) if line]
    told = [line for line in lines if not line.startswith("Hint:")]
    raise CommandFailed(
        f"{mac.name} could not fetch {model.repo} from the hub: {told[-1] if told else result.failure()}",
        mac=mac.name,
        truths=(f"`{fetching}`",),
        hint="it needs a way to https://huggingface.co, and for a closed model a login there; "
        f"or name a directory of this machine as `models: {model.name}: path:` in the inventory, and the weights are sent from here",
    )


def _hub_files(connection: Connection, index_path: str, layers: tuple[int, int], layer_count: int) -> list[str]:
    """The weight files that hold these layers, or any tensor outside the layers; all of them when there is no index."""
    try:
        weight_map = json.loads(connection.get(index_path))["weight_map"]
    except CommandFailed:
        return ["model.safetensors"]
    except (ValueError, KeyError) as error:
        raise MacfleetError(f"{index_path} has no weight_map: {error}") from error
    numbered = {name: re.search(r"\.layers\.(\d+)\.", name) for name in weight_map}
    used = {name for name, number in numbered.items() if number is None or layers[0] <= int(number[1]) < layers[1]}
    return sorted({weight_map[name] for name in used})
