"""The short cut of ``memory:``: its runs are one step each, and it decides as the law does."""

from __future__ import annotations

import dis
import itertools
import random
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import EXCLUSIVE, SHARED, Lockspace, group, slots
from holdfast.doors.mutex import ShortMutex
from holdfast.doors.short import ShortAsk
from holdfast.drivers.memory import MemoryTable
from holdfast.locks.table import Claim, Table
from tests.races.harness import crowd, often, switching

POINTS = ("CALL", "BACKWARD", "RESUME", "YIELD", "SEND", "FOR_ITER", "IMPORT", "WITH", "PRECALL")
"""Parts of the names of bytecodes at which CPython may change threads or run other code."""

RUNS: dict[str, tuple[Callable[..., Any], str, str]] = {
    "take, ask": (ShortAsk.__enter__, "CONTAINS_OP", "STORE_SUBSCR"),
    "take, async ask": (ShortAsk.__aenter__, "CONTAINS_OP", "STORE_SUBSCR"),
    "take, mutex": (ShortMutex.__enter__, "CONTAINS_OP", "STORE_SUBSCR"),
    "give, ask": (ShortAsk.__exit__, "IS_OP", "DELETE_SUBSCR"),
    "give, async ask": (ShortAsk.__aexit__, "IS_OP", "DELETE_SUBSCR"),
    "give, mutex": (ShortMutex.__exit__, "IS_OP", "DELETE_SUBSCR"),
    "give, grant": (Lockspace._give, "IS_OP", "DELETE_SUBSCR"),
    "unfold": (MemoryTable._unfold, "IS_OP", "STORE_SUBSCR"),
    "new queue": (MemoryTable.line, "CONTAINS_OP", "STORE_SUBSCR"),
}


def run_of(code: CodeType, test: str, store: str) -> list[dis.Instruction]:
    """From the last *test* before the first *store* into the table to what follows the store."""
    all_of_it = list(dis.get_instructions(code))
    end = next(at for at, each in enumerate(all_of_it) if each.opname == store)
    start = max(at for at, each in enumerate(all_of_it[:end]) if each.opname == test)
    if test == "IS_OP":  # what is compared was read from the table right before
        start = max(at for at, e in enumerate(all_of_it[:start]) if e.opname == "BINARY_SUBSCR")
    return all_of_it[start:end]


def gaps(run: list[dis.Instruction]) -> list[str]:
    return [each.opname for each in run if any(point in each.opname for point in POINTS)]


@pytest.mark.parametrize("name", RUNS)
def test_between_test_and_store_nothing_can_run(name):
    function, test, store = RUNS[name]
    run = run_of(function.__code__, test, store)
    assert len(run) > 2
    assert gaps(run) == []


@pytest.mark.parametrize("name", ["take, ask", "take, async ask"])
def test_the_store_and_the_note_of_it_are_one_step(name):
    """An exception finds both the name taken and the ask knowing it, or neither."""
    code = list(dis.get_instructions(RUNS[name][0].__code__))
    store = next(at for at, each in enumerate(code) if each.opname == "STORE_SUBSCR")
    after = code[store : store + 8]
    noted = next(
        at for at, e in enumerate(after) if (e.opname, e.argval) == ("STORE_ATTR", "_held")
    )
    assert gaps(after[:noted]) == []


def test_the_table_is_read_in_the_same_step_as_it_is_tested():
    """Or close() and subscribe() could come between, and somebody enter a closed lockspace."""
    for name in ("take, ask", "take, async ask", "take, mutex"):
        code = list(dis.get_instructions(RUNS[name][0].__code__))
        test = next(at for at, each in enumerate(code) if each.opname == "CONTAINS_OP")
        read = max(at for at, each in enumerate(code[:test]) if each.argval == "_table")
        assert gaps(code[read:test]) == []


def test_the_look_at_the_bytecodes_can_fail():
    def broken(lines: dict[str, object], name: str, lone: object) -> None:
        if name not in lines:
            print("somebody else runs")
            lines[name] = lone

    assert gaps(run_of(broken.__code__, "CONTAINS_OP", "STORE_SUBSCR"))


