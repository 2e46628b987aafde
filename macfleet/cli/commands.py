"""Which commands there are, in the order of the help. Nothing is discovered: one grep finds everything.

A command's module is imported when the command is called. That is why its first sentence stands here once more: the help of
`macfleet` itself must not load thirty modules to show it, and a contract test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer._click import Command, Context, HelpFormatter
from typer.core import TyperGroup

from macfleet.cli import first_word
from macfleet.cli.overview import Overview, write_overview


@dataclass(frozen=True)
class Entry:
    """Where a command is, as `module:name` below `macfleet.cli` (a function, or a Typer of its own), and its first sentence."""

    where: str
    summary: str
    options_end_at_first_word: bool = False  # `exec ls -l`: -l is for ls
    takes_a_moment: bool = False  # all that talks to Macs has to be loaded first


COMMANDS: dict[str, Entry] = {
    "enroll": Entry(
        "enroll:enroll",
        "Let macfleet into new Macs: pin their host keys, log in once by password, install your key and a checked sudoers rule.",
    ),
    "verify": Entry(
        "verify:verify",
        "Check the Macs: macOS, cables, RDMA, power, wired limit, disk and the rest. Changes nothing.",
        takes_a_moment=True,
    ),
    "explain": Entry(
        "explain:explain", "Explain a check: what it asks, why it matters, where that is known from, which commands it reads."
    ),
    "provision": Entry(
        "provision:provision",
        "Make the Macs as the inventory wants them: power, wired limit, network, Tailscale, the workers' runtime.",
        takes_a_moment=True,
    ),
    "run": Entry("run:run", "Run a playbook, your own or one of macfleet's: plan, question, run, read again."),
    "playbook": Entry("playbook:app", "List playbooks, and check one without a Mac."),
    "modules": Entry("modules:modules", "Show the verbs that a playbook may use, or explain one. Asks no Mac."),
    "unenroll": Entry(
        "unenroll:unenroll",
        "Take back what `enroll` did: the key and the sudoers rule it put there, and nothing else.",
    ),
    "deploy": Entry(
        "deploy:deploy",
        "Serve a model: place its layers on Macs, stage the weights, start workers and gateway, prove it with a canary.",
    ),
    "status": Entry("status:status", "Show the services: gateway, epoch, and each Mac's jobs as launchd and the gateway see them."),
    "chat": Entry("chat:chat", "Ask a service one question and stream its answer."),
    "logs": Entry("logs:logs", "Show the logs of a service's workers and gateway, from all its Macs."),
    "stop": Entry(
        "stop:stop", "Stop a service gently: answers are finished, workers free their memory, plists and secrets go, weights stay."
    ),
    "rolling-reboot": Entry(
        "rolling_reboot:rolling_reboot", "Restart the Macs one after another: drain, stop gently, restart, verify, serve again, next."
    ),
    "exec": Entry("exec_:exec_", "Run a command on every chosen Mac and fold identical answers.", options_end_at_first_word=True),
    "facts": Entry("facts:facts", "Show what the Macs say, as macfleet understands it. Changes nothing."),
    "history": Entry("history:app", "Show what was done to the fleet from here, run by run."),
    "unprovision": Entry(
        "unprovision:unprovision",
        "Take back everything that macfleet changed on the Macs: settings, files, jobs, weights, and at last its own access.",
    ),
    "cables": Entry("cables:cables", "Draw who is plugged into whom, port by port, or plan the cables of a mesh or ring. Changes nothing."),
    "inventory": Entry("inventory:app", "Write, show, check and complete the inventory. Asks no Mac, but for `init` and `pin`."),
    "lock": Entry("lock:app", "Show or break the fleet lock."),
    "lab": Entry("lab:app", "Rehearse: simulated Macs behind a real SSH server, with faults to order."),
}


def register(app: typer.Typer) -> None:
    """Give `app` the commands."""
    app.info.cls = Commands
    if app.registered_callback is None:  # typer takes an app with nothing of its own for a mistake
        app.callback()(_nothing)


class Commands(TyperGroup):
    """The group of all commands, each built when somebody asks for it."""

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self.commands = _Built()

    def list_commands(self, ctx: Context) -> list[str]:
        return list(COMMANDS)

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            # typer trusts that making its "no arguments" error has printed the help, as rich's does.
            from rich.text import Text

            from macfleet.cli.output import Output

            Output().answer(Text.from_ansi(ctx.get_help()))
            ctx.exit(2)
        at = next((at for at, word in enumerate(args) if not word.startswith("-")), len(args))
        if at < len(args) and args[at] in COMMANDS and COMMANDS[args[at]].takes_a_moment and not ctx.resilient_parsing:
            first_word.say(args[at], args[at:])
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Context, formatter: HelpFormatter) -> None:
        options = [record for parameter in self.get_params(ctx) if (record := parameter.get_help_record(ctx))]
        summaries = [(name, entry.summary) for name, entry in COMMANDS.items()]
        usage = f"{ctx.command_path} {' '.join(self.collect_usage_pieces(ctx))}"
        write_overview(formatter, Overview(usage, self.help or "", options, summaries, self.epilog or ""))


class _Built(MutableMapping[str, Command]):
    """Name → command, imported and built at its first look-up."""

    def __init__(self) -> None:
        self._built: dict[str, Command] = {}

    def __getitem__(self, name: str) -> Command:
        if name not in self._built:
            self._built[name] = _build(name, COMMANDS[name])
        return self._built[name]

    def __setitem__(self, name: str, command: Command) -> None:
        self._built[name] = command

    def __delitem__(self, name: str) -> None:
        raise TypeError("a command is not taken away")

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


def _build(name: str, entry: Entry) -> Command:
    module, _, member = entry.where.partition(":")
    found = getattr(import_module(f"macfleet.cli.{module}"), member)
    if isinstance(found, typer.Typer):
        group: Command = typer.main.get_group(found)
        group.name = name
        return group
    alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
    settings = {"allow_interspersed_args": False} if entry.options_end_at_first_word else None
    alone.command(name, context_settings=settings)(found)
    return typer.main.get_command(alone)


def _nothing() -> None: ...
