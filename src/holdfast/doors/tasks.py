"""How an asyncio task waits until its claim is told. Loaded when first used: asyncio is large."""

from __future__ import annotations

import asyncio
from contextlib import suppress

__all__ = ["Nap"]


class Nap:
    """One wait of one task; ``wake`` may come first, often, and from any thread."""

    __slots__ = ("_future", "_loop")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._future = self._loop.create_future()

    async def sleep(self, timeout: float | None) -> None:
        """Until woken, or *timeout* seconds have passed."""
        timer = None if timeout is None else self._loop.call_later(timeout, self._finish)
        try:
            await self._future
        finally:
            if timer is not None:
                timer.cancel()

    def wake(self) -> None:
        """Wake it, now or when it goes to sleep."""
        if asyncio._get_running_loop() is self._loop:
            self._finish()
            return
        with suppress(RuntimeError):  # the loop was closed under its task: nobody is left to wake
            self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        if not self._future.done():
            self._future.set_result(None)