# The same decisions ---------------------------------------------------------------------------

MODES = {"s": SHARED, "g": group("a"), "2": slots(2), "x": EXCLUSIVE}
STEPS = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.sampled_from(["with", "with", "mutex", "x", "s", "g", "2"]),
        st.integers(0, 9),
        st.booleans(),
    ),
    max_size=40,
)


def play(steps: list[tuple[str, str, int, bool]]) -> Iterator[tuple[bool, bool]]:
    """What the doors and the bare law answer to the same asks; each step tries or gives back."""
    law = Table()
    with Lockspace() as locks:
        held: list[tuple[Callable[[], object], Claim]] = []
        for name, way, which, gives in steps:
            if gives and held:
                give, claim = held.pop(which % len(held))
                give()
                law.leave(claim)
                continue
            claim = Claim(((name, MODES.get(way, EXCLUSIVE)),))
            expected = law.enter(claim, stay=False)
            give_back = enter(locks, name, way)
            yield give_back is not None, expected
            if expected and give_back is not None:
                held.append((give_back, claim))
        seen = {(each.name, str(each.mode)) for each in locks.snapshot()}
        assert seen == {(seat.name, str(seat.mode)) for line in law.lines.values() for seat in line}
        for give, claim in held:
            give()
            law.leave(claim)
        assert locks.snapshot() == []


def enter(locks: Lockspace, name: str, way: str) -> Callable[[], object] | None:
    """Try it without waiting; the way back, or None if somebody is in the way."""
    if way == "mutex":
        mutex = locks.mutex(name)
        if name in locks._driver.table.lines:
            return mutex.release if mutex.acquire(blocking=False) else None
        mutex.__enter__()
        return mutex.release
    if way == "with" and name not in locks._driver.table.lines:
        ask = locks(name)
        ask.__enter__()
        return lambda: ask.__exit__(None, None, None)
    mode = MODES.get(way, EXCLUSIVE)
    grant = locks({name: mode}).try_acquire()
    return grant.release if grant is not None else None


@given(STEPS)
def test_the_short_cut_decides_as_the_law_does(steps):
    for got, expected in play(steps):
        assert got is expected


# Under stress ---------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["with", "mutex"])
def test_looking_while_others_take_and_give(way):
    """Those who look meet lone holders that leave, come again, and are unfolded by a waiter."""
    wrong: list[str] = []
    with Lockspace() as locks, switching():
        mutexes = {name: locks.mutex(name) for name in "ab"}
        section = mutexes.__getitem__ if way == "mutex" else locks

        def churn(seed: int) -> None:
            names = random.Random(seed)
            for _ in range(often(soak=200_000, test=8_000)):
                with section(names.choice("ab")) as grant:
                    if way == "with" and not grant.held:
                        wrong.append("a grant that is held looks lost")

        def look() -> None:
            while any(thread.is_alive() for thread in busy):
                try:
                    seen = locks.snapshot()
                    locks.waiters("a")
                except Exception as error:
                    wrong.append(repr(error))
                    return
                holders = [each.name for each in seen if not hasattr(each, "waiting_for")]
                if len(set(holders)) != len(holders):
                    wrong.append(f"two hold: {seen}")

        busy = crowd(*(lambda seed=seed: churn(seed) for seed in range(3)))
        for thread in (*busy, *crowd(look, look)):
            thread.join()
        assert not wrong
        assert locks.snapshot() == []


def test_tokens_only_grow_whoever_takes():
    """By the short cut, by the queue and by mutexes: each grant's token is above all before it."""
    with Lockspace() as locks, switching():
        tokens: list[int] = []

        def take() -> None:
            for turn in range(often(soak=100_000, test=3_000)):
                ask = locks("a", timeout=60) if turn % 3 else locks("a")
                with ask as grant:
                    tokens.append(grant.token)

        for thread in crowd(*[take] * 4):
            thread.join()
        assert all(one < two for one, two in itertools.pairwise(tokens))
