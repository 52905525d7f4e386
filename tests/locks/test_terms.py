"""Modes and what one sees of holders and waiters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import Unsupported
from holdfast.locks.terms import EXCLUSIVE, SHARED, Holder, Mode, Owner, Waiter, group, slots

groups = (
    st.text(min_size=1, max_size=60)
    .filter(lambda text: text.isprintable() and len(text.encode()) <= 255)
    .map(group)
)
modes = st.one_of(
    st.sampled_from([EXCLUSIVE, SHARED]), groups, st.integers(1, 2**31 - 1).map(slots)
)
ME = Owner("h1", "b", 4711, 99, label="nova-compute", command="python x.py")


@given(modes)
def test_mode_reads_what_it_wrote(mode):
    assert Mode.read(str(mode)) == mode


@given(modes, modes)
def test_modes_that_differ_are_written_differently(one, other):
    assert (one == other) == (str(one) == str(other))


@pytest.mark.parametrize(
    "text",
    [
        *("", "wait", "Exclusive", "exclusive:", "shared:g", "intent:read", "group", "group:"),
        *("group:\n", "slots", "slots:", "slots:0", "slots:-1", "slots:+1", "slots:01"),
        *("slots:1.0", "slots:٣", "slots:1_0", "slots:99999999999"),
    ],
)
def test_mode_of_a_newer_version_is_refused(text):
    with pytest.raises(Unsupported, match="upgrade"):
        Mode.read(text)


def test_holder_says_who_where_and_how_long():
    holder = Holder("vm-1", EXCLUSIVE, ME, since=0.0, id="7", token=5)
    assert str(holder).startswith(
        "'vm-1' is held (exclusive) by nova-compute (pid 4711 on h1) for "
    )
    fields = holder.as_dict()
    assert fields["state"] == "held"
    assert fields["mode"] == "exclusive"
    assert fields["owner"]["pid"] == 4711
    assert fields["token"] == 5


def test_waiter_says_whom_it_waits_for():
    waiter = Waiter("vm-1", slots(2), ME, since=0.0, id="8", waiting_for=("7",))
    assert str(waiter).startswith("nova-compute (pid 4711 on h1) waits for 'vm-1' (slots:2) for ")
    fields = waiter.as_dict()
    assert (fields["state"], fields["mode"], fields["waiting_for"]) == ("waiting", "slots:2", ["7"])
