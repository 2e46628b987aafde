"""A Mac in memory: small and true. What one program changes, another one shows; nothing else about macOS is in it."""

import copy
import hashlib
import json
import plistlib
import shlex
from dataclasses import dataclass, field, replace
from itertools import dropwhile
from pathlib import PurePosixPath

from macfleet.core.errors import ConnectionDropped
from macfleet.core.fact import Facts
from macfleet.core.result import Result
from macfleet.core.secret import Secret
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Settings
from macfleet.macos import brew, defaults, ifconfig, networksetup
from macfleet.macos.files import _KEEP, _REMOVE_IF_EMPTY, WRITE
from macfleet.macos.plutil import PREFERENCES
from macfleet.macos.socketfilterfw import rule
from macfleet.modules.job import _ENTER, _LEAVE, _RUN
from macfleet.modules.runtime import _EMPTY, _UV
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


# What macOS has from the start, as far as a module writes there, and where macfleet keeps its notes.
FURNISHED = {
    **{path: Entry(None, "755", "root", "wheel") for path in ("/Library", "/Library/LaunchDaemons", "/opt", "/var", "/var/db", "/etc")},
    "/var/db/macfleet": Entry(None, "755", "root", "wheel"),
    "/opt/homebrew": Entry(None, "755"),
    "/opt/homebrew/bin": Entry(None, "755"),
    "/opt/homebrew/bin/iperf3": Entry(b"", "755"),
}


