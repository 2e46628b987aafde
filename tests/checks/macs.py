"""A small fleet of Macs that print text: four M4 Max studios in a mesh, provisioned, and ways to break them."""

import json
import plistlib
from dataclasses import dataclass, field
from pathlib import Path

from macfleet.checks import FLEET_CHECKS, checks_for
from macfleet.checks.wired_limit_at_boot import LABEL
from macfleet.core.fact import Facts, Unknown
from macfleet.core.finding import Verdict
from macfleet.inventory.mac import Inventory, Mac
from macfleet.inventory.settings import Settings
from macfleet.macos import (
    brew,
    date,
    defaults,
    df,
    diskutil,
    dscl,
    fdesetup,
    files,
    heartbeats,
    ibv,
    ifconfig,
    jobs,
    last,
    launch_agents,
    launchctl,
    mdutil,
    netstat,
    networksetup,
    notifyutil,
    panics,
    plutil,
    pmset,
    rdma_ctl,
    runtime,
    smartctl,
    socketfilterfw,
    sudo,
    sw_vers,
    sysctl,
    system_profiler,
    tailscale,
    tmutil,
    uname,
    ups,
    vm_stat,
    weights,
)
from macfleet.macos import id as id_
from tests.macos.recordings import answer, recorded

MESH = ("1.1-2.1", "1.2-3.1", "1.3-4.1", "2.2-3.2", "2.3-4.2", "3.3-4.3")
GIB = 1024**3
BUNDLE = runtime.Bundle(b"mlx==1\n", "macfleet_ops-0-py3-none-any.whl", b"wheel")
CHECKS = checks_for(BUNDLE)
SETTINGS = {"wired_limit": "112 GiB", "runtime": {"python": "3.12"}}


def a_mac(number=1, **settings):
    """studio-N as the inventory has it."""
    return Mac(f"studio-{number}", f"10.0.0.{number}", "Mac16,9", 128 * GIB, user="admin", settings=Settings(**{**SETTINGS, **settings}))


def an_inventory(*macs):
    return Inventory(Path("inventory.yaml"), "shelf", macs)


def installed(bundle=BUNDLE, python="3.12", **changes):
    """runtime.json as `provision` writes it."""
    return json.dumps({**bundle.runtime(python).as_json(), **changes})


ROUTES = (
    "Routing tables\n\nInternet:\n"
    "Destination        Gateway            Flags               Netif Expire\n"
    "default            10.0.0.254         UGScg                 en0       \n"
    "127                127.0.0.1          UCS                   lo0       \n"
)
MANIFEST = json.dumps({
    "schema": 1, "model": "smollm2-135m", "first_layer": 0, "last_layer": 10, "layers": 30,
    "files": [{"name": "config.json", "size_bytes": 7, "sha256": "c" * 64, "fingerprint": ""}],
})  # fmt: skip


