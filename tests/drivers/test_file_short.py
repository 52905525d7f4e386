"""The short way of the file driver: it decides as the law does, and nothing comes between."""

from __future__ import annotations

import dis
import random
from pathlib import Path

import pytest

from holdfast.drivers.file import FileDriver
from holdfast.locks.table import Claim
from holdfast.locks.terms import EXCLUSIVE, SHARED, group, slots
from tests.crash.kit import assert_empty, opened, repairs

MODES = (EXCLUSIVE, EXCLUSIVE, EXCLUSIVE, SHARED, slots(2), group("g"))


class LongWay(FileDriver):
    """The driver without its short ways: everything goes by the law."""

    def _take(self, claim: Claim) -> bool:
        return False

    def _give(self, claim: Claim) -> bool:
        return False

    def _pass_on(self, claim: Claim) -> bool:
        return False


class Pair:
    """Two lockspaces, each with two drivers, that are asked the same."""

    def __init__(self, path: Path) -> None:
        self.short = [opened(path / "short") for _ in range(2)]
        opened(path / "long").close()
        like = opened(path / "long")
        self.long = [LongWay(like.path, like._access, "") for _ in range(2)]
        like.close()
        self.asks: list[tuple[int, Claim, Claim]] = []

    def ask(self, which: int, wants: tuple, waits: bool) -> None:
        one, two = Claim(wants), Claim(wants)
        tell = (lambda: None) if waits else None
        assert self.short[which].submit(one, tell) == self.long[which].submit(two, tell)
        self.asks.append((which, one, two))

    def drop(self, number: int) -> None:
        which, one, two = self.asks.pop(number)
        assert self.short[which].drop(one) == self.long[which].drop(two)

    def compare(self) -> None:
        for drivers in (self.short, self.long):
            for driver in drivers:
                driver._alone(driver._notice)
        assert [one.state for _, one, _ in self.asks] == [two.state for _, _, two in self.asks]
        held = [(one, two) for _, one, two in self.asks if one.state == "held"]
        assert shape([one.tokens for one, _ in held]) == shape([two.tokens for _, two in held])

    def close(self) -> None:
        while self.asks:
            self.drop(0)
        for drivers in (self.short, self.long):
            assert repairs(drivers[0]) == 0
            assert_empty(drivers[0])
            for driver in drivers:
                driver.close()


def shape(tokens: list[dict[str, int]]) -> list[tuple[str, int, int]]:
    """For each name, the order of its tokens: numbers differ, who shares and who is later not."""
    rows = sorted(
        (name, token, place) for place, each in enumerate(tokens) for name, token in each.items()
    )
    ranks = {
        pair: rank for rank, pair in enumerate(sorted({(name, token) for name, token, _ in rows}))
    }
    return [(name, ranks[name, token], place) for name, token, place in rows]


@pytest.mark.parametrize("seed", range(12))
def test_the_short_way_decides_as_the_law(tmp_path: Path, seed: int):
    rnd = random.Random(seed)
    pair = Pair(tmp_path)
    for _ in range(250):
        if len(pair.asks) > 8 or (pair.asks and rnd.random() < 0.45):
            pair.drop(rnd.randrange(len(pair.asks)))
        else:
            names = rnd.sample("abc", rnd.choice((1, 1, 1, 2)))
            wants = tuple((name, rnd.choice(MODES)) for name in names)
            pair.ask(rnd.randrange(2), wants, rnd.random() < 0.7)
        pair.compare()
    pair.close()


@pytest.mark.parametrize("name", ["_take", "_give", "_pass_on"])
def test_nothing_is_called_between_taking_and_giving_the_mutex(name: str):
    """CPython gives the GIL away and runs signal handlers after calls and on jumps back only."""
    code = list(dis.get_instructions(getattr(FileDriver, name)))
    loops = [at for at, each in enumerate(code) if each.opname == "FOR_ITER"]
    take = loops[0]
    gives = loops[1:]
    assert gives
    assert code[take - 2].argval == "take"
    assert all(code[give - 2].argval == "give" for give in gives)
    # By lines: what leaves early runs the end of the `with`, whose line stands further up.
    first, last = code[take].positions.lineno, code[gives[0]].positions.lineno
    between = [each for each in code if first < (each.positions.lineno or 0) < last]
    assert len(between) > 60
    assert not [each for each in between if "CALL" in each.opname or each.opname == "RESUME"]
    jumps = [each for each in between if "JUMP_BACKWARD" in each.opname]
    # One loop, that walks a chain; it turns only where names share a bucket.
    assert len(jumps) <= 2
