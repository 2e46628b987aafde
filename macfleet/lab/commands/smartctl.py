"""`smartctl -a -j disk0`: the SSD's own report. It ends with 4 on every healthy Apple SSD, which has no error log page."""

from __future__ import annotations

import json

from macfleet.lab.world import Call, Reply, World, failed

_DATA_UNIT_BYTES = 512_000
_WORN_PERCENT = 100


def smartctl(world: World, call: Call) -> Reply:
    """The keys of tests/fixtures/ops/smartctl_x_j.apple_ap0512z.macos26.json that say how the disk is."""
    if "-j" not in call.arguments or call.arguments[-1:] != ("disk0",):
        return failed("smartctl: a rehearsal Mac's smartctl knows `smartctl -a -j disk0`", 1)
    wear = world.state.wear
    message = "Read 1 entries from Error Information Log failed: GetLogPage failed: system=0x38, sub=0x0, code=745"
    report = {
        "json_format_version": [1, 0],
        "smartctl": {"version": [7, 5], "messages": [{"string": message, "severity": "error"}], "exit_status": 4},
        "device": {"name": "disk0", "info_name": "disk0", "type": "nvme", "protocol": "NVMe"},
        "model_name": "APPLE SSD AP0512Z",
        "smart_status": {"passed": wear.ssd_used_percent < _WORN_PERCENT, "nvme": {"value": 0}},
        "nvme_smart_health_information_log": {
            "critical_warning": 0,
            "temperature": 34,
            "available_spare": 100,
            "available_spare_threshold": 99,
            "percentage_used": wear.ssd_used_percent,
            "data_units_read": wear.ssd_written_bytes // _DATA_UNIT_BYTES * 3,
            "data_units_written": wear.ssd_written_bytes // _DATA_UNIT_BYTES,
            "power_cycles": 211,
            "unsafe_shutdowns": 9,
            "media_errors": 0,
        },
    }
    return Reply(json.dumps(report, indent=2) + "\n", exit_status=4)
