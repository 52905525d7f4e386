"""Grants and asks: their facts, their ends, and what is refused."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import pickle
import signal
import time
import warnings

import pytest

from holdfast import (
    EXCLUSIVE,
    SHARED,
    BadName,
    Closed,
    Deadlock,
    DriverError,
    HoldfastError,
    LockBusy,
    LockLost,
    Lockspace,
    LockTimeout,
    NotHeld,
    Unsupported,
    group,
    slots,
)
from holdfast.testing.faults import wait_until
from tests.races.harness import GENEROUS, crowd


@pytest.fixture
def locks():
    with Lockspace(label="tests") as space:
        yield space


def lose(locks: Lockspace, name: str = "n") -> None:
    assert locks.break_(name, locks.holders(name)[0].id, "host lost power")


WAYS = {
    "lone": lambda locks: locks("n"),
    "unfolded": lambda locks: locks("n"),
    "in the queue": lambda locks: locks("n", timeout=9),
    "shared": lambda locks: locks("n", shared=True),
}


@pytest.fixture(params=WAYS)
def entered(locks, request):
    """An entered ask and its grant, by each way in; the ask is left afterwards if it still can."""
    ask = WAYS[request.param](locks)
    grant = ask.__enter__()
    if request.param == "unfolded":
        assert locks("n").try_acquire() is None
    yield ask, grant
    if grant.held:
        ask.__exit__(None, None, None)


def test_facts_of_a_grant(locks, entered):
    _, grant = entered
    assert grant.names == ("n",)
    assert grant.tokens == {"n": grant.token}
    assert grant.deadline is None
    assert grant.held
    assert abs(grant.since - time.time()) < 60
    assert (grant.owner.pid, grant.owner.label) == (os.getpid(), "tests")
    (holder,) = locks.holders("n")
    assert (holder.id, holder.token, holder.since) == (grant.id, grant.token, grant.since)
    assert repr(grant) == "<Grant of 'n': held>"


def test_tokens_grow_and_ids_are_unique(locks):
    tokens, ids = [], set()
    for turn in range(100):
        with list(WAYS.values())[turn % 4](locks) as grant:
            tokens.append(grant.token)
            ids.add(grant.id)
    assert tokens == sorted(set(tokens))
    assert len(ids) == 100


def test_sharers_share_the_token_and_a_writer_after_them_has_a_larger_one(locks):
    one, two = (locks("n", shared=True).acquire() for _ in range(2))
    assert one.token == two.token
    assert one.id != two.id
    one.release()
    two.release()
    with locks("n") as writer:
        assert writer.token > one.token


def test_tokens_of_a_new_lockspace_are_above_those_of_an_older_one(locks):
    with locks("n") as old, Lockspace() as later, later("n") as new:
        assert new.token > old.token


def test_several_names_have_a_token_each(locks):
    with locks("a", "b") as grant:
        assert list(grant.tokens) == ["a", "b"]
        with pytest.raises(ValueError, match=r"\.tokens"):
            _ = grant.token
        assert [holder.id for holder in locks.snapshot()] == [grant.id] * 2


def test_second_release_is_an_error_and_changes_nothing(locks):
    first = locks("n").acquire()
    first.release()
    second = locks("n").acquire()
    with pytest.raises(NotHeld, match="released before"):
        first.release()
    assert second.held
    assert not first.held
    second.release()


def test_released_inside_with_is_told_when_it_is_left(locks, entered):
    ask, grant = entered
    grant.release()
    assert not grant.held
    with pytest.raises(NotHeld):
        grant.ensure_held()
    with pytest.raises(NotHeld):
        ask.__exit__(None, None, None)
    with pytest.raises(NotHeld):
        grant.release()
    assert locks.snapshot() == []


def test_released_after_with_is_an_error(locks):
    with locks("n") as grant:
        pass
    assert not grant.held
    with pytest.raises(NotHeld):
        grant.release()


def test_leaving_a_lost_lock_raises(locks, entered):
    ask, grant = entered
    lose(locks)
    assert not grant.held
    with pytest.raises(LockLost, match="host lost power") as caught:
        grant.ensure_held()
    assert caught.value.name == "n"
    with pytest.raises(LockLost):
        grant.release()
    with pytest.raises(LockLost):
        ask.__exit__(None, None, None)
    assert locks.snapshot() == []


def test_on_lost_is_called_once(locks, entered):
    ask, grant = entered
    seen: list[LockLost] = []
    grant.on_lost(seen.append)
    lose(locks)
    assert [type(each) for each in seen] == [LockLost]
    grant.on_lost(seen.append)
    assert len(seen) == 2
    with pytest.raises(LockLost):
        ask.__exit__(None, None, None)
    assert len(seen) == 2


def test_callbacks_of_on_lost_are_called_in_order_and_none_keeps_the_next_from_it(locks, caplog):
    grant = locks("n").acquire()
    seen: list[int] = []

    def fail(_: LockLost) -> None:
        raise IndexError("mine")

    grant.on_lost(lambda _: seen.append(1))
    grant.on_lost(fail)
    grant.on_lost(lambda _: seen.append(2))
    with caplog.at_level(logging.ERROR, "holdfast"):
        lose(locks)
    assert seen == [1, 2]
    assert "on_lost" in caplog.text


def test_break_wants_the_holders_id_and_a_reason(locks):
    grant = locks("a", "b").acquire()
    assert not locks.break_("a", "no such id", "power")
    assert not locks.break_("c", grant.id, "power")
    with pytest.raises(ValueError, match="why"):
        locks.break_("a", grant.id, " ")
    assert grant.held
    assert locks.break_("b", grant.id, "power")
    assert not grant.held
    assert locks.snapshot() == []
    assert not locks.break_("a", grant.id, "again")


def test_break_lets_the_next_one_in(locks):
    grant = locks("n").acquire()
    (thread,) = crowd(lambda: locks("n").__enter__())
    wait_until(lambda: locks.waiters("n"), "the next one")
    (waiter,) = locks.waiters("n")
    assert waiter.waiting_for == (grant.id,)
    lose(locks)
    thread.join(GENEROUS)
    assert not thread.is_alive()


def test_ask_is_reusable_and_each_time_gives_a_new_grant(locks):
    ask = locks("n")
    grants = []
    for _ in range(3):
        with ask as grant:
            grants.append(grant)
        hand = ask.acquire()
        hand.release()
    assert len({grant.id for grant in grants}) == 3
    assert locks.snapshot() == []


def test_ask_is_entered_at_one_place_only(locks):
    for ask in (locks("n"), locks("n", shared=True)):
        with ask:
            with pytest.raises(RuntimeError, match="entered already"), ask:
                raise AssertionError("entered")
            assert len(locks.holders("n")) == 1
        assert locks.snapshot() == []


def test_ask_is_immutable(locks):
    ask = locks("n", timeout=3)
    with pytest.raises(AttributeError):
        ask.timeout = 5
    with pytest.raises(AttributeError):
        ask.wants = ()
    assert ask.wants == (("n", EXCLUSIVE),)


def test_try_acquire_never_waits_and_leaves_no_trace(locks):
    with locks("n"):
        assert locks("n").try_acquire() is None
        assert locks("m", "n").try_acquire() is None
        assert len(locks.snapshot()) == 1
    grant = locks("n").try_acquire()
    assert grant is not None
    grant.release()


def test_abandoned_acquire_stays_held_and_warns(locks):
    with pytest.warns(ResourceWarning, match="'n' was thrown away without release"):
        locks("n").acquire()
        gc.collect()
    assert len(locks.holders("n")) == 1
    lose(locks)


def test_abandoned_with_is_freed_by_its_finaliser(locks):
    for way in WAYS.values():
        way(locks).__enter__()
        assert locks.snapshot() == []


def test_abandoned_async_with_is_freed_by_its_finaliser(locks):
    async def abandon() -> None:
        for way in WAYS.values():
            await way(locks).__aenter__()
            assert locks.snapshot() == []

    asyncio.run(abandon())


def test_abandoned_in_a_cycle_is_freed_by_the_collector_even_inside_the_driver(locks):
    """The collector may run inside the driver's mutex; its work is done when that is left."""
    driver = locks._driver
    ask = locks("n", shared=True)
    ask.__enter__()
    waiting = crowd(lambda: locks("n").__enter__())
    wait_until(lambda: locks.waiters("n"), "a waiter")
    driver._read(ask._held.__del__)
    waiting[0].join(GENEROUS)
    assert not waiting[0].is_alive()
    ask._held = None


