"""`launchctl`: the system domain of launchd. Exit statuses are the numbers it prints."""

from __future__ import annotations

import signal
from collections.abc import Iterable

from macfleet.lab.job import Job
from macfleet.lab.launchd import ALREADY_IN_PROGRESS, IN_PROGRESS, IO_ERROR, NO_SUCH_PROCESS, NOT_FOUND, OK
from macfleet.lab.world import Call, Reply, World, failed

_WORDS = {
    NO_SUCH_PROCESS: "No such process",
    IO_ERROR: "Input/output error",
    IN_PROGRESS: "Operation now in progress",
    ALREADY_IN_PROGRESS: "Operation already in progress",
}
_NOT_PRIVILEGED = 150
# macOS's own, and no process until somebody connects: launchd listens for it.
REMOTE_LOGIN = "com.openssh.sshd"


async def launchctl(world: World, call: Call) -> Reply:
    match call.arguments:
        case ("print", target) if label := _label(target):
            job = world.launchd.jobs.get(label)
            if job is None and label == REMOTE_LOGIN:
                return Reply(_print_remote_login())
            return Reply(_print(job)) if job else _missing(label, bad_request=True)
        case ("print-disabled", "system"):
            return Reply(_print_disabled(world.state.launchd_overrides))
        case ("print", *_):
            return Reply(stderr="Unrecognized target specifier.\n", exit_status=64)
    if not call.is_root:
        return Reply(stderr="Operation not permitted: must be root to change the system domain.\n", exit_status=_NOT_PRIVILEGED)
    return await _change(world, call)


async def _change(world: World, call: Call) -> Reply:
    match call.arguments:
        case ("bootstrap", "system", path):
            return _end("Bootstrap failed", world.launchd.bootstrap(world.path(path, call.cwd)))
        case ("bootout", target) if label := _label(target):
            return _end("Boot-out failed", await world.launchd.bootout(label))
        case ("kickstart", *options, target) if label := _label(target):
            status = await world.launchd.kickstart(label, kill=any("k" in option for option in options))
            return _missing(label) if status == NOT_FOUND else _end("Kickstart failed", status)
        case ("kill", name, target) if label := _label(target):
            number = _signal_number(name)
            if number is None:
                return failed(f"Unrecognized signal: {name}", 64)
            status = world.launchd.kill(label, number)
            return _missing(label) if status == NOT_FOUND else _end("Kill failed", status)
        case ("enable" | "disable" as way, target) if label := _label(target):
            world.state.launchd_overrides[label] = way == "disable"
            return Reply()
    return failed("Unrecognized subcommand: " + " ".join(call.arguments), 64)


def _label(target: str) -> str:
    """The job of `system/LABEL`; nothing else can be managed with nobody logged in."""
    domain, _, label = target.partition("/")
    return label if domain == "system" else ""


def _end(what: str, status: int) -> Reply:
    return Reply() if status == OK else failed(f"{what}: {status}: {_WORDS.get(status, 'Unknown error')}", status)


def _missing(label: str, *, bad_request: bool = False) -> Reply:
    said = f'Could not find service "{label}" in domain for system\n'
    return Reply(stderr=("Bad request.\n" if bad_request else "") + said, exit_status=NOT_FOUND)


def _signal_number(name: str) -> int | None:
    if name.isdecimal():
        return int(name)
    return getattr(signal, name if name.startswith("SIG") else f"SIG{name}", None)


def _print(job: Job) -> str:
    """The block of tests/fixtures/ops/launchctl_print_system.running.txt, nested `state = active` and all."""
    variables = {**job.environment, "XPC_SERVICE_NAME": job.label}
    files = [
        (name, job.plist[key])
        for name, key in (("stdout path", "StandardOutPath"), ("stderr path", "StandardErrorPath"))
        if key in job.plist
    ]
    process = [("pid", job.pid), ("immediate reason", "speculative")] if job.pid else []
    coalition = [("ID", 400 + job.runs), ("type", "resource"), ("state", "active"), ("active count", 1), ("name", job.label)]
    blocks = [
        _rows(("active count", 1 if job.pid else 0), ("path", job.path), ("type", "LaunchDaemon"), ("state", job.state)),
        _rows(("program", job.arguments[0])) + _block("arguments", job.arguments),
        _rows(*files) + _block("default environment", ["PATH => /usr/bin:/bin:/usr/sbin:/sbin"]),
        _block("environment", [f"{key} => {value}" for key, value in variables.items()]),
        _rows(
            ("domain", "system"),
            ("minimum runtime", f"{job.throttle_s:g}"),
            ("exit timeout", f"{job.exit_timeout_s:g}"),
            ("runs", job.runs),
            *process,
            job.last_end(),
            *([("pended nondemand spawn", job.pended)] if job.pended else []),
        ),
        _block("resource coalition", [f"{key} = {value}" for key, value in coalition]),
        _rows(("spawn type", "daemon (3)"), ("jetsam priority", 40), ("jetsam memory limit (active)", "(unlimited)")),
        _rows(("properties", " | ".join([*(["keepalive"] if job.is_kept_alive else []), "inferred program"]))),
    ]
    return f"system/{job.label} = {{\n" + "\n".join(blocks) + "}\n"


def _print_remote_login() -> str:
    rows = [("active count", 0), ("path", "/System/Library/LaunchDaemons/ssh.plist"), ("type", "LaunchDaemon"), ("state", "not running")]
    return f"system/{REMOTE_LOGIN} = {{\n{_rows(*rows)}\n\tdomain = system\n\truns = 0\n\tlast exit code = (never exited)\n}}\n"


def _rows(*rows: tuple[str, object]) -> str:
    return "".join(f"\t{key} = {value}\n" for key, value in rows)


def _block(name: str, lines: Iterable[str]) -> str:
    return f"\t{name} = {{\n" + "".join(f"\t\t{line}\n" for line in lines) + "\t}\n"


def _print_disabled(overrides: dict[str, bool]) -> str:
    rows = "".join(f'\t\t"{label}" => {"disabled" if is_disabled else "enabled"}\n' for label, is_disabled in sorted(overrides.items()))
    return f"\n\tdisabled services = {{\n{rows}\t}}\n"
