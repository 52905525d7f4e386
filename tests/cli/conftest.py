"""A lockspace of its own for each test, and the command line on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.tools import HoldfastRunner


@pytest.fixture
def holdfast(tmp_path: Path) -> Iterator[HoldfastRunner]:
    """The command line; everything that a test started ends with the test."""
    runner = HoldfastRunner(f"file://{tmp_path}/space", tmp_path)
    yield runner
    runner.end_all()
