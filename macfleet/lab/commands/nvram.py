"""`nvram`: where the RDMA switch of Recovery is kept."""

from __future__ import annotations

from macfleet.lab.world import Call, Reply, World, failed


def nvram(world: World, call: Call) -> Reply:
    """Never switched on, the variable does not exist; see tests/fixtures/thunderbolt/nvram_rdma-enable.*.txt."""
    name = call.arguments[0] if call.arguments else ""
    if "=" in name:
        return failed(f"nvram: Error setting variable - '{name.split('=')[0]}': (iokit/common) not permitted")
    if name == "rdma-enable" and world.state.rdma_enabled:
        return Reply("rdma-enable\t1\n")
    return failed(f"nvram: Error getting variable - '{name}': (iokit/common) data was not found")
