"""More than one process: exclusion, death at any point, forks; and the storm."""

from __future__ import annotations

import itertools
import os
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from holdfast.locks.terms import EXCLUSIVE, SHARED, slots
from holdfast.lockspace import Lockspace
from holdfast.testing.faults import die_at, stopped, wait_until
from holdfast.testing.history import Hold, check
from holdfast.testing.parties import DOORS, Door
from holdfast.testing.proofs.stage import EXAMPLES, Stage, proves
from holdfast.testing.storm import blow

__all__ = ["Forks", "Processes", "Storm"]

SOAK = os.environ.get("HOLDFAST_SOAK") == "1"


class Processes(Stage):
    """Of a driver whose locks reach further than one process."""

    @proves("processes")
    def test_two_lockspaces_on_one_url_exclude_each_other(self) -> None:
        name, other = self.name(), self.opened()
        with self.locks(name) as grant:
            assert other(name).try_acquire() is None
            assert [each.id for each in other.holders(name)] == [grant.id]
            waiter = self.party("thread", name, locks=other).expect_waiting(self.locks)
        waiter.expect_in()
        assert self.locks(name).try_acquire() is None
        waiter.leave()
        self.expect_nothing_left()

    @proves("processes")
    def test_other_process_is_excluded_and_seen(self) -> None:
        name, peer = self.name(), self.peer()
        with self.locks(name):
            assert not peer.tries({name: EXCLUSIVE})
            assert peer.ask("holders", name) == [os.getpid()]
        holder = self.party("process", name).expect_in()
        assert self.locks(name).try_acquire() is None
        assert [each.owner.pid for each in self.locks.holders(name)] == [peer.pid]
        holder.leave()
        assert peer.tries({name: EXCLUSIVE})
        self.expect_nothing_left()

    @proves("processes")
    def test_close_over_there_lets_the_next_in(self) -> None:
        name = self.name()
        self.party("process", name).expect_in()
        waiter = self.party("thread", name).expect_waiting(self.locks)
        self.peer().ask("close")
        waiter.expect_in().leave()
        self.expect_nothing_left()

    @pytest.mark.parametrize("door", DOORS)
    @proves("death", "processes")
    def test_death_of_the_holder_wakes_the_next(self, door: Door) -> None:
        name, victim = self.name(), self.new_peer()
        victim.start({name: EXCLUSIVE}).expect_in()
        self.new_peer()
        self._peers.reverse()
        waiter = self.party(door, name).expect_waiting(self.locks)
        victim.kill()
        waiter.expect_in().leave()
        self.expect_nothing_left()

    @proves("death", "processes", "several names", "shared", "slots")
    def test_death_frees_all_names_in_all_modes(self) -> None:
        wants = {self.name("x"): EXCLUSIVE, self.name("s"): SHARED, self.name("n"): slots(1)}
        victim = self.peer()
        victim.start(wants).expect_in()
        victim.kill()
        with self.locks(dict.fromkeys(wants, EXCLUSIVE), timeout=20):
            pass
        self.expect_nothing_left()

    @proves("death", "processes", "shared")
    def test_death_of_a_waiter_lets_those_behind_in(self) -> None:
        name = self.name()
        first = self.party("thread", {name: SHARED}).expect_in()
        self.peer().start({name: EXCLUSIVE}).expect_waiting(self.locks)
        reader = self.party("thread", {name: SHARED})
        self.peer().kill()
        reader.expect_in().leave()
        first.leave()
        self.expect_nothing_left()

    @proves("death", "processes")
    def test_the_dead_are_not_seen(self) -> None:
        name = self.name()
        self.peer().start({name: EXCLUSIVE}).expect_in()
        self.peer().kill()
        with self.locks(name, timeout=20):
            assert [each.owner.pid for each in self.locks.snapshot(name)] == [os.getpid()]
        self.expect_nothing_left()

    @proves("processes")
    def test_stopped_waiter_does_not_stop_other_names(self) -> None:
        name, other = self.name(), self.name("other")
        holder = self.party("thread", name).expect_in()
        asleep = self.party("process", name).expect_waiting(self.locks)
        with stopped(self.peer().pid):
            with self.locks(other, timeout=20):
                pass
            holder.leave()
        asleep.expect_in().leave()

    @pytest.mark.parametrize("door", ["thread", "process"])
    @proves("any instruction", "processes")
    def test_death_at_any_instruction_leaves_the_lockspace_working(self, door: Door) -> None:
        """The victim asks, holds and releases two names that others await; they all get in."""
        one, two = self.name("1"), self.name("2")
        wants = {one: EXCLUSIVE, two: EXCLUSIVE} if self._has_several() else {one: EXCLUSIVE}

        def hold() -> None:
            locks = self.open()
            with locks(wants):
                pass

        for point in self._points():
            waiter = self.party("thread", one)
            waiter.expect_in()
            behind = self.party(door, wants).expect_waiting(self.locks)
            waiter.go_on()
            died = die_at(hold, point)
            waiter.leave()
            behind.expect_in().leave()
            with self.locks(wants, timeout=20):
                pass
            self.expect_nothing_left()
            if not died:
                break

    def _has_several(self) -> bool:
        return self.unclaimed("several names") is None

    def _points(self) -> itertools.count[int] | list[int]:
        if SOAK:
            return itertools.count(1)
        return [3, *sorted(random.Random(7).sample(range(20, 6000), 25))]