def test_handler_inside_the_driver_is_refused_and_not_hung(locks):
    """A signal handler that looks or asks while its own thread is inside the mutex."""
    for act in (locks.snapshot, locks("n", "m").acquire, locks("n", "m").try_acquire):
        with pytest.raises(DriverError, match="signal handler"):
            locks._driver._alone(act)
    assert locks.snapshot() == []


def test_close_releases_and_ends_waiters(locks):
    caught: list[BaseException] = []

    def wait() -> None:
        try:
            locks("n").acquire()
        except Closed as error:
            caught.append(error)

    grant = locks("n", "m").acquire()
    threads = crowd(wait, wait)
    wait_until(lambda: len(locks.waiters("n")) == 2, "two waiters")
    locks.close()
    for thread in threads:
        thread.join(GENEROUS)
    assert [type(error) for error in caught] == [Closed] * 2
    assert not grant.held
    with pytest.raises(LockLost, match="closed"):
        grant.release()
    assert locks.snapshot() == []
    locks.close()


def test_use_after_close(locks):
    mutex, ask = locks.mutex("n"), locks("n")
    locks.close()
    for use in (ask.acquire, ask.try_acquire, ask.__enter__, mutex.acquire, mutex.__enter__):
        with pytest.raises(Closed):
            use()
    with pytest.raises(Closed):
        asyncio.run(ask.acquire_async())
    assert locks.snapshot() == []


