"""The cables as a drawing in the terminal: a box per Mac, a row per port, a lane per cable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rich.text import Text

from macfleet.macos.cabling import End
from macfleet.placement.cable_map import CableMap, CableState, DrawnCable, DrawnMac, DrawnPort

_WIDE = 120  # from here on there is room for what each Mac is and each port's address
_STYLES = {
    CableState.RDMA: "green",
    CableState.NO_RDMA: "yellow",
    CableState.UNKNOWN: "magenta",
    CableState.THERE: "",
    CableState.MISSING: "red",
}


class _Pen(NamedTuple):
    """The characters of one kind of line. `down` and `up` are where it turns, `leaving` where it comes out of a box."""

    level: str
    upright: str
    down: str
    up: str
    leaving: str
    stub: str


_HEAVY, _LIGHT, _DASHED = _Pen(*"━┃┓┛┝╸"), _Pen(*"─│┐┘├╴"), _Pen(*"╌╎┐┘├╴")
_PENS = {
    CableState.RDMA: _HEAVY,
    CableState.NO_RDMA: _LIGHT,
    CableState.UNKNOWN: _LIGHT,
    CableState.THERE: _LIGHT,
    CableState.MISSING: _DASHED,
}
_CROSSINGS = {(True, True): "╋", (True, False): "┿", (False, True): "╂", (False, False): "┼"}


@dataclass(frozen=True)
class _Row:
    """A line of the drawing: what stands in the box, and the cable that leaves it, seen from `end`."""

    box: Text
    cable: DrawnCable | None = None
    end: End | None = None
    remark: str = ""


@dataclass
class _Canvas:
    """Characters by row and column."""

    cells: dict[tuple[int, int], tuple[str, str]] = field(default_factory=dict)

    def put(self, row: int, column: int, character: str, style: str = "") -> None:
        self.cells[row, column] = (character, style)

    def line(self, row: int, width: int) -> Text:
        text = Text()
        for column in range(width):
            text.append(*self.cells.get((row, column), (" ", "")))
        return text


def draw(cables: CableMap, width: int) -> list[Text]:
    """The lines of the drawing, at most `width` characters wide where the Macs' names allow it."""
    inner = max((len(line) for mac in cables.macs for line in _widest(mac, cables, width)), default=0)
    rows = [row for mac in cables.macs for row in _rows(mac, cables, inner, width)]
    lanes = _lanes(rows)
    canvas, columns = _Canvas(), 2 * (max(lanes.values(), default=-1) + 1) + 2
    for number, row in enumerate(rows):
        _draw_exit(canvas, number, row, rows, lanes)
    _draw_lanes(canvas, rows, lanes)
    return [_finish(row, canvas.line(number, columns), width) for number, row in enumerate(rows)]


def _rows(mac: DrawnMac, cables: CableMap, inner: int, width: int) -> Iterator[_Row]:
    title = _title(mac, width)
    yield _Row(Text("╭─ ") + Text(title, style="bold") + Text(f" {'─' * (inner - len(title) - 1)}╮"))
    if mac.unread:
        yield _Row(_boxed("not read", inner, "magenta"), remark=mac.unread)
    for port in mac.ports:
        end = End(mac.name, port.receptacle)
        for index, cable in enumerate(cables.at(end)):
            words = _port_words(port, width) if index == 0 else ""
            yield _Row(_boxed(words, inner), cable, end, _remark(cable, end, width))
        if port.other_device:
            yield _Row(_boxed(_port_words(port, width), inner), end=end, remark="a disk, a dock or a display")
    free = _free(mac, cables)
    if free:
        yield _Row(_boxed(free, inner, "dim"))
    yield _Row(Text(f"╰{'─' * (inner + 2)}╯"))


def _widest(mac: DrawnMac, cables: CableMap, width: int) -> Iterator[str]:
    yield f"{_title(mac, width)}  "
    yield from (_port_words(port, width) for port in mac.ports)
    yield _free(mac, cables)
    yield "not read" if mac.unread else ""


