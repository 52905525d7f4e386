"""The checker of histories: right ones pass, each kind of bug is found, and an oracle agrees."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.locks.terms import EXCLUSIVE, SHARED, group, slots
from holdfast.testing.history import FOREVER, Hold, Recorder, check

A, B = group("a"), group("b")
MODES = [EXCLUSIVE, SHARED, A, B, slots(1), slots(2), slots(3)]


def hold(mode, start, end=FOREVER, token=None, name="n"):
    return Hold(name, mode, start, end, token, f"{mode}@{start}")


def rules(*holds):
    return [found.rule for found in check(holds)]


@pytest.mark.parametrize(
    "holds",
    [
        [hold(EXCLUSIVE, 0, 5, 1), hold(EXCLUSIVE, 5, 9, 2)],
        [hold(SHARED, 0, 5, 1), hold(SHARED, 2, 9, 1), hold(EXCLUSIVE, 9, 10, 2)],
        [hold(A, 0, 5, 1), hold(A, 2, 9, 1), hold(B, 9, 10, 2)],
        [hold(slots(2), 0, 5, 1), hold(slots(3), 2, 9, 1), hold(slots(1), 9, 10, 1)],
        [hold(EXCLUSIVE, 0, 5, 9), hold(EXCLUSIVE, 0, 5, 2, name="other")],
        [hold(SHARED, 0, 1, 5), hold(SHARED, 2, 3, 4)],
        [hold(EXCLUSIVE, 3, 3, 1), hold(EXCLUSIVE, 3, 4, 2)],
    ],
)
def test_right_histories_pass(holds):
    for _ in range(5):
        random.shuffle(holds)
        assert rules(*holds) == []


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ("overlap", [hold(EXCLUSIVE, 0, 5), hold(EXCLUSIVE, 4, 9)]),
        ("overlap", [hold(EXCLUSIVE, 0, 5), hold(SHARED, 4, 4)]),
        ("overlap", [hold(SHARED, 0, 5), hold(EXCLUSIVE, 4, 9)]),
        ("overlap", [hold(A, 0), hold(B, 10**9, 10**9 + 1)]),
        ("overlap", [hold(A, 0, 5), hold(SHARED, 0, 5)]),
        ("overlap", [hold(slots(2), 0, 5), hold(SHARED, 1, 2)]),
        ("limit", [hold(slots(2), 0, 5), hold(slots(2), 1, 5), hold(slots(2), 4, 6)]),
        ("limit", [hold(slots(1), 0, 5), hold(slots(9), 1, 2)]),
        ("limit", [hold(slots(9), 0, 5), hold(slots(1), 1, 2)]),
        ("token", [hold(EXCLUSIVE, 0, 5, 7), hold(EXCLUSIVE, 5, 6, 7)]),
        ("token", [hold(EXCLUSIVE, 0, 5, 7), hold(SHARED, 5, 6, 6)]),
        ("token", [hold(A, 0, 5, 7), hold(B, 5, 6, 6)]),
        ("token", [hold(SHARED, 0, 5, 7), hold(SHARED, 4, 6, 8)]),
        ("token", [hold(EXCLUSIVE, 0, 1, 5), hold(A, 2, 3, 6), hold(B, 4, 5, 5)]),
    ],
)
def test_each_kind_of_bug_is_found(rule, holds):
    found = check(holds)
    assert [each.rule for each in found] == [rule]
    assert repr("n") in str(found[0])


def test_hold_that_ends_before_it_starts_is_no_history():
    with pytest.raises(ValueError, match="ends before"):
        check([hold(SHARED, 5, 4)])


def test_recorder_and_lines():
    record = Recorder()
    with record.hold({"n": slots(3)}, {"n": 7}, "me"):
        pass
    (one,) = record.holds
    assert one.start <= one.end
    assert Hold.load(one.dump()) == one


holds_of_one_name = st.lists(
    st.builds(
        lambda mode, start, length, token: hold(mode, start, start + length, token),
        st.sampled_from(MODES),
        st.integers(0, 20),
        st.integers(1, 8),
        st.one_of(st.none(), st.integers(1, 6)),
    ),
    max_size=7,
)


@given(holds_of_one_name)
def test_checker_agrees_with_an_oracle_on_whether_anything_is_wrong(holds):
    assert bool(check(holds)) == _wrong(holds)


def _wrong(holds) -> bool:
    """Straight from the three rules: at every instant, and over all pairs."""
    return any(_wrong_at(holds, now) for now in range(30)) or any(
        _wrong_pair(one, other) for one in holds for other in holds if one is not other
    )


def _wrong_at(holds, now) -> bool:
    there = [each.mode for each in holds if each.start <= now < each.end]
    kinds = {(mode.kind, mode.group) for mode in there}
    if len(kinds) > 1 or (there and there[0] == EXCLUSIVE and len(there) > 1):
        return True
    return bool(there) and there[0].kind == "slots" and len(there) > min(m.limit for m in there)


def _wrong_pair(one, other) -> bool:
    if None in (one.token, other.token):
        return False
    if one.end <= other.start:
        alike = (one.mode.kind, one.mode.group) == (other.mode.kind, other.mode.group)
        return (not alike or one.mode == EXCLUSIVE) and other.token <= one.token
    return one.start < other.end and one.token != other.token