def test_lone_with_that_outlives_its_lockspace_learns_of_it(locks):
    with pytest.raises(LockLost, match="closed"), locks("n"):
        locks.close()


def test_two_lockspaces_share_nothing(locks):
    with Lockspace() as other, locks("n"), other("n"):
        assert len(locks.snapshot()) == len(other.snapshot()) == 1


@pytest.mark.parametrize(
    "name", ["", "a\n", "a\0b", "x" * 1025, "é" * 513, None, 7, b"n", "\ud800"]
)
def test_bad_names(locks, name):
    for use in (locks, locks.mutex, locks.holders, locks.waiters):
        with pytest.raises(BadName) as caught:
            use(name)
        assert isinstance(caught.value, ValueError)
    assert caught.value.name == name


@pytest.mark.parametrize("name", ["a", "a/b/c", "x" * 1024, "é" * 512, "a b", "машина"])
def test_good_names(locks, name):
    with locks(name) as grant:
        assert locks.holders(name)[0].name == name
        assert grant.names == (name,)


@pytest.mark.parametrize(
    "ask",
    [
        lambda locks: locks("n", shared=True, slots=2),
        lambda locks: locks("n", group="a", slots=2),
        lambda locks: locks("n", group=""),
        lambda locks: locks("n", slots=0),
        lambda locks: locks("n", "n"),
        lambda locks: locks({}),
        lambda locks: locks({"n": SHARED}, shared=True),
        lambda locks: locks({"n": "shared"}),
        lambda locks: locks({"n": SHARED}, "m"),
        lambda locks: locks("n", timeout=-1),
        lambda locks: locks("n", timeout=float("nan")),
    ],
)
def test_contradictions_are_refused_at_the_call(locks, ask):
    with pytest.raises(ValueError):
        ask(locks)
    assert locks.snapshot() == []


