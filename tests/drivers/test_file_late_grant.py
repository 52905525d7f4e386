"""A waiter gives up in the moment in which another process grants its ask."""

from holdfast import EXCLUSIVE
from holdfast.drivers.base import Options
from holdfast.drivers.file import open_file
from holdfast.locks.table import Claim


def test_a_grant_nobody_noticed_is_given_back_by_the_short_way(tmp_path):
    url = f"file://{tmp_path}/s"
    ours, theirs = open_file(url, Options()), open_file(url, Options())
    held, waits, other = (Claim((("a", EXCLUSIVE),)) for _ in range(3))
    assert theirs.submit(held, lambda: None)
    assert not ours.submit(waits, lambda: None)
    with ours._gate:  # our listener cannot notice
        assert theirs.drop(held)
        first = waits.seats[0].at
        assert waits.state == "waiting"
    ours._give(waits)
    ours._waiting[first] = waits  # as if the listener had not come between
    assert ours._alone(ours._review) == set()
    assert first not in ours._waiting
    assert theirs.submit(other, None)
    theirs.drop(other)
    ours.close()
    theirs.close()
