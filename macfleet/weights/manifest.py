"""The list beside a stage's files on a Mac: what is there, how long, with which SHA-256, and what it was made from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from macfleet.core.errors import WeightsBroken

MANIFEST_FILE = "manifest.json"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ManifestFile:
    """`fingerprint` says what the file was made from; equal fingerprints need no new transfer."""

    name: str
    size_bytes: int
    sha256: str
    fingerprint: str = ""


@dataclass(frozen=True)
class Manifest:
    """What a Mac holds of a model. Written last: a directory with a manifest is complete."""

    model: str
    first_layer: int
    last_layer: int
    layers: int
    files: tuple[ManifestFile, ...]

    def file(self, name: str) -> ManifestFile | None:
        return next((file for file in self.files if file.name == name), None)

    @property
    def weights_sha256(self) -> str:
        """The hash of the stage's tensors, which a worker reports and the gateway compares."""
        return next((file.sha256 for file in self.files if file.name.endswith(".safetensors")), "")

    def is_same_as(self, planned: Manifest) -> bool:
        """Whether nothing need be sent: the same model and layers, made from the same sources."""
        mine = {file.name: (file.size_bytes, file.fingerprint) for file in self.files}
        theirs = {file.name: (file.size_bytes, file.fingerprint) for file in planned.files}
        return (self.model, self.first_layer, self.last_layer, mine) == (planned.model, planned.first_layer, planned.last_layer, theirs)

    def render(self) -> str:
        files = [
            {"name": file.name, "size_bytes": file.size_bytes, "sha256": file.sha256, "fingerprint": file.fingerprint}
            for file in self.files
        ]
        head = {"schema": 1, "model": self.model, "first_layer": self.first_layer, "last_layer": self.last_layer, "layers": self.layers}
        return json.dumps({**head, "files": files}, indent=1) + "\n"


def parse_manifest(text: str) -> Manifest:
    """The manifest in `text`. Raises WeightsBroken when it is not one."""
    try:
        found = json.loads(text)
        manifest = Manifest(
            model=str(found["model"]),
            first_layer=int(found["first_layer"]),
            last_layer=int(found["last_layer"]),
            layers=int(found["layers"]),
            files=tuple(_file(entry) for entry in found["files"]),
        )
    except (ValueError, KeyError, TypeError):
        raise WeightsBroken(f"{MANIFEST_FILE} is not one that macfleet wrote", hint="deploy again: the stage is sent anew") from None
    return manifest


def _file(entry: Mapping[str, object]) -> ManifestFile:
    sha256 = str(entry["sha256"])
    if not _SHA256.fullmatch(sha256):
        raise ValueError(sha256)
    return ManifestFile(str(entry["name"]), int(str(entry["size_bytes"])), sha256, str(entry.get("fingerprint", "")))
