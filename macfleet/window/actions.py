"""What a rolling reboot may ask to be done, and what can be seen afterwards."""

from __future__ import annotations

from dataclasses import dataclass

from macfleet.window.roll import Halt


@dataclass(frozen=True)
class Look:
    """Wait `wait_s`, then see whether the Mac answers and which boot session it is in. Given up at `until`. `doing`: for people."""

    mac: str
    doing: str
    wait_s: float = 0.0
    until: float | None = None


@dataclass(frozen=True)
class Drain:
    """Let the gateways of `services` take no new requests and finish the running ones, for at most `timeout_s`."""

    mac: str
    services: tuple[str, ...]
    timeout_s: float


@dataclass(frozen=True)
class Stop:
    """Boot this Mac's jobs of `services` out of launchd and wait until they are gone. Their plists stay."""

    mac: str
    services: tuple[str, ...]
    timeout_s: float


@dataclass(frozen=True)
class Reboot:
    """Restart the Mac, if and only if it is still in the boot session `boot_id`."""

    mac: str
    boot_id: str


@dataclass(frozen=True)
class Verify:
    """Run the Mac's checks, and those of the fleet. `known`: those that failed before the roll, of which nothing need be said."""

    mac: str
    wait_s: float = 0.0
    until: float | None = None
    known: tuple[str, ...] = ()


@dataclass(frozen=True)
class Serve:
    """Let `services` take requests again; see that each is ready and passes its canary."""

    mac: str
    services: tuple[str, ...]
    wait_s: float = 0.0
    until: float | None = None


@dataclass(frozen=True)
class Finished:
    """Every Mac is done."""


@dataclass(frozen=True)
class Stand:
    """The roll stands still until somebody says `--resume`."""

    halt: Halt


Action = Look | Drain | Stop | Reboot | Verify | Serve | Finished | Stand


def awaited_by(action: Action) -> tuple[str, str]:
    """Which Mac is awaited and what it is doing, for whoever waits."""
    match action:
        case Look():
            return action.mac, action.doing
        case Drain():
            return action.mac, f"draining {', '.join(action.services)}"
        case Stop():
            return action.mac, "ending its jobs"
        case Reboot():
            return action.mac, "restarting"
        case Verify():
            return action.mac, "verifying"
        case Serve():
            return action.mac, f"waiting until {', '.join(action.services)} answers again"
        case Stand(halt):
            return halt.mac, "standing"
        case Finished():
            return "", ""


@dataclass(frozen=True)
class Seen:
    """`reach`: up, refused, timeout, filevault-locked or auth; `boot_id` when a command answered; `detail` for people."""

    reach: str
    boot_id: str | None = None
    detail: str = ""

    @property
    def is_up(self) -> bool:
        """Only a command that answered proves it: an open port does not."""
        return self.boot_id is not None


@dataclass(frozen=True)
class Did:
    """The action was carried out."""


@dataclass(frozen=True)
class Problem:
    """The action could not be carried out, or what it looks at is not as wanted. `is_final`: waiting will not mend it."""

    what: str
    is_final: bool = False
    truths: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failure:
    """A check that fails, or that nobody could judge; `detail` says what was found and what to do."""

    check: str
    detail: str = ""


@dataclass(frozen=True)
class Verified:
    """The checks that fail now."""

    failures: tuple[Failure, ...]


Observation = Seen | Did | Problem | Verified
