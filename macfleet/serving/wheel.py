"""macfleet's own wheel, packed from the installed package: what the processes on a Mac need and nothing of the controller.

The name on the public index belongs to somebody else's project, so a Mac is never told to install macfleet from an index.

Stored, not deflated: zlib's builds differ in the bytes they write, and two operators with the same macfleet must name the same
runtime. It also makes packing cheap enough (4 ms) for every `verify` to know what this controller would install.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

from macfleet import __version__
from macfleet.core.data import data_path
from macfleet.macos.runtime import Bundle

# Floors 0 to 4 without `fleet`: a Mac needs no SSH client and no command line. A test follows the imports and says so.
ROOMS = ("core", "inventory", "macos", "models", "weights", "health", "placement", "api", "engines", "gateway", "worker", "agent")
DISTRIBUTION = "macfleet_ops"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def read_bundle() -> Bundle:
    """The lock file and the wheel that every Mac gets from this controller."""
    name, wheel = pack_wheel()
    return Bundle(lock=data_path("requirements-worker.lock").read_bytes(), wheel_name=name, wheel=wheel)


def pack_wheel(package: Path | None = None) -> tuple[str, bytes]:
    """File name and bytes of the wheel. The same sources give the same bytes: order, times and modes are fixed."""
    package = package or Path(__file__).resolve().parent.parent
    files = dict(_sources(package))
    files |= _metadata(files)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, content)
    return f"{DISTRIBUTION}-{__version__}-py3-none-any.whl", packed.getvalue()


def _sources(package: Path) -> Iterator[tuple[str, bytes]]:
    yield "macfleet/__init__.py", (package / "__init__.py").read_bytes()
    for room in sorted(ROOMS):
        for path in sorted((package / room).rglob("*")):
            if path.is_file() and path.suffix in (".py", ".json", ".typed"):
                yield f"macfleet/{path.relative_to(package).as_posix()}", path.read_bytes()


def _metadata(files: dict[str, bytes]) -> dict[str, bytes]:
    folder = f"{DISTRIBUTION}-{__version__}.dist-info"
    said = {
        f"{folder}/METADATA": f"Metadata-Version: 2.1\nName: macfleet-ops\nVersion: {__version__}\n".encode(),
        f"{folder}/WHEEL": b"Wheel-Version: 1.0\nGenerator: macfleet\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in (files | said).items()]
    return said | {f"{folder}/RECORD": "\n".join([*rows, f"{folder}/RECORD,,"]).encode() + b"\n"}


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
