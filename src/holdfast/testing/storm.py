"""A storm: many at once, random names, modes, time-outs, cancellations; each hold is recorded."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from contextlib import AbstractContextManager, suppress

from holdfast.doors.ask import Ask
from holdfast.doors.grant import Grant
from holdfast.errors import LockTimeout
from holdfast.locks.terms import Mode
from holdfast.lockspace import Lockspace
from holdfast.testing.faults import GENEROUS, wait_until
from holdfast.testing.history import Hold, Recorder
from holdfast.testing.parties import ask_for

__all__ = ["blow"]

PAUSES = (0.0, 0.0, 0.0, 0.0005, 0.002)
TIMEOUTS = (None, None, 0.0, 0.0005, 0.005)


class _Wind:
    """What the threads and tasks of one storm share."""

    def __init__(self, locks: Lockspace, names: list[str], modes: list[Mode]) -> None:
        self.locks = locks
        self.names = names
        self.modes = modes
        self.record = Recorder()

    def ask(self, dice: random.Random) -> Ask:
        """A random ask."""
        several = len(self.names) > 1 and self.locks.guarantees.several_names
        names = dice.sample(self.names, dice.choice((1, 1, 2)) if several else 1)
        wants = {name: dice.choice(self.modes) for name in names}
        return ask_for(self.locks, wants, dice.choice(TIMEOUTS))

    def recorded(self, ask: Ask, grant: Grant, seed: int) -> AbstractContextManager[None]:
        """Around the body of a hold."""
        return self.record.hold(dict(ask.wants), grant.tokens, f"seed {seed}")

    def rage(self, seed: int, rounds: int) -> None:
        """In a thread."""
        dice = random.Random(seed)
        for _ in range(rounds):
            ask = self.ask(dice)
            with suppress(LockTimeout), ask as grant, self.recorded(ask, grant, seed):
                time.sleep(dice.choice(PAUSES))

    async def drift(self, seed: int, rounds: int) -> None:
        """In a task, which is cancelled now and then."""
        dice = random.Random(seed)
        for _ in range(rounds):
            inner = asyncio.ensure_future(self.puff(seed, dice))
            if dice.random() < 0.3:
                await asyncio.sleep(dice.choice(PAUSES))
                inner.cancel()
            with suppress(LockTimeout, asyncio.CancelledError):
                await inner

    async def puff(self, seed: int, dice: random.Random) -> None:
        """One hold by ``async with``."""
        ask = self.ask(dice)
        async with ask as grant:
            with self.recorded(ask, grant, seed):
                await asyncio.sleep(dice.choice(PAUSES))


def blow(
    locks: Lockspace, names: list[str], modes: list[str], *, rounds: int, seed: int, width: int = 3
) -> list[Hold]:
    """*width* threads and as many tasks, *rounds* asks each. All holds; all have ended.

    Raises TimeoutError or AssertionError if somebody sleeps for ever.
    """
    wind = _Wind(locks, names, [Mode.read(text) for text in modes])
    failed: list[BaseException] = []

    def run(number: int) -> None:
        try:
            wind.rage(seed + number, rounds)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(width)]
    for thread in threads:
        thread.start()
    patience = GENEROUS + rounds / 4
    asyncio.run(asyncio.wait_for(_all_tasks(wind, seed + 1000, rounds, width), patience))
    over = "the threads of the storm to end (or a wake-up was lost)"
    wait_until(lambda: not any(thread.is_alive() for thread in threads), over, patience)
    if failed:
        raise failed[0]
    return wind.record.holds


async def _all_tasks(wind: _Wind, seed: int, rounds: int, width: int) -> None:
    await asyncio.gather(*(wind.drift(seed + n, rounds) for n in range(width)))
