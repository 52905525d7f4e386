"""A stranger's driver passes the public suite for what it claims; each liar is caught."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

STRANGERS = Path(__file__).parent / "strangers"
SOAK = os.environ.get("HOLDFAST_SOAK") == "1"

LIARS = {
    # the lie: the promise that it breaks, and the tests that are enough to see it
    "NotFifo": ("order", "order or slots_with"),
    "ReadersPass": ("order", "reader_waits"),
    "EntersWithout": ("exclusion", "pair_of_modes and exclusive-exclusive"),
    "LosesWakeUp": ("waking", "timed_out or cancelled"),
    "TellsNobody": ("waking", "release_wakes_the_next"),
    "TokenStandsStill": ("tokens", "token"),
    "Restarting": ("tokens", "opened_again"),
    "FreesAnothers": ("release", "second_release or drop"),
    "LosesQuietly": ("break", "loss or body_of"),
    "BreaksAnyone": ("break", "meant"),
    "LeavesTraces": ("nothing left", "leave_nothing"),
    "RefusesNothing": ("slots", "slots_are"),
    "SaysNothing": ("order", "order_of_arrival"),
    "SomeOfSeveral": ("several names", "all_or_none"),
    "ReservesSlots": ("slots", "stuck"),
    "TooManySlots": ("slots", "as_many or smallest"),
    "ForkKeeps": ("fork", "child"),
    "CloseLeavesWaiting": ("close", "close"),
    "ReachesFar": ("processes", "two_lockspaces"),
    "OnlyMixesUp": ("exclusion", "look_alike"),
}


def scheme(name: str) -> str:
    return re.sub("(?<!^)([A-Z])", r"-\1", name).lower()


def prove(name: str, tmp_path: Path, only: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the suite as a stranger would, in a process where the driver is installed."""
    entries = [f"{scheme(liar)} = liars:{liar}" for liar in LIARS]
    info = tmp_path / "strangers-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strangers\nVersion: 1.0\n")
    ours = ["plain = plain:Plain", "tiny = plain:Tiny"]
    (info / "entry_points.txt").write_text("\n".join(["[holdfast.drivers]", *ours, *entries]))
    path = f"{STRANGERS}:{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
    command = [sys.executable, "-m", "holdfast.testing", f"{scheme(name)}://somewhere"]
    return subprocess.run(
        [*command, *(["-k", only] if only else [])],
        env={**os.environ, "PYTHONPATH": path, "HOLDFAST_TESTING_PATIENCE": "2"},
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )


def verdicts(table: str) -> dict[str, str]:
    """The word that the table has for each promise."""
    return dict(re.findall(r"^\| \*\*(.+?)\*\*: .* \| (.+?) \|$", table, re.MULTILINE))


@pytest.mark.slow
def test_driver_over_the_table_keeps_all_that_it_claims(tmp_path):
    done = prove("Plain", tmp_path)
    assert done.returncode == 0, done.stderr
    found = verdicts(done.stdout)
    refused = {"processes", "death", "any instruction", "restart"}
    assert {key for key, word in found.items() if word == "refused"} == refused
    assert {word for key, word in found.items() if key not in refused} == {"proved"}


@pytest.mark.slow
def test_tiny_driver_passes_for_what_it_claims_and_is_seen_to_refuse_the_rest(tmp_path):
    done = prove("Tiny", tmp_path)
    assert done.returncode == 0, done.stderr
    found = verdicts(done.stdout)
    for promise in ("shared", "group", "slots", "several names", "order", "tokens", "processes"):
        assert found[promise] == "refused"
    for promise in ("exclusion", "waking", "release", "seeing", "break", "close", "fork"):
        assert found[promise] == "proved"


@pytest.mark.slow
@pytest.mark.parametrize("liar", LIARS)
def test_liar_is_caught(liar, tmp_path):
    promise, only = LIARS[liar]
    done = prove(liar, tmp_path, only)
    assert done.returncode == 1, f"nothing was found wrong with {liar}\n{done.stdout}{done.stderr}"
    assert verdicts(done.stdout)[promise] == "broken", done.stdout


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("liar", LIARS)
def test_liar_is_caught_by_the_whole_suite(liar, tmp_path):
    assert verdicts(prove(liar, tmp_path).stdout)[LIARS[liar][0]] == "broken"


@pytest.mark.slow
def test_same_tests_find_nothing_wrong_with_the_honest_driver(tmp_path):
    only = " or ".join(f"({only})" for _, only in LIARS.values())
    done = prove("Plain", tmp_path, only)
    assert done.returncode == 0, done.stderr
