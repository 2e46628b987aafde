"""The stdout of an endless command as lines, while it runs. Pure."""

from __future__ import annotations

from collections.abc import Callable


class Lines:
    """Hands over each whole line as text; the framing (`begin`, the end of the command) is left out."""

    def __init__(self, nonce: bytes, on_line: Callable[[str], None]):
        self._marker = nonce + b" "
        self._on_line = on_line
        self._pending = b""
        self._state = "before"

    def feed(self, data: bytes) -> None:
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        before, marker, words = line.partition(self._marker)
        if self._state == "before":
            self._state = "within" if words == b"begin" else "before"
        elif self._state == "within" and not marker:
            self._on_line(line.decode(errors="replace"))
        elif self._state == "within":
            self._state = "behind"
            if before:  # a last line without its newline
                self._on_line(before.decode(errors="replace"))
