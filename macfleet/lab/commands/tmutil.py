"""`tmutil`: Time Machine, which a rehearsal Mac has never used."""

from __future__ import annotations

from macfleet.lab.world import Call, Reply, World, failed


def tmutil(world: World, call: Call) -> Reply:
    if call.arguments[:1] == ("latestbackup",):
        if not world.state.remote_full_disk_access:
            return failed("tmutil: latestbackup requires Full Disk Access privileges.", 80)
        return failed("No machine directory found for host.")
    return failed("tmutil: a rehearsal Mac makes no backups", 64)
