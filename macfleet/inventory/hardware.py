"""The catalog of Macs: what each model identifier (`sysctl hw.model`) is and can do.

A new Mac is a new row. Rows with `is_captured` rest on recordings of real Macs and on Apple's pages; the others on tables
of third parties, so nothing may be refused because of them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hardware:
    """One kind of Mac. `interfaces` are the network devices of Thunderbolt 1..n where known, else empty: ask the Mac.

    `bandwidth_gb_s` is that of the full chip; `slower_bin` names the memory (GiB) that comes with a slower one.
    Watts are at the wall, of the top configuration, None where Apple publishes nothing.
    """

    id: str
    name: str
    alias: str
    chip: str
    thunderbolt_ports: int
    thunderbolt_generation: int
    memory_gib: tuple[int, ...]
    bandwidth_gb_s: float
    interfaces: tuple[str, ...] = ()
    idle_watts: int | None = None
    max_watts: int | None = None
    slower_bin: tuple[int, float] | None = None
    supports_autorestartatconnect: bool = False  # 2024 and later desktops, with macOS 26.5
    is_captured: bool = False

    @property
    def has_rdma(self) -> bool:
        """RDMA over Thunderbolt needs Thunderbolt 5 ports. The chip's name does not tell: an "M5" MacBook Pro has Thunderbolt 4."""
        return self.thunderbolt_generation >= 5

    @property
    def port_next_to_ethernet(self) -> int | None:
        """On a Mac Studio. exo's users report that it is of no use for RDMA; Apple says nothing, so it is taken last, not refused."""
        return 1 if self.name.startswith("Mac Studio") else None

    def bandwidth_with(self, memory_gib: int) -> float:
        """Memory bandwidth in GB/s of the one with this much memory."""
        if self.slower_bin is not None and memory_gib <= self.slower_bin[0]:
            return self.slower_bin[1]
        return self.bandwidth_gb_s

    def comes_with(self, memory_gib: int) -> bool:
        """Whether this kind is sold with this much memory; of a row that is not sure, everything is believed."""
        return not self.is_captured or memory_gib in self.memory_gib


