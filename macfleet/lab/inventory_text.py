"""The inventory of a rehearsal fleet: what an operator would write who has just cabled these Macs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from macfleet.inventory.hardware import Hardware
from macfleet.lab.cables import load_cables
from macfleet.lab.network import ADDRESS
from macfleet.lab.paths import LabDir
from macfleet.lab.state import State

GIB = 1024**3

TEMPLATE = """\
# The inventory of a rehearsal fleet, written by `macfleet lab up`. Everything here is as on real Macs, except that
# all have one address and different ports, and that each one's disk is a directory of this machine (`root`).
fleet:
  name: rehearsal
  user: {user}
  ssh: {{key: id_ed25519, known_hosts: known_hosts}}
{cables}  settings:
    macos: {{minimum: "26.2"}}
    wired_limit: {wired_gib} GiB
    power: {{sleep_min: 0, power_on: after-failure}}
    automatic_updates: false
    tailscale: {{enabled: true, auth_key: {{file: tailscale.key}}}}
    interconnect: {{topology: {topology}, over: lan}}
    minimum_free_disk: 1 GiB
    runtime: {{python: "{python}"}}
    gateway: {{port: {port}, control_port: {control_port}}}
    reboot: {{deadline: 60 s, drain: 20 s}}

macs:
{macs}
"""


def render_inventory(lab: LabDir, states: Sequence[State], hardware: Hardware, topology: str) -> str:
    """The whole file. `topology` is that of the cables: mesh, ring or none. The ports behind the Macs' are the gateway's."""
    port = max(state.ssh_port for state in states) + 1
    return TEMPLATE.format(
        user=states[0].user,
        wired_gib=_wired_gib(states[0]),
        topology=topology,
        cables=_cables(lab),
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        port=port,
        control_port=port + 1,
        macs="\n".join(_mac(state, hardware, lab.mac(state.name).root, _wired_gib(states[0])) for state in states),
    )


def _cables(lab: LabDir) -> str:
    """As they are plugged in now; without a line where nobody has plugged in any yet."""
    cables = [cable.ends for cable in load_cables(lab.cables)]
    rows = [f"    - {one.mac}:{one.receptacle} {other.mac}:{other.receptacle}\n" for one, other in cables]
    return "  cables:\n" + "".join(rows) if rows else ""


def render_known_hosts(lab: LabDir, states: Sequence[State]) -> str:
    """A line per Mac, as `ssh-keyscan` would write it."""
    keys = {state.name: lab.mac(state.name).host_key.with_suffix(".pub").read_text().split()[:2] for state in states}
    return "".join(f"[{ADDRESS}]:{state.ssh_port} {' '.join(keys[state.name])}\n" for state in states)


def _wired_gib(state: State) -> int:
    return state.memory_bytes * 7 // 8 // GIB


def _mac(state: State, hardware: Hardware, root: Path, fleet_wired_gib: int) -> str:
    own_gib = _wired_gib(state)
    wired = f" settings: {{wired_limit: {own_gib} GiB}}," if own_gib != fleet_wired_gib else ""
    return (
        f"  {state.name}:\n"
        f"    {{address: {ADDRESS}, port: {state.ssh_port}, hardware: {hardware.alias}, memory: {state.memory_bytes // GIB} GiB,{wired}\n"
        f"     root: {json.dumps(str(root))}}}"
    )
