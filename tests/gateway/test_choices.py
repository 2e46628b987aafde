"""Answers that grow side by side, on a desk whose workers are the test itself."""

import asyncio
import contextlib

import pytest

from macfleet.api.request import Endpoint, Request
from macfleet.engines.protocol import Cancel, Sampling, Token
from macfleet.gateway.choices import Growing, side_by_side
from macfleet.gateway.desk import Desk
from macfleet.gateway.metrics import Metrics
from macfleet.gateway.model_text import load_model_text

pytestmark = pytest.mark.anyio

EPOCH = 1


@pytest.fixture(scope="module")
def text(model_dir):
    return load_model_text(model_dir)


@pytest.fixture
def told():
    """What the workers were told."""
    return []


@pytest.fixture
def desk(told):
    desk = Desk(2, 8, told.append, Metrics())
    desk.open(EPOCH)
    return desk


def growing(desk, text, count, **options):
    tickets = [desk.enter((1,), 99, Sampling(), text.eos) for _ in range(count)]
    request = Request(Endpoint.COMPLETION, "tiny", **options)
    return tickets, [Growing(index, ticket, request, text, desk, "normal") for index, ticket in enumerate(tickets)]


def write(desk, text, ticket, words):
    for token in text.prompt(Request(Endpoint.COMPLETION, "tiny", prompt=words)):
        desk.token(Token(request=ticket.id, epoch=EPOCH, index=len(ticket.delivered), token=token))


async def test_an_answer_that_met_its_stop_string_frees_its_place_while_the_one_beside_it_goes_on(desk, text, told):
    (first, second), answers = growing(desk, text, 2, stop=("END",))

    async with contextlib.aclosing(side_by_side(answers)) as pieces:
        write(desk, text, first, "Yes END and more")
        while (await anext(pieces)).finish_reason is None:
            pass

        assert told[-1] == Cancel(request=first.id)
        assert [ticket.outcome for ticket in (first, second)] == ["stop", None]
        assert desk.running == 1


async def test_an_answer_that_goes_wrong_ends_all_of_them(desk, text):
    (first, _), answers = growing(desk, text, 2)
    first.put(None)  # what no worker says

    with pytest.raises(AttributeError):
        async with asyncio.timeout(20), contextlib.aclosing(side_by_side(answers)) as pieces:
            await anext(pieces)
