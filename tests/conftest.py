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


TOO_LONG_FOR_QUICK = 10.0
"""Seconds; not a limit but a hint, given at the end, so that `make quick` stays quick."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the tests that took long and do not say that they are slow."""
    reports = [each for kind in ("passed", "failed") for each in terminalreporter.getreports(kind)]
    long = [
        f"{each.duration:.0f} s  {each.nodeid}"
        for each in reports
        if each.duration > TOO_LONG_FOR_QUICK and not {"slow", "soak"} & set(each.keywords)
    ]
    if long:
        terminalreporter.section("not quick, and not marked slow (on a calm machine?)")
        terminalreporter.write("".join(f"{line}\n" for line in long))
