"""The guarantees of the law by name, over random histories (the style is Ganeti's)."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from holdfast.locks.table import Claim, Table
from holdfast.locks.terms import EXCLUSIVE, SHARED, group, slots
from tests.properties.histories import (
    SLOTS,
    Story,
    asks_slots,
    conflict,
    histories,
    mode_of,
    wants,
)

WHOLE = (EXCLUSIVE, SHARED, group("a"), group("b"))
"""The modes without slots."""


def in_the_way(story: Story, claim: Claim) -> set[Claim]:
    return {seat.claim for seat in story.table.blockers(claim)}


@given(histories(most=20))
def test_table_decides_as_the_oracle_after_every_step(history):
    story = Story()
    for verb, what in history:
        story.step(verb, what)
        for claim, ask in story.live.items():
            assert (claim.state == "held") == ask.held, (claim.wants, claim.state)


@given(histories(modes=SLOTS, most=24))
def test_table_decides_as_the_oracle_where_all_ask_for_slots(history):
    story = Story()
    for verb, what in history:
        story.step(verb, what)
        assert [claim.state == "held" for claim in story.live] == [
            ask.held for ask in story.live.values()
        ]


@given(histories(), wants())
def test_try_decides_as_the_oracle_and_leaves_no_trace(history, asked):
    story = Story().fold(history)
    before = {name: list(line) for name, line in story.table.lines.items()}
    twin = Story().fold(history).ask(asked)
    tried = story.ask(asked, stay=False)
    assert (tried.state == "held") == (twin.state == "held")
    if tried.state == "new":
        assert story.table.lines == before


@given(histories())
def test_whoever_may_be_granted_has_been(history):
    """No lost wake-up: nobody waits without somebody in the way, after every verb."""
    story = Story()
    for verb, what in history:
        story.step(verb, what)
        for claim in story.waiters():
            assert in_the_way(story, claim), f"{claim.wants} waits for nobody"


@given(histories())
def test_those_in_the_way_are_there_and_others(history):
    story = Story().fold(history)
    for claim in story.waiters():
        others = in_the_way(story, claim)
        assert others <= set(story.live) - {claim}
        for other in others:
            assert set(other.names) & set(claim.names)


@given(histories(), wants(modes=WHOLE))
def test_refusal_is_sufficient(history, asked):
    """After those who block have left, the ask is granted: for all modes but slots."""
    story = Story().fold(history)
    claim = story.ask(asked)
    assume(claim.state == "waiting")
    for other in in_the_way(story, claim):
        story.go(other)
    assert claim.state == "held", f"{asked} waits for {in_the_way(story, claim)}"


@given(histories(), wants(modes=WHOLE), st.integers(0, 9))
def test_refusal_is_necessary(history, asked, pick):
    """While one of those who block is still there, the ask is not granted."""
    story = Story().fold(history)
    claim = story.ask(asked)
    others = sorted(in_the_way(story, claim), key=lambda each: each.ticket)
    assume(others)
    stays = others[pick % len(others)]
    for other in others:
        if other is not stays:
            story.go(other)
    assert claim.state == "waiting", f"granted although {stays.wants} is still there"


@given(histories(), wants())
def test_refusal_is_sufficient_for_slots_too_if_they_leave_at_once(history, asked):
    story = Story().fold(history)
    claim = story.ask(asked)
    assume(claim.state == "waiting")
    gone = [story.live[other] for other in in_the_way(story, claim)]
    story.world.asks = [ask for ask in story.world.asks if ask not in gone]
    assert story.world.may_go(story.live[claim])


@given(histories(), wants())
def test_refusal_is_sufficient_for_slots_or_somebody_else_was_served(history, asked):
    """One by one: if the ask still waits, it waits for others than those who were named."""
    story = Story().fold(history)
    claim = story.ask(asked)
    assume(claim.state == "waiting")
    named = in_the_way(story, claim)
    for other in named:
        story.go(other)
    if claim.state != "held":
        assert in_the_way(story, claim)
        assert not in_the_way(story, claim) & named
        assert asks_slots(claim)


@given(st.integers(1, 4), st.integers(0, 3), st.data())
def test_one_leaving_fewer_than_needed_leaves_an_ask_for_slots_waiting(limit, surplus, data):
    """Of n + k holders, k must leave before there is room for one with limit n; and k + 1 do."""
    story = Story()
    holders = [story.ask((("x", slots(9)),)) for _ in range(limit + surplus)]
    claim = story.ask((("x", slots(limit)),))
    assert in_the_way(story, claim) == set(holders)
    for other in data.draw(st.permutations(holders))[: surplus + 1]:
        assert claim.state == "waiting"
        story.go(other)
    assert claim.state == "held"


@given(histories("uvw"), histories("xyz"), st.randoms(use_true_random=False))
def test_asks_that_share_no_name_never_affect_each_other(left, right, random):
    """Interleaved in one table, each half goes as in a table of its own, order of tokens too."""
    both = Table()
    alone, mixed = (Story().fold(left), Story().fold(right)), (Story(both), Story(both))
    parts = [(story, iter(half)) for story, half in zip(mixed, (left, right), strict=True)]
    turns = [0] * len(left) + [1] * len(right)
    random.shuffle(turns)
    for turn in turns:
        story, half = parts[turn]
        story.step(*next(half))
    for one, other in zip(alone, mixed, strict=True):
        assert one.shape() == other.shape()
        assert _rank(one) == _rank(other)


def _rank(story: Story) -> list[list[int]]:
    """The tokens of all grants, by their order only."""
    tokens = [list(claim.tokens.values()) for claim, _ in story.grants]
    order = sorted({token for each in tokens for token in each})
    return [[order.index(token) for token in each] for each in tokens]


@given(histories())
def test_exclusion(history):
    story = Story()
    for verb, what in history:
        story.step(verb, what)
        holders = story.holders()
        for one in holders:
            assert not any(conflict(one, other) for other in holders - {one})
        for name in "xyz":
            limits = [mode.limit for each in holders if (mode := mode_of(each, name))]
            assert not any(limits) or len(limits) <= max(limits)


@given(histories())
def test_fifo_among_conflicting_asks(history):
    """Whoever holds was not preceded by a waiter whom it shuts out."""
    story = Story()
    for verb, what in history:
        story.step(verb, what)
        for holder in story.holders():
            for waiter in story.waiters():
                assert not (waiter.ticket < holder.ticket and conflict(waiter, holder))


@given(histories("x", SLOTS, most=20))
def test_fifo_of_slots_of_one_name(history):
    """Nobody at all overtakes where all ask for slots of one name and nothing else."""
    story = Story()
    for verb, what in history:
        story.step(verb, what)
        waits = False
        for claim in story.live:
            waits = waits or claim.state == "waiting"
            assert not waits or claim.state == "waiting"


@given(histories("xy", SLOTS, most=16), st.sampled_from(SLOTS), st.integers(0, 16))
def test_stuck_ask_reserves_no_slot(history, mode, at):
    """With an ask for a slot that another name keeps waiting all goes as without it."""
    without, with_ = Story().fold(history), Story()
    assert with_.table.enter(Claim((("volume", EXCLUSIVE),)))
    with_.fold(history[:at])
    assert not with_.table.enter(Claim((("x", mode), ("volume", EXCLUSIVE))))
    with_.fold(history[at:])
    assert with_.shape() == without.shape()


@given(histories(most=20))
def test_tokens(history):
    """Larger than those of all earlier incompatible grants; equal among sharers of one time."""
    story = Story().fold(history)
    for at, (claim, beside) in enumerate(story.grants):
        for name, token in claim.tokens.items():
            assert token > 0
            for earlier, _ in story.grants[:at]:
                if conflict(claim, earlier) and name in earlier.names:
                    assert _can_share(claim, earlier, name) or token > earlier.tokens[name]
            for other in beside:
                assert other.tokens.get(name, token) == token


def _can_share(one: Claim, other: Claim, name: str) -> bool:
    kinds = (mode_of(one, name), mode_of(other, name))
    return kinds[0].kind == kinds[1].kind != "exclusive" and kinds[0].group == kinds[1].group


@given(histories(most=20))
def test_tokens_and_tickets_only_grow(history):
    story = Story()
    last = 0
    for verb, what in history:
        story.step(verb, what)
        assert story.table.last >= last
        last = story.table.last
        for claim in story.live:
            assert max(claim.ticket, *claim.tokens.values()) <= last


@given(histories(), st.integers(0, 7))
def test_leaving_twice_is_leaving_once(history, pick):
    story = Story().fold(history)
    assume(story.live)
    claim = list(story.live)[pick % len(story.live)]
    story.go(claim)
    story.table.news.clear()
    before = story.shape(), {name: list(line) for name, line in story.table.lines.items()}
    story.table.leave(claim)
    assert (story.shape(), story.table.lines) == before
    assert claim.state == "gone"
    assert story.table.news == []


@given(histories(), st.randoms(use_true_random=False))
def test_nothing_is_left_when_all_left(history, random):
    story = Story().fold(history)
    live = list(story.live)
    random.shuffle(live)
    for claim in live:
        story.go(claim)
    assert story.table.lines == {}
    assert story.table._tangled == set()


@given(histories())
def test_no_queue_is_empty(history):
    story = Story()
    for verb, what in history:
        story.step(verb, what)
        assert all(story.table.lines.values())
        seats = [seat.claim for line in story.table.lines.values() for seat in line]
        assert set(seats) == set(story.live)
        assert len(seats) == sum(len(claim.wants) for claim in story.live)


@given(histories(verbs=("ask", "ask", "leave")))
def test_news_are_those_granted_while_they_waited_once_each(history):
    story = Story()
    waited = set()
    for verb, what in history:
        story.step(verb, what)
        waited |= set(story.waiters())
    late = [claim for claim, _ in story.grants if claim in waited]
    assert sorted(claim.ticket for claim in story.table.news) == sorted(c.ticket for c in late)
