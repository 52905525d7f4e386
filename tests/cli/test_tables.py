"""Tables on terminals of any width: what one acts on is never cut off."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from holdfast.cli.tables import Table, drawn, plain

TOKEN = "7012502581661805"
TABLE = Table(
    ("NAME", "STATE", "MODE", "OWNER", "AGE", "TOKEN / BEHIND", "COMMAND"),
    [
        ("pool/volumes/disk-7", "held", "exclusive", "backup (pid 12)", "3 s", TOKEN, "cat " * 40),
        ("vm", "waiting", "shared", "(pid 13)", "0 s", "backup 12", "true"),
    ],
    ["circle: a sentence"],
)


def on_terminal(width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width, markup=False).print(drawn(TABLE, width))
    return out.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 400])
def test_name_token_and_owner_are_there_at_any_width(width: int):
    shown = "".join(on_terminal(width).split())
    for each in ("pool/volumes", TOKEN, "backup(pid12)", "waiting", "circle:asentence"):
        assert each in shown
    assert all(len(line) <= width for line in on_terminal(width).splitlines())


def test_a_wide_one_shows_all_and_a_narrower_one_does_without_the_command():
    assert all(column in on_terminal(400) for column in TABLE.columns)
    assert "COMMAND" not in on_terminal(75) and "OWNER" in on_terminal(75)


def test_in_between_the_command_is_cut_with_a_mark():
    first = on_terminal(120).splitlines()[1]
    assert first.endswith("…") and first.count("cat") > 1


def test_without_rows_only_the_lines_below():
    assert plain(Table(("A", "B"), (), ["nobody"])) == "nobody"


def test_plain_cuts_nothing_and_aligns():
    header, first, second, circle = plain(TABLE).splitlines()
    assert first.endswith("cat") and first.count("cat") == 40
    at = header.index("OWNER")
    assert first[at:].startswith("backup") and second[at:].startswith("(pid 13)")
    assert circle == "circle: a sentence"
