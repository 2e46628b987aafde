"""The environment variables that MLX reads, which must be there before it is imported. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from macfleet.worker.config import WorkerConfig

# Presence counts for some (MLX_JACCL_RING=0 still means a ring), so what is not meant must not be there at all.
_OURS = (
    "MLX_RANK",
    "MLX_HOSTFILE",
    "MLX_RING_VERBOSE",
    "MLX_IBV_DEVICES",
    "MLX_JACCL_COORDINATOR",
    "MLX_JACCL_RING",
    "MLX_METAL_FAST_SYNCH",
    "JACCL_RANK",
    "JACCL_IBV_DEVICES",
    "JACCL_COORDINATOR",
    "JACCL_RING",
)


def mlx_environment(config: WorkerConfig, environment: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a worker: what was there, without any MLX distributed variable that this config does not mean."""
    wanted = {name: value for name, value in environment.items() if name not in _OURS}
    if config.world > 1 and config.kind == "ring" and config.ring is not None:
        wanted |= {"MLX_RANK": str(config.rank), "MLX_HOSTFILE": str(config.ring.hostfile)}
    if config.world > 1 and config.kind in ("jaccl", "jaccl-ring") and config.jaccl is not None:
        wanted |= {
            "MLX_RANK": str(config.rank),
            "MLX_IBV_DEVICES": str(config.jaccl.devices_file),
            "MLX_JACCL_COORDINATOR": config.jaccl.coordinator,
        }
        if config.kind == "jaccl-ring":
            wanted["MLX_JACCL_RING"] = "1"
        if config.jaccl.fast_synch:
            wanted["MLX_METAL_FAST_SYNCH"] = "1"
    # Several workers share a machine only in a rehearsal, where each BLAS would start a thread per core for nothing: with one
    # thread or two, SmolLM2 took the same 85 ms of CPU per token and 53 per prompt token. On a Mac Accelerate does the work.
    wanted.setdefault("OPENBLAS_NUM_THREADS", "1")
    wanted.setdefault("OMP_NUM_THREADS", "1")
    return wanted
