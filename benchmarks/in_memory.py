"""The rows of one process: what a free lock costs, what eight threads get, what growth costs."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Iterable
from itertools import cycle, islice, repeat
from typing import Any

from benchmarks.measure import Loop, Samples, alternate, medians, ratio
from benchmarks.peers import HOLDFAST, LockByKey, oslo_internal
from benchmarks.results import Figure, Panel, Result, row
from benchmarks.scale import Scale
from holdfast import Lockspace

BARE = "threading.Lock"
BARE_ASYNC = "asyncio.Lock"

Names = Callable[[int], Iterable[str]]
"""That many names to lock one after the other."""


@row("with", "`with locks(name)`, memory, free, all facts kept")
def free_names(scale: Scale, result: Result) -> None:
    for label, names in (("1 name", _one_name), (f"{scale.names:,} names", _many_names(scale))):
        samples = alternate(_keyed_loops(names), scale)
        result.figures.append(
            Figure(f"{label} ÷ bare {BARE}", ratio(samples, HOLDFAST, BARE), "x", goal=3.5)
        )
        result.panels.append(Panel(f"with, {label}", "ns", medians(samples)))
        result.notes.append(_beside(label, samples, BARE))


@row("mutex", "`with mutex`, memory, free")
def free_mutex(scale: Scale, result: Result) -> None:
    mutex, bare = Lockspace().mutex("vm-1"), threading.Lock()

    def with_mutex(count: int) -> None:
        for _ in repeat(None, count):
            with mutex:
                pass

    def with_bare(count: int) -> None:
        for _ in repeat(None, count):
            with bare:
                pass

    samples = alternate({HOLDFAST: with_mutex, BARE: with_bare}, scale)
    result.figures.append(Figure(f"÷ bare {BARE}", ratio(samples, HOLDFAST, BARE), "x", goal=2))
    result.panels.append(Panel("with mutex", "ns", medians(samples)))


@row("async", "`async with locks(name)`, memory, free, garbage collector on")
def free_async(scale: Scale, result: Result) -> None:
    with asyncio.Runner() as runner:
        samples = alternate(_async_loops(runner), scale)
    found = ratio(samples, HOLDFAST, BARE_ASYNC)
    result.figures.append(Figure(f"÷ bare {BARE_ASYNC}", found, "x", goal=2))
    result.panels.append(Panel("async with, 1 name", "ns", medians(samples)))
    result.notes.append(_beside("1 name", samples, BARE_ASYNC))


@row("growth-memory", "memory: one more name when many are held")
def growth(scale: Scale, result: Result) -> None:
    few, many = f"{10} held", f"{scale.names:,} held"
    spaces = {few: Lockspace(), many: Lockspace()}
    grants = [
        spaces[label](f"held-{each}").acquire()
        for label, count in ((few, 10), (many, scale.names))
        for each in range(count)
    ]
    names = _many_names(scale)
    loops = {label: _keyed(space, names) for label, space in spaces.items()}
    loops |= {f"bare dict, {label}": _dictionary(count, names)
              for label, count in ((few, 10), (many, scale.names))}  # fmt: skip
    samples = alternate(loops, scale)
    for grant in grants:
        grant.release()
    found = ratio(samples, many, few)
    result.figures.append(Figure(f"{many} ÷ {few}", found, "x", goal=1.2))
    bare = ratio(samples, f"bare dict, {many}", f"bare dict, {few}")
    result.figures.append(Figure("a bare dict, the same", bare, "x"))
    result.panels.append(Panel("one more name, memory", "ns", medians(samples)))


def _dictionary(held: int, names: Names) -> Loop:
    """What the processor's caches alone make of so many keys."""
    table: dict[str, object] = {f"held-{each}": object() for each in range(held)}

    def loop(count: int) -> None:
        for name in names(count):
            table[name] = None
            del table[name]

    return loop


def _one_name(count: int) -> Iterable[str]:
    return repeat("vm-1", count)


def _many_names(scale: Scale) -> Names:
    """Other names at each call, in an order that no cache of the processor foresees."""
    names = [f"vm-{each}" for each in range(scale.names)]
    random.Random(1).shuffle(names)
    for_ever = cycle(names)
    return lambda count: islice(for_ever, count)


def _keyed_loops(names: Names) -> dict[str, Loop]:
    bare = threading.Lock()

    def with_bare(count: int) -> None:
        for _ in names(count):
            with bare:
                pass

    loops = {HOLDFAST: _keyed(Lockspace(), names), BARE: with_bare}
    loops["LockByKey"] = _keyed(LockByKey, names)
    try:
        loops["oslo internal"] = _keyed(oslo_internal(), names)
    except ImportError:
        pass
    return loops


SOURCE = """
def loop(count):
    for name in names(count):
        with locks(name):
            pass
"""


def _keyed(locks: Callable[[str], Any], names: Names) -> Loop:
    """A loop with bytecodes of its own: the interpreter specialises them for what they meet."""
    scope: dict[str, Any] = {"locks": locks, "names": names}
    exec(SOURCE, scope)
    loop: Loop = scope["loop"]
    return loop


def _async_loops(runner: asyncio.Runner) -> dict[str, Loop]:
    locks, bare = Lockspace(), asyncio.Lock()

    async def with_locks(count: int) -> None:
        for name in repeat("vm-1", count):
            async with locks(name):
                pass

    async def with_bare(count: int) -> None:
        for _ in repeat("vm-1", count):
            async with bare:
                pass

    coroutines = {HOLDFAST: with_locks, BARE_ASYNC: with_bare} | _aiorwlock(runner)

    def run(function: Callable[[int], Any]) -> Loop:
        return lambda count: runner.run(function(count))

    return {who: run(function) for who, function in coroutines.items()}


def _aiorwlock(runner: asyncio.Runner) -> dict[str, Callable[[int], Any]]:
    try:
        from aiorwlock import RWLock
    except ImportError:
        return {}

    async def make() -> tuple[Any, Any]:
        return RWLock().writer, RWLock(fast=True).writer

    plain, fast = runner.run(make())

    async def with_plain(count: int) -> None:
        for _ in repeat("vm-1", count):
            async with plain:
                pass

    async def with_fast(count: int) -> None:
        for _ in repeat("vm-1", count):
            async with fast:
                pass

    return {"aiorwlock": with_plain, "aiorwlock fast": with_fast}


def _beside(label: str, samples: Samples, bare: str) -> str:
    others = (f"{who} {ratio(samples, who, bare).median:.2f} x" for who in samples if who != bare)
    return f"{label}: {', '.join(others)} of {bare}"
