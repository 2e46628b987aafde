"""One task against a Mac in memory: read, diff, apply, read again."""

from macfleet.core.data import data_path
from macfleet.core.secret import Secret
from macfleet.macos.runtime import Bundle
from macfleet.modules.base import Surroundings
from macfleet.playbook.load import load_playbook
from macfleet.playbook.plan import fill_tasks, plan_mac, wanted_facts
from tests.modules.memory_mac import MAC

TEMPLATES = {path.name: path.read_text() for path in data_path("templates").glob("*.j2")}
BUNDLE = Bundle(b"mlx==1 --hash=sha256:00\n", "macfleet_ops-0-py3-none-any.whl", b"wheel")
AROUND = Surroundings(order=("studio-1", "studio-2"), templates=TEMPLATES, bundle=BUNDLE, secret=lambda source: Secret("tskey-hidden"))


def as_text(example):
    """A playbook of this one task."""
    indented = "\n".join(f"    {line}" for line in example.strip().splitlines())
    return f"tasks:\n  - name: x\n{indented}\n"


def tasks(example, mac=MAC):
    return fill_tasks(load_playbook(as_text(example), "x.yaml"), mac, {})


def plan(memory, example, mac=MAC, around=AROUND):
    filled = tasks(example, mac)
    return plan_mac(filled, mac, memory.ask(wanted_facts(filled, mac)), around)


def play(memory, example, mac=MAC, around=AROUND):
    """Apply the plan; what is left of it afterwards, and the lines of what was done."""
    changes = [change for _, change in plan(memory, example, mac, around).changes]
    for change in changes:
        results = memory.apply(change.commands)
        assert all(result.ok for result in results), results[-1].failure()
    return [change.line() for change in changes], plan(memory, example, mac, around)
