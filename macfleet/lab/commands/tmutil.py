"""`tmutil`: Time Machine, which a rehearsal Mac has never used."""

from __future__ import annotations

from macfleet.lab.world import Call, Reply, World, failed

_NO_ACCESS = 80


def tmutil(world: World, call: Call) -> Reply:
    wear = world.state.wear
    match call.arguments:
        case ("destinationinfo",):
            return Reply(_destination(wear.backs_up_to) if wear.backs_up_to else "tmutil: No destinations configured.\n")
        case ("isexcluded", path):
            said = "Excluded" if _is_excluded(wear.excluded_from_backup, str(world.path(path, call.cwd))) else "Included"
            return Reply(f"[{said}]    {path}\n")
        case ("addexclusion" | "latestbackup" as verb, *_) if not world.state.remote_full_disk_access:
            return failed(f"tmutil: {verb} requires Full Disk Access privileges.", _NO_ACCESS)
        case ("addexclusion", "-p", path) if call.is_root:
            wear.excluded_from_backup.append(str(world.path(path, call.cwd)))
            return Reply()
        case ("latestbackup",):
            return failed("No machine directory found for host.")
    return failed("tmutil: a rehearsal Mac makes no backups", 64)


def _destination(name: str) -> str:
    line = "=" * 52
    return f"{line}\nName          : {name}\nKind          : Local\nMount Point   : /Volumes/{name}\nID            : 5F0A7C22\n"


def _is_excluded(excluded: list[str], path: str) -> bool:
    return any(path == each or path.startswith(f"{each}/") for each in excluded)
