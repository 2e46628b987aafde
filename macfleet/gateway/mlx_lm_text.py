"""mlx-lm's knowledge of how models mark reasoning and tool calls, without mlx: the gateway computes nothing.

`mlx_lm/__init__.py` imports all of mlx-lm and with it mlx. The part about tokenizers needs neither, so here the package is
entered without its front door; a process that has mlx-lm already (a test, the lab) uses it as it is.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from macfleet.core.errors import MacfleetError

_PACKAGE = "mlx_lm"


def load_tokenizer(model_dir: Path, eos: list[int] | None) -> Any:
    """mlx-lm's wrapper around the tokenizer of transformers. Raises what transformers' parsers raise."""
    return _tokenizer_utils().load(model_dir, eos_token_ids=eos)


def _tokenizer_utils() -> ModuleType:
    if _PACKAGE not in sys.modules:
        spec = find_spec(_PACKAGE)
        if spec is None or spec.submodule_search_locations is None:
            raise MacfleetError("mlx-lm is not installed here", hint="`macfleet provision` installs the runtime")
        bare = ModuleType(_PACKAGE)
        bare.__path__ = list(spec.submodule_search_locations)
        bare.__spec__ = spec
        sys.modules[_PACKAGE] = bare
    return import_module(f"{_PACKAGE}.tokenizer_utils")
