"""A text for every parser that it understands: recorded where somebody has recorded it, otherwise reconstructed.

Reconstructed: what this program is known to print, put together by hand or by our own code; nobody has seen it on a Mac.
"""

import json
import plistlib

from tests.macos.recordings import recorded

JOB = plistlib.dumps(
    {
        "Label": "dev.macfleet.chat.worker",
        "ProgramArguments": ["/opt/macfleet/runtimes/0123456789ab/bin/python", "-m", "x"],
        "RunAtLoad": True,
    }
).decode()
RUNTIME = {"schema": 1, "id": "0123456789ab", "python": "3.12", "macfleet": "0.3.0", "lock_sha256": "a" * 64, "wheel_sha256": "b" * 64}
ENTRY = {
    "what": "file /x",
    "undo": [["sudo", "-n", "rm", "-f", "/x"]],
    "before": "absent",
    "by": "provision",
    "time": "2026-11-20T10:00:00Z",
}
MANIFEST = {
    "schema": 1,
    "model": "smollm2-135m",
    "first_layer": 0,
    "last_layer": 10,
    "layers": 30,
    "files": [{"name": "config.json", "size_bytes": 7, "sha256": "c" * 64, "fingerprint": "d" * 64}],
}

RECORDED = {
    "parse_crypto_users": ("ops/diskutil_listcryptousers.*", "ops/diskutil_listusers.*"),
    "parse_custom": ("ops/pmset_g_custom.*", "ops/pmset_g.*"),
    "parse_devices": ("*/ibv_devices.*",),
    "parse_devinfo": ("thunderbolt/ibv_devinfo*",),
    "parse_fdesetup": ("ops/fdesetup_status.*",),
    "parse_boot": ("ops/sysctl.boot_identity.txt",),
    "parse_bridges": ("thunderbolt/plutil_bridge_prefs.*",),
    "parse_firewall": ("ops/socketfilterfw.*",),
    "parse_hardware_ports": ("thunderbolt/networksetup_listallhardwareports.*",),
    "parse_ifconfig": ("thunderbolt/ifconfig_*",),
    "parse_jobs": ("ops/launchctl_print_system.running.txt",),
    "parse_last": ("ops/last_reboot.*",),
    "parse_macmon": ("ops/macmon_pipe.*",),
    "parse_memory_pressure": ("ops/sysctl.loaded_48g.txt",),
    "parse_nvram": ("thunderbolt/nvram_rdma-enable.enabled.txt",),
    "parse_print": ("ops/launchctl_print_system.running.txt",),
    "parse_rdma_ctl": ("thunderbolt/rdma_ctl_status.*",),
    "parse_routes": ("thunderbolt/netstat_rn*",),
    "parse_service_info": ("thunderbolt/networksetup_getinfo.*",),
    "parse_stored_bridges": ("thunderbolt/plutil_bridge_prefs.*",),
    "parse_services": ("thunderbolt/networksetup_listnetworkserviceorder.*",),
    "parse_smartctl": ("ops/smartctl_x_j.*",),
    "parse_sources": ("ops/pmset_g_batt.*",),
    "parse_sw_vers": ("ops/sw_vers.*",),
    "parse_sysctl": ("ops/sysctl.*", "thunderbolt/sysctl_debug.*"),
    "parse_thermal_pressure": ("ops/powermetrics_text.*",),
    "parse_thunderbolt": ("thunderbolt/sp_thunderbolt.*.json",),
    "parse_updates": ("ops/softwareupdate_l.*",),
    "parse_users": ("ops/dscl_users_generateduid.*",),
    "parse_vm_stat": ("ops/vm_stat.*",),
}
BEAT = '{"pid": 812, "time": 1795000000.25, "busy_since": null, "epoch": 3}'
RECONSTRUCTED = {
    "parse_heartbeats": (
        f"1795000001\n/opt/macfleet/services/chat/heartbeat.json\t{BEAT}\n/opt/macfleet/services/chat/gateway-heartbeat.json\t{BEAT}\n",
    ),
    "parse_manifests": (json.dumps(MANIFEST) + "\n", f"{json.dumps(MANIFEST, indent=1)}\n" * 2),
    "parse_capabilities": ("Capabilities for AC Power:\n displaysleep\n disksleep\n sleep\n womp\n autorestart\n",),
    "parse_agents": ("/Library/LaunchAgents/me.worker.plist\n",),
    "parse_date": ("2026-11-20T09:27:03+0100\n",),
    "parse_destinations": (
        "====================================================\nName          : Tower\nKind          : Local\nID            : 1\n",
    ),
    "parse_df": (
        "Filesystem     1024-blocks      Used Available Capacity iused      ifree %iused  Mounted on\n"
        "/dev/disk3s5     971350180 400000000 571350180    42% 1204017 5713501800    0%   /System/Volumes/Data\n",
    ),
    "parse_disabled": ('disabled services = {\n\t"dev.macfleet.agent" => disabled\n\t"com.openssh.sshd" => enabled\n}\n',),
    "parse_excluded": ("[Excluded]    /opt/macfleet/models\n", "[Included]    /opt/macfleet/models\n"),
    "parse_exemptions": (plistlib.dumps({"AllowedEthernetLocalNetworkAddresses": ["10.0.0.0/24"]}).decode(),),
    "parse_home": ("/Users/admin\n",),
    "parse_id": ("admin\n",),
    "parse_identity": (
        "hw.model: Mac15,14\nhw.memsize: 549755813888\nmachdep.cpu.brand_string: Apple M3 Ultra\nhw.optional.arm64: 1\n",
        "hw.model: MacPro7,1\nhw.memsize: 34359738368\nmachdep.cpu.brand_string: Intel(R) Xeon(R) W-3223 CPU @ 3.50GHz\n",
    ),
    "parse_indexing": ("/:\n\tIndexing enabled. \n", "/:\n\tIndexing disabled.\n"),
    "parse_job_description": (JOB,),
    "parse_ledger": (json.dumps(ENTRY) + "\n" + json.dumps({"undone": "file /x"}) + "\n",),
    "parse_causes": ("/Library/Logs/DiagnosticReports/panic-full-2026-08-18-092125.0002.panic:panic(cpu 3): watchdog timeout\n",),
    "parse_names": ("/Library/Logs/DiagnosticReports/panic-full-2026-08-18-092125.0002.panic\n",),
    "parse_preferences": ('{"ControlURL": "https://controlplane.tailscale.com", "WantRunning": true, "Hostname": "", "RunSSH": false}',),
    "parse_prefix": ("/opt/homebrew\n",),
    "parse_rule": ("Incoming connection to /opt/x is permitted \n", "Incoming connection to /opt/x is blocked \n"),
    "parse_runtime": (json.dumps(RUNTIME),),
    "parse_schedule": ("Automatic checking for updates is turned off\n",),
    "parse_shasum": (f"{'0123456789abcdef' * 4}  /opt/macfleet/x\n",),
    "parse_software_update": (plistlib.dumps({"AutomaticDownload": False, "LastUpdatesAvailable": 0, "SkipLocalCDN": False}).decode(),),
    "parse_starters": (JOB + JOB,),
    "parse_stat": ("644 root wheel 512\n",),
    "parse_status": (
        '{"Version": "1.98.2", "BackendState": "NeedsLogin", "Self": null, "TailscaleIPs": null, "Health": []}',
        '{"BackendState": "Running", "Self": {"Online": true, "HostName": "studio-1", "TailscaleIPs": ["100.64.0.2"], "Tags": ["tag:llm"],'
        ' "KeyExpiry": "2027-01-01T00:00:00Z"}, "Health": ["x"]}',
    ),
    "parse_thermal_level": ("com.apple.system.thermalpressurelevel 0\n",),
    "parse_thresholds": ("UPS settings:\n  haltlevel\ton\t20\n  haltafter\toff\t0\n  haltremain\ton\t5\n",),
    "parse_uname": ("Darwin\n",),
}


def texts_of(parser, recordings):
    """Name → text of everything this parser must understand."""
    patterns = RECORDED.get(parser, ())
    own = {name: recorded(name) for name in recordings if _is_one(name, patterns)}
    return {**own, **{f"reconstructed {index}": text for index, text in enumerate(RECONSTRUCTED.get(parser, ()))}}


def _is_one(name, patterns):
    from fnmatch import fnmatch

    return any(fnmatch(name, pattern) for pattern in patterns)
