"""The table by example: situations that the rule's sentences leave to be read twice."""

from __future__ import annotations

import pytest

from holdfast.errors import LockLost
from holdfast.locks.table import Claim, Table
from holdfast.locks.terms import EXCLUSIVE, SHARED, Mode, group, slots


@pytest.fixture
def table() -> Table:
    return Table()


def ask(table: Table, *, stay: bool = True, **modes: Mode) -> Claim:
    claim = Claim(tuple(modes.items()))
    table.enter(claim, stay)
    return claim


def held(*claims: Claim) -> list[bool]:
    return [claim.state == "held" for claim in claims]


def names_in_the_way(table: Table, claim: Claim) -> set[Claim]:
    return {seat.claim for seat in table.blockers(claim)}


def test_reader_waits_behind_a_waiting_writer(table):
    first, writer, reader = (ask(table, n=mode) for mode in (SHARED, EXCLUSIVE, SHARED))
    assert held(first, writer, reader) == [True, False, False]
    assert names_in_the_way(table, reader) == {writer}


def test_leaving_waiter_lets_those_behind_in(table):
    _, writer, reader = (ask(table, n=mode) for mode in (SHARED, EXCLUSIVE, SHARED))
    table.leave(writer)
    assert reader.state == "held"
    assert table.news == [reader]


def test_groups_share_within_and_exclude_between(table):
    one, same, other, none = (ask(table, n=m) for m in (group("a"), group("a"), group("b"), SHARED))
    assert held(one, same, other, none) == [True, True, False, False]
    table.leave(one)
    assert held(other, none) == [False, False]
    table.leave(same)
    assert held(other, none) == [True, False]


def test_waiting_ask_for_one_slot_of_several_is_not_overtaken(table):
    ask(table, n=slots(5))
    narrow = ask(table, n=slots(1))
    wide = ask(table, n=slots(5))
    assert held(narrow, wide) == [False, False]
    assert names_in_the_way(table, wide) == {narrow}


def test_the_smallest_limit_among_the_holders_counts(table):
    ask(table, n=slots(2))
    assert held(ask(table, n=slots(9)), ask(table, n=slots(9))) == [True, False]


def test_ask_for_a_busy_volume_takes_no_slot_from_other_volumes(table):
    """Kimchi's complaint: five uploads at most, and one that waits for its volume is none."""
    ask(table, uploads=slots(2), volume1=EXCLUSIVE)
    waits = ask(table, uploads=slots(2), volume1=EXCLUSIVE)
    passes = ask(table, uploads=slots(2), volume2=EXCLUSIVE)
    assert held(waits, passes) == [False, True]


def test_ask_that_became_stuck_sets_its_room_free(table):
    """A grant on one name makes an ask stuck there; what it kept elsewhere is had by the next."""
    holder = ask(table, x=slots(1))
    ask(table, z=slots(3))
    torn = ask(table, x=slots(1), z=slots(1))
    table.leave(holder)
    assert torn.state == "waiting"
    assert ask(table, x=slots(1)).state == "held"


def test_grant_at_once_that_makes_an_ask_stuck_wakes_whom_it_barred(table):
    ask(table, y=slots(3))
    ask(table, x=slots(2))
    torn = ask(table, y=slots(1), x=slots(2))
    barred = ask(table, y=slots(3))
    assert held(torn, barred) == [False, False]
    assert ask(table, x=slots(5)).state == "held"
    assert held(torn, barred) == [False, True]
    assert table.news == [barred]


def test_late_grant_that_makes_an_ask_stuck_wakes_whom_it_barred_on_another_name(table):
    ask(table, y=slots(3))
    ask(table, x=slots(2))
    leaver = ask(table, z=EXCLUSIVE)
    torn = ask(table, y=slots(1), x=slots(2))
    barred = ask(table, y=slots(3))
    late = ask(table, z=EXCLUSIVE, x=slots(5))
    assert held(torn, barred, late) == [False, False, False]
    table.leave(leaver)
    assert held(torn, barred, late) == [False, True, True]


def test_earliest_is_served_when_a_grant_frees_room_elsewhere(table):
    """The pass begins anew after each grant: found by the comparison with the oracle."""
    ask(table, y=slots(2))
    ask(table, x=slots(3), y=slots(1), z=slots(2))
    leaver = ask(table, z=slots(4))
    early = ask(table, y=slots(2))
    ask(table, z=slots(1))
    ask(table, z=slots(1), x=slots(2))
    late = ask(table, y=slots(3))
    table.leave(leaver)
    assert (early.state, late.state) != ("waiting", "held")


def test_try_leaves_no_trace(table):
    ask(table, n=EXCLUSIVE)
    before = {name: list(line) for name, line in table.lines.items()}
    tried = ask(table, n=EXCLUSIVE, other=SHARED, stay=False)
    assert tried.state == "new"
    assert tried.seats == []
    assert table.lines == before


def test_all_or_none(table):
    ask(table, a=EXCLUSIVE)
    both = ask(table, a=EXCLUSIVE, b=EXCLUSIVE)
    assert both.state == "waiting"
    assert both.tokens == {"a": 0, "b": 0}


def test_entering_again_what_already_entered_gives_the_first_place_up(table):
    first, second = ask(table, n=EXCLUSIVE), ask(table, n=EXCLUSIVE)
    assert table.enter(first) is False
    assert second.state == "held"
    assert [seat.claim for seat in table.lines["n"]] == [second, first]


def test_lost_claim_is_told_why_and_frees_the_name(table):
    holder, waiter = ask(table, n=EXCLUSIVE), ask(table, n=EXCLUSIVE)
    error = LockLost(("n",), "it was broken")
    table.lose(holder, error)
    assert (holder.state, holder.error) == ("lost", error)
    assert table.news == [holder, waiter]
    table.lose(holder, LockLost(("n",), "again"))
    assert holder.error is error
    assert table.news == [holder, waiter]


def test_leaving_does_not_turn_a_loss_into_a_release(table):
    holder = ask(table, n=EXCLUSIVE)
    table.lose(holder, LockLost(("n",), "it was broken"))
    table.leave(holder)
    assert holder.state == "lost"


def test_blockers_of_what_does_not_wait(table):
    holder, gone = ask(table, n=slots(1)), ask(table, n=slots(1))
    table.leave(gone)
    for claim in (holder, gone, Claim((("n", EXCLUSIVE),))):
        assert table.blockers(claim) == []


def test_leftovers_of_an_interrupted_ask_do_not_break_the_verbs_of_others():
    """Ctrl-C between the seats of two names: others meet the first seat before it is tidied up."""
    table = Interrupted()
    holder = ask(table, x=slots(2))
    half = Claim((("x", slots(1)), ("y", slots(1))))
    table.left = 1
    with pytest.raises(KeyboardInterrupt):
        table.enter(half)
    other = ask(table, x=slots(2))
    assert other.state == "waiting"
    table.leave(half)
    assert (half.state, other.state) == ("new", "held")
    table.leave(other)
    table.leave(holder)
    assert table.lines == {}


class Interrupted(Table):
    """A table whose look for a queue is interrupted after some more, if ``left`` says so."""

    __slots__ = ("left",)

    def line(self, name):
        left, self.left = getattr(self, "left", None), None
        if left == 0:
            raise KeyboardInterrupt
        self.left = left and left - 1
        return super().line(name)
