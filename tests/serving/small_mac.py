"""A small Mac and a small gateway: true as far as serving looks. What is written can be read, what is booted out is gone."""

import hashlib
import json
import plistlib
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from macfleet.core.clock import HandClock
from macfleet.core.errors import ConnectionDropped, ConnectionRefused
from macfleet.core.result import Result
from macfleet.core.secret import Secret
from macfleet.core.units import GIB
from macfleet.fleet.fleet import Fleet
from macfleet.inventory.mac import Inventory, Mac

PAGE = 16384


@dataclass
class SmallMac:
    """Files, launchd jobs, wired memory, one boot session after another."""

    name: str = "studio-1"
    files: dict[str, bytes] = field(default_factory=dict)
    modes: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, dict] = field(default_factory=dict)  # label → {"pid": …, "runs": …, "last_exit": …}
    log: list[str] = field(default_factory=list)
    boot: int = 1
    is_up: bool = True
    returns: bool = True
    wired_bytes: int = 4 * GIB
    leaks: bool = False  # a stopped job's memory stays wired
    slow_bootout: int = 0  # how often a job is still there after its bootout
    refuses_bootstrap: int = 0  # how often bootstrap says 5 first
    never_spawns: bool = False
    crash_loop: bool = False
    port: int = 0  # of its gateway, if it is a head
    disabled: set[str] = field(default_factory=set)
    corrupts: bool = False  # what is put arrives damaged
    free_bytes: int = 100 * GIB

    # --- the connection

    def run(self, commands, then=()):
        self._must_be_up()
        return [self._run(command) for command in (*commands, *then)]

    read = run

    def apply(self, commands, then=(), last=()):
        results = []
        for command in commands:
            results += self.run([command])
            if not results[-1].ok:
                return results
        return results + self.run(then, last)

    def put(self, source, path, *, mode=0o644, owner=None, sudo=False):
        self._must_be_up()
        data = source if isinstance(source, bytes) else source.read_bytes() if isinstance(source, Path) else b"".join(source)
        self.log.append(f"put {path}")
        self.files[path] = data

    def get(self, path, *, sudo=False):
        return self.files[path]

    @contextmanager
    def tunnel(self, port, host="127.0.0.1"):
        yield self.port or 1

    def follow(self, command, on_line):
        for path in command.argv[4:]:
            on_line(f"==> {path} <==")
            for line in self.files.get(path, b"").decode().splitlines():
                on_line(line)
        return Result(command, 0)

    def close(self): ...

    def abort(self): ...

    # --- what it understands

    def _must_be_up(self):
        if not self.is_up:
            raise ConnectionDropped("the connection dropped", mac=self.name)

    def _run(self, command):
        self.log.append(str(command))
        stdin = command.stdin.reveal().encode() if isinstance(command.stdin, Secret) else command.stdin
        program, *words = command.argv
        answer = getattr(self, f"_{program.rsplit('/', 1)[-1]}", None)
        if answer is None:
            return Result(command, 127, stderr=f"sh: {program}: command not found")
        said = answer(words, stdin)
        if isinstance(said, Result):  # a program that fails and has said something
            return said
        status, text = said if isinstance(said, tuple) else (0, said)
        return Result(command, status, stdout="" if status else text, stderr=text if status else "")

    def _sh(self, words, stdin):
        _, script, *rest = words
        if script.startswith("umask"):
            self.files[rest[1]] = stdin
            return ""
        if "shutdown" in script:
            self.restart()
            return ""
        found = [data for path, data in sorted(self.files.items()) if path.endswith("/service.json")]
        return b"".join(found).decode() if found else (1, "cat: No such file or directory")

    def restart(self):
        self.boot += 1
        self.is_up = self.returns
        for label in list(self.jobs):
            del self.jobs[label]
        for path, data in self.files.items():
            if path.startswith("/Library/LaunchDaemons/"):
                self._load(plistlib.loads(data)["Label"])
        raise ConnectionDropped("the connection dropped", mac=self.name)

    def _mkdir(self, words, stdin):
        return ""

    def _chown(self, words, stdin):
        return ""

    def _chmod(self, words, stdin):
        self.modes[words[1].removesuffix(".macfleet-new")] = words[0]
        return ""

    def _mv(self, words, stdin):
        self.files[words[-1]] = self.files.pop(words[-2])
        return ""

    def _rm(self, words, stdin):
        self.files.pop(words[-1], None)
        if "-rf" in words:
            self.files = {path: data for path, data in self.files.items() if not path.startswith(f"{words[-1]}/")}
        return ""

    def _ls(self, words, stdin):
        return "\n".join(path.removeprefix(f"{words[0]}/") for path in sorted(self.files) if path.startswith(f"{words[0]}/"))

    def _cat(self, words, stdin):
        return self.files[words[0]].decode() if words[0] in self.files else (1, f"cat: {words[0]}: No such file or directory")

    def _tail(self, words, stdin):
        count, path = int(words[1]), words[2]
        if path not in self.files:
            return 1, f"tail: {path}: No such file or directory"
        return "\n".join(self.files[path].decode().splitlines()[-count:])

    def _find(self, words, stdin):
        directory, ending = words[0], words[words.index("-name") + 1].removeprefix("*")
        self.files = {path: data for path, data in self.files.items() if not (path.startswith(directory) and path.endswith(ending))}
        return ""

    def _shasum(self, words, stdin):
        return "".join(f"{hashlib.sha256(self.files[path]).hexdigest()}  {path}\n" for path in words[2:] if path in self.files)

    def _df(self, words, stdin):
        return f"Filesystem 1024-blocks Used Available Capacity\n/dev/disk3s5 {200 * GIB // 1024} 1 {self.free_bytes // 1024} 50% /\n"

    def _sysctl(self, words, stdin):
        return f"kern.bootsessionuuid: {boot_id(self.boot)}\nkern.boottime: {{ sec = {self.boot}, usec = 0 }} Thu\n"

    def _vm_stat(self, words, stdin):
        rows = dict.fromkeys(("free", "inactive", "speculative", "purgeable", "occupied by compressor"), 0) | {
            "wired down": self.wired_bytes // PAGE
        }
        return f"Mach Virtual Memory Statistics: (page size of {PAGE} bytes)\n" + "".join(f"Pages {k}: {v}.\n" for k, v in rows.items())

    # --- launchd

    def _launchctl(self, words, stdin):
        verb, target = words[0], words[-1]
        if verb == "print-disabled":
            return "\tdisabled services = {\n" + "".join(f'\t\t"{label}" => disabled\n' for label in self.disabled) + "\t}\n"
        answer = getattr(self, f"_{verb}", None)
        return answer(target.removeprefix("system/")) if answer else (64, f"launchctl: {verb}: unrecognized")

    def _print(self, label):
        job = self.jobs.get(label)
        if job is None:
            return 113, f'Could not find service "{label}" in domain for system'
        if job.get("leaving"):
            job["leaving"] -= 1
            if not job["leaving"]:
                self._gone(label)
        pid = f"\tpid = {job['pid']}\n" if job["pid"] else ""
        return (
            f"system/{label} = {{\n\tstate = {'running' if job['pid'] else 'spawn scheduled'}\n{pid}"
            f"\truns = {job['runs']}\n\tlast exit code = {job['last_exit']}\n}}\n"
        )

    def _bootstrap(self, path):
        if self.refuses_bootstrap:
            self.refuses_bootstrap -= 1
            return 5, "Bootstrap failed: 5: Input/output error"
        label = plistlib.loads(self.files[path])["Label"]
        if label in self.jobs:
            return 5, "Bootstrap failed: 5: Input/output error"
        self._load(label)
        return ""

    def _load(self, label):
        if self.crash_loop:
            self.jobs[label] = {"pid": None, "runs": 3, "last_exit": "1"}
        else:
            pid = None if self.never_spawns else 100 + len(self.jobs)
            self.jobs[label] = {"pid": pid, "runs": 1 if pid else 0, "last_exit": "(never exited)"}

    def _bootout(self, label):
        if label not in self.jobs:
            return 3, "Boot-out failed: 3: No such process"
        if self.slow_bootout:
            self.jobs[label]["leaving"] = self.slow_bootout
            return 36, "Boot-out failed: 36: Operation now in progress"
        self._gone(label)
        return ""

    def _gone(self, label):
        del self.jobs[label]
        if not self.leaks:
            self.wired_bytes = 4 * GIB

    def _enable(self, label):
        self.disabled.discard(label)
        return ""

    def _kickstart(self, label):
        return "" if label in self.jobs else (113, "Could not find service")