@dataclass
class Shelf:
    """What is true of the Macs: cables as "1.2-3.1" (Mac.port), and what deviates, by the Mac's number."""

    count: int = 4
    cables: tuple = MESH
    ports: int = 4
    settings: dict = field(default_factory=dict)
    slow_cables: tuple = ()
    rdma_off: tuple = ()
    driver_wedged: tuple = ()
    bridged: tuple = ()
    without_addresses: tuple = ()
    silent: tuple = ()
    said: dict = field(default_factory=dict)  # (number, fact) → outputs instead

    @property
    def inventory(self):
        return an_inventory(*(a_mac(number, **self.settings) for number in range(1, self.count + 1)))

    def facts(self, number):
        mac = self.inventory.mac(f"studio-{number}")
        outputs = {**self.outputs(number, mac), **{fact: said for (who, fact), said in self.said.items() if who == number}}
        asked = {fact for check in (*CHECKS, *FLEET_CHECKS) for fact in check.facts(mac)}
        return Facts({fact: answer(fact, *outputs[fact]) for fact in asked})

    def findings(self):
        """Every finding, as (mac or "fleet", finding)."""
        facts = {f"studio-{number}": self.facts(number) for number in range(1, self.count + 1) if number not in self.silent}
        found = [(mac, finding) for mac, own in facts.items() for check in CHECKS for finding in check.judge(self.inventory.mac(mac), own)]
        return found + [("fleet", finding) for check in FLEET_CHECKS for finding in check.judge(self.inventory, facts)]

    def trouble(self):
        """What is not ok, as "studio-1 rdma fail"."""
        return [
            f"{where} {finding.check} {finding.verdict.value}" for where, finding in self.findings() if finding.verdict is not Verdict.OK
        ]

    def outputs(self, number, mac):
        ends = self._ends(number)
        plist = plistlib.dumps({"Label": LABEL, "ProgramArguments": ["sysctl", "iogpu.wired_limit_mb=114688"], "RunAtLoad": True}).decode()
        return {
            sudo.PASSWORDLESS: ("",),
            sudo.PASSWORDLESS_FOR_SOME: ("",),
            uname.KERNEL: ("Darwin\n",),
            sw_vers.VERSION: ("ProductName:\t\tmacOS\nProductVersion:\t\t26.6.2\nBuildVersion:\t\t25G83\n",),
            sysctl.IDENTITY: (
                f"hw.model: Mac16,9\nhw.memsize: {128 * GIB}\nmachdep.cpu.brand_string: Apple M4 Max\nhw.optional.arm64: 1\n",
            ),
            sysctl.WIRED_LIMIT: (f"hw.memsize: {128 * GIB}\niogpu.wired_limit_mb: 114688\n",),
            system_profiler.THUNDERBOLT: (
                json.dumps({"SPThunderboltDataType": [self._bus(number, port, ends) for port in self._numbers()]}),
            ),
            rdma_ctl.STATUS: ("disabled\n" if number in self.rdma_off else "enabled\n",),
            ibv.DEVICES: (self._devices(number),),
            ibv.PORTS: (self._devinfo(number, ends),),
            networksetup.HARDWARE_PORTS: (self._hardware_ports(),),
            ifconfig.INTERFACES: (self._ifconfig(number, ends),),
            netstat.ROUTES: (ROUTES,),
            weights.held(mac.paths): (MANIFEST,),
            plutil.BRIDGES: ('{"bridge0":{"Interfaces":["en2","en3"]}}' if number in self.bridged else "{}", "OK"),
            pmset.CUSTOM: ("AC Power:\n" + "".join(f" {key:<20} {value}\n" for key, value in PMSET.items()),),
            files.file_text(mac.paths.plist(LABEL)): (plist,),
            files.file_state(mac.paths.plist(LABEL)): ("644 root wheel 512\n", f"{'0' * 64}  x\n"),
            launchctl.DISABLED: ("disabled services = {\n}\n",),
            launchctl.job(LABEL): (f"system/{LABEL} = {{\n\tstate = not running\n\truns = 1\n\tlast exit code = 0\n}}\n",),
            fdesetup.STATUS: ("FileVault is Off.\n",),
            defaults.SOFTWARE_UPDATE: (plistlib.dumps(dict.fromkeys(defaults.INSTALLS_ALONE, False)).decode(),),
            tailscale.STATUS: ('{"BackendState": "Running", "Self": {"Online": true, "TailscaleIPs": ["100.64.0.2"]}}',),
            df.free("/System/Volumes/Data"): (
                "Filesystem 1024-blocks Used Available Capacity iused ifree %iused Mounted on\n"
                "/dev/disk3s5 1000000000 400000000 600000000 40% 1 1 0% /System/Volumes/Data\n",
            ),
            runtime.runtime(mac.paths): (installed(), ""),
            runtime.starters(mac.paths): ("",),
            **self._health(mac),
        }

    def _health(self, mac):
        """A Mac that is well: in its second year, cool, without a UPS, with the jobs that macfleet gave it."""
        job = f"system/{LABEL} = {{\n\tstate = not running\n\truns = 1\n\tlast exit code = 0\n}}\n"
        smart = {"smart_status": {"passed": True}, "nvme_smart_health_information_log": SSD}
        return {
            launchctl.job("com.openssh.sshd"): ("system/com.openssh.sshd = {\n\tstate = not running\n\truns = 0\n}\n",),
            brew.PREFIX: ("/opt/homebrew\n",),
            id_.USER: ("admin\n",),
            dscl.USERS: (f"admin                {ADMIN}\n",),
            diskutil.CRYPTO_USERS: (
                f"Cryptographic user for disk3s1s1 (1 found)\n|\n+-- {ADMIN}\n    Type: Local Open Directory User\n    Volume Owner: Yes\n",
            ),
            pmset.CAPABILITIES: ("Capabilities for AC Power:\n sleep\n womp\n autorestart\n",),
            ups.SOURCES: ("Now drawing from 'AC Power'\n",),
            ups.UPS: ("",),
            last.STARTS: ("reboot time     Thu Nov 19 11:14\nshutdown time   Thu Nov 19 11:13\n",),
            panics.panics(mac.paths): ("", (1, "")),
            date.CLOCK: ("2026-11-20T09:27:03+0100\n",),
            vm_stat.MEMORY: (recorded("ops/vm_stat.mac_mini_m4_macos26.5.1.txt"),),
            jobs.jobs(mac.paths): (job,),
            heartbeats.heartbeats(mac.paths): ("",),
            sysctl.PRESSURE: (
                "kern.memorystatus_vm_pressure_level: 1\nvm.swapusage: total = 0.00M  used = 0.00M  free = 0.00M  (encrypted)\n",
            ),
            notifyutil.THERMAL: ("com.apple.system.thermalpressurelevel 0\n",),
            smartctl.SSD: ((4, json.dumps(smart)),),
            socketfilterfw.STATE: ("Firewall is disabled. (State = 0)\n",),
            socketfilterfw.rule(mac.paths.python): ("The application is not part of the firewall \n",),
            launch_agents.agents(mac.paths): ((1, ""),),
            launch_agents.EXEMPTIONS: (plistlib.dumps({}).decode(),),
            mdutil.INDEXING: ("/:\n\tIndexing disabled. \n",),
            tmutil.DESTINATIONS: ("tmutil: No destinations configured.\n",),
            tmutil.excludes_models(mac.paths): ("[Included]    /opt/macfleet/models\n",),
        }

    def _numbers(self):
        return range(1, self.ports + 1)

    def _ends(self, number):
        """My port → (the other Mac, its port, the cable)."""
        pairs = [(cable, *cable.split("-")) for cable in self.cables]
        views = [(cable, one, other) for cable, left, right in pairs for one, other in ((left, right), (right, left))]
        return {int(one[2:]): (int(other[0]), int(other[2:]), cable) for cable, one, other in views if int(one[0]) == number}

    def _bus(self, number, port, ends):
        bus = {"_name": f"thunderboltusb4_bus_{port - 1}", "domain_uuid_key": uuid_of(number, port)}
        if port not in ends:
            status = {"current_speed_key": "Up to 120 Gb/s", "receptacle_status_key": "receptacle_no_devices_connected"}
            return {**bus, "receptacle_1_tag": {"receptacle_id_key": str(port), **status}}
        other, its_port, cable = ends[port]
        speed = "40 Gb/s" if cable in self.slow_cables else "80 Gb/s"
        services = [{"protocol_id_key": 1}] + ([] if other in self.rdma_off else [{"protocol_id_key": 64087}])
        peer = {"device_name_key": "Mac16,9", "domain_uuid_key": uuid_of(other, its_port), "services_title": services}
        status = {"current_speed_key": speed, "receptacle_status_key": "receptacle_connected"}
        return {**bus, "_items": [peer], "receptacle_1_tag": {"receptacle_id_key": str(port), **status}}

    def _devices(self, number):
        rows = [f"    rdma_en{port + 1}        	{port:016x}" for port in self._numbers()]
        return "\n".join(
            ["    device          	   node GUID", "    ------          	----------------", *rows][
                : 2 if number in self.rdma_off else None
            ]
        )

    def _devinfo(self, number, ends):
        if number in self.rdma_off:
            return (255, "", "No IB devices found")
        return "".join(self._device(number, port, ends.get(port)) for port in self._numbers())

    def _device(self, number, port, end):
        active = end and end[0] not in self.rdma_off and end[2] not in self.slow_cables and number not in self.driver_wedged
        address = end and number not in self.without_addresses and number not in self.bridged and self._address(number, port, end)
        gid = f"\t\t\tGID[  1]:\t\t::ffff:{address}\n" if address and active else ""
        state = "PORT_ACTIVE (4)" if active else "PORT_DOWN (1)"
        return f"hca_id:\trdma_en{port + 1}\n\t\tport:\t1\n\t\t\tstate:\t\t\t{state}\n\t\t\tGID[  0]:\t\tfe80::1\n{gid}\n"

    def _hardware_ports(self):
        blocks = [
            f"Hardware Port: Thunderbolt {port}\nDevice: en{port + 1}\nEthernet Address: 02:00:00:00:00:0{port}\n"
            for port in self._numbers()
        ]
        return "\n".join(["", *blocks, "VLAN Configurations", "===================", ""])

    def _ifconfig(self, number, ends):
        text = "en0: flags=8863<UP,RUNNING> mtu 1500\n\tinet 10.0.0.1 netmask 0xffffff00 broadcast 10.0.0.255\n\tstatus: active\n"
        for port in self._numbers():
            text += f"en{port + 1}: flags=8863<UP,RUNNING> mtu 1500\n"
            if port in ends and number not in self.without_addresses and number not in self.bridged:
                text += f"\tinet {self._address(number, port, ends[port])} netmask 0xfffffffc broadcast 10.55.0.255\n"
            text += "\tstatus: active\n"
        members = (
            "".join(f"\tmember: en{port + 1} flags=3<LEARNING,DISCOVER>\n" for port in self._numbers()) if number in self.bridged else ""
        )
        return f"{text}bridge0: flags=8822<BROADCAST> mtu 1500\n{members}\tstatus: inactive\n"

    @staticmethod
    def _address(number, port, end):
        other, its_port, _ = end
        first, slot = min((number, port), (other, its_port))
        return f"10.55.0.{((first - 1) * 8 + slot - 1) * 4 + (1 if (number, port) == (first, slot) else 2)}"


