"""Random cancellations and time-outs, threads and tasks mixed; and a million names come and go."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import tracemalloc
from collections import Counter
from contextlib import suppress

import pytest

from holdfast import EXCLUSIVE, SHARED, Deadlock, Lockspace, LockTimeout, group, slots
from tests.races.harness import crowd, often, switching

pytestmark = pytest.mark.timeout(3600)

MODES = (EXCLUSIVE, EXCLUSIVE, SHARED, SHARED, group("a"), group("b"), slots(1), slots(2), slots(3))
NAMES = ("vm-1", "vm-2", "uploads")


class Watch:
    """Who is inside, by name and mode; two who may not meet are a violation."""

    def __init__(self) -> None:
        self.inside: dict[str, list[object]] = {name: [] for name in NAMES}
        self.guard = threading.Lock()
        self.count: Counter[str] = Counter()

    def enter(self, wants: dict[str, object]) -> None:
        with self.guard:
            self.count["entries"] += 1
            for name, mode in wants.items():
                self.inside[name].append(mode)
                self.count["violations"] += not allowed(self.inside[name])

    def leave(self, wants: dict[str, object]) -> None:
        with self.guard:
            for name, mode in wants.items():
                self.inside[name].remove(mode)


def allowed(modes: list) -> bool:
    """Whether these may hold one name at the same time."""
    if len(modes) == 1:
        return True
    if len({(mode.kind, mode.group) for mode in modes}) > 1 or modes[0].kind == "exclusive":
        return False
    return modes[0].kind == "shared" or len(modes) <= min(mode.limit for mode in modes)


def any_ask(chance: random.Random) -> dict[str, object]:
    names = chance.sample(NAMES, chance.choice((1, 1, 1, 2, 3)))
    return {name: chance.choice(MODES) for name in names}


def mixed_storm(locks: Lockspace, asks: int, seed: int) -> Watch:
    """Four threads and two loops of ten tasks; asks wait, give up in time, or are cancelled."""
    watch, workers = Watch(), 6

    def thread(chance: random.Random) -> None:
        for _ in range(asks // workers):
            wants = any_ask(chance)
            ask = locks(wants, timeout=chance.choice((None, 0, 0.0005, 0.002)))
            with suppress(LockTimeout):
                if chance.random() < 0.3:
                    grant = ask.acquire()
                    watch.enter(wants)
                    watch.leave(wants)
                    grant.release()
                else:
                    with ask:
                        watch.enter(wants)
                        watch.leave(wants)
                continue
            watch.count["time-outs"] += 1

    async def task(chance: random.Random) -> None:
        wants = any_ask(chance)
        async with locks(wants, timeout=chance.choice((None, None, 0.001))):
            watch.enter(wants)
            try:
                await asyncio.sleep(0)
            finally:
                watch.leave(wants)

    async def crowd_of_tasks(chance: random.Random) -> None:
        for _ in range(asks // workers // 10):
            tasks = [asyncio.create_task(task(chance)) for _ in range(10)]
            for each in chance.sample(tasks, 4):
                for _ in range(chance.randrange(3)):
                    await asyncio.sleep(0)
                each.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                watch.count[type(result).__name__] += 1
                assert result is None or isinstance(result, LockTimeout | asyncio.CancelledError)

    def loop(chance: random.Random) -> None:
        asyncio.run(crowd_of_tasks(chance))

    bodies = [thread] * 4 + [loop] * 2
    seeds = [random.Random(seed * 100 + number) for number in range(workers)]
    threads = crowd(*(lambda b=b, s=s: b(s) for b, s in zip(bodies, seeds, strict=True)))
    for each in threads:
        each.join(3000)
        assert not each.is_alive(), "somebody sleeps for ever"
    return watch


@pytest.mark.parametrize("seed", range(3))
def test_cancellations_and_time_outs_lose_no_wake_up(seed):
    with Lockspace() as locks, switching(1e-5):
        watch = mixed_storm(locks, often(soak=100_000, test=4_000), seed)
        print(dict(watch.count))
        assert watch.count["violations"] == 0
        assert watch.count["entries"] > 0
        assert watch.count["CancelledError"] > 0
        assert watch.count["time-outs"] > 0
        assert locks.snapshot() == []
        assert locks._driver.table.lines == {}
        assert locks._driver.table.news == []
        assert not locks._driver.table._tangled


def test_the_watch_can_fail():
    watch = Watch()
    watch.enter({"vm-1": SHARED})
    watch.enter({"vm-1": group("a")})
    assert watch.count["violations"] == 1
    assert not allowed([slots(1), slots(3)])
    assert allowed([slots(2), slots(3)])


def use(locks: Lockspace, names: range, way: str) -> None:
    """Take and release each of these names once, with a waiter's visit now and then."""
    if way == "short":
        for number in names:
            with locks(f"vm-{number}"):
                pass
    elif way == "queue":
        for number in names:
            with locks(f"vm-{number}", timeout=9):
                pass
            if not number % 100:
                with locks(f"vm-{number}"), suppress(Deadlock):
                    locks(f"vm-{number}").acquire()
    elif way == "acquire":
        for number in names:
            locks(f"vm-{number}", f"net-{number}").acquire().release()
    else:
        for number in names:
            with locks.mutex(f"vm-{number}"):
                pass


@pytest.mark.parametrize("way", ["short", "queue", "acquire", "mutex"])
def test_used_and_released_names_leave_no_byte(way):
    """Measured between two like rounds over new names: what grows with names would show."""
    count = often(soak=1_000_000, test=10_000)
    with Lockspace() as locks:
        use(locks, range(1_000), way)
        gc.collect()
        tracemalloc.start()
        try:
            use(locks, range(1_000, 2_000), way)
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            use(locks, range(10_000, 10_000 + count), way)
            gc.collect()
            grown = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        print(f"{count} names, {way}: {grown} bytes")
        assert grown < 2_000, "a few objects of the test itself, but nothing for each name"
        assert locks.snapshot() == []
        assert locks._driver.table.lines == {}
        # A dictionary does not shrink by itself, but one that was never large is not.
        assert locks._driver.table.lines.__sizeof__() < 2_000


async def test_used_and_released_names_leave_no_byte_in_async_with():
    with Lockspace() as locks:
        for number in range(often(soak=300_000, test=3_000)):
            async with locks(f"vm-{number}"), locks(f"net-{number}", shared=True):
                pass
        assert locks._driver.table.lines == {}
