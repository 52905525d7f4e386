"""Every benchmark runs, with counts so small that its figures mean nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import plot, report
from benchmarks.__main__ import main
from benchmarks.measure import Spread, alternate, percentile, ratio, turns
from benchmarks.peers import LockByKey
from benchmarks.results import Figure, Panel, Result
from benchmarks.rows import MODULES, ORDER, ROWS
from benchmarks.scale import TINY
from benchmarks.why import WHY

# Peers of files that poll take seconds to hand over; `make bench` is the place for those.
SLOW = {"file-busy", "hand-over", "kill", "idle", "import", "run"}


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=pytest.mark.slow) if each in SLOW else each for each in ROWS]
)
def test_row_gives_figures_or_says_why_not(name: str):
    result = ROWS[name].run(TINY)
    if not result.missing:
        assert result.figures
        assert all(figure.spread.low <= figure.spread.high for figure in result.figures)


def test_every_row_has_its_place_in_the_table():
    assert [*ROWS] == [*ORDER]
    assert MODULES


def test_every_explanation_belongs_to_a_row():
    assert set(WHY) <= set(ROWS)


def a_result() -> list[Result]:
    figures = [
        Figure("ratio", Spread(4.0, 3.9, 4.1), "x", goal=3.5),
        Figure("fairness", Spread(0.95, 0.9, 1.0), "x", goal=0.9, at_least=True),
        Figure("CPU", Spread(0.0, 0.0, 0.0), "%", goal=0.0),
        Figure("told only", Spread(1.0, 1.0, 1.0), "ms"),
    ]
    panels = [Panel("cost", "ns", {"holdfast": 4.0, "bare": 1.0, "slow peer": 4000.0})]
    broken = Result("gone", "a peer's row", missing="nobody is there")
    return [Result("with", "a row", figures, panels, ["a note"]), broken]


def test_the_text_says_what_was_reached_and_by_how_much_not():
    text = report.as_markdown({"CPU": "one"}, "make bench", a_result(), Path("plot.png"))
    assert "2 of 3 goals were reached" in text.replace("\n", " ")
    assert "NO: 14% too much" in text
    assert "NOT AVAILABLE: nobody is there" in text
    assert "plot.png" in text


def test_the_table_is_plain_where_nobody_looks(capsys: pytest.CaptureFixture[str]):
    report.show(a_result())
    assert "≤ 3.5 x" in capsys.readouterr().out


def test_json_carries_the_verdicts(capsys: pytest.CaptureFixture[str]):
    assert main(["--only", "mutex", "--quick", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rows"][0]["row"] == "mutex"
    assert isinstance(told["rows"][0]["figures"][0]["reached"], bool)


def test_the_picture_is_light(tmp_path: Path):
    pytest.importorskip("matplotlib", reason="only `make bench` installs it")
    plot.draw(a_result(), tmp_path / "plot.png")
    assert 0 < (tmp_path / "plot.png").stat().st_size < 300_000


def test_all_take_turns_and_each_goes_first():
    orders = list(turns(["a", "b", "c"], 6))
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)
    assert {order[0] for order in orders} == {"a", "b", "c"}


def test_a_ratio_is_taken_round_by_round():
    found = ratio({"a": [2.0, 4.0, 90.0], "b": [1.0, 2.0, 10.0]}, "a", "b")
    assert (found.median, percentile([1, 2, 3, 4], 0.5)) == (2.0, 3)


def test_a_turn_counts_each_time_once():
    done: list[int] = []
    samples = alternate({"a": done.append}, TINY)
    assert len(samples["a"]) == TINY.rounds
    assert done[-1] == done[-2]


def test_lock_by_key_forgets_what_nobody_wants():
    with LockByKey("a"), LockByKey("b"):
        assert len(LockByKey._entries) == 2
    assert not LockByKey._entries
