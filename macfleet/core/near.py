"""The name that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable


def near(name: str, choices: Iterable[str]) -> str | None:
    """The one of `choices` that `name` is the beginning of, else the one that looks most like it; None when nothing does."""
    from difflib import get_close_matches  # only mistakes pay for it

    lowered = {choice.lower(): choice for choice in choices}
    begun = [choice for choice in lowered if len(name) > 2 and choice.startswith(name.lower())]
    found = begun or get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return lowered[found[0]] if found else None


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """`did you mean "studio-1"?`; without a near name the choices themselves; empty when there are none."""
    known = list(choices)
    close = near(name, known)
    if close is not None:
        return f'did you mean "{close}"?'
    if not known:
        return ""
    shown = ", ".join(known[:12])
    return f"known: {shown}, …" if len(known) > 12 else f"known: {shown}"
