"""The fault kit itself: a fault comes exactly once, exactly there, and nothing else changes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from holdfast.testing.faults import (
    Interrupted,
    count_points,
    die_at,
    interrupt,
    state_of,
    stopped,
    wait_until,
)

HERE = os.path.dirname(__file__)


def block(seen):
    seen.append(1)
    seen.append(2)


def test_every_point_is_reached_once_and_then_no_more():
    points = count_points(lambda: block([]), within=HERE)
    assert points > 5
    lengths = []
    for point in range(1, points + 1):
        seen = []
        assert interrupt(lambda s=seen: block(s), point, within=HERE)
        lengths.append(len(seen))
    assert lengths == sorted(lengths)
    assert set(lengths) == {0, 1, 2}
    assert not interrupt(lambda: block([]), points + 1, within=HERE)


def test_nothing_is_traced_outside_of_the_folder():
    assert count_points(lambda: block([])) == 0


def test_trace_function_is_put_back():
    before = sys.gettrace()
    interrupt(lambda: block([]), 3, within=HERE)
    assert sys.gettrace() is before


def test_swallowed_fault_counts_and_own_error_passes_through():
    def swallows():
        try:
            block([])
        except Interrupted:
            pass

    def fails():
        raise ZeroDivisionError

    assert interrupt(swallows, 8, within=HERE)
    with pytest.raises(ZeroDivisionError):
        interrupt(fails, 1000, within=HERE)


def test_child_dies_at_the_point_and_not_before(tmp_path):
    file = tmp_path / "seen"

    def writes():
        for number in range(3):
            with open(file, "a") as out:
                out.write(str(number))

    assert die_at(writes, 1, within=HERE)
    assert not file.exists()
    assert not die_at(writes, 10_000, within=HERE)
    assert file.read_text() == "012"


def test_child_that_fails_is_no_death(capfd):
    with pytest.raises(AssertionError, match="failed in the child"):
        die_at(lambda: 1 // 0, 10_000, within=HERE)
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_stopped_process_goes_on_afterwards():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        with stopped(child.pid):
            assert state_of(child.pid) in "Tt"
        wait_until(lambda: state_of(child.pid) not in "Tt", "the child to go on")
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert state_of(child.pid) == "X"


def test_waiting_in_vain_says_for_what():
    began = time.monotonic()
    with pytest.raises(AssertionError, match="in vain for Godot"):
        wait_until(lambda: False, "Godot", seconds=0.01)
    assert time.monotonic() >= began
