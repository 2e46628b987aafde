"""How much of a Mac's memory a stage may take, and how much it needs."""

from __future__ import annotations

from dataclasses import dataclass

from macfleet.core.units import GIB, format_size

# Above this share of the GPU limit macOS does not say "out of memory": it panics or resets (IOGPUMemory.cpp
# "prepare count underflow", watchdog timeouts). So the last 8 % are never planned for, and the last 15 % said.
USABLE_SHARE = 0.92
TIGHT_SHARE = 0.85

# Without a set limit macOS gives the GPU about two thirds of a small Mac and 75-84 % of a large one, differently
# from machine to machine. The low end is planned with; a limit in the inventory makes it exact.
_SMALL_MAC_BYTES = 36 * GIB
_RUNTIME_BYTES = 2 * GIB  # Python, mlx and Metal's own buffers
_PREFILL_TOKENS = 512  # the longest piece of a prompt that goes through at once
_ACTIVATION_BYTES_PER_VALUE = 40  # what one layer holds at once of one hidden value, in 16 bit with its intermediates


@dataclass(frozen=True)
class MacMemory:
    """One Mac as placement sees it. `wired_limit_bytes` None: not set, macOS decides; `bandwidth_gb_s` None: not known.

    `taken_bytes` is what other services on this Mac need.
    """

    name: str
    memory_bytes: int
    wired_limit_bytes: int | None = None
    bandwidth_gb_s: float | None = None
    taken_bytes: int = 0

    @property
    def limit_bytes(self) -> int:
        """What the GPU may hold in all."""
        if self.wired_limit_bytes:
            return self.wired_limit_bytes
        return self.memory_bytes * 2 // 3 if self.memory_bytes <= _SMALL_MAC_BYTES else self.memory_bytes * 3 // 4

    @property
    def usable_bytes(self) -> int:
        return max(0, int(self.limit_bytes * USABLE_SHARE) - self.taken_bytes)

    @property
    def recommended_limit_bytes(self) -> int:
        """The highest limit that leaves macOS what it needs: 8 GiB, or a tenth of a large Mac."""
        return max(self.limit_bytes, self.memory_bytes - max(8 * GIB, self.memory_bytes // 10))

    def limit_source(self) -> str:
        if self.wired_limit_bytes:
            return "its wired limit"
        return f"macOS's own limit for {format_size(self.memory_bytes)}, about, as no wired limit is set"


def overhead_bytes(hidden: int) -> int:
    """What a stage holds besides weights and KV cache: the runtime, and the activations of one prefill chunk."""
    return _RUNTIME_BYTES + _PREFILL_TOKENS * hidden * _ACTIVATION_BYTES_PER_VALUE
