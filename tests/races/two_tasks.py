"""A program for test_every_point: two tasks, one lock, and a strike at every point in turn."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from typing import Any

from holdfast import Lockspace
from tests.races.delivery import Interrupted, strike_everywhere


def main() -> None:
    """Strike at every point; raises AssertionError where something stays behind."""
    locks = Lockspace()
    through: list[str] = []

    async def body(name: str) -> None:
        async with locks("a"):
            await asyncio.sleep(0)
            through.append(name)

    async def both() -> list[Any]:
        return await asyncio.gather(body("one"), body("two"), return_exceptions=True)

    def act() -> None:
        with asyncio.Runner() as runner, suppress(Interrupted):
            task = runner.get_loop().create_task(both())
            while not task.done():
                with suppress(Interrupted):
                    runner.get_loop().run_until_complete(task)

    def check(point: int) -> None:
        assert through, f"nobody got through after a strike at point {point}"
        through.clear()
        gc.collect()  # a struck task, its exception and their frames refer to each other
        assert locks.snapshot() == [], f"held after a strike at point {point}"

    gc.freeze()  # so that a collection looks at what is new
    try:
        assert strike_everywhere(act, check) > 50
    finally:
        gc.unfreeze()


if __name__ == "__main__":
    main()
