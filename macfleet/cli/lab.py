"""`macfleet lab`: a rehearsal fleet on this machine, with macOS's programs emulated and everything else real."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from macfleet.cli import lab_model
from macfleet.cli.completion import hardware_names
from macfleet.cli.output import Output, column_width
from macfleet.cli.session import JsonOption, QuietOption
from macfleet.core.words import count

if TYPE_CHECKING:
    from macfleet.lab.up import Up

DirOption = Annotated[
    Path | None,
    typer.Option(
        "--dir",
        envvar="MACFLEET_LAB",
        show_default=False,
        help="Where the rehearsal fleet lives; without it the folder of MACFLEET_INVENTORY, else `./macfleet-lab`",
    ),
]

# `up` makes a new one, so the inventory in use, which may be that of real Macs, says nothing about where.
NewDirOption = Annotated[
    Path, typer.Option("--dir", envvar="MACFLEET_LAB", help="Where the rehearsal fleet shall live, or lives if it was there before")
]

app = typer.Typer(no_args_is_help=True, help="Rehearse: simulated Macs behind a real SSH server, with faults to order.")
app.command("model")(lab_model.model)


def _folder(directory: Path | None) -> Path:
    """The rehearsal fleet that is meant: named, or the one whose inventory is in use, or the one below this folder."""
    if directory is not None:
        return directory
    inventory = os.environ.get("MACFLEET_INVENTORY")
    return Path(inventory).parent if inventory else Path("macfleet-lab")


@app.command("up")
def up(
    macs: Annotated[int, typer.Option("--macs", min=1, max=32, help="How many Macs")] = 4,
    hardware: Annotated[
        str, typer.Option("--hardware", help="Their kind: a model identifier or an alias", autocompletion=hardware_names)
    ] = "mac-studio-m3-ultra",
    memory: Annotated[
        str,
        typer.Option(
            "--memory", help="How many GiB of memory each has, like `128,64,36`; the most there is without it", show_default=False
        ),
    ] = "",
    directory: NewDirOption = Path("macfleet-lab"),
    as_shipped: Annotated[
        bool,
        typer.Option(
            "--as-shipped", help="Out of the box: Remote Login on and nothing else; password login only, no cables, RDMA off, FileVault on"
        ),
    ] = False,
    quiet: QuietOption = False,
) -> None:
    """Make a rehearsal fleet, or start the one that is there.

    Example: `macfleet lab up --macs 4 --hardware mac-mini-m4-pro`

    By default the Macs are as a careful owner has them before macfleet: cabled in a full mesh, RDMA and Remote Login on,
    Homebrew installed, sudo without a password, nothing else set. Fails with 3 when a Mac does not start.
    """
    from macfleet.lab.up import up as run

    output = Output(quiet=quiet)
    done = run(directory, macs, hardware, memory_gib=_gibibytes(memory), as_shipped=as_shipped)
    output.answer(_up_sentence(done))
    output.next_step(f"export MACFLEET_INVENTORY={shlex.quote(str(done.inventory))}")
    output.next_step("macfleet enroll  # the password of every rehearsal Mac is: rehearsal" if as_shipped else "macfleet verify")


def _gibibytes(text: str) -> tuple[int, ...]:
    from macfleet.core.errors import RequestError

    words = [word.strip() for word in text.split(",") if word.strip()]
    if not all(word.isdecimal() for word in words):
        raise RequestError(f'--memory: "{text}" is no list of GiB', hint="write `--memory 128,64,36`, or one number for all")
    return tuple(map(int, words))


def _up_sentence(done: Up) -> str:
    macs = count(len(done.macs), "Mac")
    if done.was_up:
        return f"{macs} already up in {done.lab.path}"
    return f"{macs} {'made and' if done.was_made else 'of before'} started in {done.lab.path}"


@app.command("down")
def down(
    directory: DirOption = None,
    delete: Annotated[bool, typer.Option("--delete", help="Remove the Macs' disks and keys as well")] = False,
    quiet: QuietOption = False,
) -> None:
    """End every process of the rehearsal fleet. Its disks stay for the next `lab up`, unless --delete. Safe to repeat.

    Example: `macfleet lab down`
    """
    from macfleet.lab.down import down as run

    folder = _folder(directory)
    was_there = folder.exists()
    stopped = run(folder, delete=delete)
    said = f"{count(len(stopped), 'Mac')} stopped" if stopped else "nothing was running"
    removed = ", all files removed" if was_there and not folder.exists() else ""
    Output(quiet=quiet).answer(f"{said} in {folder.absolute()}{removed}")


@app.command("status")
def status(directory: DirOption = None, json: JsonOption = False) -> None:
    """Show the simulated Macs, their cables, jobs, processes and faults.

    Example: `macfleet lab status --json`
    """
    from macfleet.lab.status import status as run

    output = Output(json_wanted=json)
    report = run(_folder(directory))
    if json:
        output.json(report)
    else:
        _show(output, report)


def _show(output: Output, report: dict[str, Any]) -> None:
    width = column_width([mac["mac"] for mac in report["macs"]])
    for mac in report["macs"]:
        state = "running" if mac["power"] == "on" else "down" if mac["power"] in ("off", "stopped") else mac["power"]
        processes = count(len(mac["processes"]), "process", "processes")
        output.mac_line(mac["mac"], state, f"{mac['hardware']}  port {mac['ssh_port']}  {processes}", width=width)
        for job in mac["jobs"]:
            output.answer(f"  job    {job['label']}  {job['state']}{'  pid ' + str(job['pid']) if job['pid'] else ''}")
        for name, detail in mac["faults"].items():
            output.answer(f"  fault  {name}: {detail}")
    summary = report["summary"]
    output.answer(
        f"{summary['running']} of {summary['macs']} Macs running, {summary['processes']} processes; inventory: {report['inventory']}"
    )


def _fault_names() -> list[str]:
    from macfleet.lab.faults import FAULTS

    return [fault.name for fault in FAULTS]


@app.command("fault")
def fault(
    name: Annotated[str | None, typer.Argument(help="Which misfortune; without it, the list", autocompletion=_fault_names)] = None,
    where: Annotated[
        str | None, typer.Argument(metavar="MAC[:PORT]", help="On which Mac, and for a cable at which of its Thunderbolt ports")
    ] = None,
    job: Annotated[
        str | None, typer.Option("--job", help="Which launchd jobs, for worker-killed, worker-frozen and crash-loop; wildcards allowed")
    ] = None,
    on_reboot: Annotated[bool, typer.Option("--on-reboot", help="For mac-down: only from the next restart on")] = False,
    directory: DirOption = None,
) -> None:
    """Break something on one simulated Mac; without a name, list what can be broken.

    Example: `macfleet lab fault cable-out studio-2:3`
    """
    from macfleet.core.errors import RequestError
    from macfleet.lab.faults import FAULTS, WORKERS, FaultOptions, break_mac, find_fault

    output = Output()
    if name is None:
        for each in FAULTS:
            output.answer(f"{each.name:<18}{each.meaning}")
        return
    if where is None:
        raise RequestError(f"on which Mac? {find_fault(name).meaning}", hint=f"macfleet lab fault {name} studio-2")
    mac, _, port = where.partition(":")
    if port and not port.isdecimal():
        raise RequestError(f'"{where}" names no port; write the number of the Thunderbolt port, as in "{mac}:2"')
    said = break_mac(_folder(directory), name, mac, FaultOptions(int(port) if port else None, on_reboot, job or WORKERS))
    output.answer(f"{mac}: {said}")


@app.command("heal")
def heal(
    names: Annotated[list[str] | None, typer.Argument(help="Which faults; without it, all", autocompletion=_fault_names)] = None,
    mac: Annotated[list[str] | None, typer.Option("--mac", "-m", help="Only on this Mac; repeat for more")] = None,
    directory: DirOption = None,
) -> None:
    """Mend what was broken: the faults named, or all of them.

    Example: `macfleet lab heal cable-out`
    """
    from macfleet.lab.faults import heal as run

    output = Output()
    healed = run(_folder(directory), names or (), mac or ())
    for line in healed:
        output.answer(f"healed  {line}")
    if not healed:
        output.answer("nothing was broken")