def _title(mac: DrawnMac, width: int) -> str:
    return f"{mac.name} · {mac.kind}" if width >= _WIDE else mac.name


def _port_words(port: DrawnPort, width: int) -> str:
    words = f"{port.receptacle}  {port.interface or 'no interface'}"
    return f"{words}  {', '.join(port.addresses)}".rstrip() if width >= _WIDE else words


def _free(mac: DrawnMac, cables: CableMap) -> str:
    free = [port.receptacle for port in mac.ports if not port.other_device and not cables.at(End(mac.name, port.receptacle))]
    return f"{' '.join(map(str, free))}  free" if free else ""


def _boxed(words: str, inner: int, style: str = "") -> Text:
    return Text("│ ") + Text(f"{words:<{inner}}", style=style) + Text(" │")


def _remark(cable: DrawnCable, end: End, width: int) -> str:
    other = cable.other_end(end)
    to = (str(other) if width >= _WIDE else f"{other.mac}:{other.receptacle}") if other else f"another Mac ({cable.elsewhere})"
    if cable.state is CableState.MISSING:
        return f"no cable to {to}"
    return f"{cable.speed}  {cable.state.value}  {to}{', through a hub' if cable.via_hub else ''}"


def _lanes(rows: Sequence[_Row]) -> dict[DrawnCable, int]:
    """A lane for each cable with two ends: short ones inside, none over another."""
    spans = {cable: span for row in rows if (cable := row.cable) and len(span := _span(rows, cable)) == 2}
    lanes: dict[DrawnCable, int] = {}
    for cable, (first, last) in sorted(spans.items(), key=lambda item: (item[1][1] - item[1][0], item[1])):
        busy = {lanes[other] for other in lanes if spans[other][0] <= last and first <= spans[other][1]}
        lanes[cable] = next(lane for lane in range(len(spans)) if lane not in busy)
    return lanes


def _span(rows: Sequence[_Row], cable: DrawnCable) -> list[int]:
    return [number for number, row in enumerate(rows) if row.cable is cable]


def _draw_exit(canvas: _Canvas, number: int, row: _Row, rows: Sequence[_Row], lanes: dict[DrawnCable, int]) -> None:
    """From the box to the cable's lane, and the corner there; without a lane only a stub."""
    if row.end is None:
        return
    pen = _PENS[row.cable.state] if row.cable else _LIGHT
    if row.cable is None or row.cable not in lanes:
        canvas.put(number, 0, pen.stub, _style(row.cable))
        return
    column = 2 * lanes[row.cable] + 1
    for each in range(column):
        canvas.put(number, each, pen.level, _style(row.cable))
    canvas.put(number, column, pen.down if number == _span(rows, row.cable)[0] else pen.up, _style(row.cable))


def _draw_lanes(canvas: _Canvas, rows: Sequence[_Row], lanes: dict[DrawnCable, int]) -> None:
    for cable, lane in lanes.items():
        first, last = _span(rows, cable)
        for number in range(first + 1, last):
            column, heavy = 2 * lane + 1, cable.state is CableState.RDMA
            crossed = canvas.cells.get((number, column))
            character = _CROSSINGS[crossed[0] == _HEAVY.level, heavy] if crossed else _PENS[cable.state].upright
            canvas.put(number, column, character, _style(cable))


def _finish(row: _Row, lanes: Text, width: int) -> Text:
    box = row.box.copy()
    if row.end is not None:
        box.right_crop(1)
        box.append((_PENS[row.cable.state] if row.cable else _LIGHT).leaving, _style(row.cable))
    line = box + lanes
    room = width - len(line)
    remark = row.remark if len(row.remark) <= room or room < 20 else f"{row.remark[: room - 1]}…"
    line.append(remark, _style(row.cable) if row.cable else "dim")
    line.rstrip()
    return line


def _style(cable: DrawnCable | None) -> str:
    return _STYLES[cable.state] if cable else "dim"
