"""Where the controller keeps model directories that it made or fetched itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from platformdirs import user_cache_path


def model_store(environment: Mapping[str, str]) -> Path:
    """`MACFLEET_MODELS`, or the user's cache; each model is a directory of its name below it."""
    chosen = environment.get("MACFLEET_MODELS")
    return Path(chosen).expanduser() if chosen else user_cache_path("macfleet") / "models"
