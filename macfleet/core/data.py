"""Where the files that travel with macfleet are: templates, playbooks, the worker lock, the example inventory."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def data_path(name: str) -> Path:
    """`data_path("templates")`: beside the package in a checkout, inside it when installed from a wheel."""
    installed = _PACKAGE / "_data" / name
    return installed if installed.exists() else _PACKAGE.parent / name
