"""`rdma_ctl`: the switch of RDMA over Thunderbolt, which only Recovery can turn."""

from __future__ import annotations

from macfleet.lab.world import Call, Reply, World, failed

# As reported from running macOS; see tests/fixtures/ops/rdma_ctl.not_recovery.txt.
NOT_IN_RECOVERY = 77


def rdma_ctl(world: World, call: Call) -> Reply:
    match call.arguments:
        case ("status",):
            return Reply("enabled\n" if world.state.rdma_enabled else "disabled\n")
        case ("enable",) | ("disable",):
            return failed("rdma_ctl: This tool needs to be executed from Recovery OS.", NOT_IN_RECOVERY)
    return failed("usage: rdma_ctl [ enable | disable | status ]", 64)
