"""The cables as an SVG picture: the Macs around a table, every port in its place, a curve per cable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import cos, hypot, pi, sin

from macfleet.macos.cabling import End
from macfleet.placement.cable_map import CableMap, CableState, DrawnCable, DrawnMac, DrawnPort

_BOX_W, _PORT_W, _PORT_H, _PITCH = 236.0, 26.0, 20.0, 37.0
_BOX_H = 92.0
_MARGIN = 36.0
_MOST_LABELS = 15  # beyond, only what is not as it should be is labelled; each cable says all when pointed at

_CLASSES = {
    CableState.RDMA: "rdma",
    CableState.NO_RDMA: "ip",
    CableState.UNKNOWN: "unknown",
    CableState.THERE: "there",
    CableState.MISSING: "missing",
}
_AS_IT_SHOULD_BE = (CableState.RDMA, CableState.THERE)
_WORDS = {
    CableState.RDMA: "carries RDMA",
    CableState.NO_RDMA: "no RDMA",
    CableState.UNKNOWN: "RDMA unknown",
    CableState.THERE: "plugged in",
    CableState.MISSING: "wanted, not there",
}
_STYLE = """\
  svg { font-family: ui-sans-serif, system-ui, -apple-system, "Helvetica Neue", Arial, sans-serif; font-size: 12px; }
  .page { fill: #ffffff; } .mac { fill: #f5f6f8; stroke: #c9ced6; } .unread { stroke: #c0392b; stroke-dasharray: 5 4; }
  text { fill: #20262e; } .name { font-size: 15px; font-weight: 600; } .title { font-size: 17px; font-weight: 600; }
  .kind, .interface { fill: #67707c; } .interface { font-size: 10px; } .number { font-size: 11px; font-weight: 600; }
  .port { fill: #ffffff; stroke: #9aa3af; } .port-rdma { fill: #e4f5ea; stroke: #1d8a4a; } .port-ip { fill: #fdf0d9; stroke: #b26a00; }
  .port-unknown { fill: #f4e9f7; stroke: #8e44ad; } .port-missing { fill: #fdeaea; stroke: #c0392b; stroke-dasharray: 3 2; }
  .port-device { fill: #dfe3e8; stroke: #67707c; }
  .cable { fill: none; stroke-linecap: round; } .halo { fill: none; stroke: #ffffff; stroke-width: 7; }
  .rdma { stroke: #1d8a4a; stroke-width: 3.5; } .ip { stroke: #b26a00; stroke-width: 2.5; stroke-dasharray: 9 5; }
  .unknown { stroke: #8e44ad; stroke-width: 2.5; stroke-dasharray: 2 6; }
  .there, .port-there { stroke: #4a5563; stroke-width: 3; } .port-there { stroke-width: 1.5; }
  .missing { stroke: #c0392b; stroke-width: 2; stroke-dasharray: 4 6; }
  .plate { fill: #ffffff; stroke: #dfe3e8; } .label { font-size: 11px; }
  @media (prefers-color-scheme: dark) {
    .page, .plate { fill: #15181d; } .halo { stroke: #15181d; } .mac { fill: #20252c; stroke: #3b434e; } .plate { stroke: #3b434e; }
    text { fill: #e6e9ee; } .kind, .interface { fill: #98a2b0; } .port { fill: #15181d; stroke: #67707c; }
    .port-rdma { fill: #12351f; } .port-ip { fill: #3a2a0c; } .port-unknown { fill: #301a38; } .port-missing { fill: #3a1614; }
    .port-device { fill: #3b434e; } .rdma, .port-rdma { stroke: #3fbf75; } .ip, .port-ip { stroke: #e0a13a; }
    .there, .port-there { stroke: #b6c0cc; } .unknown, .port-unknown { stroke: #c07de0; } .missing, .port-missing { stroke: #ef6a5e; }
  }
"""


@dataclass(frozen=True)
class _Point:
    x: float
    y: float


@dataclass(frozen=True)
class _Socket:
    """Where a port is drawn; (dx, dy) is the way out of the box."""

    at: _Point
    dx: float
    dy: float

    def off(self, length: float) -> _Point:
        return _Point(self.at.x + self.dx * length, self.at.y + self.dy * length)


@dataclass(frozen=True)
class _Seat:
    """A Mac's box, and the side on which its ports are: the one that faces the others."""

    mac: DrawnMac
    x: float
    y: float
    width: float
    height: float
    dx: float
    dy: float

    def sockets(self) -> dict[End, _Socket]:
        numbers = [port.receptacle for port in self.mac.ports]
        return {End(self.mac.name, number): self._socket(index, len(numbers)) for index, number in enumerate(numbers)}

    def _socket(self, index: int, count: int) -> _Socket:
        along = (index - (count - 1) / 2) * _PITCH
        if self.dy:
            return _Socket(_Point(self.x + along, self.y + self.dy * self.height / 2), 0.0, self.dy)
        return _Socket(_Point(self.x + self.dx * self.width / 2, self.y + along), self.dx, 0.0)


def render_svg(cables: CableMap, title: str) -> str:
    """A whole SVG document; light and dark, readable without colour (a cable's state is its pattern too)."""
    seats = _seats(cables.macs)
    left, top = min(seat.x - seat.width / 2 for seat in seats) - _MARGIN, min(seat.y - seat.height / 2 for seat in seats) - 2 * _MARGIN
    right, bottom = max(seat.x + seat.width / 2 for seat in seats) + _MARGIN, max(seat.y + seat.height / 2 for seat in seats) + 2 * _MARGIN
    width, height = max(right - left, 640.0), bottom - top
    left = (left + right - width) / 2
    sockets = {end: socket for seat in seats for end, socket in seat.sockets().items()}
    drawn = [cable for cable in cables.cables if cable.a in sockets]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{left:.0f} {top:.0f} {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{_STYLE}</style>",
        f'<rect class="page" x="{left:.0f}" y="{top:.0f}" width="{width:.0f}" height="{height:.0f}"/>',
        f'<text class="title" x="{left + _MARGIN:.0f}" y="{top + _MARGIN:.0f}">{escape(title)}</text>',
        *(_cable(cable, sockets) for cable in drawn),
        *(part for seat in seats for part in _box(seat, cables)),
        *_labels(drawn, sockets, seats),
        *_legend(cables, left + _MARGIN, bottom - _MARGIN * 0.6),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _seats(macs: Sequence[DrawnMac]) -> list[_Seat]:
    """Around an ellipse, clockwise in inventory order; two Macs beside each other, four in a square."""
    count = max(len(macs), 1)
    start = pi if count == 2 else -pi / 2 - (pi / count if count % 2 == 0 else 0.0)
    reach_x, reach_y = max(310.0, 66.0 * count), max(225.0, 56.0 * count)
    return [_seat(mac, start + 2 * pi * index / count, reach_x, reach_y) for index, mac in enumerate(macs)]


def _seat(mac: DrawnMac, angle: float, reach_x: float, reach_y: float) -> _Seat:
    x, y = reach_x * cos(angle), reach_y * sin(angle)
    if abs(sin(angle)) > 0.45:
        return _Seat(mac, x, y, _BOX_W, _BOX_H, 0.0, 1.0 if y < 0 else -1.0)
    return _Seat(mac, x, y, _BOX_W, max(_BOX_H, _PITCH * len(mac.ports) + 10), 1.0 if x < 0 else -1.0, 0.0)


def _curve(cable: DrawnCable, sockets: dict[End, _Socket]) -> tuple[_Point, _Point, _Point, _Point]:
    """Leaves each port straight on; a cable to a Mac that is not drawn ends after a hand's breadth."""
    one = sockets[cable.a]
    start = one.off(_PORT_H / 2)
    if cable.b is None or cable.b not in sockets:
        return start, one.off(30), one.off(50), one.off(70)
    other = sockets[cable.b]
    end = other.off(_PORT_H / 2)
    pull = min(190.0, max(50.0, 0.45 * hypot(start.x - end.x, start.y - end.y)))
    return start, one.off(pull), other.off(pull), end


def _cable(cable: DrawnCable, sockets: dict[End, _Socket]) -> str:
    a, b, c, d = _curve(cable, sockets)
    path = f"M{a.x:.1f} {a.y:.1f}C{b.x:.1f} {b.y:.1f} {c.x:.1f} {c.y:.1f} {d.x:.1f} {d.y:.1f}"
    told = f"{cable}: {_told(cable)}{f': {cable.why}' if cable.why else ''}"
    return (
        f'<g><title>{escape(told)}</title><path class="halo" d="{path}"/><path class="cable {_CLASSES[cable.state]}" d="{path}"/></g>'
    )  # fmt: skip


def _told(cable: DrawnCable) -> str:
    if cable.state is CableState.MISSING:
        return "no cable"
    if cable.speed_gb_s is None and cable.state is CableState.THERE:
        return _WORDS[cable.state]
    return f"{cable.speed}, {_WORDS[cable.state]}{', through a hub' if cable.via_hub else ''}"


def _box(seat: _Seat, cables: CableMap) -> Iterator[str]:
    left, top = seat.x - seat.width / 2, seat.y - seat.height / 2
    unread = " unread" if seat.mac.unread else ""
    yield f'<rect class="mac{unread}" x="{left:.1f}" y="{top:.1f}" width="{seat.width:.0f}" height="{seat.height:.0f}" rx="12"/>'
    shift = 0 if seat.mac.unread else -8 if seat.dy > 0 else 14 if seat.dy < 0 else 0
    y, x = seat.y + shift, seat.x - (24 * seat.dx)
    yield f'<text class="name" text-anchor="middle" x="{x:.1f}" y="{y - 6:.1f}">{escape(_short(seat.mac.name))}</text>'
    yield f'<text class="kind" text-anchor="middle" x="{x:.1f}" y="{y + 12:.1f}">{escape(_short(seat.mac.kind))}</text>'
    if seat.mac.unread:
        yield f'<text class="kind" text-anchor="middle" x="{x:.1f}" y="{y + 30:.1f}">not read</text>'
        yield f"<title>{escape(seat.mac.unread)}</title>"
    sockets = seat.sockets()
    for port in seat.mac.ports:
        yield _port(port, End(seat.mac.name, port.receptacle), sockets[End(seat.mac.name, port.receptacle)], cables)


def _short(text: str) -> str:
    """As much as a box has room for."""
    return text if len(text) <= 27 else f"{text[:26]}…"


def _port(port: DrawnPort, end: End, socket: _Socket, cables: CableMap) -> str:
    inside = cables.at(end)
    kind = f" port-{_CLASSES[inside[0].state]}" if inside else " port-device" if port.other_device else ""
    label = socket.off(-23)
    x, y = socket.at.x, socket.at.y
    anchor = "middle" if socket.dy else "end" if socket.dx > 0 else "start"
    label_x = label.x if socket.dy else x - socket.dx * (_PORT_W / 2 + 5)
    return (
        f"<g><title>{escape(_port_told(port, end))}</title>"
        f'<rect class="port{kind}" x="{x - _PORT_W / 2:.1f}" y="{y - _PORT_H / 2:.1f}" '
        f'width="{_PORT_W:.0f}" height="{_PORT_H:.0f}" rx="4"/>'
        f'<text class="number" text-anchor="middle" x="{x:.1f}" y="{y + 4:.1f}">{port.receptacle}</text>'
        f'<text class="interface" text-anchor="{anchor}" x="{label_x:.1f}" y="{label.y + 4:.1f}">{escape(port.interface or "")}</text></g>'
    )


def _port_told(port: DrawnPort, end: End) -> str:
    rdma = f"rdma_{port.interface} {port.rdma}" if port.rdma else "no RDMA device"
    device = "a disk, a dock or a display" if port.other_device else ""
    return ", ".join(filter(None, (str(end), port.interface or "no interface", rdma, *port.addresses, device)))


def _labels(cables: Sequence[DrawnCable], sockets: dict[End, _Socket], seats: Sequence[_Seat]) -> Iterator[str]:
    """The speed on each cable, where no other label and no box is; with many cables only on those that are not right."""
    most, _ = Counter(cable.state for cable in cables).most_common(1)[0] if cables else (None, 0)
    taken = [(seat.x - seat.width / 2, seat.y - seat.height / 2, seat.x + seat.width / 2, seat.y + seat.height / 2) for seat in seats]
    for cable in cables:
        if len(cables) > _MOST_LABELS and cable.state in (*_AS_IT_SHOULD_BE, most):
            continue
        words = cable.speed if cable.state in _AS_IT_SHOULD_BE and cable.speed_gb_s else _told(cable)
        shares = (20,) if cable.b is None else (10, 9, 11, 8, 12, 7, 13, 6, 14, 5, 15, 4, 16)
        words = f"another Mac, {words}" if cable.b is None else words
        width = 6.1 * len(words) + 12
        others = [point for other in cables if other is not cable for point in _points(other, sockets)]
        places = [_on(_curve(cable, sockets), share / 20) for share in shares]
        free = [place for place in places if not any(_overlap(place, width, other) for other in taken)] or places
        at = min(free, key=lambda place: sum(abs(point.x - place.x) < width / 2 + 4 and abs(point.y - place.y) < 14 for point in others))
        taken.append((at.x - width / 2, at.y - 9, at.x + width / 2, at.y + 9))
        yield f'<rect class="plate" x="{at.x - width / 2:.1f}" y="{at.y - 9:.1f}" width="{width:.0f}" height="18" rx="9"/>'
        yield f'<text class="label" text-anchor="middle" x="{at.x:.1f}" y="{at.y + 4:.1f}">{escape(words)}</text>'


def _points(cable: DrawnCable, sockets: dict[End, _Socket]) -> list[_Point]:
    return [_on(_curve(cable, sockets), share / 60) for share in range(61)]


def _on(curve: tuple[_Point, _Point, _Point, _Point], t: float) -> _Point:
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
    x = sum(weight * point.x for weight, point in zip(weights, curve, strict=True))
    return _Point(x, sum(weight * point.y for weight, point in zip(weights, curve, strict=True)))


def _overlap(at: _Point, width: float, other: tuple[float, float, float, float]) -> bool:
    left, top, right, bottom = other
    return at.x - width / 2 < right + 3 and at.x + width / 2 > left - 3 and at.y - 9 < bottom + 3 and at.y + 9 > top - 3


def _legend(cables: CableMap, x: float, y: float) -> Iterator[str]:
    """Each state there is, with how many cables are in it."""
    for state in CableState:
        found = cables.of(state)
        if not found:
            continue
        speeds = sorted({cable.speed for cable in found if cable.speed_gb_s})
        words = f"{len(found)} × {', '.join((*speeds, _WORDS[state]))}"
        yield f'<path class="cable {_CLASSES[state]}" d="M{x:.0f} {y - 4:.0f}h34"/>'
        yield f'<text x="{x + 42:.0f}" y="{y:.0f}">{escape(words)}</text>'
        x += 42 + 6.6 * len(words) + 26
