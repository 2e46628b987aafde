"""macOS programs as the simulated Macs answer them; mirrors macos/ file for file.

Each is a function of the Mac and of one call. It prints what the recordings in tests/fixtures print, and changes the Mac's
state where the real program would. Programs that are the same everywhere (sh, cat, mkdir, mv, tee) are this machine's own.
"""

from __future__ import annotations

from collections.abc import Sequence

from macfleet.lab.commands import (
    brew,
    chown,
    date,
    defaults,
    df,
    diskutil,
    dscl,
    dseditgroup,
    fdesetup,
    ibv,
    id,
    ifconfig,
    last,
    launchctl,
    mdutil,
    netstat,
    networksetup,
    notifyutil,
    nvram,
    plutil,
    pmset,
    rdma_ctl,
    scutil,
    shutdown,
    smartctl,
    socketfilterfw,
    softwareupdate,
    stat,
    sw_vers,
    sysctl,
    system_profiler,
    tailscale,
    tmutil,
    uname,
    visudo,
    vm_stat,
)
from macfleet.lab.world import Program

PROGRAMS: dict[str, Program] = {
    "brew": brew.brew,
    "chgrp": chown.chgrp,
    "chown": chown.chown,
    "date": date.date,
    "defaults": defaults.defaults,
    "df": df.df,
    "diskutil": diskutil.diskutil,
    "dscl": dscl.dscl,
    "dseditgroup": dseditgroup.dseditgroup,
    "fdesetup": fdesetup.fdesetup,
    "halt": shutdown.halt,
    "hostname": uname.hostname,
    "ibv_devices": ibv.ibv_devices,
    "ibv_devinfo": ibv.ibv_devinfo,
    "id": id.id,
    "ifconfig": ifconfig.ifconfig,
    "last": last.last,
    "launchctl": launchctl.launchctl,
    "mdutil": mdutil.mdutil,
    "netstat": netstat.netstat,
    "networksetup": networksetup.networksetup,
    "notifyutil": notifyutil.notifyutil,
    "nvram": nvram.nvram,
    "plutil": plutil.plutil,
    "pmset": pmset.pmset,
    "rdma_ctl": rdma_ctl.rdma_ctl,
    "reboot": shutdown.reboot,
    "scutil": scutil.scutil,
    "shutdown": shutdown.shutdown,
    "smartctl": smartctl.smartctl,
    "socketfilterfw": socketfilterfw.socketfilterfw,
    "softwareupdate": softwareupdate.softwareupdate,
    "stat": stat.stat,
    "sw_vers": sw_vers.sw_vers,
    "sysctl": sysctl.sysctl,
    "system_profiler": system_profiler.system_profiler,
    "tailscale": tailscale.tailscale,
    "tmutil": tmutil.tmutil,
    "uname": uname.uname,
    "visudo": visudo.visudo,
    "vm_stat": vm_stat.vm_stat,
    "whoami": id.whoami,
}

# Not on PATH from the start: they come and go with Homebrew, or lie outside the usual directories.
ELSEWHERE = {"brew", "smartctl", "tailscale", "socketfilterfw"}


def reads_stdin(argv: Sequence[str]) -> bool:
    """Only these calls read their stdin; any other one would eat the script it stands in."""
    if list(argv[:3]) == ["dscl", ".", "-authonly"]:
        return True
    return "-inputplist" in argv or "--stdinpass" in argv or list(argv[:2]) == ["defaults", "import"]
