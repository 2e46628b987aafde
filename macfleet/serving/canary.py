"""The last proof before a service is called ready: not that a port opens, but that what comes out of it is right.

Which proof is honest depends on the model. One that has learned to read gets a needle: a code word hidden in a long text,
asked for at temperature 0; short greetings pass where long prompts come out corrupted (mlx#4342, exo#2270). A model too
small to find a needle, or with random weights, would fail that while working perfectly. It gets the same prompt twice at
temperature 0 and must say the same both times, with as many tokens as were counted; later, after a reboot, once, and must
say what it said when it was deployed.
"""

from __future__ import annotations

from dataclasses import dataclass

from macfleet.core.errors import ServiceFailed
from macfleet.serving.gateway import Gateway

# About 3 billion parameters at 4 bit. Below that, retrieval over thousands of tokens is luck.
_READS_BYTES = 1_500_000_000
_NEEDLE_TOKENS = 6000
_TOKENS_PER_LINE = 24  # of the filler below, about, in any of the tokenizers
_CODE_WORD = "heliotrope-7391"
_DEADLINE_S = 300.0


@dataclass(frozen=True)
class Canary:
    """What is asked. `kind` is "needle" or "same-twice"."""

    kind: str
    prompt: str
    max_tokens: int


@dataclass(frozen=True)
class Passed:
    """What was proved, for people; `answer` is what must come again when the same `canary` is asked."""

    canary: Canary
    prompt_tokens: int
    sentence: str
    answer: str

    @property
    def kind(self) -> str:
        return self.canary.kind


class CanaryFailed(ServiceFailed):
    """The service answers, and what it answers is wrong: waiting will not mend it."""


def choose_canary(weight_bytes: int, context_tokens: int) -> Canary:
    """The proof that fits a model of this size in a context of this length."""
    room = context_tokens * 3 // 4
    if weight_bytes < _READS_BYTES or room < 400:
        return Canary("same-twice", _filler(min(2, max(1, room // (2 * _TOKENS_PER_LINE)))), 8)
    lines = min(_NEEDLE_TOKENS, room) // _TOKENS_PER_LINE
    text = _filler(lines // 3) + f"Note: the code word of this archive is {_CODE_WORD}.\n" + _filler(lines - lines // 3)
    question = f"{text}\nWhat is the code word of this archive? Answer with the code word only."
    return Canary("needle", question, 400)  # a model that thinks aloud needs the room


def run_canary(gateway: Gateway, canary: Canary, expected: str = "") -> Passed:
    """Raises CanaryFailed with what came back instead, ServiceFailed when nothing came.

    `expected`: what the same service said when it was deployed.
    """
    if canary.kind == "needle":
        return _needle(gateway, canary)
    return _same_as(gateway, canary, expected) if expected else _same_twice(gateway, canary)


def _needle(gateway: Gateway, canary: Canary) -> Passed:
    answer = gateway.ask(canary.prompt, max_tokens=canary.max_tokens, timeout_s=_DEADLINE_S)
    if _CODE_WORD not in answer.text.lower():
        raise CanaryFailed(
            "the canary failed: the service answers, but not from what it was given",
            truths=(
                f"a prompt of {answer.prompt_tokens} tokens holds a code word; asked for it, the model said {_short(answer.text)}",
                "long prompts are corrupted somewhere between the stages, or the weights are not what they should be",
            ),
            hint="try another `interconnect: kind` (tcp is the slowest and surest), then deploy again",
        )
    return Passed(canary, answer.prompt_tokens, f"a code word was found in {answer.prompt_tokens} tokens", _CODE_WORD)


def _same_as(gateway: Gateway, canary: Canary, expected: str) -> Passed:
    answer = gateway.complete(canary.prompt, max_tokens=canary.max_tokens, timeout_s=_DEADLINE_S)
    if answer.text != expected:
        raise CanaryFailed(
            "the canary failed: the service does not say any more what it said when it was deployed",
            truths=(f"then {_short(expected)}", f"now {_short(answer.text)}", "both at temperature 0"),
            hint="deploy it again: that stages and hashes the weights anew",
        )
    return Passed(canary, answer.prompt_tokens, f"the same {answer.completion_tokens} tokens as at its deployment", answer.text)


def _same_twice(gateway: Gateway, canary: Canary) -> Passed:
    first, second = (gateway.complete(canary.prompt, max_tokens=canary.max_tokens, timeout_s=_DEADLINE_S) for _ in range(2))
    if first != second:
        raise CanaryFailed(
            "the canary failed: the same prompt at temperature 0 gave two answers",
            truths=(f"first {_short(first.text)} ({first.completion_tokens} tokens)", f"then {_short(second.text)}"),
            hint="the stages do not compute the same thing twice: look at the workers' logs",
        )
    is_cut = first.finish_reason == "length"
    if first.completion_tokens > canary.max_tokens or (is_cut and first.completion_tokens < canary.max_tokens):
        raise CanaryFailed(
            f"the canary failed: {canary.max_tokens} tokens were asked for, {first.completion_tokens} came, and it says "
            f'"{first.finish_reason}"'
        )
    sentence = f"the same {first.completion_tokens} tokens twice after {first.prompt_tokens}"
    return Passed(canary, first.prompt_tokens, sentence, first.text)


def _filler(lines: int) -> str:
    """Lines that differ, so that a lost or doubled one would change the answer."""
    return "".join(
        f"Shelf {line} of the archive holds {(line * 37) % 89 + 3} folders about the weather of the year {1900 + line % 90}.\n"
        for line in range(1, lines + 1)
    )


def _short(text: str) -> str:
    folded = " ".join(text.split())
    return f'"{folded[:80]}…"' if len(folded) > 80 else f'"{folded}"'