class Forks(Stage):
    """A fork's child."""

    @proves("fork")
    def test_child_holds_nothing_and_its_end_frees_nothing(self) -> None:
        name = self.name()
        with self.locks(name) as grant:
            assert _in_child(lambda: not grant.held)
            assert grant.held
            assert self.locks(name).try_acquire() is None
            assert [each.id for each in self.locks.holders(name)] == [grant.id]
        self.expect_nothing_left()

    @proves("fork")
    def test_child_that_leaves_the_with_of_its_parent_frees_nothing(self) -> None:
        name = self.name()

        def leave() -> bool:
            ask.__exit__(None, None, None)
            return True

        ask = self.locks(name)
        with ask:
            assert _in_child(leave)
            assert self.locks(name).try_acquire() is None
        self.expect_nothing_left()

    @proves("fork")
    def test_child_can_lock_while_another_thread_of_the_parent_holds(self) -> None:
        holder = self.party("thread", self.name("held")).expect_in()

        def use() -> bool:
            with self.locks(self.name("other"), timeout=20):
                return True

        assert _in_child(use)
        holder.leave()

    @proves("fork")
    def test_child_begins_with_nothing(self) -> None:
        """Of one process the child is another: for it all is free, and nobody waits."""
        name, alone = self.name(), self.locks.guarantees.reach == "process"
        with self.locks(name):
            waiter = self.party("thread", name).expect_waiting(self.locks)
            with self.locks(self.name("short")):
                assert _in_child(lambda: bool(self.locks.snapshot(self.name(""))) != alone)
                for each in (name, self.name("short")):
                    assert _in_child(lambda n=each: _is_free(self.locks, n) == alone)
        waiter.expect_in().leave()
        self.expect_nothing_left()

    @proves("fork", "processes")
    def test_child_is_shut_out_by_its_parent(self) -> None:
        name = self.name()
        with self.locks(name):
            assert _in_child(lambda: self.locks(name).try_acquire() is None)
            assert _in_child(lambda: self.opened()(name).try_acquire() is None)
        with self.locks(name, timeout=20):
            pass


def _is_free(locks: Lockspace, name: str) -> bool:
    return locks(name).try_acquire() is not None


def _in_child(true: object) -> bool:
    """Whether *true* says so in a fork's child, within its time."""
    child = os.fork()
    if not child:
        status = 1
        try:
            status = 0 if callable(true) and true() else 2
        except BaseException as error:
            os.write(2, f"in the child: {error!r}\n".encode())
        finally:
            os._exit(status)
    ended: list[int] = []

    def has_ended() -> bool:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            ended.append(status)
        return bool(pid)

    try:
        wait_until(has_ended, "the fork's child to end")
    except AssertionError:
        os.kill(child, 9)
        os.waitpid(child, 0)
        raise
    return ended == [0]


class Storm(Stage):
    """Many at once, at random; the recorded holds are checked afterwards."""

    ROUNDS = 2000 if SOAK else 60

    @pytest.mark.timeout(900)
    @proves("exclusion")
    def test_storm_of_threads_and_tasks(self) -> None:
        self._check(blow(self.locks, self._names(), self._modes(), rounds=self.ROUNDS, seed=1))

    @pytest.mark.timeout(900)
    @proves("processes")
    def test_storm_of_processes(self) -> None:
        peers = [self.new_peer() for _ in range(3)]
        what = self._names(), self._modes(), self.ROUNDS
        with ThreadPoolExecutor(len(peers)) as pool:
            futures = [
                pool.submit(peer.ask, "storm", *what, seed) for seed, peer in enumerate(peers)
            ]
            lines = [line for future in futures for line in future.result()]
        self._check([Hold.load(line) for line in lines])

    def _names(self) -> list[str]:
        return [self.name(letter) for letter in "abc"]

    def _modes(self) -> list[str]:
        claimed = self.locks.guarantees.modes
        return [str(mode) for kind, mode in EXAMPLES.items() if kind in claimed]

    def _check(self, holds: list[Hold]) -> None:
        assert holds, "nobody ever got in"
        found = check(holds)
        if not self.locks.guarantees.fenced:
            found = [each for each in found if each.rule != "token"]
        assert not found, "\n".join(map(str, found[:5]))
        self.expect_nothing_left()
