"""Who may hold together: every pair of modes by every door, slots, several names, names alike."""

from __future__ import annotations

import pytest

from holdfast.locks.terms import EXCLUSIVE, SHARED, Mode, group, slots
from holdfast.testing.parties import DOORS, Door
from holdfast.testing.proofs.stage import Stage, family, proves

__all__ = ["Exclusion"]

MODES = (EXCLUSIVE, SHARED, group("a"), group("b"), slots(1), slots(2))
LONGEST = 1024


def _together(one: Mode, other: Mode) -> bool:
    """Whether two may hold one name at the same time, as the design says it."""
    if one.kind == other.kind == "shared":
        return one.group == other.group
    return one.kind == other.kind == "slots" and min(one.limit, other.limit) > 1


class Exclusion(Stage):
    """Exclusion and sharing."""

    @pytest.mark.parametrize("door", DOORS)
    @pytest.mark.parametrize("second", MODES, ids=str)
    @pytest.mark.parametrize("first", MODES, ids=str)
    def test_pair_of_modes(self, first: Mode, second: Mode, door: Door) -> None:
        modes = [each for each in (family(first), family(second)) if each != "exclusive"]
        promise = modes[0] if modes else "exclusion"
        proves(promise, *modes)(Exclusion._pair)(self, first=first, second=second, door=door)

    def _pair(self, first: Mode, second: Mode, door: Door) -> None:
        name = self.name()
        holder = self.party("thread", {name: first}).expect_in()
        other = self.party(door, {name: second})
        if _together(first, second):
            other.expect_in()
            assert len(self.locks.holders(name)) == 2
        else:
            other.expect_waiting(self.locks)
            assert len(self.locks.holders(name)) == 1
        holder.leave()
        other.expect_in().leave()
        self.expect_nothing_left()

    @proves("exclusion")
    def test_mutex_and_with_are_one_lock(self) -> None:
        name = self.name()
        mutex = self.locks.mutex(name)
        with mutex:
            assert self.locks(name).try_acquire() is None
        with self.locks(name):
            assert not mutex.acquire(blocking=False)
        self.expect_nothing_left()

    @proves("exclusion")
    def test_names_that_look_alike_are_different(self) -> None:
        names = ["n", "N", "n/", "n ", "nn", "n/n", "é", "e\u0301", "n%2F", "*", "n*"]
        grants = [self.locks(self.name(each)).try_acquire() for each in names]
        for grant in grants:
            assert grant is not None
            grant.release()
        self.expect_nothing_left()

    @proves("exclusion")
    def test_longest_names(self) -> None:
        for letter in ("x", "é"):
            room = (LONGEST - len(self.name("").encode())) // len(letter.encode())
            name, other = self.name(letter * room), self.name(letter * (room - 1) + "y")
            with self.locks(name), self.locks(other):
                assert self.locks(name).try_acquire() is None
                assert [each.name for each in self.locks.holders(name)] == [name]
        self.expect_nothing_left()

    @pytest.mark.parametrize("door", DOORS)
    @proves("slots", "slots")
    def test_slots_are_as_many_as_said(self, door: Door) -> None:
        name = self.name()
        holders = [self.party(door, {name: slots(3)}).expect_in() for _ in range(3)]
        fourth = self.party(door, {name: slots(3)}).expect_waiting(self.locks)
        holders[1].leave()
        fourth.expect_in()
        for each in (holders[0], holders[2], fourth):
            each.leave()
        self.expect_nothing_left()

    @proves("slots", "slots")
    def test_smallest_limit_counts(self) -> None:
        name = self.name()
        narrow = self.locks(name, slots=2).acquire(timeout=0)
        wide = self.locks(name, slots=9).acquire(timeout=0)
        assert self.locks(name, slots=9).try_acquire() is None
        narrow.release()
        third = self.locks(name, slots=9).acquire(timeout=0)
        assert self.locks(name, slots=2).try_acquire() is None
        wide.release()
        third.release()

    @proves("slots", "slots", "several names")
    def test_stuck_ask_reserves_no_slot(self) -> None:
        """An upload that waits for its busy volume takes no slot from those of other volumes."""
        pool, busy, other = self.name("pool"), self.name("busy"), self.name("other")
        first = self.party("thread", {pool: slots(2), busy: EXCLUSIVE}).expect_in()
        stuck = self.party("thread", {pool: slots(2), busy: EXCLUSIVE})
        stuck.expect_waiting(self.locks)
        passes = self.party("task", {pool: slots(2), other: EXCLUSIVE}).expect_in()
        first.leave()
        stuck.expect_in().leave()
        passes.leave()
        self.expect_nothing_left()

    @proves("exclusion")
    def test_try_leaves_no_trace(self) -> None:
        name = self.name()
        with self.locks(name):
            before = self.locks.snapshot(self.name(""))
            assert self.locks(name).try_acquire() is None
            assert self.locks.snapshot(self.name("")) == before
        grant = self.locks(name).try_acquire()
        assert grant is not None
        grant.release()
        self.expect_nothing_left()

    @proves("several names", "several names")
    def test_try_of_several_names_takes_all_or_none(self) -> None:
        one, two = self.name("1"), self.name("2")
        with self.locks(two):
            assert self.locks(one, two).try_acquire() is None
            with self.locks(one, timeout=0):
                assert len(self.locks.snapshot(self.name(""))) == 2
        grant = self.locks(one, two).try_acquire()
        assert grant is not None
        assert set(grant.tokens) == {one, two}
        assert self.locks(one).try_acquire() is None
        grant.release()
        self.expect_nothing_left()

    @pytest.mark.parametrize("door", DOORS)
    @proves("several names", "several names")
    def test_waiting_for_several_names_holds_none_of_them(self, door: Door) -> None:
        one, two = self.name("1"), self.name("2")
        holder = self.party("thread", two).expect_in()
        both = self.party(door, {one: EXCLUSIVE, two: EXCLUSIVE}).expect_waiting(self.locks)
        assert self.locks.holders(one) == []
        holder.leave()
        both.expect_in()
        assert len(self.locks.holders(one)) == len(self.locks.holders(two)) == 1
        both.leave()
        self.expect_nothing_left()

    @proves("several names", "several names", "shared", "slots")
    def test_several_names_each_in_its_mode(self) -> None:
        wants = {self.name("x"): EXCLUSIVE, self.name("s"): SHARED, self.name("n"): slots(2)}
        with self.locks(wants) as grant:
            seen = {each.name: each.mode for each in self.locks.snapshot(self.name(""))}
            assert seen == wants
            assert set(grant.tokens) == set(wants)
            free = {self.name("s"): SHARED, self.name("n"): slots(2)}
            with self.locks(free, timeout=0):
                pass
        self.expect_nothing_left()
