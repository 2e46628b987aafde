"""The body of /health: what the gateway knows of its gang, for people and for `macfleet status`."""

from __future__ import annotations

from typing import Any

from macfleet.gateway.gang import Seat
from macfleet.gateway.service import Service


def render_health(service: Service, now: float) -> dict[str, Any]:
    """`state` is "ready" when requests are answered; else `reason` says what is awaited. `now`: monotonic seconds."""
    config, gang = service.config, service.gang
    return {
        "state": service.state,
        "reason": service.why_closed() or None,
        "service": config.service,
        "model": config.model,
        "epoch": gang.epoch,
        "running": service.desk.running,
        "waiting": service.desk.waiting,
        "workers": [_render_worker(seat, now) for seat in gang.seats],
    }


def _render_worker(seat: Seat, now: float) -> dict[str, Any]:
    return {
        "rank": seat.rank,
        "mac": seat.mac,
        "layers": [seat.first_layer, seat.last_layer],
        "state": _worker_state(seat),
        "trouble": seat.trouble,
        "pid": seat.hello.pid if seat.hello else None,
        "version": seat.hello.version if seat.hello else None,
        "weights_sha256": seat.hello.weights_sha256 if seat.hello else None,
        "phase_s": seat.hello.phase_s if seat.hello else {},
        "heard_s_ago": round(now - seat.heard_at, 2) if seat.heard_at else None,
        "active": seat.beat.active if seat.beat else 0,
        "busy_s": seat.beat.busy_s if seat.beat else None,
        "rss_bytes": seat.beat.rss_bytes if seat.beat else None,
        "work": seat.beat.work.model_dump(mode="json") if seat.beat and seat.beat.work else None,
    }


def _worker_state(seat: Seat) -> str:
    if seat.is_here:
        return "ready" if seat.is_ready else "connected"
    if seat.is_heard:
        return "loading"
    if seat.trouble:
        return "failed"
    return "lost" if seat.hello else "expected"