@pytest.mark.parametrize(
    "error",
    [
        LockBusy(("a", "b"), (), 0.5),
        LockTimeout(("a",), (), 0.5),
        LockLost(("a",), "power"),
        NotHeld(("a",)),
        BadName("a\n", "it holds a line break"),
        Deadlock(("T1 waits for T2", "T2 waits for T1")),
        Unsupported("no such mode"),
        DriverError("disk full"),
        Closed("closed"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_carry_their_facts_through_pickle(error):
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)
    assert isinstance(copy, HoldfastError)


def test_lock_timeout_with_real_holders_pickles(locks):
    with locks("n"):
        failed: list[LockTimeout] = []

        def wait() -> None:
            try:
                locks("n", timeout=0).acquire()
            except LockTimeout as error:
                failed.append(error)

        crowd(wait)[0].join(GENEROUS)
    copy = pickle.loads(pickle.dumps(failed[0]))
    assert copy.holders == failed[0].holders
    assert str(os.getpid()) in str(copy)


def test_waiters_are_seen_in_queue_order_with_whom_they_wait_for(locks):
    grant = locks("n").acquire()
    threads = []
    for number, how in enumerate(({}, {"shared": True}, {"slots": 3})):
        threads += crowd(lambda how=how: locks("n", **how).__enter__())
        wait_until(lambda n=number: len(locks.waiters("n")) == n + 1, "a waiter")
    waiters = locks.waiters("n")
    assert [str(waiter.mode) for waiter in waiters] == ["exclusive", "shared", "slots:3"]
    assert all(grant.id in waiter.waiting_for for waiter in waiters)
    assert waiters[0].id in waiters[1].waiting_for
    assert {"state": "waiting", "name": "n"}.items() <= waiters[0].as_dict().items()
    grant.release()
    for thread in threads:
        thread.join(GENEROUS)


def test_snapshot_by_prefix(locks):
    with locks({"pool/b": SHARED, "pool/a": group("g"), "other": slots(2)}):
        assert [each.name for each in locks.snapshot("pool/")] == ["pool/a", "pool/b"]
        assert [each.name for each in locks.snapshot()] == ["other", "pool/a", "pool/b"]
        assert locks.holders("pool") == []


def test_events_tell_the_life_of_an_ask(locks):
    seen: list[tuple[str, tuple[str, ...]]] = []
    locks.subscribe(lambda event: seen.append((event.kind, event.names)))
    with locks("n"), pytest.raises(LockTimeout):
        crowd_fails(lambda: locks("n", timeout=0).acquire())
    assert [kind for kind, _ in seen] == ["asked", "granted", "asked", "gave up", "released"]
    seen.clear()
    grant = locks("a", "b").acquire()
    lose(locks, "a")
    assert [kind for kind, _ in seen][:2] == ["asked", "granted"]
    assert sorted(kind for kind, _ in seen[2:]) == ["broken", "lost"]
    assert not grant.held


def crowd_fails(body) -> None:
    """Run *body* in another thread, and raise here what it raised there."""
    caught: list[BaseException] = []

    def run() -> None:
        try:
            body()
        except BaseException as error:
            caught.append(error)

    crowd(run)[0].join(GENEROUS)
    if caught:
        raise caught[0]


def test_a_signal_handler_may_release(locks):
    """It runs in the main thread, which waits in the queue behind what it releases."""
    grant = locks("n").acquire()
    before = signal.signal(signal.SIGUSR2, lambda *_: grant.release())

    def strike() -> None:
        wait_until(lambda: locks.waiters("n"), "the main thread to wait")
        os.kill(os.getpid(), signal.SIGUSR2)

    crowd(strike)
    try:
        with locks("n", timeout=GENEROUS):
            assert not grant.held
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_no_warning_for_what_was_released(locks):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        grant = locks("n").acquire()
        grant.release()
        del grant
        gc.collect()
