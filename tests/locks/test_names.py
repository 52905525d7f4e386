"""What may be a name, and how the words of a call become an ask."""

from __future__ import annotations

import enum
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import BadName
from holdfast.locks.names import MAX_NAME_BYTES, check_name, check_timeout, wants_of
from holdfast.locks.terms import EXCLUSIVE, SHARED, group, slots


def wants(*names, shared=False, group=None, slots=None):
    return wants_of(names, shared, group, slots)


@given(st.text(min_size=1, max_size=300))
def test_name_comes_back_as_it_is_or_is_refused(text):
    good = text.isprintable() and len(text.encode(errors="replace")) <= MAX_NAME_BYTES
    if good:
        assert check_name(text) == text
    else:
        with pytest.raises(BadName):
            check_name(text)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "at least one"),
        ("a\n", "printed"),
        ("a\x00b", "printed"),
        ("\ud800", "printed"),
        (b"vm", "text, not bytes"),
        (7, "text, not int"),
        (None, "text, not NoneType"),
        (["vm"], "text, not list"),
        ("x" * 1025, "1025 bytes"),
        ("é" * 513, "1026 bytes"),
    ],
)
def test_bad_name_says_why(name, why):
    with pytest.raises(BadName, match=why) as caught:
        check_name(name)
    assert caught.value.name == name
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("name", ["x", "x" * 1024, "é" * 512, "vm/1/disk 2", " ", "日本"])
def test_longest_and_strangest_names(name):
    assert check_name(name) == name


def test_text_of_a_subclass_is_taken_as_the_text_that_it_is():
    """An enum member is text; its own __str__ says something else, of which nothing was checked."""

    class Image(str, enum.Enum):  # noqa: UP042 (a StrEnum is what users do not always have)
        DEBIAN = "image-3"

    checked = check_name(Image.DEBIAN)
    assert (checked, type(checked)) == ("image-3", str)


@pytest.mark.parametrize("timeout", [None, 0, 0.0, 3, 1e-9, math.inf])
def test_timeout(timeout):
    assert check_timeout(timeout) == timeout


@pytest.mark.parametrize("timeout", [-1, -0.001, math.nan, -math.inf])
def test_timeout_that_is_none(timeout):
    with pytest.raises(ValueError, match="timeout"):
        check_timeout(timeout)


def test_words_of_a_call():
    assert wants("a") == (("a", EXCLUSIVE),)
    assert wants("a", "b") == (("a", EXCLUSIVE), ("b", EXCLUSIVE))
    assert wants("a", shared=True) == (("a", SHARED),)
    assert wants("a", group="g") == wants("a", shared=True, group="g") == (("a", group("g")),)
    assert wants("a", "b", slots=2) == (("a", slots(2)), ("b", slots(2)))
    assert wants({"b": SHARED, "a": slots(3)}) == (("b", SHARED), ("a", slots(3)))


@pytest.mark.parametrize(
    ("names", "modes"),
    [
        ((), {}),
        (({},), {}),
        (("a", "a"), {}),
        (("a", "b", "a"), {}),
        (("a",), {"slots": 0}),
        (("a",), {"slots": -1}),
        (("a",), {"slots": True}),
        (("a",), {"slots": 1.5}),
        (("a",), {"slots": 2**31}),
        (("a",), {"slots": 1, "shared": True}),
        (("a",), {"slots": 1, "group": "g"}),
        (("a",), {"group": ""}),
        (("a",), {"group": "\n"}),
        (("a",), {"group": "x" * 256}),
        (("a",), {"group": 5}),
        (({"a": SHARED},), {"shared": True}),
        (({"a": SHARED},), {"slots": 1}),
        (({"a": "shared"},), {}),
        (({"a": None},), {}),
        (({"": SHARED},), {}),
        (({"a": SHARED}, "b"), {}),
        (("a", {"b": SHARED}), {}),
        ((("a", "b"),), {}),
    ],
)
def test_contradictions_are_value_errors_at_the_call(names, modes):
    with pytest.raises(ValueError):
        wants(*names, **modes)
