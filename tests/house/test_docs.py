"""The documentation tells the truth of today: links, commands, make words, settings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.house.source import ROOT, texts

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
WORD = re.compile(r"^([a-z]+):.*?(## .*)?$", re.MULTILINE)
EXTERNAL = ("http://", "https://", "mailto:")

documents = pytest.mark.parametrize("path", [path for path, _ in texts(".md")], ids=str)


@cache
def read(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def prose(path: Path) -> str:
    return FENCE.sub("", read(path))


def anchors(path: Path) -> set[str]:
    """The anchors that forges make of headings: lower case, no punctuation, hyphens for spaces."""
    headings = HEADING.findall(prose(path))
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@documents
def test_links_resolve(path: Path):
    dead = []
    for link in LINK.findall(prose(path)):
        if link.startswith(EXTERNAL):
            continue
        target, _, anchor = link.partition("#")
        there = (ROOT / path.parent / target).resolve() if target else ROOT / path
        if not there.exists() or (anchor and anchor not in anchors(there.relative_to(ROOT))):
            dead.append(link)
    assert not dead, f"{path} links to what is not there: {dead}"


def make_words() -> dict[str, str]:
    """The words of the Makefile that a person would type, with their line of help."""
    words = dict(WORD.findall(read(Path("Makefile"))))
    return {word: said for word, said in words.items() if word != "venv"}


@pytest.mark.parametrize("word", make_words())
def test_every_make_word_is_documented(word: str):
    assert make_words()[word].startswith("## "), f"`make help` says nothing of {word}"
    assert re.search(rf"\bmake {word}\b", read(Path("README.md"))), f"README: make {word}"


@documents
def test_every_make_word_that_is_mentioned_exists(path: Path):
    code = re.findall(r"`make ([a-z]+)|^ +make ([a-z]+)", read(path), re.MULTILINE)
    assert {first or second for first, second in code} <= set(make_words())


def test_continuous_integration_runs_the_readme_test_command_and_nothing_else():
    run = [
        line
        for line in read(Path(".ci/run")).splitlines()
        if line and not line.startswith(("#", "cd ", "set "))
    ]
    assert run == ["make test"]
    assert "make test" in read(Path("README.md"))


def commands() -> Iterator[tuple[str, list[str]]]:
    """(command, its options) of the command line as it is."""
    import click

    from holdfast.cli.main import cli

    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        options = [each for each in command.params if isinstance(each, click.Option)]
        yield name, [max(each.opts, key=len) for each in options if not each.hidden]


COMMAND_LINE = Path("docs/command-line.md")


def sections(path: Path) -> dict[str, str]:
    """The text below each heading of level two."""
    parts = re.split(r"^## +(.*)$", read(path), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_command_has_its_section_and_each_option_is_in_it():
    for name, options in commands():
        section = sections(COMMAND_LINE).get(f"holdfast {name}")
        assert section, f"{COMMAND_LINE} has no section `## holdfast {name}`"
        missing = [each for each in options if each not in section and each != "--help"]
        assert not missing, f"{COMMAND_LINE}, holdfast {name}: says nothing of {missing}"


@documents
def test_every_command_that_is_mentioned_exists(path: Path):
    known = {name for name, _ in commands()} | {"--help", "--version"}
    code = re.findall(r"(?:`|^ {4}|^\$ |-- )holdfast ([a-z-]+)", read(path), re.MULTILINE)
    later = {"serve", "vm", "image", "upload", "task"}
    assert set(code) <= known | (later if path.name == "scope.md" else set())


def test_every_page_can_be_reached_from_the_readme():
    reached, ahead = set(), [Path("README.md")]
    while ahead:
        path = ahead.pop()
        if path in reached or path.suffix != ".md":
            continue
        reached.add(path)
        for link in LINK.findall(prose(path)):
            target = (ROOT / path.parent / link.partition("#")[0]).resolve()
            if not link.startswith(EXTERNAL) and target.is_relative_to(ROOT):
                ahead.append(target.relative_to(ROOT))
    pages = {path for path, _ in texts(".md") if path.parts[0] in {"docs", "examples"}}
    assert not pages - reached, f"no link leads to {sorted(map(str, pages - reached))}"


def test_glossary_is_in_order():
    """The first entry is the one that is confused most; after it, the alphabet."""
    terms = re.findall(r"^\*\*([^*]+?)[.,]\*\*", read(Path("docs/glossary.md")), re.MULTILINE)
    initials = [re.split(r"[,.]", term)[0].lower() for term in terms][1:]
    assert initials == sorted(initials)


def test_change_fragments_are_named_as_agreed():
    kinds = {"added", "changed", "fixed", "removed"}
    names = [path.name for path, _ in texts(".md") if path.parts[0] == "changes"]
    wrong = [
        name
        for name in names
        if name != "README.md" and not re.fullmatch(rf"[a-z0-9-]+\.({'|'.join(kinds)})\.md", name)
    ]
    assert not wrong, f"changes/README.md says how to name these: {wrong}"


def test_decisions_are_numbered_without_gaps_and_listed():
    folder = Path("docs/decisions")
    pages = sorted(path.name for path, _ in texts(".md") if path.parent == folder)
    numbered = [name for name in pages if name != "README.md"]
    assert [int(name[:4]) for name in numbered] == list(range(1, len(numbered) + 1))
    listed = read(folder / "README.md")
    assert not [name for name in numbered if f"({name})" not in listed]


GUARANTEES = Path("docs/guarantees.md")
DRIVERS = ["memory:", "file://{folder}/space"]


def generated() -> str:
    """What `make docs` wrote into the page."""
    _, _, rest = read(GUARANTEES).partition("<!-- generated: guarantees -->")
    return rest.partition("<!-- end -->")[0]


def test_the_proven_guarantees_are_those_of_today():
    """`make docs` proves them and writes them down; this sees that nobody forgot to."""
    from holdfast.testing.promises import PROMISES
    from holdfast.testing.report import Ledger, render

    page = generated()
    today = render(DRIVERS, Ledger()).splitlines()
    forgotten = [line for line in today if "not tested" not in line and line not in page]
    forgotten += [each.says for each in PROMISES.values() if each.says not in page]
    assert not forgotten, f"run `make docs`; {GUARANTEES} lacks: {forgotten}"


def test_no_guarantee_is_broken_or_untested():
    assert not re.search(r"\| *(broken|not tested) *\|", generated())


@documents
def test_every_test_that_is_mentioned_exists(path: Path):
    for file, name in re.findall(r"`((?:tests|src)/[\w/]+\.py)::(\w+)`", read(path)):
        assert f"def {name}(" in read(Path(file)), f"{path} names {file}::{name}"
