"""What was heard against what the model says alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from asked import Asked, Heard, Style
from lone import Draw, Lone, Run
from questions import Question

from macfleet.api.detokenize import Detokenizer

# In text of real words the token that differs may have begun a little before the first letter that does.
_LETTERS_LATE = 3
_MOST_TIES = 4  # of one answer; more would be no accident of rounding


class Kind(StrEnum):
    EQUAL = "equal"
    TIED = "tied"  # went another way where two tokens tie, and was right on that way
    WRONG = "wrong"
    LOST = "lost"  # an error, or no end


@dataclass(frozen=True)
class Verdict:
    """On one choice of one answer. `gap`: of a tie, the widest."""

    kind: Kind
    why: str = ""
    gap: float = 0.0


@dataclass(frozen=True)
class _Expected:
    """One way that an answer may go: how its text grows token by token, and how it ends."""

    run: Run
    texts: list[str]
    reason: str

    @property
    def text(self) -> str:
        return self.texts[-1]


class Comparison:
    """Computes each lone run once; the longest that is wanted has to be told before."""

    def __init__(self, lone: Lone, asked: Sequence[Asked]):
        self._lone = lone
        self._longest: dict[tuple[tuple[int, ...], Draw], int] = {}
        for one in asked:
            for choice in range(one.style.choices):
                key = (one.question.prompt, one.question.drawn(choice))
                self._longest[key] = max(one.style.most_tokens, self._longest.get(key, 0))
        self._runs: dict[tuple[tuple[int, ...], Draw, tuple[int, ...]], Run] = {}

    @property
    def count(self) -> int:
        """How many lone runs there are to be computed, ties apart."""
        return len(self._longest)

    def verdicts(self, asked: Asked) -> Iterator[Verdict]:
        """One for each choice."""
        heard, style, question = asked.heard, asked.style, asked.question
        if heard.error is not None:
            yield from [Verdict(Kind.LOST, heard.error)] * style.choices
            return
        if heard.prompt_tokens not in (None, len(question.prompt)):
            yield Verdict(Kind.WRONG, f"the prompt has {len(question.prompt)} tokens, {heard.prompt_tokens} were counted")
        expected, total = [], 0
        for choice in range(style.choices):
            way, verdict = self._judged(question, question.drawn(choice), style, heard, choice)
            expected.append(way)
            yield verdict
        total = sum(len(way.texts) for way in expected)
        if not heard.has_left and heard.tokens != total:
            yield Verdict(Kind.WRONG, f"{heard.tokens} tokens were counted where {total} are expected")

    def _judged(self, question: Question, draw: Draw, style: Style, heard: Heard, choice: int) -> tuple[_Expected, Verdict]:
        gap, forced = 0.0, ()
        for _ in range(_MOST_TIES + 1):
            way = self._expected(question, draw, style, forced)
            why = self._difference(way, style, heard, choice)
            if why is None:
                return way, Verdict(Kind.TIED if forced else Kind.EQUAL, gap=gap)
            found = self._other_way(question, draw, style, way, forced, heard.texts[choice])
            if found is None:
                return way, Verdict(Kind.WRONG, why)
            forced, gap = found[0], max(gap, found[1])
        return way, Verdict(Kind.WRONG, f"{why}, after {_MOST_TIES} ties")

    def _other_way(
        self, question: Question, draw: Draw, style: Style, way: _Expected, forced: tuple[int, ...], text: str
    ) -> tuple[tuple[int, ...], float] | None:
        """A tie at the place where the text leaves this way, and from which it agrees for longer; with its gap."""
        place = _agreed(way.texts, text)
        for tied in range(min(place, len(way.texts) - 1), max(-1, place - 1 - _LETTERS_LATE, len(forced) - 1), -1):
            for token, gap in way.run.near[tied]:
                other = (*way.run.tokens[:tied], token)
                if gap <= self._lone.bound and _agreed(self._expected(question, draw, style, other).texts, text) > place:
                    return other, gap
        return None

    def _expected(self, question: Question, draw: Draw, style: Style, forced: tuple[int, ...]) -> _Expected:
        key = (question.prompt, draw, forced)
        if key not in self._runs:
            self._runs[key] = self._lone.run(question.prompt, self._longest[question.prompt, draw], draw, forced)
        return _cut(self._runs[key], self._lone, style)

    def _difference(self, way: _Expected, style: Style, heard: Heard, choice: int) -> str | None:
        text, reason = heard.texts[choice], heard.reasons[choice]
        if reason is None and heard.has_left:
            return None if way.text.startswith(text) else _shown(way, text)
        if text != way.text:
            return _shown(way, text)
        if reason != way.reason:
            return f"it ended by {reason} and not by {way.reason}"
        if style.has_logprobs:
            return self._logprobs_difference(way, style, heard.logprobs[choice])
        return None

    def _logprobs_difference(self, way: _Expected, style: Style, said: Sequence[float]) -> str | None:
        wanted = way.run.logprobs[: len(way.texts) - (way.run.has_ended and len(way.texts) == len(way.run.tokens))]
        if len(said) != len(wanted) and not style.stops:
            return f"{len(said)} log probabilities came for {len(wanted)} tokens"
        furthest = max((abs(one - other) for one, other in zip(said, wanted, strict=False)), default=0.0)
        return None if furthest <= self._lone.bound else f"a log probability is {furthest:.2g} away from the lone run's"


def _cut(run: Run, lone: Lone, style: Style) -> _Expected:
    """The text after each token, up to the end that this style makes."""
    detokenizer, text, texts = Detokenizer(lambda tokens: str(lone.tokenizer.decode(tokens))), "", []
    for place, token in enumerate(run.tokens[: style.most_tokens]):
        is_end = run.has_ended and place == len(run.tokens) - 1
        is_last = is_end or place == style.most_tokens - 1
        text += "" if is_end else detokenizer.push(token)
        text += detokenizer.flush() if is_last else ""
        at = min((found for stop in style.stops if (found := text.find(stop)) >= 0), default=None)
        texts.append(text if at is None else text[:at])
        if at is not None or is_end:
            return _Expected(run, texts, "stop")
    return _Expected(run, texts, "length")


def _agreed(texts: Sequence[str], text: str) -> int:
    """How many tokens of this way the text goes along with."""
    return next((place for place, grown in enumerate(texts) if not text.startswith(grown)), len(texts))


def _shown(way: _Expected, text: str) -> str:
    place = _agreed(way.texts, text)
    if place == len(way.texts):
        return f"it goes on after its {place} tokens: …{text[len(way.text) :][:40]!r}"
    before = len(way.texts[place - 1]) if place else 0
    token, gap = way.run.near[place][0]
    return (
        f"token {place}: {text[before:][:30]!r} came for {way.text[before:][:30]!r}; the nearest other token, {token}, is {gap:.2g} behind"
    )
