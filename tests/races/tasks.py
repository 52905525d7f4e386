"""Tests that are coroutines run in a loop of their own; and how they wait."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable

import pytest

from holdfast.testing.faults import GENEROUS

__all__ = ["pytest_pyfunc_call", "until"]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an ``async def`` test; what it leaves running is an error of asyncio's."""
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(test(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


async def until(true: Callable[[], object]) -> None:
    """Let other tasks run until *true* says so."""
    async with asyncio.timeout(GENEROUS):
        while not true():
            await asyncio.sleep(0.0005)
