"""What one sees of holders and waiters; releasing once and twice; that nothing stays behind."""

from __future__ import annotations

import json
import os
import socket
import time

import pytest

from holdfast.errors import NotHeld, Unsupported
from holdfast.locks.table import Claim
from holdfast.locks.terms import EXCLUSIVE, SHARED, Holder, Waiter
from holdfast.testing.parties import DOORS, Door
from holdfast.testing.proofs.stage import Stage, proves

__all__ = ["Releasing", "Seeing"]

A_DAY = 86_400.0


class Seeing(Stage):
    """``holders``, ``waiters``, ``snapshot``."""

    @proves("seeing")
    def test_holder_is_seen_as_it_is(self) -> None:
        name = self.name()
        with self.locks(name) as grant:
            (holder,) = self.locks.holders(name)
            assert (holder.name, holder.mode, holder.id) == (name, EXCLUSIVE, grant.id)
            assert holder.token == grant.token
            assert holder.owner == grant.owner
            assert (holder.owner.pid, holder.owner.host) == (os.getpid(), socket.gethostname())
            assert abs(holder.since - time.time()) < A_DAY
            assert holder.since == grant.since
        assert self.locks.holders(name) == []

    @proves("seeing")
    def test_label_is_seen(self) -> None:
        space = self.opened(label="nova-compute")
        with space(self.name()):
            (holder,) = space.holders(self.name())
            assert holder.owner.label == "nova-compute"
            assert "nova-compute" in str(holder)

    @pytest.mark.parametrize("door", DOORS)
    @proves("seeing")
    def test_waiters_are_seen_in_order_with_whom_they_wait_for(self, door: Door) -> None:
        name = self.name()
        grant = self.locks(name).acquire(timeout=0)
        first = self.party(door, name).expect_waiting(self.locks)
        second = self.party("thread", name).expect_waiting(self.locks, 2)
        seen = self.locks.waiters(name)
        assert [each.mode for each in seen] == [EXCLUSIVE, EXCLUSIVE]
        assert len({grant.id, *(each.id for each in seen)}) == 3
        assert grant.id in seen[0].waiting_for
        assert set(seen[1].waiting_for) <= {grant.id, seen[0].id}
        assert seen[1].owner.pid == os.getpid()
        grant.release()
        for party, waiter in zip((first, second), seen, strict=True):
            assert party.expect_in().id == waiter.id
            party.leave()

    @proves("seeing", "shared")
    def test_snapshot_has_names_in_order_and_holders_first(self) -> None:
        one, two = self.name("a/1"), self.name("b/1")
        with self.locks(two), self.locks(one, shared=True):
            waiter = self.party("thread", one).expect_waiting(self.locks)
            seen = self.locks.snapshot(self.name(""))
            kinds = [(each.name, type(each)) for each in seen]
            assert kinds == [(one, Holder), (one, Waiter), (two, Holder)]
            assert [each.name for each in self.locks.snapshot(self.name("b/"))] == [two]
            assert self.locks.snapshot(self.name("c")) == []
            assert len(json.loads(json.dumps([each.as_dict() for each in seen]))) == 3
        waiter.expect_in().leave()
        self.expect_nothing_left()

    @proves("seeing", "several names")
    def test_grant_of_several_names_is_seen_under_each(self) -> None:
        one, two = self.name("1"), self.name("2")
        with self.locks(one, two) as grant:
            (first,), (second,) = self.locks.holders(one), self.locks.holders(two)
            assert first.id == second.id == grant.id
            assert {one: first.token, two: second.token} == grant.tokens
            with pytest.raises(ValueError, match="token"):
                _ = grant.token

    @proves("seeing", "shared")
    def test_ids_are_never_used_again(self) -> None:
        name = self.name()
        ids = set()
        for _ in range(20):
            with self.locks(name, shared=True) as grant, self.locks(name, shared=True) as other:
                ids |= {grant.id, other.id}
        assert len(ids) == 40

    @proves("nothing left")
    def test_names_used_and_released_leave_nothing(self) -> None:
        self._use(range(50))
        before = self.residue()
        self._use(range(50, 550))
        assert self.residue() == before
        self.expect_nothing_left()

    def _use(self, numbers: range) -> None:
        for number in numbers:
            with self.locks(self.name(str(number))):
                pass
            if self.unclaimed("shared") is None:
                with self.locks(self.name(str(number)), shared=True):
                    pass

    @proves("nothing left")
    def test_waiters_leave_nothing(self) -> None:
        name = self.name()
        self.locks(name).acquire(timeout=0).release()
        for door in ("thread", "task"):
            holder = self.party("thread", name).expect_in()
            waiters = [self.party(door, name).expect_waiting(self.locks, n) for n in (1, 2)]
            before = self.residue()
            holder.leave()
            while waiters:
                waiters.remove(self.next_in(waiters))
            assert self.residue() <= before
        self.expect_nothing_left()

    @proves("refusals")
    def test_option_that_is_not_known_is_refused(self) -> None:
        with pytest.raises((Unsupported, TypeError)):
            self.open(surely_no_such_option=1)

    @proves("refusals")
    def test_liveness_is_a_descriptor_or_refused(self) -> None:
        try:
            descriptor = self.locks.liveness()
        except Unsupported:
            return
        assert os.fstat(descriptor)
        assert self.locks.guarantees.reach != "process"


class Releasing(Stage):
    """Giving back: once, twice, and what somebody else holds by then."""

    @proves("release")
    def test_second_release_is_an_error_and_changes_nothing(self) -> None:
        name = self.name()
        first = self.locks(name).acquire(timeout=0)
        first.release()
        with pytest.raises(NotHeld):
            first.release()
        second = self.locks(name).acquire(timeout=0)
        with pytest.raises(NotHeld):
            first.release()
        assert second.held
        assert [each.id for each in self.locks.holders(name)] == [second.id]
        assert self.locks(name).try_acquire() is None
        second.release()
        self.expect_nothing_left()

    @proves("release", "shared")
    def test_second_release_of_a_sharer_takes_no_other_sharer_out(self) -> None:
        name = self.name()
        first = self.locks(name, shared=True).acquire(timeout=0)
        second = self.locks(name, shared=True).acquire(timeout=0)
        first.release()
        with pytest.raises(NotHeld):
            first.release()
        assert self.locks(name).try_acquire() is None
        second.release()
        self.expect_nothing_left()

    @proves("release")
    def test_drop_is_one_idempotent_verb(self) -> None:
        """Of the driver itself: release, cancel and time-out are the same, at any time."""
        driver, name = self.locks._driver, self.name()
        told: list[str] = []
        first, second, third = (Claim(((name, EXCLUSIVE),)) for _ in range(3))
        assert driver.submit(first, lambda: told.append("first"))
        assert not driver.submit(second, lambda: told.append("second"))
        assert not driver.submit(third, None)
        assert not driver.drop(third)
        assert not driver.drop(second)
        assert not driver.drop(second)
        assert driver.drop(first)
        assert driver.submit(third, lambda: told.append("third"))
        assert not driver.drop(first)
        assert third.state == "held"
        assert [each.id for each in driver.look(name)] == [third.id]
        assert driver.drop(third)
        assert not driver.drop(third)
        assert told == []
        self.expect_nothing_left()

    @proves("release", "shared")
    def test_grants_of_one_ask_are_given_back_one_by_one(self) -> None:
        ask = self.locks({self.name(): SHARED})
        first, second = ask.acquire(timeout=0), ask.acquire(timeout=0)
        assert first.id != second.id
        first.release()
        assert (first.held, second.held) == (False, True)
        second.release()
        self.expect_nothing_left()