def uuid_of(number, port):
    return f"{number:08}-0000-4000-8000-{port:012}"


ADMIN = "5F0A7C22-3C7D-4EA4-8C18-25C6C0F94667"
SSD = {
    "critical_warning": 0,
    "percentage_used": 2,
    "available_spare": 100,
    "data_units_written": 100_000_000,  # 51.2 TB
    "media_errors": 0,
    "unsafe_shutdowns": 3,
}
PMSET = {
    "sleep": "0",
    "displaysleep": "10",
    "disksleep": "0",
    "womp": "1",
    "powernap": "0",
    "lowpowermode": "0",
    "tcpkeepalive": "1",
    "autorestart": "1",
    "autorestartatconnect": "0",
}


def judge(check, mac, values):
    """The one finding of `check` when the Mac's facts are `values` (fact → what it prints, or a value)."""
    facts = Facts({fact: Unknown("not read") for fact in check.facts(mac)}).merged(
        Facts({fact: answer(fact, *said) if isinstance(said, tuple) else said for fact, said in values.items()})
    )
    (finding,) = check.judge(mac, facts)
    return finding


def job(name, **rows):
    """What `launchctl print` says of a job of macfleet's that runs, but for these rows."""
    rows = {"state": "running", "pid": "7", "runs": "1", "last exit code": "(never exited)", **rows}
    return f"system/dev.macfleet.{name} = {{\n" + "".join(f"\t{key.replace('_', ' ')} = {value}\n" for key, value in rows.items()) + "}\n"