def boot_id(number):
    return f"00000000-0000-4000-8000-{number:012X}"


class StubGateway:
    """A gateway that answers what it is told, over real HTTP."""

    def __init__(self):
        self.state, self.in_flight, self.text, self.asked = "ready", 0, "four five six", []
        self.prompts = []
        self.workers = []
        self.finish, self.count = "length", 8
        self.refuses: tuple[int, str] | None = None  # whatever is asked
        handler = type("Handler", (_Handler,), {"gateway": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path, body):
        self.asked.append(path)
        match path:
            case "/health":
                status = 200 if self.state == "ready" else 503
                return status, {
                    "state": self.state,
                    "reason": None,
                    "epoch": 1,
                    "running": self.in_flight,
                    "waiting": 0,
                    "workers": self.workers,
                }
            case "/admin/drain":
                self.state, self.in_flight = "draining", 0
            case "/admin/resume":
                self.state = "ready"
            case "/v1/completions":
                self.prompts.append(body["prompt"])
                text = self.text() if callable(self.text) else self.text
                return 200, {
                    "choices": [{"text": text, "finish_reason": self.finish}],
                    "usage": {"prompt_tokens": 9, "completion_tokens": self.count},
                }
            case "/v1/chat/completions":
                return 200, {
                    "choices": [{"message": {"content": self.text}, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 6000, "completion_tokens": 8},
                }
        return 200, {}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # the body goes out behind the head, and not 40 ms later

    def do_GET(self):
        self._say(*self.gateway.answer(self.path, None))

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.gateway.refuses:
            status, said = self.gateway.refuses
            self._say(status, {"error": {"message": said}})
        elif body.get("stream"):
            self._stream()
        else:
            self._say(*self.gateway.answer(self.path, body))

    def _say(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self):
        pieces = self.gateway.text if isinstance(self.gateway.text, list) else self.gateway.text.split()
        events = [piece if isinstance(piece, dict) else {"choices": [{"delta": {"content": piece}}]} for piece in pieces]
        data = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
        data += b"" if self.gateway.finish == "broken" else b"data: [DONE]\n\n"
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *words): ...


class SmallFleet(Fleet):
    """A fleet of small Macs, on a clock that sleeping moves."""

    def __init__(self, tmp_path, *names, **inventory):
        self.small = {name: SmallMac(name) for name in names}
        macs = tuple(Mac(name, f"10.0.0.{n}", "Mac15,14", 512 * GIB) for n, name in enumerate(names, 1))

        def connect(mac, ssh, on_result):
            if not self.small[mac.name].is_up:
                raise ConnectionRefused(f"{mac.address} refuses", mac=mac.name)
            return self.small[mac.name]

        super().__init__(Inventory(tmp_path / "inventory.yaml", "test", macs, **inventory), macs, connect=connect, clock=HandClock())
