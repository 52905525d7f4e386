"""Do the tests see a bug? Each is seeded into a copy of the package, and some test must fail."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.mutants import DOORS, LAW, Mutant

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "holdfast"
SAMPLE = 8

LAW_TESTS = [
    "tests/locks",
    "tests/properties/test_exhaustive.py",
    "tests/properties/test_law.py",
    "tests/properties/test_random.py",
    "tests/properties/test_interrupts.py",
]
DOOR_TESTS = ["tests/testing/test_memory.py"]


def plant(mutant: Mutant, folder: Path) -> None:
    """A copy of the package in *folder*, with the bug in it."""
    shutil.copytree(SOURCE, folder / "holdfast", ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / "holdfast" / mutant.file
    text = file.read_text()
    assert text.count(mutant.right) == mutant.count, f"rewrite {mutant}: its text was changed"
    file.write_text(text.replace(mutant.right, mutant.wrong))


def run(tests: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """These tests over the package in *folder*, until the first failure."""
    quick = ["-x", "-q", "-p", "no:cacheprovider", "-m", "not slow or slow", "--timeout", "60"]
    env = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOLDFAST_HYPOTHESIS": "mutants",
        "HOLDFAST_TESTING_PATIENCE": "2",
        "HOLDFAST_SOAK": "0",
    }
    command = ["timeout", "-s", "KILL", "300", sys.executable, "-m", "pytest", *quick, *tests]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def expect_caught(mutant: Mutant, tests: list[str], folder: Path) -> None:
    plant(mutant, folder)
    done = run(tests, folder)
    assert done.returncode == 1, f"nobody saw that {mutant.what!r}:\n{done.stdout[-2000:]}"


def sample() -> list[Mutant]:
    """Those of `make test`: others after each change of the table, the same until then."""
    return random.Random(len(LAW)).sample(LAW, SAMPLE)


def test_every_mutant_can_be_planted(tmp_path):
    for number, mutant in enumerate(LAW + DOORS):
        plant(mutant, tmp_path / str(number))


def test_package_that_is_tested_is_the_copy(tmp_path):
    plant(LAW[0], tmp_path)
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    where = [sys.executable, "-c", "import holdfast; print(holdfast.__file__)"]
    seen = subprocess.run(where, env=env, capture_output=True, text=True, check=True).stdout
    assert Path(seen.strip()).is_relative_to(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", sample(), ids=lambda each: each.what)
def test_some_of_the_mutants_of_the_law_are_caught(mutant, tmp_path):
    expect_caught(mutant, LAW_TESTS, tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("mutant", LAW, ids=lambda each: each.what)
def test_mutant_of_the_law_is_caught(mutant, tmp_path):
    expect_caught(mutant, LAW_TESTS, tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("mutant", DOORS, ids=lambda each: each.what)
def test_mutant_of_the_memory_driver_and_doors_is_caught(mutant, tmp_path):
    expect_caught(mutant, DOOR_TESTS, tmp_path)
