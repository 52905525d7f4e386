"""Fencing tokens; breaking a lock, and how its loss reaches whoever held it."""

from __future__ import annotations

import asyncio
import threading

import pytest

from holdfast.errors import LockLost
from holdfast.locks.terms import EXCLUSIVE, SHARED, group
from holdfast.lockspace import Lockspace
from holdfast.testing.faults import GENEROUS, wait_until
from holdfast.testing.proofs.stage import Stage, proves

__all__ = ["Losing", "Tokens"]

WHY = "the test says that its host is dead"


class Tokens(Stage):
    """A store that refuses smaller tokens refuses nobody who holds, and everybody who did."""

    @proves("tokens")
    def test_each_holder_has_a_larger_token(self) -> None:
        tokens = [self._token() for _ in range(10)]
        assert tokens == sorted(set(tokens))
        assert tokens[0] > 0

    def _token(self, locks: Lockspace | None = None) -> int:
        with (locks or self.locks)(self.name()) as grant:
            return grant.token

    @proves("tokens", "shared")
    def test_sharers_of_one_time_share_the_token(self) -> None:
        name = self.name()
        before = self._token()
        one = self.locks(name, shared=True).acquire(timeout=0)
        two = self.locks(name, shared=True).acquire(timeout=0)
        assert before < one.token == two.token
        one.release()
        three = self.locks(name, shared=True).acquire(timeout=0)
        assert three.token == two.token
        two.release()
        three.release()
        assert self._token() > three.token

    @proves("tokens", "group")
    def test_next_group_has_a_larger_token(self) -> None:
        tokens = []
        for each in ("a", "b", "a"):
            with self.locks({self.name(): group(each)}) as grant:
                tokens.append(grant.token)
        assert tokens == sorted(set(tokens))

    @proves("tokens")
    def test_waiter_has_a_larger_token_than_the_holder_it_waited_for(self) -> None:
        holder = self.party("thread", self.name()).expect_in()
        waiters = [self.party("task", self.name()).expect_waiting(self.locks, n) for n in (1, 2)]
        holder.leave()
        tokens = [holder.tokens[self.name()]]
        while waiters:
            party = self.next_in(waiters)
            waiters.remove(party)
            tokens.append(party.tokens[self.name()])
        assert tokens == sorted(set(tokens))

    @proves("tokens", "several names", "shared")
    def test_each_of_several_names_has_its_own_token(self) -> None:
        one, two = self.name("1"), self.name("2")
        sharer = self.locks(one, shared=True).acquire(timeout=0)
        earlier = {one: sharer.token, two: self._token()}
        with self.locks({one: SHARED, two: EXCLUSIVE}) as grant:
            assert grant.tokens[one] == earlier[one]
            assert grant.tokens[two] > earlier[two]
        sharer.release()

    @proves("tokens")
    def test_tokens_grow_when_the_lockspace_is_opened_again(self) -> None:
        before = self._token()
        self.locks.close()
        assert self._token(self.opened()) > before

    @proves("restart", "processes")
    def test_tokens_grow_over_the_end_of_all_processes(self) -> None:
        before = self._token()
        self.locks.close()
        for _ in range(2):
            peer = self.new_peer()
            token = peer.ask("token", self.name())
            peer.kill()
            assert token > before
            before = token
        assert self._token(self.opened()) > before


