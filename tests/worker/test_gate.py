import os

import pytest

from macfleet.core.change import Unsupported
from macfleet.core.errors import ServiceFailed
from macfleet.core.fact import Unknown
from macfleet.core.units import GIB
from macfleet.macos.vm_stat import Memory
from macfleet.worker.config import WiredGate
from macfleet.worker.gate import closed_because, wait_for_gpu_memory
from tests.worker.test_environment import config


def wired(gib):
    return Memory(free_bytes=GIB, wired_bytes=gib * GIB, available_bytes=GIB, compressed_bytes=0)


GATE = WiredGate(limit_mib=458752, most_wired_bytes=12 * GIB, wait_s=0)


@pytest.mark.parametrize(
    ("limit_mib", "memory", "said"),
    [
        (458752, wired(4), None),
        (0, wired(4), "the GPU wired limit is 0 MiB, wanted 458752 MiB"),
        (Unsupported("a virtual machine"), wired(4), "is not known (a virtual machine)"),
        (458752, wired(424), "424 GiB are wired already, at most 12 GiB may be"),
        (458752, Unknown("`vm_stat` ended with 1"), "wired memory is not known (`vm_stat` ended with 1)"),
    ],
)
def test_the_gate_opens_when_the_limit_is_in_force_and_the_memory_free(limit_mib, memory, said):
    found = closed_because(GATE, limit_mib, memory)

    assert found is None if said is None else said in found


def test_a_gate_that_wants_nothing_is_open_where_macos_is_not():
    assert closed_because(WiredGate(), Unknown("no sysctl"), Unknown("no vm_stat")) is None


def programs(directory, **texts):
    """Executables that print a text, first on PATH: what a Mac would have."""
    for name, said in texts.items():
        file = directory / name
        file.write_text(f"#!/bin/sh\ncat <<'END'\n{said}\nEND\n")
        file.chmod(0o755)
    return f"{directory}{os.pathsep}{os.environ['PATH']}"


def test_the_macs_own_programs_are_asked(tmp_path, monkeypatch):
    said = "hw.memsize: 549755813888\niogpu.wired_limit_mb: 0"
    monkeypatch.setenv("PATH", programs(tmp_path, sysctl=said))

    with pytest.raises(ServiceFailed, match="no weights were loaded after 0 s: the GPU wired limit is 0 MiB, wanted 458752 MiB"):
        wait_for_gpu_memory(config(wired_gate=WiredGate(limit_mib=458752, wait_s=0)))

    monkeypatch.setenv("PATH", programs(tmp_path, sysctl=said.replace(": 0", ": 458752")))
    wait_for_gpu_memory(config(wired_gate=WiredGate(limit_mib=458752, wait_s=0)))


def test_without_a_gate_nothing_is_asked():
    wait_for_gpu_memory(config())
