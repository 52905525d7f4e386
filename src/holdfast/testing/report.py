"""Run the suite for some URLs and say what was proved: a table, for people and for the docs.

    python -m holdfast.testing memory: 'file://{folder}/space'
    python -m holdfast.testing --write docs/guarantees.md memory: 'file://{folder}/space'

``{folder}`` stands for a new, empty folder for each test. The exit status is 0 if every promise
that was made was kept.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from holdfast.drivers.base import Guarantees
from holdfast.lockspace import Lockspace
from holdfast.testing.promises import PROMISES

__all__ = ["Ledger", "guarantees_of", "main", "render", "run", "shown", "write_into"]

BEGIN, END = "<!-- generated: guarantees -->", "<!-- end -->"
FOLDER = "{folder}"
REBOOT = (
    "One promise no suite of one boot can prove: `survives: reboot`. It stands on the driver's "
    "own tests, which pretend a new boot."
)


@dataclass
class Ledger:
    """A pytest plugin that keeps account, for each class of tests, of what became of each promise.

    ``found[class][promise]`` has "proved", "refused" and "broken"; ``broken`` has the tests.
    """

    found: dict[str, dict[str, set[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(set))
    )
    broken: list[str] = field(default_factory=list)

    def pytest_configure(self, config: pytest.Config) -> None:
        """Know the marker of pytest-timeout, whether that is installed or not."""
        config.addinivalue_line("markers", "timeout(seconds): how long a test may take")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test, or its setup, or its end, was run."""
        suite = report.nodeid.split("::")[-2]
        mine: list[Any] = [what for name, what in report.user_properties if name == "holdfast"]
        notes: list[tuple[str, str]] = [(promise, how) for promise, how in mine]
        if report.failed:
            self.broken.append(report.nodeid.partition("::")[2])
            notes = [(promise, "broken") for promise, _ in notes] or [("exclusion", "broken")]
        if report.failed or report.when == "call":
            for promise, how in notes:
                self.found[suite][promise].add(how)

    def verdict(self, suite: str, promise: str) -> str:
        """One word for the table."""
        hows = self.found[suite][promise]
        for how in ("broken", "refused", "proved"):
            if how in hows:
                return how
        return "not tested"


def run(urls: Sequence[str], more: Iterable[str] = ()) -> Ledger:
    """The suite, for each of *urls*; *more* are arguments for pytest."""
    ledger = Ledger()
    with tempfile.TemporaryDirectory() as top:
        Path(top, "pytest.ini").write_text("[pytest]\n")
        module = Path(top, "test_drivers.py")
        module.write_text(_module(urls))
        quiet = ["-q", "-p", "no:cacheprovider", "--rootdir", top, "-c", f"{top}/pytest.ini"]
        quiet += ["--import-mode=importlib"]
        status = pytest.main([*quiet, *more, str(module)], plugins=[ledger])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        ledger.broken.append(f"pytest itself, which ran no tests to the end (status {status})")
    return ledger


def _module(urls: Sequence[str]) -> str:
    tests = [f"class Test{n}(DriverSuite):\n    url = {url!r}\n" for n, url in enumerate(urls)]
    return "\n\n".join(["from holdfast.testing.suite import DriverSuite\n", *tests])


def guarantees_of(url: str) -> Guarantees:
    """What the driver at *url* promises."""
    with tempfile.TemporaryDirectory() as folder, Lockspace(url.replace(FOLDER, folder)) as locks:
        return locks.guarantees


def shown(url: str) -> str:
    """A URL as the table has it."""
    return f"`{url.replace(FOLDER, '').replace('////', '///')}`" if FOLDER in url else f"`{url}`"


def render(urls: Sequence[str], ledger: Ledger) -> str:
    """The tables, in Markdown."""
    head = [shown(url) for url in urls]
    lines = [_row("promise", *head), _row(*["---"] * (len(head) + 1))]
    for key, promise in PROMISES.items():
        words = [ledger.verdict(f"Test{n}", key) for n in range(len(urls))]
        lines.append(_row(f"**{key}**: {promise.says}", *words))
    facts = [_facts(guarantees_of(url)) for url in urls]
    lines += ["", _row("`guarantees`", *head), _row(*["---"] * (len(head) + 1))]
    lines += [_row(f"`{key}`", *(each[key] for each in facts)) for key in facts[0]]
    for url, title in zip(urls, head, strict=True):
        limits = guarantees_of(url).limits
        lines += ["", f"What {title} does not promise:", "", *(f"- {each}" for each in limits)]
    if any("reboot" in guarantees_of(url).survives for url in urls):
        lines += ["", REBOOT]
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _facts(promised: Guarantees) -> dict[str, str]:
    takeover = "no bound" if promised.takeover is None else f"{promised.takeover:g} s"
    return {
        "reach": promised.reach,
        "fifo": str(promised.fifo),
        "fenced": str(promised.fenced),
        "takeover": takeover,
        "survives": ", ".join(sorted(promised.survives)) or "nothing",
        "modes": ", ".join(sorted(promised.modes)),
        "several_names": str(promised.several_names),
    }


def write_into(path: Path, table: str) -> None:
    """Put *table* between the two marks of the page. Raises ValueError if it has none."""
    before, begin, rest = path.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{path} has no line {BEGIN!r} and, below it, {END!r}")
    path.write_text(f"{before}{BEGIN}\n\n{table}\n{END}{after}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m holdfast.testing",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("urls", nargs="+", metavar="URL", help="of a lockspace")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into that page")
    parser.add_argument("-k", metavar="TESTS", help="only tests whose name has that in it")
    given: Any = parser.parse_args(arguments)
    # What pytest prints goes to standard error, so that the table can be piped.
    with redirect_stdout(sys.stderr):
        ledger = run(given.urls, ["-k", given.k] if given.k else [])
    table = render(given.urls, ledger)
    if given.write is None or ledger.broken:
        sys.stdout.write(table)
    else:
        write_into(given.write, table)
    for test in ledger.broken:
        sys.stderr.write(f"broken: {test}\n")
    return 1 if ledger.broken else 0