HARDWARE: tuple[Hardware, ...] = (
    Hardware("Mac16,10", "Mac mini M4 (2024)", "mac-mini-m4", "Apple M4", 3, 4, (16, 24, 32), 120,
             idle_watts=4, max_watts=65, supports_autorestartatconnect=True),
    Hardware("Mac16,11", "Mac mini M4 Pro (2024)", "mac-mini-m4-pro", "Apple M4 Pro", 3, 5, (24, 48, 64), 273,
             interfaces=("en2", "en3", "en4"), idle_watts=5, max_watts=140,
             supports_autorestartatconnect=True, is_captured=True),
    Hardware("Mac18,5", "Mac mini M6 (2026)", "mac-mini-m6", "Apple M6", 3, 4, (16, 24, 32), 170,
             supports_autorestartatconnect=True),
    Hardware("Mac17,16", "Mac mini M5 Pro (2026)", "mac-mini-m5-pro", "Apple M5 Pro", 3, 5, (24, 48, 64), 307,
             supports_autorestartatconnect=True),
    # The front ports of a Max studio are USB-C only.
    Hardware("Mac16,9", "Mac Studio M4 Max (2025)", "mac-studio-m4-max", "Apple M4 Max", 4, 5, (36, 48, 64, 128), 546,
             slower_bin=(36, 410), idle_watts=6, max_watts=145, supports_autorestartatconnect=True, is_captured=True),
    # 512 GB was withdrawn from sale in March 2026; such Macs exist.
    Hardware("Mac15,14", "Mac Studio M3 Ultra (2025)", "mac-studio-m3-ultra", "Apple M3 Ultra", 6, 5, (96, 256, 512), 819,
             interfaces=("en2", "en3", "en4", "en5", "en6", "en7"), idle_watts=9, max_watts=270,
             supports_autorestartatconnect=True, is_captured=True),
    Hardware("Mac17,14", "Mac Studio M5 Max (2026)", "mac-studio-m5-max", "Apple M5 Max", 4, 5, (36, 48, 64, 128), 614,
             slower_bin=(36, 460), supports_autorestartatconnect=True),
    Hardware("Mac17,15", "Mac Studio M5 Ultra (2026)", "mac-studio-m5-ultra", "Apple M5 Ultra", 6, 5, (96, 256, 512), 1200,
             supports_autorestartatconnect=True),
    Hardware("Mac16,1", "MacBook Pro 14 M4 (2024)", "macbook-pro-14-m4", "Apple M4", 3, 4, (16, 24, 32), 120),
    Hardware("Mac16,8", "MacBook Pro 14 M4 Pro (2024)", "macbook-pro-14-m4-pro", "Apple M4 Pro", 3, 5, (24, 48), 273),
    Hardware("Mac16,6", "MacBook Pro 14 M4 Max (2024)", "macbook-pro-14-m4-max", "Apple M4 Max", 3, 5, (36, 48, 64, 128), 546,
             slower_bin=(36, 410)),
    Hardware("Mac16,7", "MacBook Pro 16 M4 Pro (2024)", "macbook-pro-16-m4-pro", "Apple M4 Pro", 3, 5, (24, 48), 273),
    Hardware("Mac16,5", "MacBook Pro 16 M4 Max (2024)", "macbook-pro-16-m4-max", "Apple M4 Max", 3, 5, (36, 48, 64, 128), 546,
             interfaces=("en1", "en2", "en3"), slower_bin=(36, 410)),
    Hardware("Mac17,2", "MacBook Pro 14 M5 (2025)", "macbook-pro-14-m5", "Apple M5", 3, 4, (16, 24, 32), 153),
    Hardware("Mac17,9", "MacBook Pro 14 M5 Pro (2026)", "macbook-pro-14-m5-pro", "Apple M5 Pro", 3, 5, (24, 48, 64), 307),
    Hardware("Mac17,8", "MacBook Pro 16 M5 Pro (2026)", "macbook-pro-16-m5-pro", "Apple M5 Pro", 3, 5, (24, 48, 64), 307),
    Hardware("Mac17,7", "MacBook Pro 14 M5 Max (2026)", "macbook-pro-14-m5-max", "Apple M5 Max", 3, 5, (36, 48, 64, 128), 614,
             slower_bin=(36, 460)),
    # Its port numbers and interface numbers do not run alike: Thunderbolt 2 is en6. Seen on two of them.
    Hardware("Mac17,6", "MacBook Pro 16 M5 Max (2026)", "macbook-pro-16-m5-max", "Apple M5 Max", 3, 5, (36, 48, 64, 128), 614,
             interfaces=("en1", "en6", "en2"), slower_bin=(36, 460)),
    # No RDMA from here on; useful as gateways and as single Macs.
    Hardware("Mac13,1", "Mac Studio M1 Max (2022)", "mac-studio-m1-max", "Apple M1 Max", 4, 4, (32, 64), 400,
             idle_watts=11, max_watts=115),
    Hardware("Mac13,2", "Mac Studio M1 Ultra (2022)", "mac-studio-m1-ultra", "Apple M1 Ultra", 6, 4, (64, 128), 800,
             idle_watts=13, max_watts=215),
    Hardware("Mac14,13", "Mac Studio M2 Max (2023)", "mac-studio-m2-max", "Apple M2 Max", 4, 4, (32, 64, 96), 400,
             idle_watts=9, max_watts=145),
    Hardware("Mac14,14", "Mac Studio M2 Ultra (2023)", "mac-studio-m2-ultra", "Apple M2 Ultra", 6, 4, (64, 128, 192), 800,
             idle_watts=10, max_watts=295),
    Hardware("Mac14,3", "Mac mini M2 (2023)", "mac-mini-m2", "Apple M2", 2, 4, (8, 16, 24), 100),
    Hardware("Mac14,12", "Mac mini M2 Pro (2023)", "mac-mini-m2-pro", "Apple M2 Pro", 4, 4, (16, 32), 200),
    Hardware("VirtualMac2,1", "virtual Mac", "virtual-mac", "Apple processor", 0, 0, (), 0),
)  # fmt: skip


def find(name: str) -> Hardware | None:
    """The row of a model identifier ("Mac15,14") or an alias ("mac-studio-m3-ultra"), in any case."""
    wanted = name.strip().lower().replace(" ", "-").replace("_", "-")
    return next((row for row in HARDWARE if wanted in (row.id.lower(), row.alias)), None)


def names() -> list[str]:
    """Everything `find` understands, for a suggestion."""
    return [name for row in HARDWARE for name in (row.alias, row.id)]