@dataclass
class MemoryMac:
    files: dict[str, Entry] = field(default_factory=lambda: dict(FURNISHED))
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
    battery: dict[str, str] = field(default_factory=dict)
    on_ups: dict[str, str] = field(default_factory=dict)
    thresholds: dict[str, str] = field(default_factory=dict)
    sysctls: dict[str, str] = field(default_factory=lambda: {"hw.memsize": str(64 * 2**30), "iogpu.wired_limit_mb": "0"})
    defaults: dict[str, dict] = field(default_factory=dict)
    jobs: dict[str, dict] = field(default_factory=dict)  # label → {"plist": bytes, "state": …}
    services: dict[str, dict] = field(default_factory=lambda: {"Thunderbolt Bridge": {"device": "bridge0"}})
    members: list[str] = field(default_factory=lambda: ["en2", "en3"])
    stored: dict[str, dict] = field(default_factory=lambda: {"bridge0": {"Interfaces": ["en2", "en3"]}})
    peers: dict[int, str] = field(default_factory=dict)  # receptacle → the domain UUID at the other end
    tailnet: str = "NeedsLogin"
    tailnet_settings: dict = field(default_factory=lambda: {"Hostname": "", "RunSSH": False})
    searches_updates: bool = True
    names: dict[str, str] = field(default_factory=lambda: {"ComputerName": "Mac Studio", "LocalHostName": "Mac-Studio"})
    is_indexed: bool = True
    firewall: int = 0
    let_in: dict[str, bool] = field(default_factory=dict)
    has_brew: bool = True
    disabled: frozenset[str] = frozenset()
    jobs_that_fail: set[str] = field(default_factory=set)
    log: list[str] = field(default_factory=list)
    secrets_seen: list[str] = field(default_factory=list)
    name: str = "HERE"  # of the domain UUIDs of its Thunderbolt ports
    broken: set[str] = field(default_factory=set)  # programs that end with 1
    drops_at: str = ""  # the line is lost when this is run
    sudo_asks: bool = False
    kernel: str = "Darwin"
    forgets_pmset: bool = False
    free_kib: int = 200 << 20

    def without_our_notes(self):
        """All that somebody else could find on it: not the copies that were kept, nor what was said to it."""
        notes = {"log", "secrets_seen", "files"}
        files = {path: entry for path, entry in self.files.items() if not path.startswith("/var/db/macfleet/before")}
        kept = {name: value for name, value in vars(self).items() if name not in notes}
        return {**copy.deepcopy(kept), "files": files}

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
            program, *words = dropwhile(lambda word: "=" in word, words)
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
        form, *paths = [word for word in words if word not in ("-L", "-f")]
        absent = [f"stat: {path}: stat: No such file or directory\n" for path in paths if path not in self.files]
        said = "".join(self._stat_line(path, form) for path in paths if path in self.files)
        return said if not absent else (1, "".join(absent))

    def _stat_line(self, path, form):
        entry = self.files[path]
        size = len(entry.content) if isinstance(entry.content, bytes) else 64
        kind = {bytes: "Regular File", str: "Symbolic Link"}.get(type(entry.content), "Directory")
        return f"{path}\n" if form == "%N" else f"{entry.mode} {entry.owner} {entry.group} {size} {kind}\n"

    def _shasum(self, words, stdin, sudo):
        entry = self.files.get(words[-1])
        if entry is None or not isinstance(entry.content, bytes) or not self._may_read(entry, sudo):
            return 1, f"shasum: {words[-1]}: "
        return f"{hashlib.sha256(entry.content).hexdigest()}  {words[-1]}\n"

    def _cat(self, words, stdin, sudo):
        entry = self.files.get(self._follow(words[-1]))
        if entry is None or not isinstance(entry.content, bytes):
            return 1, f"cat: {words[-1]}: {'Is a directory' if entry else 'No such file or directory'}"
        return entry.content.decode(errors="replace") if self._may_read(entry, sudo) else (1, f"cat: {words[-1]}: Permission denied")

    _head = _cat

    def _may_read(self, entry, sudo):
        return sudo or entry.owner == "fleet" or int(entry.mode, 8) & 0o004

    def _mkdir(self, words, stdin, sudo):
        for path in (*reversed(PurePosixPath(words[-1]).parents), PurePosixPath(words[-1])):
            if path.name:
                self.files.setdefault(str(path), Entry(None, "755", *self._who(sudo)))
        return ""

    def _chmod(self, words, stdin, sudo):
        self.files[words[1]] = replace(self.files[words[1]], mode=words[0])
        return ""

    def _chown(self, words, stdin, sudo):
        *_, names, path = words
        owner, group = names.split(":")
        self.files[path] = replace(self.files[path], owner=owner, group=group)
        return ""

    def _cp(self, words, stdin, sudo):
        self.files[words[-1]] = self.files[words[-2]]
        return ""

    def _mv(self, words, stdin, sudo):
        self.files[words[-1]] = self.files.pop(words[-2])
        return ""

    def _rm(self, words, stdin, sudo):
        self.files.pop(words[-1], None)
        return ""

    def _keep_copy(self, path, kept):
        if path in self.files:
            self.files.setdefault(kept, self.files[path])
        return ""

    def _remove_if_empty(self, path):
        if not any(other.startswith(f"{path}/") for other in self.files):
            self.files.pop(path, None)
        return ""

    def _empty(self, path):
        self.files = {other: entry for other, entry in self.files.items() if not other.startswith(f"{path}/")}
        return ""

    def _ln(self, words, stdin, sudo):
        self.files[words[-1]] = Entry(words[-2])
        return ""

    def _rmdir(self, words, stdin, sudo):
        return self._remove_if_empty(words[-1])

    def _test(self, words, stdin, sudo):
        return "" if words[-1] in self.files else (1, "")

    def _readlink(self, words, stdin, sudo):
        return f"{words[-1]}\n" if words[-1] in self.files else (1, "")

    def _sh(self, words, stdin, sudo):
        _, script, *rest = words
        if "|| exit 0\nexec " in script:  # the undo of a command of the user's own
            return self._rmdir([shlex.split(script)[-1]], None, sudo)
        _zero, *rest = rest
        if script == WRITE:
            self.files[rest[0]] = Entry(stdin, "600", *self._who(sudo))
            return ""
        if script == _WITH_KEY_FILE:
            self.secrets_seen.append(stdin.decode())
            return getattr(self, f"_{rest[0]}")(rest[1:], None, sudo)
        if script == _UV:
            return self._uv(rest[1:], None, sudo)
        return self._scripts()[script](*rest)

    def _scripts(self):
        """What each script of a module does, in a word: the scripts themselves are proved in test_scripts.py."""
        return {
            _LEAVE: self._leave,
            _ENTER: self._enter,
            _RUN: self._start,
            _KEEP: self._keep_copy,
            _REMOVE_IF_EMPTY: self._remove_if_empty,
            _EMPTY: self._empty,
            rule("").commands[0].argv[2]: self._firewall_rule,
            brew._UNINSTALL: lambda formula: self._rm([f"/opt/homebrew/opt/{formula}"], None, False),
            defaults._DELETE: self._delete_default,
            ifconfig._ADD_MEMBER: self._add_member,
            ifconfig._UP: lambda _bridge: "",
            networksetup._REMOVE: lambda service: str(self.services.pop(service, "") and ""),
        }

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
            sections = {"Battery Power": self.battery, "AC Power": self.pmset, "UPS Power": self.on_ups}
            rows = {name: "".join(f" {key:<20} {value}\n" for key, value in values.items()) for name, values in sections.items()}
            return "".join(f"{name}:\n{text}" for name, text in rows.items() if text)
        if words == ["-g", "batt"]:
            return "Now drawing from 'AC Power'\n" + (
                " -UPS-1500VA (id=1)\t87%; charged; 0:45 remaining present: true\n" if self.on_ups else ""
            )
        if words == ["-g", "ups"]:
            rows = "".join(f"  {key}\ton\t{value}\n" for key, value in self.thresholds.items())
            return "UPS settings:\n" + (rows or "  haltlevel\toff\t0\n") if self.on_ups else ""
        if words[0] == "-u" and words[1].startswith("halt"):
            self.thresholds = {key: value for key, value in {**self.thresholds, words[1]: words[2]}.items() if value != "0"}
            return ""
        if self.forgets_pmset:
            return ""
        sections = {"-c": [self.pmset], "-b": [self.battery], "-u": [self.on_ups]}
        for values in sections.get(words[0], [self.pmset, self.battery, self.on_ups]):
            values |= {key: value for key, value in zip(words[1::2], words[2::2], strict=True) if key in values}
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

    def _delete_default(self, domain, key):
        left = {name: value for name, value in self.defaults.pop(domain, {}).items() if name != key}
        self.defaults |= {domain: left} if left else {}
        return ""

    def _softwareupdate(self, words, stdin, sudo):
        if len(words) == 2:
            self.searches_updates = words[1] == "on"
        return f"Automatic checking for updates is turned {'on' if self.searches_updates else 'off'}\n"

    def _scutil(self, words, stdin, sudo):
        verb, kind, *name = words
        if verb == "--set":
            self.names = {**{other: value for other, value in self.names.items() if other != kind}, **({kind: name[0]} if name[0] else {})}
            return ""
        return f"{self.names[kind]}\n" if kind in self.names else (1, f"{kind}: not set")

    def _mdutil(self, words, stdin, sudo):
        if words[0] == "-i":
            self.is_indexed = words[1] == "on"
        return f"/:\n\tIndexing {'enabled' if self.is_indexed else 'disabled'}. \n"

    def _socketfilterfw(self, words, stdin, sudo):
        match words:
            case ["--setglobalstate", switch]:
                self.firewall = 0 if switch == "off" else max(self.firewall, 1)
            case ["--setblockall", switch]:
                self.firewall = 2 if switch == "on" else min(self.firewall, 1)
            case ["--add", path]:
                self.let_in[path] = True
            case ["--unblockapp" | "--blockapp" as verb, path]:
                self.let_in[path] = verb == "--unblockapp"
            case ["--remove", path]:
                self.let_in.pop(path, None)
        return f"(State = {self.firewall})\n"

    def _firewall_rule(self, path):
        if path not in self.let_in:
            return "The application is not part of the firewall \n"
        return f"Incoming connection to {path} is {'permitted' if self.let_in[path] else 'blocked'} \n"

    # --- launchd

    def _plutil(self, words, stdin, sudo):
        if words[0] == "-extract":
            return json.dumps(self.stored)
        if words[0] == "-remove":
            del self.stored[words[1].rsplit(".", 1)[-1]]
            return ""
        if words[0] == "-replace":
            self.stored[words[1].rsplit(".", 1)[-1]] = json.loads(words[3])
            return ""
        if words[-1] != PREFERENCES:
            plistlib.loads(self.files[words[-1]].content)
        return "OK\n"

    def _launchctl(self, words, stdin, sudo):
        label = words[-1].removeprefix("system/")
        if words[0] == "print-disabled":
            return "disabled services = {\n" + "".join(f'"{label}" => disabled\n' for label in sorted(self.disabled)) + "}\n"
        if words[0] in ("enable", "disable"):
            self.disabled = self.disabled - {label} if words[0] == "enable" else self.disabled | {label}
            return ""
        if words[0] == "kickstart":
            self.jobs[label]["state"] = "running"
            return ""
        if words[0] == "print" and label in self.jobs:
            job = self.jobs[label]
            pid = "\tpid = 77\n" if job["state"] == "running" else ""
            pended = f"\tpended nondemand spawn = {job['pended']}\n" if "pended" in job else ""
            return f"system/{label} = {{\n\tstate = {job['state']}\n{pid}{pended}\truns = 1\n}}\n"
        return 113, f'Could not find service "{label}" in domain for system'

    def _leave(self, label, _tries):
        self.jobs.pop(label, None)
        return ""

    def _enter(self, plist):
        entry = self.files[plist]
        job = plistlib.loads(entry.content)
        if job["Label"] in self.jobs or job["Label"] in self.disabled or (entry.mode, entry.owner, entry.group) != ("644", "root", "wheel"):
            return 5, "Bootstrap failed: 5: Input/output error"
        self.jobs[job["Label"]] = {"plist": entry.content, "state": "not running"}
        return ""

    def _start(self, label, *_):
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
            case "-setdhcp":
                self.services[rest[0]] = {"device": self.services[rest[0]]["device"]}
            case "-setnetworkserviceenabled":
                self.services[rest[0]].pop("off", None)
                self.services[rest[0]] |= {"off": True} if rest[1] == "off" else {}
        return ""

    def _add_member(self, _bridge, member):
        self.members = sorted({*self.members, member})
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
            case ["services", "stop", "tailscale"]:
                self.tailnet = "NoDaemon"
        return ""

    def _uname(self, words, stdin, sudo):
        return f"{self.kernel}\n"

    def _sudo(self, words, stdin, sudo):
        if words in (["-n", "true"], ["-n", "sh", "-c", ":"]):
            return (1, "sudo: a password is required") if self.sudo_asks else ""
        self.log.append(f"as {words[words.index('-u') + 1]}")
        as_somebody = words[words.index("-u") + 2 :]
        return getattr(self, f"_{as_somebody[0]}")(as_somebody[1:], stdin, sudo)

    def _tailscale(self, words, stdin, sudo):
        match words[0], self.tailnet:
            case _, "NotInstalled":
                return 127, "sh: tailscale: command not found"
            case _, "NoDaemon":
                return 1, "failed to connect to local Tailscale service"
            case "up" | "set", _:
                given = dict(word.removeprefix("--").partition("=")[::2] for word in words[1:])
                self.tailnet = "Running"
                self.tailnet_settings = {"Hostname": given["hostname"], "RunSSH": given.get("ssh", "false") in ("", "true")}
                return ""
            case "logout", _:
                self.tailnet, self.tailnet_settings = "NeedsLogin", {"Hostname": "", "RunSSH": False}
                return ""
            case "debug", _:
                return json.dumps(self.tailnet_settings)
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
