"""Why a Mac could not be reached, in an operator's words. Pure."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from enum import StrEnum

from macfleet.core.errors import AuthenticationFailed, ConnectionRefused, FileVaultLocked, Unreachable

_PARAMIKO_GAVE_UP = "Authentication timeout"  # one of its AuthenticationExceptions, told from a refusal by nothing else


class Stage(StrEnum):
    """How far the connection came."""

    TCP = "tcp"
    HANDSHAKE = "handshake"
    LOGIN = "login"


@dataclass(frozen=True)
class Refusal:
    """What is known of a connection that did not come about. `place` is `address:port`, of a jump host if that refused."""

    mac: str
    place: str
    user: str
    stage: Stage
    error: BaseException
    took_s: float
    timeout_s: float
    banner: str = ""
    key: str | None = None  # the key that the inventory names
    by_password: bool = False  # a password was shown, and no key
    is_line_up: bool = False  # the far end refused and still listens, so it is not gone


def explain(refusal: Refusal) -> Unreachable:
    """The error to raise."""
    if is_filevault_banner(refusal.banner):
        return _filevault(refusal)
    match refusal.stage:
        case Stage.TCP:
            return _tcp(refusal)
        case Stage.HANDSHAKE:
            return _handshake(refusal)
        case Stage.LOGIN:
            return _login(refusal)


def is_filevault_banner(banner: str) -> bool:
    """Whether the pre-boot SSH server of macOS 26 speaks.

    Its banner also says "Once successfully unlocked", so only the first sentence tells; line ends are CRLF.
    See tests/fixtures/ops/filevault_preboot_ssh.transcript.txt.
    """
    return "system is locked" in " ".join(banner.split()).lower()


def _filevault(refusal: Refusal) -> Unreachable:
    return FileVaultLocked(
        "FileVault waits for a password before macOS can start",
        mac=refusal.mac,
        truths=(f"{refusal.place} is the pre-boot SSH server: network and host key are right, no service runs",),
        hint=f"unlock it: `ssh {_login_name(refusal)}{_host(refusal)}` and the password of an account that may unlock the disk",
    )


def _tcp(refusal: Refusal) -> Unreachable:
    error = refusal.error
    if isinstance(error, socket.gaierror):
        return _unreachable(refusal, f"{_host(refusal)} is not a name that this machine can resolve", "check `address` in the inventory")
    if isinstance(error, TimeoutError):
        return _unreachable(
            refusal,
            f"{refusal.place} does not answer; gave up after {refusal.timeout_s:g} s",
            "check that the Mac is powered, awake and on the network",
        )
    if _has_errno(error, errno.ECONNREFUSED):
        return ConnectionRefused(
            f"{refusal.place} refuses SSH connections",
            mac=refusal.mac,
            hint="turn on Remote Login on the Mac, or wait: a Mac that is starting refuses for a minute or two",
        )
    if _has_errno(error, errno.EHOSTUNREACH, errno.ENETUNREACH):
        return _unreachable(
            refusal,
            f"no route to {refusal.place}",
            "check address and cable; on a Mac, also allow this terminal in System Settings > Privacy & Security > Local Network",
        )
    return _unreachable(refusal, f"{refusal.place} cannot be reached: {error}", "check `address` and `port` in the inventory")


def _handshake(refusal: Refusal) -> Unreachable:
    if refusal.took_s >= 0.9 * refusal.timeout_s:
        return _unreachable(
            refusal,
            f"{refusal.place} takes the connection but says nothing; gave up after {refusal.timeout_s:g} s",
            "the Mac may be asleep, hung or starting; look at it, or power-cycle it",
        )
    return _unreachable(
        refusal,
        f"{refusal.place} ended the connection before the login: {_said(refusal)}",
        "see that an SSH server is on this port; a Mac that is starting, or one with too many logins, also does this",
    )


def _login(refusal: Refusal) -> Unreachable:
    # The line may still be up: a Mac that is slow to answer has said nothing about the key or the password.
    if _said(refusal) == _PARAMIKO_GAVE_UP or (refusal.took_s >= 0.9 * refusal.timeout_s and not refusal.is_line_up):
        return _unreachable(
            refusal, f"{refusal.place} stopped answering during the login; gave up after {refusal.took_s:.0f} s", "look at the Mac"
        )
    if refusal.by_password:
        return _wrong_password(refusal)
    tried = f"the key {refusal.key}" if refusal.key else "the keys of your SSH agent and ~/.ssh"
    copy = f"ssh-copy-id {f'-i {refusal.key} ' if refusal.key else ''}{_login_name(refusal)}{_host(refusal)}"
    return AuthenticationFailed(
        f"{refusal.place} does not let {refusal.user} in",
        mac=refusal.mac,
        truths=(f"tried {tried}: {_said(refusal)}", "the host key is the pinned one, so it is the right Mac"),
        hint=f"put the key there: `macfleet enroll {refusal.mac}`, or by hand `{copy}`;"
        " and allow the user in System Settings > Sharing > Remote Login",
    )


def _wrong_password(refusal: Refusal) -> Unreachable:
    return AuthenticationFailed(
        f"{refusal.place} does not let {refusal.user} in with this password",
        mac=refusal.mac,
        truths=(f"it says: {_said(refusal)}", "the host key is the pinned one, so it is the right Mac", "nothing was changed there"),
        hint=f"check the password, that the account there is called {refusal.user} (`user:` in the inventory), and that"
        " System Settings > Sharing > Remote Login allows it; Macs with other passwords are enrolled one by one",
    )


def _unreachable(refusal: Refusal, what: str, hint: str) -> Unreachable:
    return Unreachable(what, mac=refusal.mac, hint=hint)


def _said(refusal: Refusal) -> str:
    return str(refusal.error).strip().rstrip(".") or type(refusal.error).__name__


def _host(refusal: Refusal) -> str:
    return refusal.place.rpartition(":")[0].strip("[]")


def _login_name(refusal: Refusal) -> str:
    port = refusal.place.rpartition(":")[2]
    return ("" if port == "22" else f"-p {port} ") + f"{refusal.user}@"


def _has_errno(error: BaseException, *numbers: int) -> bool:
    """Also inside paramiko's NoValidConnectionsError, which holds one error per address."""
    inner = getattr(error, "errors", {})
    return any(getattr(each, "errno", None) in numbers for each in (error, *inner.values()))