class Losing(Stage):
    """``break_``, and how the loss is told."""

    @proves("break")
    def test_only_the_grant_that_was_meant_is_broken(self) -> None:
        name = self.name()
        first = self.locks(name).acquire(timeout=0)
        stale = first.id
        first.release()
        assert not self.locks.break_(name, id=stale, why=WHY)
        second = self.locks(name).acquire(timeout=0)
        for id in (stale, "", "no such id", second.id + "0"):
            assert not self.locks.break_(name, id=id, why=WHY)
        assert not self.locks.break_(self.name("other"), id=second.id, why=WHY)
        assert second.held
        assert self.locks(name).try_acquire() is None
        second.release()

    @proves("break")
    def test_loss_reaches_the_holder(self) -> None:
        name = self.name()
        grant = self.locks(name).acquire(timeout=0)
        told: list[LockLost] = []
        grant.on_lost(told.append)
        assert self.locks.break_(name, id=grant.id, why=WHY)
        assert not self.locks.break_(name, id=grant.id, why=WHY)
        wait_until(lambda: told, "the loss to be told")
        assert not grant.held
        late: list[LockLost] = []
        grant.on_lost(late.append)
        assert len(told) == len(late) == 1
        assert WHY in str(told[0])
        assert told[0].name == name
        for verb in (grant.ensure_held, grant.release):
            with pytest.raises(LockLost, match=WHY):
                verb()
        self.expect_nothing_left()

    @proves("break")
    def test_loss_is_told_inside_with(self) -> None:
        name = self.name()
        told: list[LockLost] = []
        with pytest.raises(LockLost, match=WHY):
            self._lose_inside(name, told)
        assert len(told) == 1, "the loss was not told"

    def _lose_inside(self, name: str, told: list[LockLost]) -> None:
        with self.locks(name) as grant:
            grant.on_lost(told.append)
            how = {"id": grant.id, "why": WHY}
            breaker = threading.Thread(target=self.locks.break_, args=(name,), kwargs=how)
            breaker.start()
            breaker.join()
            wait_until(lambda: told, "the loss to be told")

    @proves("break")
    def test_next_one_gets_in_with_a_larger_token(self) -> None:
        name = self.name()
        grant = self.locks(name).acquire(timeout=0)
        waiter = self.party("thread", name).expect_waiting(self.locks)
        self.locks.break_(name, id=grant.id, why=WHY)
        waiter.expect_in()
        assert waiter.tokens[name] > grant.token or not self.locks.guarantees.fenced
        with pytest.raises(LockLost):
            grant.release()
        assert [each.id for each in self.locks.holders(name)] == [waiter.id]
        waiter.leave()
        self.expect_nothing_left()

    @proves("break", "several names")
    def test_all_names_of_the_grant_are_broken(self) -> None:
        one, two = self.name("1"), self.name("2")
        grant = self.locks(one, two).acquire(timeout=0)
        assert self.locks.break_(two, id=grant.id, why=WHY)
        with self.locks(one, two, timeout=0), pytest.raises(LockLost):
            grant.release()
        self.expect_nothing_left()

    @proves("break", "shared")
    def test_other_sharers_keep_theirs(self) -> None:
        name = self.name()
        one = self.locks(name, shared=True).acquire(timeout=0)
        two = self.locks(name, shared=True).acquire(timeout=0)
        assert self.locks.break_(name, id=one.id, why=WHY)
        assert (one.held, two.held) == (False, True)
        assert self.locks(name).try_acquire() is None
        two.release()

    @proves("break")
    def test_leaving_with_raises_the_loss(self) -> None:
        name = self.name()
        with pytest.raises(LockLost, match=WHY), self.locks(name) as grant:
            self.locks.break_(name, id=grant.id, why=WHY)
        self.expect_nothing_left()

    @proves("break")
    def test_body_of_async_with_is_cancelled_and_the_loss_raised(self) -> None:
        async def body() -> None:
            async with self.locks(self.name()) as grant:
                await self._break_from_elsewhere(grant.id)
                await struck.wait()

        struck = _Struck()
        with pytest.raises(LockLost, match=WHY):
            asyncio.run(body())
        assert struck.came, "the loss did not cancel the body"
        self.expect_nothing_left()

    @proves("break")
    def test_cancellation_from_outside_after_the_loss_wins(self) -> None:
        async def body() -> None:
            async with self.locks(self.name()) as grant:
                await self._break_from_elsewhere(grant.id)
                try:
                    await struck.wait()
                except asyncio.CancelledError:
                    _this_task().cancel()
                    raise

        struck = _Struck()
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(body())
        assert struck.came, "the loss did not cancel the body"
        self.expect_nothing_left()

    @proves("break")
    def test_cancellation_from_outside_before_the_loss_wins(self) -> None:
        async def body() -> None:
            async with self.locks(self.name()) as grant:
                _this_task().cancel()
                try:
                    await _Struck().wait()
                finally:
                    self.locks.break_(self.name(), id=grant.id, why=WHY)
                    wait_until(lambda: not grant.held, "the loss to be known")

        with pytest.raises(asyncio.CancelledError):
            asyncio.run(body())
        self.expect_nothing_left()

    async def _break_from_elsewhere(self, id: str) -> None:
        loop = asyncio.get_running_loop()
        done = loop.run_in_executor(None, lambda: self.locks.break_(self.name(), id=id, why=WHY))
        done.add_done_callback(lambda each: each.result())

    @proves("break", "processes")
    def test_loss_reaches_a_holder_in_another_process(self) -> None:
        name = self.name()
        holder = self.party("process", name).expect_in()
        assert self.locks.break_(name, id=holder.id, why=WHY)
        with self.locks(name, timeout=5):
            holder.go_on()
            holder.expect_error(LockLost)
            assert self.locks(name).try_acquire() is None
        self.expect_nothing_left()

    @proves("break", "processes")
    def test_loss_comes_from_another_process(self) -> None:
        name = self.name()
        grant = self.locks(name).acquire(timeout=0)
        told: list[LockLost] = []
        grant.on_lost(told.append)
        assert not self.peer().ask("break", name, "no such id")
        assert self.peer().ask("break", name, grant.id)
        wait_until(lambda: told, "the loss to be told")
        assert not grant.held


def _this_task() -> asyncio.Task[None]:
    task = asyncio.current_task()
    assert task is not None
    return task


class _Struck:
    """Waits for a cancellation, and remembers whether it was one that ended the wait."""

    came = False

    async def wait(self) -> None:
        """Until cancelled; or for a generous time, which is a failure."""
        try:
            await asyncio.wait_for(asyncio.Event().wait(), GENEROUS)
        except asyncio.CancelledError:
            self.came = True
            raise
