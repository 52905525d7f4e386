"""Six processes, three names, all modes, time-outs, kill -9 at random: does the law hold?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

SOAK = os.environ.get("HOLDFAST_SOAK") == "1"
VIOLATIONS = ("overlap", "token", "fifo", "wedge", "error")


def storm(path: Path, seconds: float, *words: str) -> tuple[Counter[str], list[dict[str, object]]]:
    command = [sys.executable, "-m", "tests.crash.storm", str(path), str(seconds), *words]
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds + 100, check=False
    )
    rows = [json.loads(line) for line in (path / "report").read_text().splitlines()]
    count: Counter[str] = Counter()
    for row in rows:
        count[row["what"]] += row.get("done", 1)
    print(dict(count), [row for row in rows if row["what"] == "end"])
    assert ran.returncode == 0, ran.stderr
    assert not ran.stderr or words, ran.stderr
    return count, [row for row in rows if row["what"] in (*VIOLATIONS, "end", "files")]


def storm_is_lawful(path: Path, seconds: float) -> None:
    count, rows = storm(path, seconds)
    assert not [row for row in rows if row["what"] in VIOLATIONS][:3]
    assert count["done"] > 50 * seconds
    (end,) = [row for row in rows if row["what"] == "end"]
    assert end["left"] == []
    assert end["kills"] > seconds
    # Nothing but the one file is left: no file for a name, no FIFO of the dead.
    assert rows[-1]["files"] == ["space"]


@pytest.mark.slow
def test_storm_on_tmpfs(memory_path: Path):
    storm_is_lawful(memory_path, 12)


@pytest.mark.slow
def test_storm_on_disk(tmp_path: Path):
    storm_is_lawful(tmp_path, 8)


def test_a_law_that_lies_once_in_fifty_is_caught(tmp_path: Path):
    count, _ = storm(tmp_path, 4, "sabotage")
    assert count["overlap"] and count["token"]


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_long_storm(memory_path: Path):
    storm_is_lawful(memory_path, 600)
