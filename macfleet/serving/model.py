"""Where the weights of a service come from: a directory on the controller, or the hub."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from macfleet.core.errors import MacfleetError, RequestError, WeightsBroken
from macfleet.inventory.mac import Inventory, ModelSource
from macfleet.models import catalog
from macfleet.models.card import ModelCard
from macfleet.models.families import refuse_unproven
from macfleet.models.layout import Layout
from macfleet.weights.index import INDEX_FILE, TensorIndex, read_index, weight_files
from macfleet.weights.stage import ByteRange

_CHUNK_BYTES = 1 << 20
# What a tokenizer, a chat template or a config may be made of; weights and pictures are not among them.
_COMPANIONS = (".json", ".txt", ".model", ".jinja", ".tiktoken", ".py")


@dataclass(frozen=True)
class LocalModel:
    """A model directory on the controller. `companions` are the small files that every Mac needs whole."""

    name: str
    directory: Path
    card: ModelCard
    index: TensorIndex
    layout: Layout
    companions: tuple[str, ...]

    def identity(self, file: str) -> str:
        """Changes when the file does, without reading it."""
        state = (self.directory / file).stat()
        return f"{state.st_size}-{state.st_mtime_ns}"

    def read(self, part: ByteRange) -> Iterator[bytes]:
        """The bytes of `part`, a piece at a time."""
        with (self.directory / part.file).open("rb") as file:
            file.seek(part.offset)
            left = part.length
            while left:
                piece = file.read(min(left, _CHUNK_BYTES))
                if not piece:
                    raise WeightsBroken(f"{self.directory / part.file} became shorter while it was read", hint="is it being written?")
                left -= len(piece)
                yield piece


@dataclass(frozen=True)
class HubModel:
    """A model that each Mac fetches for itself."""

    name: str
    card: ModelCard
    repo: str


Model = LocalModel | HubModel


def find_model(name: str, inventory: Inventory, store: Path, *, unproven: bool = False) -> Model:
    """The weights of that name: what the inventory says, else a directory in `store`, else the catalog's repository.

    Raises RequestError with the near name or, if not `unproven`, for a family that no test has shown to survive a split;
    WeightsBroken for a directory that is incomplete.
    """
    model = _find(name, inventory, store)
    if not unproven:
        refuse_unproven(model.card.family)
    return model


def _find(name: str, inventory: Inventory, store: Path) -> Model:
    source = next((source for source in inventory.models if source.name == name), ModelSource(name))
    if source.path is not None:
        return load_model(name, source.path)
    if source.repo is None and (store / name / "config.json").is_file():
        return load_model(name, store / name)
    card = catalog.find(source.repo or name)
    if card is not None:
        return HubModel(name, card, source.repo or card.repo)
    if source.repo is not None:
        raise RequestError(
            f"there is no model card for {source.repo}, so nobody knows what its layers need",
            hint=f"fetch it (`hf download {source.repo} --local-dir DIR`) and write `path: DIR` for {name} in the inventory",
        )
    raise RequestError(
        f'there is no model "{name}"',
        truths=[f"{store} holds no directory of that name", "the inventory names no such model", "the built-in cards do not know it"],
        hint=f"{catalog.suggestion(name)} (the small ones are made by `macfleet lab model`)".strip(),
    )


def load_model(name: str, directory: Path) -> LocalModel:
    """The model in `directory`, from its config and the headers of its weight files. Raises WeightsBroken with the directory's name."""
    if not directory.is_dir():
        raise RequestError(f'{directory} is not a directory, the inventory says the model "{name}" is there')
    files = {path.name: path.stat().st_size for path in directory.iterdir() if path.is_file()}
    try:
        config = _config(directory)
        index_json = (directory / INDEX_FILE).read_bytes() if INDEX_FILE in files else None
        weights = {file: files[file] for file in weight_files(files)}
        index = read_index(weights, _reader(directory), index_json)
        card = index.card(name, config)
        layout = index.layout(config)
    except MacfleetError as error:
        raise WeightsBroken(f"{directory}: {error}", truths=error.truths, hint=error.hint) from error
    companions = tuple(sorted(file for file in files if file.endswith(_COMPANIONS) and file != INDEX_FILE))
    return LocalModel(name, directory, card, index, layout, companions)


def _config(directory: Path) -> Mapping[str, Any]:
    try:
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    except OSError:
        raise WeightsBroken("there is no config.json") from None
    except ValueError as error:
        raise WeightsBroken(f"config.json is not JSON: {error}") from None
    if not isinstance(config, dict):
        raise WeightsBroken("config.json holds no configuration")
    return config


def _reader(directory: Path) -> Callable[[str, int, int], bytes]:
    def read(file: str, offset: int, length: int) -> bytes:
        with (directory / file).open("rb") as opened:
            opened.seek(offset)
            return opened.read(length)

    return read
