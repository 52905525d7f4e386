"""All schedules of 3 owners and 2 names in all modes, with a crash at any step (see explorer.py).

That the graph may be walked with memory rests on one thing: what the law decides depends on who is
there, in which order, with which modes and who holds, not on how it came so. The oracle is a
function of just that, and is compared at every state.
"""

from __future__ import annotations

import pytest

from holdfast.locks.terms import EXCLUSIVE, SHARED, group, slots
from tests.properties.explorer import MODES, NAMES, Explorer, all_asks
from tests.properties.histories import Story, conflict, mode_of


def check(story: Story) -> None:
    """All guarantees of one state."""
    _as_the_oracle(story)
    _exclusive(story)
    _tokens(story)
    _nobody_waits_for_nobody(story)
    _nothing_is_left(story)


def _as_the_oracle(story: Story) -> None:
    for claim, ask in story.live.items():
        assert (claim.state == "held") == ask.held, (claim.wants, claim.state)


def _exclusive(story: Story) -> None:
    holders = story.holders()
    for one in holders:
        assert not any(conflict(one, other) for other in holders if other is not one)
    for name in NAMES:
        limits = [mode.limit for each in holders if (mode := mode_of(each, name)) and mode.limit]
        assert not limits or len(limits) <= max(limits)


def _tokens(story: Story) -> None:
    for at, (claim, beside) in enumerate(story.grants):
        for name, token in claim.tokens.items():
            assert all(other.tokens.get(name, token) == token for other in beside)
            for earlier, _ in story.grants[:at]:
                if _never_together(claim, earlier, name):
                    assert token > earlier.tokens[name]


def _never_together(one, other, name) -> bool:
    mine, its = mode_of(one, name), mode_of(other, name)
    return bool(its) and (mine.kind, mine.group) != (its.kind, its.group)


def _nobody_waits_for_nobody(story: Story) -> None:
    for claim in story.waiters():
        assert story.table.blockers(claim), f"{claim.wants} waits for nobody"


def _nothing_is_left(story: Story) -> None:
    """They leave, each twice, and the table is empty; the story ends here."""
    for claim in list(story.live):
        story.go(claim)
        story.table.leave(claim)
        assert claim.state == "gone"
    assert story.table.lines == {}


@pytest.mark.parametrize(
    ("owners", "names", "modes", "states"),
    [
        pytest.param(3, ("x",), MODES, 171, id="3 owners, 1 name"),
        pytest.param(4, ("x",), MODES, None, id="4 owners, 1 name"),
        pytest.param(2, NAMES, MODES, 759, id="2 owners, 2 names"),
        pytest.param(3, NAMES, (EXCLUSIVE, SHARED, slots(1)), None, id="3 owners, few modes"),
        pytest.param(3, NAMES, MODES, 32_584, id="3 owners, 2 names", marks=pytest.mark.slow),
        pytest.param(
            4,
            NAMES,
            (EXCLUSIVE, group("a"), slots(1), slots(2)),
            None,
            id="4 owners, 2 names",
            marks=[pytest.mark.soak, pytest.mark.timeout(3600)],
        ),
    ],
)
def test_every_schedule_keeps_every_guarantee(owners, names, modes, states):
    explorer = Explorer(owners, all_asks(names, modes))
    count = 0
    for story in explorer.walk():
        check(story)
        count += 1
    print(f"{count:,} states, {explorer.steps:,} steps")
    assert states is None or count == states, "the explorer does not see all it saw"
