"""From a URL to its driver."""

from importlib.metadata import EntryPoint, entry_points

import pytest

from holdfast import DriverError, Lockspace, Unsupported
from holdfast.drivers.registry import GROUP, OURS


def test_ours_are_declared_like_a_strangers():
    assert {each.name: each.value for each in entry_points(group=GROUP)} == OURS


def test_an_unknown_scheme_names_those_that_are_there():
    with pytest.raises(Unsupported, match="there are: file, memory"):
        Lockspace("carrier-pigeon:///loft")


def test_what_is_no_url_is_refused():
    with pytest.raises(Unsupported, match="no lockspace URL"):
        Lockspace("/run/holdfast")


def test_a_driver_that_cannot_be_imported_says_which(monkeypatch):
    broken = EntryPoint("pigeon", "holdfast.no_such_module:open", GROUP)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: [broken])
    with pytest.raises(DriverError, match=r"holdfast\.no_such_module:open, which fails"):
        Lockspace("pigeon:///loft")


@pytest.mark.parametrize("url", [None, "memory:", "memory://"])
def test_memory_needs_no_address(url):
    with Lockspace(url, ttl=10) as locks, locks("a"):
        assert len(locks.snapshot()) == 1


def test_memory_has_no_path():
    with pytest.raises(Unsupported, match="no path"):
        Lockspace("memory:///shared")


def test_an_unknown_option_is_named():
    with pytest.raises(Unsupported, match="colour"):
        Lockspace("memory:", colour="red")
