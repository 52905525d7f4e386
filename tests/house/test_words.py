"""What must stand in no committed file: unfinished business, and one machine's own addresses."""

from __future__ import annotations

import re

from tests.house.source import texts

# A letter in brackets, so that this file does not hold what it looks for.
UNFINISHED = re.compile(r"\b(T[O]DO|F[I]XME|X[X]X|H[A]CK)\b")
NOT_WRITTEN = re.compile(r"N[o]tImplementedError|\bpl[a]ceholder\b", re.IGNORECASE)
ONE_MACHINE = re.compile(r"(?<![\w.])/(r[o]ot|U[s]ers|w[o]rk)/\w")
REGISTRY = re.compile(r"py[p]i\.org|python[h]osted|--(extra-)?i[n]dex-url|--f[i]nd-links")


def found(pattern: re.Pattern[str], *suffixes: str, below: str = "") -> list[str]:
    return [
        f"{path}:{number}: {line.strip()}"
        for path, text in texts(*suffixes)
        if str(path).startswith(below)
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_nothing_is_left_unfinished():
    """What is known to be missing is an issue, or a sentence in docs/guarantees.md."""
    assert not found(UNFINISHED, ".py", ".md", ".toml", "Makefile")


def test_nothing_only_pretends_to_be_there():
    assert not found(NOT_WRITTEN, ".py", below="src/")


def test_no_path_of_one_machine_is_committed():
    assert not found(ONE_MACHINE)


def test_no_address_of_a_package_registry_is_committed():
    assert not found(REGISTRY)


def test_the_patterns_find_what_they_look_for():
    assert UNFINISHED.search("# {}: later".format("TO" + "DO"))
    assert NOT_WRITTEN.search("raise Not{}".format("ImplementedError"))
    assert ONE_MACHINE.search("see /{}/notes".format("root"))
    assert REGISTRY.search("-{} https://example.org".format("-index-url"))
