"""The records: names and groups of any length, chains, growth, numbers that only grow."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.drivers.file import FileDriver
from holdfast.drivers.filespace import files, records
from holdfast.drivers.filespace.board import Board
from holdfast.drivers.filespace.layout import (
    BUCKET_MASK,
    CHUNK_RECORDS,
    CHUNKS,
    DIRECTORY,
    H_BOOT,
    H_CEILING,
    H_CHUNKS,
    H_LAST,
    INDEX,
    MAX_CHUNKS,
    MAX_SLOTS,
    R_TEXT,
    RECORD_WORDS,
    SLOT_WORDS,
    SLOTS,
    TEXT_BYTES,
    TOTAL_BYTES,
    bits_of,
)
from holdfast.locks.terms import EXCLUSIVE, SHARED, Mode, group, slots
from tests.crash.kit import Ask, assert_empty, opened, repairs, submitted, used_records


@pytest.fixture
def driver(tmp_path: Path):
    driver = opened(tmp_path / "s", "me")
    yield driver
    assert repairs(driver) == 0
    assert_empty(driver)
    driver.close()


def test_the_parts_of_the_file_do_not_overlap():
    assert INDEX * 8 == 4096
    assert SLOTS == INDEX + BUCKET_MASK + 1
    assert DIRECTORY == SLOTS + MAX_SLOTS * SLOT_WORDS
    assert CHUNKS == DIRECTORY + MAX_CHUNKS
    assert (CHUNKS * 8) % 4096 == 0
    assert TOTAL_BYTES == 8 * (CHUNKS + MAX_CHUNKS * CHUNK_RECORDS * RECORD_WORDS)
    assert R_TEXT * 8 + TEXT_BYTES == RECORD_WORDS * 8


NAMES = [
    "a",
    "x" * TEXT_BYTES,
    "x" * (TEXT_BYTES + 1),
    "x" * 1024,
    "ä" * 512,
    "vm/1 with blanks",
    "\N{SNOWMAN}",
]
MODES = [
    EXCLUSIVE,
    SHARED,
    group("g"),
    group("ö" * 127),
    group("y" * 255),
    slots(1),
    slots(2**31 - 1),
]


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: str(mode)[:20])
@pytest.mark.parametrize("name", NAMES, ids=lambda name: f"{len(name)}-{name[:9]}")
def test_names_and_modes_come_back_whole(driver: FileDriver, name: str, mode: Mode):
    ask = Ask(driver, name, mode=mode)
    assert ask.submit()
    (seen,) = driver.look("")
    assert (seen.name, seen.mode) == (name, mode)
    assert seen.id == ask.claim.id
    assert seen.token == ask.claim.tokens[name]
    assert abs(seen.since - ask.claim.since) < 1e-6
    assert ask.drop()


def test_long_names_that_differ_at_the_end_are_two(driver: FileDriver):
    asks = [Ask(driver, "n" * 1023 + end) for end in "ab"]
    assert [ask.submit() for ask in asks] == [True, True]
    assert [ask.drop() for ask in asks] == [True, True]


@pytest.mark.parametrize("length", [3, TEXT_BYTES + 3])
def test_names_with_one_hash_are_two(
    driver: FileDriver, monkeypatch: pytest.MonkeyPatch, length: int
):
    """All names hash alike: everything goes by comparing them in full."""
    from holdfast.drivers import file
    from holdfast.drivers.filespace import claims

    for module in (file, claims, records):
        monkeypatch.setattr(module, "crc32", lambda raw: 77)
    names = [f"{'n' * length}-{number}" for number in range(4)]
    held = [Ask(driver, name) for name in names]
    assert submitted(held) == {True}
    waits = [Ask(driver, name) for name in names]
    assert submitted(waits) == {False}
    for number in (2, 0, 3, 1):
        assert held[number].drop()
        assert waits[number].held()
        assert [ask.claim.state for ask in waits].count("held") == 1
        assert waits[number].drop()


def test_names_that_share_a_bucket(driver: FileDriver, monkeypatch: pytest.MonkeyPatch):
    """Chains longer than one, in the short way: unlinked from their head, middle and end."""
    from holdfast.drivers import file
    from holdfast.drivers.filespace import claims

    for module in (file, claims, records):
        monkeypatch.setattr(module, "crc32", lambda raw: 5 + (len(raw) << 16))
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
        asks = [Ask(driver, "n" * (number + 1)) for number in range(3)]
        assert submitted(asks) == {True}
        assert len(driver.look("")) == 3
        for number in order:
            assert not Ask(driver, "n" * (number + 1)).attempt()
            assert asks[number].drop()
            assert Ask(driver, "n" * (number + 1)).attempt()
            for claim in list(driver._claims.values()):
                if claim.names == ("n" * (number + 1),):
                    driver.drop(claim)


def test_ten_thousand_names_and_back(driver: FileDriver):
    asks = [Ask(driver, f"name-{number}") for number in range(10_000)]
    assert submitted(asks) == {True}
    assert used_records(driver) == 10_000
    assert len(driver.look("name-99")) == 111
    for ask in asks:
        assert ask.drop()


def test_used_names_leave_nothing(driver: FileDriver, tmp_path: Path):
    for number in range(20_000):
        ask = Ask(driver, f"name-{number}")
        ask.submit()
        ask.drop()
    assert_empty(driver)
    assert len(list((tmp_path / "s").iterdir())) == 2
    assert driver._ready().words[H_CHUNKS] == 16


def test_the_file_grows_for_all_who_have_it_open(tmp_path: Path):
    one, two = opened(tmp_path / "s"), opened(tmp_path / "s")
    asks = [Ask(one, f"name-{number}") for number in range(16 * CHUNK_RECORDS + 1)]
    assert submitted(asks) == {True}
    assert not Ask(two, asks[-1].claim.names[0]).attempt()
    assert len(two.look("")) == len(asks)
    one.close()
    assert_empty(two)
    two.close()


def test_chunks_of_the_dead_are_used_again(tmp_path: Path):
    watcher = opened(tmp_path / "s")
    for _ in range(5):
        driver = opened(tmp_path / "s")
        for number in range(600):
            Ask(driver, f"name-{number}").submit()
        driver.close()
    assert watcher._ready().words[H_CHUNKS] <= 32
    assert_empty(watcher)
    watcher.close()


def test_more_processes_than_the_first_slots(tmp_path: Path):
    drivers = [opened(tmp_path / "s", f"d{number}") for number in range(200)]
    assert Ask(drivers[150], "vm").submit()
    assert not Ask(drivers[3], "vm").attempt()
    assert [each.owner.label for each in drivers[0].look("")] == ["d150"]
    for driver in drivers:
        driver.close()
    assert [each.name for each in (tmp_path / "s").iterdir()] == ["space"]


def token(driver: FileDriver) -> int:
    ask = Ask(driver, "vm")
    assert ask.submit()
    driver.drop(ask.claim)
    return ask.claim.tokens["vm"]


def test_tokens_grow_over_restarts(tmp_path: Path):
    last = 0
    for _ in range(3):
        driver = opened(tmp_path / "s")
        for _ in range(3):
            now = token(driver)
            assert last < now < 2**53
            last = now
        driver.close()


def test_tokens_start_at_the_ceiling_after_a_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A power loss may have lost the last numbers, never the ceiling, which was synced before."""
    synced = []
    monkeypatch.setattr(records, "sync", lambda raw: synced.append(raw[:4096]) or files.sync(raw))
    driver = opened(tmp_path / "s")
    words = driver._ready().words
    ceiling = words[H_CEILING]
    assert ceiling > words[H_LAST]
    words[H_LAST] = driver._ready().ceiling - 3
    numbers = [token(driver) for _ in range(5)]
    assert numbers == sorted(set(numbers))
    assert words[H_CEILING] > numbers[-1] > ceiling - 3
    assert len(synced) >= 2
    at = H_CEILING * 8
    assert int.from_bytes(synced[-1][at : at + 8], "little") == words[H_CEILING]
    highest = words[H_CEILING]
    words[H_BOOT] += 1  # as another boot would find it
    words[H_LAST] = 5
    driver.close()
    after = opened(tmp_path / "s")
    assert token(after) > highest
    after.close()


def test_a_clock_set_back_does_not_turn_tokens_back(tmp_path: Path, monkeypatch):
    driver = opened(tmp_path / "s")
    before = token(driver)
    driver._ready().words[H_BOOT] += 1
    driver.close()
    monkeypatch.setattr(records, "time_ns", lambda: 5)
    driver = opened(tmp_path / "s")
    assert token(driver) > before
    driver.close()


def test_after_a_boot_everybody_is_dead(tmp_path: Path):
    driver = opened(tmp_path / "s")
    assert Ask(driver, "vm", "net").submit()
    driver._ready().words[H_BOOT + 1] += 1
    after = opened(tmp_path / "s")
    assert_empty(after)
    assert Ask(after, "vm").submit()
    assert list(after._ready().slots()) == [1]
    after.close()


def test_times_are_kept_to_the_last_bit(driver: FileDriver):
    ask = Ask(driver, "vm")
    assert ask.submit()
    map_ = driver._ready()
    first = ask.claim.seats[0].at
    assert map_.since_at(first) == ask.claim.since
    assert bits_of(ask.claim.since) == map_.words[first + 10]
    assert Board(map_).blockers(first) == []
    assert ask.drop()
