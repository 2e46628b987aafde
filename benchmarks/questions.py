"""What the soak asks: prompts of all lengths, many of which begin alike or go on from an answer, so that kept prefixes are used."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lone import GREEDY, Draw, Lone

FIRST_TURN_TOKENS = 24
ENGLISH = tuple(
    """the sea a ship winter bread clock garden moon library stone river light old small seven letters went home and found nothing
    under table morning wind paper green never told house again field road bird water fire hand song night door far""".split()  # noqa: SIM905  # it is text
)


@dataclass(frozen=True)
class Question:
    """Chat messages, or text to be completed; `prompt` is what the model reads. `before`: of a second turn the first."""

    messages: tuple[dict[str, str], ...]
    text: str
    prompt: tuple[int, ...]
    draw: Draw = GREEDY
    before: Question | None = None

    @property
    def is_chat(self) -> bool:
        return bool(self.messages)

    def drawn(self, choice: int) -> Draw:
        """How one of several choices is drawn: each has a seed of its own."""
        return Draw(self.draw.temperature, self.draw.seed + choice) if self.draw.temperature else GREEDY


def make_pool(lone: Lone, words: Sequence[str], count: int, rng: random.Random) -> list[Question]:
    """So many questions, three of ten of them drawn. The answers before second turns are the lone model's own."""
    beginnings = [_some(words, rng, length) for length in (30, 60, 100, 150, 220, 300)]
    kinds = rng.choices(("short", "own", "shared", "second"), (15, 25, 40, 20), k=count)
    return [_question(lone, kind, words, rng.choice(beginnings), rng) for kind in kinds]


def _question(lone: Lone, kind: str, words: Sequence[str], beginning: str, rng: random.Random) -> Question:
    draw = Draw(rng.choice((0.7, 1.0)), rng.randrange(2**32)) if rng.random() < 0.3 else GREEDY
    match kind:
        case "short":
            return _completion(lone, _some(words, rng, rng.randint(1, 4)), draw)
        case "own":
            return rng.choice((_completion, _chat))(lone, _some(words, rng, rng.randint(5, 120)), draw)
        case "shared":
            return rng.choice((_completion, _chat))(lone, f"{beginning} {_some(words, rng, rng.randint(1, 40))}", draw)
        case _:
            return _second_turn(lone, f"{beginning} {_some(words, rng, 3)}", _some(words, rng, rng.randint(2, 20)), draw)


def _completion(lone: Lone, text: str, draw: Draw) -> Question:
    return Question((), text, tuple(lone.tokenizer.encode(text)), draw)


def _chat(lone: Lone, text: str, draw: Draw) -> Question:
    return _conversation(lone, [{"role": "user", "content": text}], draw)


def _second_turn(lone: Lone, first: str, second: str, draw: Draw) -> Question:
    asked = _chat(lone, first, GREEDY)
    answer = lone.tokenizer.decode(lone.run(asked.prompt, FIRST_TURN_TOKENS).tokens, skip_special_tokens=True)
    messages = [*asked.messages, {"role": "assistant", "content": answer}, {"role": "user", "content": second}]
    return replace(_conversation(lone, messages, draw), before=asked)


def _conversation(lone: Lone, messages: list[dict[str, str]], draw: Draw) -> Question:
    prompt: Any = lone.tokenizer.apply_chat_template(messages, add_generation_prompt=True)
    return Question(tuple(messages), "", tuple(prompt), draw)


def _some(words: Sequence[str], rng: random.Random, count: int) -> str:
    return " ".join(rng.choices(words, k=count))
