"""Ctrl-C at every bytecode of the table's verbs; then the verb is repeated, as the table asks."""

from __future__ import annotations

import itertools
import os

import pytest

from holdfast.errors import LockLost
from holdfast.locks.table import Claim
from holdfast.locks.terms import EXCLUSIVE, SHARED, slots
from holdfast.testing.faults import interrupt
from tests.properties.histories import Story, conflict

STRIDE = 1 if os.environ.get("HOLDFAST_SOAK") == "1" else 3
"""Every bytecode in the soak, every third in between."""

TORN = (
    ("ask", (("y", slots(2)),)),
    ("ask", (("x", slots(3)), ("y", slots(1)), ("z", slots(2)))),
    ("ask", (("z", slots(4)),)),
    ("ask", (("y", slots(2)),)),
    ("ask", (("z", slots(1)),)),
    ("ask", (("z", slots(1)), ("x", slots(2)))),
    ("ask", (("y", slots(3)),)),
)
"""Asks for slots of several names, where a grant may free others."""

WORLDS = {
    "nobody": (),
    "one holder": (("ask", (("x", EXCLUSIVE),)),),
    "a queue": tuple(("ask", (("x", mode),)) for mode in (SHARED, EXCLUSIVE, SHARED, SHARED)),
    "several names": (
        ("ask", (("x", EXCLUSIVE), ("y", SHARED))),
        ("ask", (("y", EXCLUSIVE),)),
        ("ask", (("x", SHARED), ("y", SHARED))),
        ("ask", (("x", SHARED),)),
    ),
    "slots": tuple(("ask", (("x", slots(n)),)) for n in (2, 2, 1, 2)),
    "torn": TORN,
}
ASKS = {
    "exclusive": (("x", EXCLUSIVE),),
    "shared": (("x", SHARED), ("y", SHARED)),
    "slots": (("x", slots(1)), ("y", slots(2))),
}


def healthy(story: Story, everybody: list[Claim]) -> None:
    """The invariants, without the oracle: who was interrupted may have lost his place."""
    holders = [claim for claim in everybody if claim.state == "held"]
    assert all(token > 0 for claim in holders for token in claim.tokens.values())
    for one, other in itertools.combinations(holders, 2):
        assert not conflict(one, other)
    for claim in everybody:
        if claim.state == "waiting":
            assert story.table.blockers(claim), f"{claim.wants} waits for nobody"
    seats = {seat.claim for line in story.table.lines.values() for seat in line}
    assert seats == {claim for claim in everybody if claim.state in ("held", "waiting")}
    for claim in everybody:
        story.table.leave(claim)
    assert story.table.lines == {}
    assert story.table._tangled == set()


def test_ask_interrupted_anywhere_and_repeated_is_as_if_not_interrupted():
    for world, wants, stay in itertools.product(WORLDS.values(), ASKS.values(), (True, False)):
        twin = Story().fold(world)
        expected = twin.ask(wants, stay=stay)
        for point in itertools.count(1, STRIDE):
            story = Story().fold(world)
            claim = Claim(wants)
            more = interrupt(lambda s=story, c=claim, w=stay: s.table.enter(c, w), point)
            story.table.enter(claim, stay)
            assert claim.state == expected.state
            assert story.shape() == [s for s in twin.shape() if s[0] < len(story.live)]
            healthy(story, [*story.live, claim])
            if not more:
                break


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["leave", "lose"])
def test_leaving_interrupted_anywhere_and_repeated_is_as_if_not_interrupted(verb):
    for world in WORLDS.values():
        for place in range(len(world)):
            twin = Story().fold(world)
            twin.go(list(twin.live)[place])
            for point in itertools.count(1, STRIDE):
                story = Story().fold(world)
                claim = list(story.live)[place]
                act = _leaving(story, claim, verb)
                more = interrupt(act, point)
                act()
                everybody = list(story.live)
                assert claim.state == ("gone" if verb == "leave" else "lost")
                del story.live[claim]
                assert story.shape() == twin.shape()
                news = {each.ticket for each in story.table.news} - {claim.ticket}
                assert news == {each.ticket for each in twin.table.news}
                healthy(story, everybody)
                if not more:
                    break


def _leaving(story: Story, claim: Claim, verb: str):
    error = LockLost(claim.names, "somebody took it")
    if verb == "leave":
        return lambda: story.table.leave(claim)
    return lambda: story.table.lose(claim, error)


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["enter", "leave"])
@pytest.mark.parametrize("mode", [EXCLUSIVE, SHARED, slots(1), slots(3)], ids=str)
def test_others_go_on_between_an_interruption_and_the_repetition(verb, mode):
    """Another thread comes in before the one that was interrupted gets to tidy up."""
    for world, asked in itertools.product(WORLDS.values(), ASKS.values()):
        for point in itertools.count(1, STRIDE):
            story = Story().fold(world)
            claims = list(story.live)
            claim = Claim(asked) if verb == "enter" or not claims else claims[0]
            act = story.table.enter if verb == "enter" else story.table.leave
            more = interrupt(lambda a=act, c=claim: a(c), point)
            other, both = Claim((("x", mode),)), Claim((("z", slots(4)), ("y", mode)))
            story.table.enter(other)
            story.table.enter(both)
            story.table.leave(claims[-1] if claims else other)
            story.table.leave(claim)
            healthy(story, list({*claims, claim, other, both}))
            if not more:
                break
