"""In which order one gets in, and that whoever leaves or gives up lets those behind move."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.errors import Closed, LockTimeout
from holdfast.locks.terms import EXCLUSIVE, SHARED, group, slots
from holdfast.testing.faults import wait_until
from holdfast.testing.parties import DOORS, Door
from holdfast.testing.proofs.stage import Stage, proves

__all__ = ["Order", "Waking"]

SOON = 0.3
"""A time-out long enough for others to come behind; if they are late the test says less."""


class Order(Stage):
    """First come, first served."""

    @pytest.mark.parametrize("door", DOORS)
    @proves("order")
    def test_served_in_order_of_arrival(self, door: Door) -> None:
        name = self.name()
        holder = self.party("thread", name).expect_in()
        doors: list[Door] = [door, "thread", door, "task", door]
        queue = [
            self.party(each, name).expect_waiting(self.locks, place)
            for place, each in enumerate(doors, 1)
        ]
        holder.leave()
        for at, party in enumerate(queue):
            party.expect_in()
            assert not any(later.entered.is_set() for later in queue[at + 1 :])
            party.leave()
        self.expect_nothing_left()

    @pytest.mark.parametrize("door", DOORS)
    @proves("order", "shared")
    def test_reader_waits_behind_a_waiting_writer(self, door: Door) -> None:
        name = self.name()
        first = self.party("thread", {name: SHARED}).expect_in()
        writer = self.party(door, name).expect_waiting(self.locks)
        reader = self.party("thread", {name: SHARED}).expect_waiting(self.locks, 2)
        assert self.locks(name, shared=True).try_acquire() is None
        first.leave()
        writer.expect_in()
        reader.expect_out()
        writer.leave()
        reader.expect_in().leave()
        self.expect_nothing_left()

    @proves("order", "group")
    def test_group_waits_behind_a_waiting_group(self) -> None:
        name = self.name()
        first = self.party("thread", {name: group("a")}).expect_in()
        other = self.party("thread", {name: group("b")}).expect_waiting(self.locks)
        again = self.party("task", {name: group("a")}).expect_waiting(self.locks, 2)
        first.leave()
        other.expect_in()
        again.expect_out()
        other.leave()
        again.expect_in().leave()

    @proves("order", "slots")
    def test_ask_for_slots_with_a_small_limit_is_not_starved(self) -> None:
        name = self.name()
        first = self.party("thread", {name: slots(5)}).expect_in()
        narrow = self.party("thread", {name: slots(1)}).expect_waiting(self.locks)
        wide = self.party("task", {name: slots(5)}).expect_waiting(self.locks, 2)
        first.leave()
        narrow.expect_in()
        wide.expect_out()
        narrow.leave()
        wide.expect_in().leave()

    @proves("order", "several names")
    def test_ask_for_several_names_keeps_its_place_in_each(self) -> None:
        one, two = self.name("1"), self.name("2")
        holder = self.party("thread", two).expect_in()
        both = self.party("thread", {one: EXCLUSIVE, two: EXCLUSIVE})
        both.expect_waiting(self.locks)
        late = self.party("task", one).expect_waiting(self.locks, 2)
        holder.leave()
        both.expect_in()
        late.expect_out()
        both.leave()
        late.expect_in().leave()
        self.expect_nothing_left()


class Waking(Stage):
    """Nobody sleeps for ever."""

    @pytest.mark.parametrize("door", DOORS)
    @proves("waking")
    def test_release_wakes_the_next(self, door: Door) -> None:
        name = self.name()
        holder = self.party("thread", name).expect_in()
        queue = [self.party(door, name).expect_waiting(self.locks, n) for n in (1, 2, 3)]
        holder.leave()
        while queue:
            queue.remove(self.next_in(queue))
        self.expect_nothing_left()

    @proves("waking", "shared")
    def test_release_wakes_all_readers(self) -> None:
        name = self.name()
        holder = self.party("thread", name).expect_in()
        doors: list[Door] = ["thread", "task", "thread", "task"]
        queue = [
            self.party(each, {name: SHARED}).expect_waiting(self.locks, place)
            for place, each in enumerate(doors, 1)
        ]
        holder.leave()
        for reader in queue:
            reader.expect_in()
        assert len(self.locks.holders(name)) == len(queue)
        for reader in queue:
            reader.leave()

    @pytest.mark.parametrize("door", DOORS)
    @proves("waking", "shared")
    def test_timed_out_writer_lets_readers_in(self, door: Door) -> None:
        name = self.name()
        first = self.party("thread", {name: SHARED}).expect_in()
        writer = self.party(door, name, timeout=SOON)
        reader = self.party("thread", {name: SHARED})
        writer.expect_error(LockTimeout)
        reader.expect_in().leave()
        first.leave()
        self.expect_nothing_left()

    @pytest.mark.parametrize("door", DOORS)
    @proves("waking")
    def test_timed_out_waiter_does_not_swallow_the_wake_up(self, door: Door) -> None:
        name = self.name()
        first = self.party("thread", name).expect_in()
        gives_up = self.party(door, name, timeout=SOON)
        behind = self.party(door, name)
        gives_up.expect_error(LockTimeout)
        behind.expect_out()
        first.leave()
        behind.expect_in().leave()
        self.expect_nothing_left()

    @proves("waking", "shared")
    def test_cancelled_writer_lets_readers_in(self) -> None:
        """Nothing conflicts any more, and yet the reader slept (aiorwlock)."""
        name = self.name()
        first = self.party("task", {name: SHARED}).expect_in()
        writer = self.party("task", name).expect_waiting(self.locks)
        reader = self.party("task", {name: SHARED}).expect_waiting(self.locks, 2)
        writer.cancel()
        reader.expect_in().leave()
        first.leave()
        self.expect_nothing_left()

    @proves("waking", "several names")
    def test_given_up_name_wakes_those_of_the_other_names(self) -> None:
        one, two = self.name("1"), self.name("2")
        holder = self.party("thread", two).expect_in()
        both = self.party("task", {one: EXCLUSIVE, two: EXCLUSIVE})
        both.expect_waiting(self.locks)
        behind = self.party("thread", one)
        both.cancel()
        behind.expect_in().leave()
        holder.leave()
        self.expect_nothing_left()

    @pytest.mark.parametrize("door", DOORS)
    @proves("giving up")
    def test_time_out_names_the_holder_and_leaves_no_trace(self, door: Door) -> None:
        name = self.name()
        with self.locks(name) as grant:
            late = self.party(door, name, timeout=0.05)
            error: Any = late.expect_error(LockTimeout)
            assert str(grant.owner.pid) in str(error)
            wait_until(lambda: not self.locks.waiters(name), "the waiter to be gone")
            if door != "process":
                assert [each.id for each in error.holders] == [grant.id]
        self.expect_nothing_left()

    @proves("giving up")
    def test_no_time_at_all_is_a_try(self) -> None:
        name = self.name()
        grant = self.locks(name).acquire(timeout=0)
        with pytest.raises(LockTimeout):
            self.locks(name).acquire(timeout=0)
        grant.release()
        self.expect_nothing_left()

    @proves("giving up")
    def test_cancelled_task_neither_holds_nor_waits(self) -> None:
        name = self.name()
        holder = self.party("thread", name).expect_in()
        waiter = self.party("task", name).expect_waiting(self.locks)
        waiter.cancel()
        wait_until(lambda: not self.locks.waiters(name), "the waiter to be gone")
        holder.leave()
        self.expect_nothing_left()

    @pytest.mark.parametrize("door", ["thread", "task"])
    @proves("close")
    def test_close_gives_back_and_ends_waiters_with_an_error(self, door: Door) -> None:
        name = self.name()
        grant = self.locks(name).acquire(timeout=0)
        waiter = self.party(door, name).expect_waiting(self.locks)
        self.locks.close()
        waiter.expect_error(Closed)
        assert not grant.held
        with pytest.raises(Closed):
            self.locks(name).try_acquire()
        self.locks.close()

    @proves("close", "several names")
    def test_close_lets_nobody_in_on_the_way(self) -> None:
        """One waiter's end must not look like a chance to the next."""
        one, two = self.name("1"), self.name("2")
        holder = self.party("thread", one).expect_in()
        both = self.party("thread", {one: EXCLUSIVE, two: EXCLUSIVE})
        both.expect_waiting(self.locks)
        behind = self.party("thread", two).expect_waiting(self.locks, 2)
        self.locks.close()
        for waiter in (both, behind):
            waiter.expect_error(Closed)
            assert not waiter.entered.is_set()
        holder.go_on()
