"""Random requests through a scheduler and stages that check each step: what must be so whatever comes, in whatever order."""

from collections import deque
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from macfleet.engines.protocol import Failed, Submit, Token
from macfleet.worker.engine import Picked, Reach
from macfleet.worker.frames import Kind
from macfleet.worker.scheduler import Limits, Scheduler

CONTEXT_TOKENS, MOST_TOKENS = 1500, 6


class NotComputed(Exception):
    """What a stage says of a step."""


class Stage:
    """The tokens in each cache, instead of what a model makes of them."""

    def __init__(self, limits):
        self.limits = limits
        self.slots, self.kept, self.lanes = {}, {}, {}

    def apply(self, step):
        match step.kind:
            case Kind.OPEN:
                self.slots[step.slot] = self._begin(step.reuse)
                assert len(self.slots) <= self.limits.concurrency
            case Kind.PREFILL:
                self._add(step.slot, step.position, step.tokens)
            case Kind.DECODE:
                for member, token in zip(step.members, step.tokens, strict=True):
                    self._add(member.slot, member.position, (token,))
                self._together(step.slot, [member.slot for member in step.members])
            case Kind.KEEP:
                self.kept[step.position] = list(self.slots[step.slot])
            case Kind.DROP:
                self.kept.pop(step.position, None)
            case Kind.FREE:
                self.slots.pop(step.slot, None)
                self._together(0, [step.slot])

    def _begin(self, reuse):
        if reuse is None:
            return []
        if reuse.prefix not in self.kept:
            raise NotComputed(f"the prefix {reuse.prefix} is not kept here")
        assert self.limits.reach is Reach.ANY or reuse.tokens == len(self.kept[reuse.prefix])
        return self.kept[reuse.prefix][: reuse.tokens]

    def _add(self, slot, position, tokens):
        if slot not in self.slots or position != len(self.slots[slot]):
            raise NotComputed(f"token {position} of slot {slot} came out of turn")
        self.slots[slot] = [*self.slots[slot], *tokens]

    def _together(self, lane, slots):
        others = {number: [slot for slot in rows if slot not in slots] for number, rows in self.lanes.items() if number != lane}
        self.lanes = {**others, lane: [slot for slot in slots if slot in self.slots]}

    def check_memory(self):
        """At least this much is taken: not what caches have room for beyond it."""
        padded = sum(len(rows) * max(len(self.slots[slot]) for slot in rows) for rows in self.lanes.values() if rows)
        alone = sum(len(tokens) for slot, tokens in self.slots.items() if not any(slot in rows for rows in self.lanes.values()))
        kept = sum(map(len, self.kept.values()))
        assert not kept or padded + alone + kept <= self.limits.concurrency * CONTEXT_TOKENS
        assert self.limits.reach is Reach.ANY or len(self.kept) + len(self.slots) <= self.limits.concurrency


