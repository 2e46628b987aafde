"""df, vm_stat."""

import pytest

from macfleet.core.errors import Unparsable
from macfleet.macos import df, vm_stat
from tests.macos.recordings import recorded

MAC = (
    "Filesystem   1024-blocks      Used Available Capacity iused     ifree %iused  Mounted on\n"
    "/dev/disk3s5   971350180 412345678 540000000    44%  2100000 5400000000    0%   /System/Volumes/Data\n"
)
LINUX = "Filesystem     1K-blocks     Used Available Use% Mounted on\noverlay        102350180 40100000  62250180  40% /\n"


@pytest.mark.parametrize(
    ("text", "free_kib"),
    [(MAC, 540000000), (LINUX, 62250180), (MAC.replace("/dev/disk3s5", "map auto_home 2"), 540000000)],
)
def test_room_is_in_bytes(text, free_kib):
    assert df.parse_df(text).free_bytes == free_kib * 1024


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no column of 1024-byte blocks"),
        (recorded("ops/vm_df_h.tahoe_base.txt"), "no column of 1024-byte blocks"),  # df -h: rounded
        (MAC.splitlines()[0] + "\n", "0 file systems"),
        (MAC + MAC.splitlines()[1] + "\n", "2 file systems"),
        (MAC[: MAC.index("44%")], "0 file systems"),
    ],
)
def test_rounded_cut_or_doubled_rows_are_refused(text, reason):
    with pytest.raises(Unparsable, match=reason):
        df.parse_df(text)


def test_the_room_of_a_mac_is_on_its_data_volume():
    assert (df.volume("/"), df.volume("/tmp/lab/studio-1")) == ("/System/Volumes/Data", "/tmp/lab/studio-1")
    assert df.free("/x").commands[0].shell() == "df -k /x"


def test_memory_of_a_mac_mini():
    memory = vm_stat.parse_vm_stat(recorded("ops/vm_stat.mac_mini_m4_macos26.5.1.txt"))

    assert memory == vm_stat.Memory(
        free_bytes=24141 * 16384,
        wired_bytes=106741 * 16384,
        available_bytes=(24141 + 388196 + 1272 + 4133) * 16384,
        compressed_bytes=110063 * 16384,
    )


def test_the_page_size_is_read_and_not_assumed():
    text = recorded("ops/vm_stat.mac_mini_m4_macos26.5.1.txt").replace("16384", "4096")

    assert vm_stat.parse_vm_stat(text).wired_bytes == 106741 * 4096


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("page size of", "pages with", "no page size"),
        ("Pages wired down", "Pages nailed", 'no row "Pages wired down"'),
        ("106741.", "106,741.", "wired down"),
    ],
)
def test_a_renamed_row_is_refused_by_name(old, new, reason):
    with pytest.raises(Unparsable, match=reason):
        vm_stat.parse_vm_stat(recorded("ops/vm_stat.mac_mini_m4_macos26.5.1.txt").replace(old, new))
