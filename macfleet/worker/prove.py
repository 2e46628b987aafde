"""`python -m macfleet.worker.prove MODEL_DIR`: whether models of that config.json survive being split.

Needs nothing but MODEL_DIR/config.json. Says it in one JSON line on stdout, and ends with 0 when it is proved, 1 when it is not,
2 when the request is wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from macfleet.core.errors import MacfleetError, RequestError
from macfleet.core.json_log import JsonFormatter
from macfleet.models.kv import GROUP_SIZES, KvQuantization

log = logging.getLogger("macfleet.worker.prove")


def main(arguments: list[str]) -> int:
    asked = _parser().parse_args(arguments)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        config = _read(asked.model_dir / "config.json")
    except RequestError as error:
        log.error(str(error))
        return error.exit_code
    # The finest groups: heads of a small model are no longer than one of them.
    kv = KvQuantization(asked.kv_bits, GROUP_SIZES[-1]) if asked.kv_bits else None
    with contextlib.redirect_stdout(sys.stderr):  # what a family's own code may print is not the answer
        answer = _answer(config, kv)
    log.info("proved" if answer["is_proved"] else "not proved", extra=answer)
    return 0 if answer["is_proved"] else 1


def _answer(config: Mapping[str, Any], kv: KvQuantization | None) -> dict[str, Any]:
    from macfleet.worker.mlx.prove import prove

    began = time.monotonic()
    said = {"family": str(config.get("model_type")), "mlx_lm": version("mlx-lm")}
    try:
        proof = prove(config, kv)
    except MacfleetError as error:
        return {**said, "is_proved": False, "reason": str(error)}
    except Exception as error:  # a stage that does not even run is as wrong as one that says something else
        return {**said, "is_proved": False, "reason": f"{type(error).__name__}: {error}"}
    took_s = round(time.monotonic() - began, 1)
    return {**said, "is_proved": True, "layers": proof.layers, "stages": proof.stages, "why_alone": proof.why_alone, "took_s": took_s}


def _read(file: Path) -> Mapping[str, Any]:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestError(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise RequestError(f"{file} is not JSON: {error}") from error
    if not isinstance(config, dict) or "model_type" not in config:
        raise RequestError(f"{file} names no family (model_type)")
    return config


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m macfleet.worker.prove", description=__doc__)
    parser.add_argument("model_dir", type=Path, metavar="MODEL_DIR")
    parser.add_argument("--kv-bits", type=int, choices=(4, 8), help="with KV caches in so many bits")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
