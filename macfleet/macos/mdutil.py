"""`mdutil`: whether Spotlight reads every file that is written.

Asked for "/": the data volume answers `unknown indexing state` on healthy Macs, and its indexing is administered through "/".
"""

from __future__ import annotations

import re

from macfleet.core.command import Command, command
from macfleet.macos.answers import ask, unparsable


def parse_indexing(text: str) -> bool:
    """Whether the volume is indexed. `Indexing disabled.` and `Indexing and searching disabled.` are the two ways of a no."""
    state = re.search(r"^[ \t]+(Indexing enabled|Indexing (?:and searching )?disabled)\.", text, re.MULTILINE)
    if state is None:
        raise unparsable("mdutil -s", f'"{text.strip()[-60:]}" says neither enabled nor disabled')
    return state[1] == "Indexing enabled"


INDEXING = ask("spotlight", command("mdutil", "-s", "/", timeout_s=15), parse_indexing)


def set_indexing(is_on: bool) -> Command:
    return command("mdutil", "-i", "on" if is_on else "off", "/", sudo=True, timeout_s=30)
