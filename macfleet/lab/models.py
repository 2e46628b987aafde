"""The models a rehearsal needs, made on this machine: `macfleet lab model NAME`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from macfleet.core.errors import RequestError, ServiceFailed
from macfleet.core.near import did_you_mean
from macfleet.lab.models_deepseek import make_deepseek_tiny
from macfleet.lab.models_smollm2 import make_smollm2
from macfleet.models.store import model_store

Say = Callable[[str], None]


@dataclass(frozen=True)
class LabModel:
    """`make(directory, tokenizer_from, say)` fills an empty directory; `tokenizer_from` is another lab model it needs."""

    name: str
    what: str
    make: Callable[[Path, Path | None, Say], None]
    tokenizer_from: str | None = None


MODELS: tuple[LabModel, ...] = (
    LabModel("smollm2-135m", "SmolLM2-135M-Instruct with its real weights, 538 MB in float32 (what a CPU computes fastest)", make_smollm2),
    LabModel(
        "deepseek-v3-tiny",
        "the deepseek_v3 architecture (MLA, experts, 61 layers) with small random weights and SmolLM2's tokenizer: real work, no sense",
        make_deepseek_tiny,
        tokenizer_from="smollm2-135m",
    ),
)


def ensure(name: str, *, store: Path | None = None, say: Say = lambda text: None, models: tuple[LabModel, ...] = MODELS) -> Path:
    """The directory of this lab model, made if the store does not have it. `say` hears what takes long."""
    model = _find(name, models)
    directory = (store or model_store(os.environ)) / name
    if directory.exists():
        return directory
    tokenizer = ensure(model.tokenizer_from, store=store, say=say, models=models) if model.tokenizer_from else None
    try:
        _make(model, directory, tokenizer, say)
    except (OSError, RuntimeError) as error:  # RuntimeError is how mlx says that a disk is full
        hint = "MACFLEET_MODELS names another place for models"
        raise ServiceFailed(
            f"{name} could not be made in {directory.parent}: {error}", truths=["nothing was left there"], hint=hint
        ) from error
    return directory


def _make(model: LabModel, directory: Path, tokenizer: Path | None, say: Say) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(mkdtemp(prefix=f".{model.name}.", dir=directory.parent))
    try:
        model.make(unfinished, tokenizer, say)
        unfinished.chmod(0o755)
        _put_in_place(unfinished, directory)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _put_in_place(unfinished: Path, directory: Path) -> None:
    """Whole or not at all; when two make the same model at once, the first one stays."""
    try:
        unfinished.rename(directory)
    except OSError:
        if not directory.exists():
            raise


def _find(name: str, models: tuple[LabModel, ...]) -> LabModel:
    for model in models:
        if model.name == name:
            return model
    names = [model.name for model in models]
    raise RequestError(f'the lab has no model "{name}"', hint=did_you_mean(name, names))
