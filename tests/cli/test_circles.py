"""Circles, on invented snapshots; with real processes in test_look.py."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.cli.circles import Process, circles, process_of
from holdfast.locks.terms import EXCLUSIVE, Holder, Owner, Waiter

Entries = list[Holder | Waiter]


def owner(pid: int) -> Owner:
    return Owner("host", "boot", pid, 1)


def holds(pid: int, name: str) -> Holder:
    return Holder(name, EXCLUSIVE, owner(pid), 0.0, f"{pid} holds {name}", 1)


def waits(pid: int, name: str, *behind: str) -> Waiter:
    return Waiter(name, EXCLUSIVE, owner(pid), 0.0, f"{pid} waits", behind)


def no_parents(_: Owner) -> Iterable[Process]:
    return ()


def pids(entries: Entries, parents=no_parents) -> list[list[int]]:
    return [[step.waiter.owner.pid for step in each] for each in circles(entries, parents)]


TWO = [
    *(holds(1, "a"), holds(2, "b")),
    *(waits(1, "b", "2 holds b"), waits(2, "a", "1 holds a")),
]


def test_two_that_wait_for_each_other():
    assert pids(TWO) == [[1, 2]]


def test_its_sentence_names_who_waits_for_what_and_who_has_it():
    first, second = circles(TWO, no_parents)[0]
    assert str(first) == "(pid 1 on host) waits for 'b', which (pid 2 on host) holds"
    assert str(second) == "(pid 2 on host) waits for 'a', which (pid 1 on host) holds"


def test_three_in_a_row_and_one_outside():
    ring = [holds(pid, f"n{pid}") for pid in (1, 2, 3)]
    ring += [waits(pid, f"n{to}", f"{to} holds n{to}") for pid, to in ((1, 2), (2, 3), (3, 1))]
    assert pids([*ring, waits(4, "n1", "1 holds n1", "3 waits")]) == [[1, 2, 3]]


def test_a_queue_is_no_circle():
    queue = [holds(1, "a"), waits(2, "a", "1 holds a"), waits(3, "a", "1 holds a", "2 waits")]
    assert pids(queue) == []


def test_through_somebody_ahead_in_the_queue():
    """3 holds what 1 wants, and waits behind 2, who waits for 1."""
    entries = [holds(1, "a"), holds(3, "b"), waits(2, "a", "1 holds a")]
    entries += [waits(3, "a", "2 waits"), waits(1, "b", "3 holds b")]
    assert pids(entries) == [[2, 1, 3]]


def test_threads_of_one_process_that_queue_are_no_circle():
    assert pids([holds(1, "a"), waits(1, "a", "1 holds a")]) == []


def test_a_command_that_waits_for_its_own_keeper():
    entries = [holds(1, "a"), waits(2, "a", "1 holds a")]

    def parents(each: Owner) -> Iterable[Process]:
        return [process_of(owner(1))] if each.pid == 2 else []

    assert pids(entries, parents) == [[2]]


def test_commands_that_wait_for_each_others_keepers():
    entries = [holds(1, "a"), holds(2, "b"), waits(11, "b", "2 holds b")]
    entries += [waits(12, "a", "1 holds a")]

    def parents(each: Owner) -> Iterable[Process]:
        return [process_of(owner(each.pid - 10))]

    assert pids(entries, parents) == [[11, 12]]


def test_the_name_in_the_sentence_is_the_one_in_the_way():
    """Each of its seats names all that is in its way, over all names of the ask."""
    behind = ("1 holds b",)
    both = [waits(2, "a", *behind), waits(2, "b", *behind), holds(2, "c")]
    entries = [holds(1, "b"), *both, waits(1, "c", "2 holds c")]
    (circle,) = circles(entries, no_parents)
    assert "'b'" in str(circle[0]) and "'c'" in str(circle[1])


def test_two_circles_are_two():
    other = [holds(5, "e"), holds(6, "f"), waits(5, "f", "6 holds f"), waits(6, "e", "5 holds e")]
    assert pids([*TWO, *other]) == [[1, 2], [5, 6]]
