"""What all tests stand on: isolation from this host's lockspace, and the soak's switch."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SOAK = os.environ.get("HOLDFAST_SOAK") == "1"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave soak tests out unless they are asked for: deselected, which the last line counts."""
    if SOAK:
        return
    soaks = [item for item in items if item.get_closest_marker("soak")]
    if soaks:
        config.hook.pytest_deselected(items=soaks)
        items[:] = [item for item in items if item not in soaks]


@pytest.fixture(autouse=True)
def no_space_of_this_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that forgets to name its lockspace must not meet the one that the host really uses."""
    monkeypatch.delenv("HOLDFAST_SPACE", raising=False)


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the source tree."""
    return Path(__file__).parents[1]