class Gang:
    """Stages in a row. Which of them goes on next is up to chance; what comes to one is done in its order."""

    def __init__(self, seed, reach, failures):
        self.chance, self.failures = Random(seed), failures
        world = self.chance.randint(1, 4)
        self.limits = Limits(self.chance.randint(1, 6), CONTEXT_TOKENS, 64, world + 1, self.chance.random() < 0.8, reach)
        self.turns = Scheduler(1, world, self.limits)
        self.stages = [Stage(self.limits) for _ in range(world)]
        self.inboxes = [deque() for _ in range(world)]  # the first one's: what has come back
        self.on_their_way = 0
        self.prompts, self.answers, self.finished, self.errors = {}, {}, [], []

    def submit(self):
        name, turn = str(len(self.prompts)), self.chance.choice(self.finished) if self.finished and self.chance.random() < 0.5 else None
        history = [*self.prompts[turn], *self.answers[turn]] if turn else []
        shared = list(range(self.chance.choice([0, 30, 200])))
        new = [self.chance.randint(1, 5000) for _ in range(self.chance.choice([1, 2, 20, 300, 900]))]
        prompt = tuple([*(history or shared), *new][-CONTEXT_TOKENS + 1 :])
        self.prompts[name], self.answers[name] = prompt, []
        assert self.turns.submit(Submit(request=name, epoch=1, prompt=prompt, max_tokens=self.chance.randint(1, MOST_TOKENS))) is None

    def cancel(self):
        self.turns.cancel(self.chance.choice([*self.prompts, "nobody"]))

    def go_on(self):
        """One rank does one thing. False when there is nothing to do."""
        ranks = [rank for rank, inbox in enumerate(self.inboxes) if inbox]
        if not ranks or (not self.inboxes[0] and self.chance.random() < 0.5):
            step = None if self.inboxes[0] else self.turns.next_step(0.0)
            if step is None:
                return bool(ranks) and self._work(self.chance.choice(ranks))
            self.on_their_way += step.kind is Kind.PREFILL
            assert self.failures or self.on_their_way <= self.limits.chunks_ahead, "a failed order is taken for a chunk"
            self._compute(0, step)
            return True
        return self._work(self.chance.choice(ranks))

    def _work(self, rank):
        if rank:
            self._compute(rank, self.inboxes[rank].popleft())
        else:
            self._hear(*self.inboxes[0].popleft())
        return True

    def _compute(self, rank, step):
        stage, is_last = self.stages[rank], rank == len(self.stages) - 1
        try:
            if self.chance.random() < self.failures and step.kind not in (Kind.FREE, Kind.DROP):
                raise NotComputed("no memory")
            stage.apply(step)
        except NotComputed as error:
            self._answer(step, str(error))
            return
        if step.kind in (Kind.PREFILL, Kind.DECODE):
            stage.check_memory()
        if not is_last:
            self.inboxes[rank + 1].append(step)
        elif step.kind is Kind.PREFILL:
            self._answer(step, None)
        elif step.kind is Kind.DECODE:
            self._answer(step, [Picked(after(stage.slots[member.slot])) for member in step.members])

    def _answer(self, step, what):
        self.inboxes[0].append((step, what))

    def _hear(self, step, what):
        times = [self.chance.random() for _ in self.stages]
        self.on_their_way -= step.kind is Kind.PREFILL
        if isinstance(what, str):
            said = self.turns.failed(step.slot, step.members, what)
        elif step.kind is Kind.PREFILL:
            self.turns.filled(step.slot, len(step.tokens), times)
            said = []
        else:
            said = self.turns.picked(step.slot, step.members, what, times, 1.0)
        for message in said:
            self._said(message)

    def _said(self, message):
        if isinstance(message, Failed):
            self.errors.append(message.error)
            return
        assert isinstance(message, Token)
        answer = self.answers[message.request]
        assert message.index == len(answer)
        answer.append(message.token)
        assert tuple(answer) == alone(self.prompts[message.request], len(answer)), "the answer is not what the prompt gets when it is alone"
        if message.finished:
            self.finished.append(message.request)


def after(tokens):
    """The token behind these: another one if any of them were another."""
    return hash(tuple(tokens)) % 5000 + 1


def alone(prompt, length):
    tokens = list(prompt)
    for _ in range(length):
        tokens.append(after(tokens))
    return tuple(tokens[len(prompt) :])


def run(seed, reach, failures=0.0, cancels=0.0):
    gang = Gang(seed, reach, failures)
    for _ in range(30):
        gang.submit()
        for _ in range(gang.chance.choice([0, 3, 60])):
            gang.go_on()
        if gang.chance.random() < cancels:
            gang.cancel()
    while gang.go_on():
        pass
    return gang


@settings(max_examples=25)
@given(seed=st.integers(0, 1 << 30), reach=st.sampled_from(Reach))
def test_every_request_gets_the_answer_it_gets_alone(seed, reach):
    gang = run(seed, reach)

    assert len(gang.finished) == len(gang.prompts)
    assert gang.errors == []


@settings(max_examples=25)
@given(seed=st.integers(0, 1 << 30), reach=st.sampled_from(Reach))
def test_nothing_is_left_of_those_who_leave_or_fail(seed, reach):
    gang = run(seed, reach, failures=0.003, cancels=0.3)

    assert gang.turns.active == 0
    assert [stage.slots for stage in gang.stages] == [{} for _ in gang.stages]
    gang.failures = 0.0
    gang.submit()
    while gang.go_on():
        pass
    assert gang.turns.active == 0
    assert gang.on_their_way == 0


@pytest.mark.parametrize("reach", Reach)
def test_conversations_find_what_was_kept_of_them(reach):
    hits = [run(seed, reach).turns.prefixes.hits for seed in range(10)]

    assert sum(hits) > 3
