"""A Mac in memory: small and true. What one program changes, another one shows; nothing else about macOS is in it."""

import hashlib
import json
import plistlib
from dataclasses import dataclass, field, replace

from macfleet.core.errors import ConnectionDropped
from macfleet.core.fact import Facts
from macfleet.core.result import Result
from macfleet.core.secret import Secret
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Settings
from macfleet.macos.files import WRITE
from macfleet.macos.plutil import PREFERENCES
from macfleet.modules.launchd import _ENTER, _LEAVE, _RUN
from macfleet.modules.tailscale import _WITH_KEY_FILE

MAC = Mac("studio-1", "10.0.0.1", "Mac16,9", 64 * 2**30, user="fleet", settings=Settings())
PORTS = {1: "en2", 2: "en3", 3: "en4", 4: "en5"}


@dataclass(frozen=True)
class Entry:
    """A file (bytes), a directory (None) or a link (text)."""

    content: bytes | str | None
    mode: str = "644"
    owner: str = "fleet"
    group: str = "staff"


@dataclass
class MemoryMac:
    files: dict[str, Entry] = field(default_factory=lambda: {"/opt/homebrew": Entry(None, "755")})
    pmset: dict[str, str] = field(
        default_factory=lambda: {
            "sleep": "1",
            "displaysleep": "10",
            "disksleep": "10",
            "womp": "1",
            "powernap": "1",
            "lowpowermode": "0",
            "tcpkeepalive": "1",
            "autorestart": "0",
            "autorestartatconnect": "0",
        }
    )
    sysctls: dict[str, str] = field(default_factory=lambda: {"hw.memsize": str(64 * 2**30), "iogpu.wired_limit_mb": "0"})
    defaults: dict[str, dict] = field(default_factory=dict)
    jobs: dict[str, dict] = field(default_factory=dict)  # label → {"plist": bytes, "state": …}
    services: dict[str, dict] = field(default_factory=lambda: {"Thunderbolt Bridge": {"device": "bridge0"}})
    members: list[str] = field(default_factory=lambda: ["en2", "en3"])
    stored: dict[str, dict] = field(default_factory=lambda: {"bridge0": {"Interfaces": ["en2", "en3"]}})
    peers: dict[int, str] = field(default_factory=dict)  # receptacle → the domain UUID at the other end
    tailnet: str = "NeedsLogin"
    has_brew: bool = True
    jobs_that_fail: set[str] = field(default_factory=set)
    log: list[str] = field(default_factory=list)
    secrets_seen: list[str] = field(default_factory=list)
    name: str = "HERE"  # of the domain UUIDs of its Thunderbolt ports
    broken: set[str] = field(default_factory=set)  # programs that end with 1
    drops_at: str = ""  # the line is lost when this is run
    sudo_asks: bool = False
    forgets_pmset: bool = False
    free_kib: int = 200 << 20

    # --- a line to it

    def run(self, commands):
        return [self._run(command) for command in commands]

    read = run

    def apply(self, commands, then=()):
        results = []
        for command in commands:
            self.log.append(str(command))
            results.append(self._run(command))
            if not results[-1].ok:
                return results
        return results + self.run(then)

    def ask(self, facts):
        return Facts.understand({fact: self.run(fact.commands) for fact in facts})

    def close(self): ...

    def abort(self): ...

    def _run(self, command):
        if self.drops_at and self.drops_at in str(command):
            raise ConnectionDropped("the connection dropped before the command finished")
        stdin = command.stdin.reveal().encode() if isinstance(command.stdin, Secret) else command.stdin
        program, *words = command.argv
        if program == "env":
            words = [word for word in words if "=" not in word.split("/")[0]]
            program, *words = words
        if program in self.broken:
            return Result(command, 1, stderr=f"{program}: broken")
        answer = getattr(self, f"_{program.rsplit('/', 1)[-1].replace('-', '_')}", None)
        if answer is None:
            return Result(command, 127, stderr=f"sh: {program}: command not found")
        said = answer(words, stdin, command.sudo)
        status, text = said if isinstance(said, tuple) else (0, said)
        return Result(command, status, stdout=text if not status else "", stderr=text if status else "")

    # --- files

    def _df(self, words, stdin, sudo):
        return f"Filesystem 1024-blocks Used Available Capacity\n/dev/disk3s5 {400 << 20} 1 {self.free_kib} 50% /\n"

    def _stat(self, words, stdin, sudo):
        entry = self.files.get(words[-1])
        if entry is None:
            return 1, f"stat: {words[-1]}: stat: No such file or directory"
        size = len(entry.content) if isinstance(entry.content, bytes) else 64
        return f"{entry.mode} {entry.owner} {entry.group} {size}\n"

    def _shasum(self, words, stdin, sudo):
        entry = self.files.get(words[-1])
        if entry is None or not isinstance(entry.content, bytes):
            return 1, f"shasum: {words[-1]}: "
        return f"{hashlib.sha256(entry.content).hexdigest()}  {words[-1]}\n"

    def _cat(self, words, stdin, sudo):
        entry = self.files.get(self._follow(words[0]))
        return entry.content.decode() if entry else (1, f"cat: {words[0]}: No such file or directory")

    def _mkdir(self, words, stdin, sudo):
        self.files.setdefault(words[-1], Entry(None, "755", *self._who(sudo)))
        return ""

    def _chmod(self, words, stdin, sudo):
        self.files[words[1]] = replace(self.files[words[1]], mode=words[0])
        return ""

    def _chown(self, words, stdin, sudo):
        owner, group = words[0].split(":")
        self.files[words[1]] = replace(self.files[words[1]], owner=owner, group=group)
        return ""

    def _mv(self, words, stdin, sudo):
        self.files[words[-1]] = self.files.pop(words[-2])
        return ""

    def _rm(self, words, stdin, sudo):
        self.files.pop(words[-1], None)
        return ""

    def _ln(self, words, stdin, sudo):
        self.files[words[-1]] = Entry(words[-2])
        return ""

    def _sh(self, words, stdin, sudo):
        _, script, _zero, *rest = words
        if script == WRITE:
            self.files[rest[0]] = Entry(stdin, "600", *self._who(sudo))
            return ""
        if script == _WITH_KEY_FILE:
            self.secrets_seen.append(stdin.decode())
            return getattr(self, f"_{rest[0]}")(rest[1:], None, sudo)
        known = {_LEAVE: self._leave, _ENTER: self._enter, _RUN: self._start}
        return known[script](rest[0])

    def _follow(self, path):
        for link, entry in self.files.items():
            if isinstance(entry.content, str) and path.startswith(f"{link}/"):
                return path.replace(link, entry.content, 1)
        return path

    def _who(self, sudo):
        return ("root", "wheel") if sudo else ("fleet", "staff")

    def _id(self, words, stdin, sudo):
        return {"-un": "fleet", "-gn": "staff"}[words[0]] + "\n"

    # --- settings

    def _pmset(self, words, stdin, sudo):
        if words == ["-g", "custom"]:
            return "AC Power:\n" + "".join(f" {key:<20} {value}\n" for key, value in self.pmset.items())
        if self.forgets_pmset:
            return ""
        self.pmset |= dict(zip(words[1::2], words[2::2], strict=True))
        return ""

    def _sysctl(self, words, stdin, sudo):
        if "=" in words[0]:
            name, _, value = words[0].partition("=")
            self.sysctls[name] = value
            return f"{name}: 0 -> {value}\n"
        return "".join(f"{name}: {self.sysctls[name]}\n" for name in words if name in self.sysctls)

    def _defaults(self, words, stdin, sudo):
        verb, domain, *rest = words
        if verb == "export":
            return plistlib.dumps(self.defaults.get(domain, {})).decode()
        key, kind, value = rest
        kinds = {"-bool": lambda text: text == "true", "-int": int, "-float": float, "-string": str}
        self.defaults.setdefault(domain, {})[key] = kinds[kind](value)
        return ""

    # --- launchd

    def _plutil(self, words, stdin, sudo):
        if words[0] == "-extract":
            return json.dumps(self.stored)
        if words[0] == "-remove":
            del self.stored[words[1].rsplit(".", 1)[-1]]
            return ""
        if words[-1] != PREFERENCES:
            plistlib.loads(self.files[words[-1]].content)
        return "OK\n"

    def _launchctl(self, words, stdin, sudo):
        if words[0] == "print-disabled":
            return "disabled services = {\n}\n"
        if words[0] in ("enable", "disable"):
            return ""
        label = words[-1].removeprefix("system/")
        if words[0] == "print" and label in self.jobs:
            job = self.jobs[label]
            pid = "\tpid = 77\n" if job["state"] == "running" else ""
            return f"system/{label} = {{\n\tstate = {job['state']}\n{pid}\truns = 1\n}}\n"
        return 113, f'Could not find service "{label}" in domain for system'

    def _leave(self, label):
        del self.jobs[label]
        return ""

    def _enter(self, plist):
        entry = self.files[plist]
        job = plistlib.loads(entry.content)
        if job["Label"] in self.jobs or (entry.mode, entry.owner, entry.group) != ("644", "root", "wheel"):
            return 5, "Bootstrap failed: 5: Input/output error"
        self.jobs[job["Label"]] = {"plist": entry.content, "state": "not running"}
        return ""

    def _start(self, label):
        if label in self.jobs_that_fail:
            return 1, "state = spawn scheduled runs = 3 last exit code = 78: EX_CONFIG"
        self.jobs[label]["state"] = "running"
        return ""

    # --- network

    def _networksetup(self, words, stdin, sudo):
        verb, *rest = words
        match verb:
            case "-listallhardwareports":
                ports = {**{f"Thunderbolt {number}": device for number, device in PORTS.items()}, "Thunderbolt Bridge": "bridge0"}
                listed = "".join(f"\nHardware Port: {name}\nDevice: {device}\n" for name, device in ports.items())
                return listed + "\nVLAN Configurations\n===\n"
            case "-listallnetworkservices":
                rows = (("*" if service.get("off") else "") + name for name, service in self.services.items())
                return "An asterisk (*) denotes that a network service is disabled.\n" + "\n".join(rows) + "\n"
            case "-getinfo":
                service = self.services.get(rest[0])
                if service is None:
                    return 4, f"{rest[0]} is not a recognized network service."
                if "ip" not in service:
                    return "DHCP Configuration\nIP address: \n"
                return f"Manual Configuration\nIP address: {service['ip']}\nSubnet mask: {service['mask']}\nRouter: (null)\n"
            case "-createnetworkservice":
                device = PORTS[int(rest[1].rsplit(" ", 1)[-1])]
                if any(device in bridge["Interfaces"] for bridge in self.stored.values()):
                    return 1, "kSCStatusFailed: the stored bridge has this port"
                self.services[rest[0]] = {"device": device}
            case "-setmanual":
                self.services[rest[0]] |= {"ip": rest[1], "mask": rest[2]}
            case "-setnetworkserviceenabled":
                self.services[rest[0]]["off"] = rest[1] == "off"
        return ""

    def _ifconfig(self, words, stdin, sudo):
        if words[1:2] == ["deletem"]:
            self.members.remove(words[2])
        if words != ["-a"]:
            return ""
        addresses = {service["device"]: service["ip"] for service in self.services.values() if "ip" in service}
        text = ""
        for number, device in PORTS.items():
            is_active = number in self.peers
            has_address = is_active and device in addresses
            text += f"{device}: flags=8863<UP> mtu 1500\n"
            text += f"\tinet {addresses[device]} netmask 0xfffffffc broadcast 10.55.255.255\n" if has_address else ""
            text += f"\tstatus: {'active' if is_active else 'inactive'}\n"
        members = "".join(f"\tmember: {member} flags=3<LEARNING,DISCOVER>\n" for member in self.members)
        return text + f"bridge0: flags=8863<UP> mtu 1500\n{members}"

    def _system_profiler(self, words, stdin, sudo):
        return json.dumps({"SPThunderboltDataType": [self._bus(number) for number in PORTS]})

    def _bus(self, number):
        items = [{"domain_uuid_key": self.peers[number], "device_name_key": "Mac16,9"}] if number in self.peers else []
        status = "receptacle_connected" if items else "receptacle_no_devices_connected"
        receptacle = {"receptacle_id_key": str(number), "receptacle_status_key": status, "current_speed_key": "80 Gb/s"}
        return {"domain_uuid_key": f"{self.name}-{number}", "receptacle_1_tag": receptacle, "_items": items}

    # --- programs that come from elsewhere

    def _brew(self, words, stdin, sudo):
        if not self.has_brew:
            return 127, "sh: brew: command not found"
        match words:
            case ["--prefix"]:
                return "/opt/homebrew\n"
            case ["install", formula]:
                self.files[f"/opt/homebrew/opt/{formula}"] = Entry(f"../Cellar/{formula}")
            case ["services", "start", "tailscale"]:
                self.tailnet = "NeedsLogin" if self.tailnet != "Running" else "Running"
        return ""

    def _sudo(self, words, stdin, sudo):
        if words == ["-n", "true"]:
            return (1, "sudo: a password is required") if self.sudo_asks else ""
        self.log.append(f"as {words[words.index('-u') + 1]}")
        return self._brew(words[words.index("brew") + 1 :], stdin, sudo)

    def _tailscale(self, words, stdin, sudo):
        if words[0] == "up":
            self.tailnet = "Running"
            return ""
        match self.tailnet:
            case "NotInstalled":
                return 127, "sh: tailscale: command not found"
            case "NoDaemon":
                return 1, "failed to connect to local Tailscale service"
        return json.dumps({"BackendState": self.tailnet, "Self": {"Online": self.tailnet == "Running"}})

    def _uv(self, words, stdin, sudo):
        if words[0] == "venv":
            self.files[f"{words[-1]}/bin/python"] = Entry(b"python", "755")
        return ""

    def _find(self, words, stdin, sudo):
        if words[-4:] == ["-exec", "cat", "{}", "+"]:
            plists = (entry.content for path, entry in self.files.items() if path.startswith(f"{words[0]}/") and path.endswith(".plist"))
            return b"".join(plists).decode()
        if words[-2:] == ["-name", "runtime.json"]:
            found = [path for path in self.files if path.startswith(f"{words[0]}/") and path.endswith("/runtime.json")]
            return "\n".join(found) if found else (1, f"find: {words[0]}: No such file or directory")
        kept = [words[at + 1] for at, word in enumerate(words) if word == "-name"]
        self.files = {
            path: entry for path, entry in self.files.items() if not path.startswith(f"{words[0]}/") or path.split("/")[4] in kept
        }
        return ""

    def _python(self, words, stdin, sudo):
        return ""
