"""The page of guarantees is what the suite proved: its table is written by a run, not by hand."""

from __future__ import annotations

import re

import pytest

from holdfast.testing.promises import PROMISES
from holdfast.testing.report import (
    BEGIN,
    END,
    Ledger,
    guarantees_of,
    main,
    render,
    run,
    write_into,
)

URLS = ["memory:", "file://{folder}/space"]


def test_page_says_of_each_promise_what_the_drivers_claim(root):
    """Whoever changes a promise runs the suite again: ``make docs``."""
    page = (root / "docs" / "guarantees.md").read_text()
    table = page.partition(BEGIN)[2].partition(END)[0]
    for key, promise in PROMISES.items():
        claimed = [promise.claimed(guarantees_of(url)) for url in URLS]
        words = " | ".join("proved" if each else "refused" for each in claimed)
        assert f"| **{key}**: {promise.says} | {words} |" in table
    for url in URLS:
        for limit in guarantees_of(url).limits:
            assert limit in table


def test_run_notes_what_was_proved_and_what_was_refused():
    ledger = run(["memory:"], ["-k", "drop or two_lockspaces"])
    assert ledger.broken == []
    assert ledger.verdict("Test0", "release") == "proved"
    assert ledger.verdict("Test0", "processes") == "refused"
    assert ledger.verdict("Test0", "order") == "not tested"
    table = render(["memory:"], ledger)
    assert re.search(r"\*\*release\*\*.* \| proved \|", table)


def test_one_broken_test_breaks_the_promise():
    ledger = Ledger()
    ledger.found["Test0"]["order"] |= {"proved", "tried"}
    assert ledger.verdict("Test0", "order") == "proved"
    ledger.found["Test0"]["order"] |= {"broken"}
    assert ledger.verdict("Test0", "order") == "broken"


def test_command_prints_the_table_or_writes_it_into_a_page(tmp_path, capfd):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\na stale table\n{END}\nafter\n")
    assert main(["-k", "drop", "--write", str(page), "memory:"]) == 0
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "stale" not in text
    assert "**release**" in text
    capfd.readouterr()
    assert main(["-k", "drop", "memory:"]) == 0
    assert capfd.readouterr().out.startswith("| promise | `memory:` |")


def test_run_that_tests_nothing_is_no_pass(capfd):
    assert main(["-k", "no_such_test", "memory:"]) != 0
    assert "no tests" in capfd.readouterr().err


def test_page_without_the_marks_is_refused(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("nothing here")
    with pytest.raises(ValueError, match="generated"):
        write_into(page, "table")
