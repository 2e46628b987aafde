"""The environment of processes on a simulated Mac: macOS's own, and the little of this machine that they cannot do without."""

from __future__ import annotations

import configparser
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from macfleet.lab.factory import home_of
from macfleet.lab.paths import MacDir
from macfleet.lab.state import State

# What sshd and launchd of macOS give; the emulated programs stand in front of it.
SYSTEM_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"

# Says "I am root" to the emulated programs, which is all that `sudo` changes in a rehearsal.
ROOT_MARK = "MACFLEET_LAB_ROOT"

# How this machine reaches package indexes: proxies, certificates, mirrors. Nothing else of the user's environment gets in.
_NETWORK = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def session_environment(state: State, directory: MacDir) -> dict[str, str]:
    """What a command gets that came over SSH."""
    home = str(home_of(state, directory.root))
    return {
        **host_environment(os.environ, Path.home()),
        "PATH": search_path(directory),
        "HOME": home,
        "USER": state.user,
        "LOGNAME": state.user,
        "SHELL": "/bin/sh",
        "TMPDIR": str(directory.root / "private/tmp"),
        "PWD": home,
    }


def job_environment(directory: MacDir, is_root: bool, wanted: Mapping[str, str]) -> dict[str, str]:
    """What a launchd job gets: hardly anything but its plist's own variables, and no HOME."""
    environment = {**host_environment(os.environ, Path.home()), **wanted}
    environment["PATH"] = search_path(directory, wanted.get("PATH", ""))
    return {**environment, ROOT_MARK: "1"} if is_root else environment


def search_path(directory: MacDir, wanted: str = "") -> str:
    """The emulated programs, the wanted directories, macOS's own, and where this rehearsal's Python is.

    uv needs that last one: it makes the workers' runtime from an interpreter it finds, before it thinks of a download.
    """
    directories = [str(directory.bin), *wanted.split(":"), *SYSTEM_PATH.split(":"), *_unusual_tools(), interpreter_directory()]
    return ":".join(dict.fromkeys(each for each in directories if each))


def program_path(directory: MacDir, program: str) -> str:
    """What launchd really starts for a program of a plist: `/usr/sbin/sysctl` is the emulated one."""
    own = directory.bin / os.path.basename(program)
    if os.path.dirname(program) in ("", *SYSTEM_PATH.split(":")) and own.exists():
        return str(own)
    if "/" in program:
        return program
    return shutil.which(program, path=search_path(directory)) or program


def interpreter_directory() -> str:
    return os.path.dirname(os.path.realpath(sys.executable))


def host_environment(environment: Mapping[str, str], home: Path) -> dict[str, str]:
    """Proxies, certificates and package indexes of this machine, and a package cache that all simulated Macs share."""
    kept = {key: value for key, value in environment.items() if key.upper() in _NETWORK or key.startswith(("PIP_", "UV_"))}
    kept.setdefault("UV_CACHE_DIR", str(_cache_directory(environment, home) / "uv"))
    if not any(
        key in kept for key in ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_CONFIG_FILE")
    ):
        kept.update(_indexes_of_pip(environment, home))
    own_config = home / ".config/uv/uv.toml"
    if own_config.exists():
        kept.setdefault("UV_CONFIG_FILE", str(own_config))
    return kept


def _indexes_of_pip(environment: Mapping[str, str], home: Path) -> dict[str, str]:
    """pip's mirrors in uv's words: a machine behind a mirror is set up for pip, and uv does not read that."""
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(_pip_files(environment, home))

    def told(key: str) -> str:
        variable = environment.get("PIP_" + key.upper().replace("-", "_"))
        return " ".join((variable or settings.get("global", key, fallback="") or "").split())

    translated = {
        "UV_DEFAULT_INDEX": told("index-url"),
        "UV_INDEX": told("extra-index-url"),
        "UV_FIND_LINKS": told("find-links").replace(" ", ","),
    }
    return {key: value for key, value in translated.items() if value}


def _pip_files(environment: Mapping[str, str], home: Path) -> Iterator[Path]:
    yield Path("/etc/pip.conf")
    yield Path("/Library/Application Support/pip/pip.conf")
    yield home / ".pip/pip.conf"
    yield home / ".config/pip/pip.conf"
    yield home / "Library/Application Support/pip/pip.conf"
    yield Path(sys.prefix) / "pip.conf"
    if environment.get("PIP_CONFIG_FILE"):
        yield Path(environment["PIP_CONFIG_FILE"])


def _cache_directory(environment: Mapping[str, str], home: Path) -> Path:
    return Path(environment.get("XDG_CACHE_HOME") or home / ".cache")


def _unusual_tools() -> list[str]:
    """Where `sh` and `cat` are on a machine that has them nowhere usual."""
    if shutil.which("cat", path=SYSTEM_PATH):
        return []
    return [os.path.dirname(found) for found in map(shutil.which, ("sh", "cat")) if found]
