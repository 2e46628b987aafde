"""Tiny models whose weights mlx-lm has packed: 4 or 8 bits, mxfp4, some layers otherwise than the rest, some not at all."""

import itertools
import json

from mlx_lm.utils import load_model, quantize_model, save_model

from macfleet.serving.model import load_model as look_at
from macfleet.serving.staging import sources
from macfleet.worker.mlx.tiny import make_tiny

EIGHT_BITS = {"group_size": 32, "bits": 8}


def mixed(path, _module):
    """As unsloth's and mlx-community's mixed quantizations: some projections wider, some left as they are."""
    if "down_proj" in path or "embed_tokens" in path or "lm_head" in path:
        return EIGHT_BITS
    return "layers.1.self_attn" not in path


def make_quantized(folder, config, *, group_size, bits, mode="affine", predicate=None):
    """A model directory as `mlx_lm.convert -q` writes it."""
    wide = make_tiny(folder / "wide", config)
    model, _ = load_model(wide)
    model, packed = quantize_model(model, dict(config), group_size, bits, mode=mode, quant_predicate=predicate)
    directory = folder / "packed"
    directory.mkdir()
    save_model(directory, model)
    (directory / "config.json").write_text(json.dumps(packed))
    return directory


def stage(directory, cuts):
    """Beside the whole model the files that `deploy` sends for these stages, which a worker takes when they are there. Their card."""
    model = look_at("packed", directory)
    for first, last in itertools.pairwise(cuts):
        weights = sources(model, first, last)[-1]
        (directory / weights.name).write_bytes(b"".join(weights.pieces()))
    return model.card
