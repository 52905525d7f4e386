"""The one rule on a single queue, as a truth table."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest

from holdfast.locks.queue import blockers, compatible, token_of
from holdfast.locks.terms import EXCLUSIVE, SHARED, Mode, group, slots

A, B = group("a"), group("b")
MODES = [EXCLUSIVE, SHARED, A, B, slots(1), slots(2)]
PAIRS = list(itertools.product(MODES, MODES))
TOGETHER = {(SHARED, SHARED), (A, A), (B, B)} | set(
    itertools.product([slots(1), slots(2)], repeat=2)
)


@dataclass
class Seat:
    mode: Mode
    held: bool = True
    token: int = 0


def never(_: Seat) -> bool:
    return False


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=str)
def test_compatible(one, other):
    assert compatible(one, other) == ((one, other) in TOGETHER)


def in_the_way(*queue: Seat, at: int = -1, stuck=never) -> list[int]:
    at = at % len(queue)
    return sorted({queue.index(seat) for seat in blockers(queue, at, stuck)})


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=str)
def test_second_of_two(one, other):
    room = (one, other) in TOGETHER and 1 not in (one.limit, other.limit)
    assert in_the_way(Seat(one), Seat(other, held=False)) == ([] if room else [0])


def test_all_incompatible_ahead_are_named_waiting_or_not():
    queue = (
        Seat(SHARED),
        Seat(EXCLUSIVE, held=False),
        Seat(A, held=False),
        Seat(SHARED, held=False),
    )
    assert in_the_way(*queue) == [1, 2]


def test_nobody_behind_is_named():
    assert (
        in_the_way(Seat(SHARED, held=False), Seat(SHARED), Seat(EXCLUSIVE, held=False), at=0) == []
    )


def test_holders_of_slots_behind_count():
    """A stuck waiter was overtaken; now it is free to go, but the room is taken."""
    assert in_the_way(Seat(slots(1), held=False), Seat(slots(2)), at=0) == [1]


def test_who_holds_is_not_in_its_own_way():
    assert in_the_way(Seat(slots(1)), at=0) == []


def test_waiter_for_slots_bars_unless_it_is_stuck():
    queue = [Seat(slots(5)), Seat(slots(1), held=False), Seat(slots(5), held=False)]
    assert in_the_way(*queue) == [1]
    assert in_the_way(*queue, stuck=lambda seat: seat is queue[1]) == []


def test_token_is_that_of_the_holders_or_a_fresh_one():
    me, waiter, holder = Seat(SHARED), Seat(SHARED, held=False, token=3), Seat(SHARED, token=7)
    assert token_of([waiter, holder, me], me, fresh=lambda: 8) == 7
    assert token_of([waiter, me], me, fresh=lambda: 8) == 8
