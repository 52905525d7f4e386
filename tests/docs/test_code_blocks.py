"""Every code block of README and docs is run, and must be true."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import Blocks, matches, read_session
from tests.house.source import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_blocks_of(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Blocks(path, tmp_path).run()


def test_the_documents_hold_blocks_at_all(tmp_path: Path):
    """A fence spelt in another way would run nothing and pass."""
    assert len(list(Blocks(ROOT / "README.md", tmp_path).document.examples())) >= 3


def write(folder: Path, *lines: str) -> Path:
    path = folder / "page.md"
    path.write_text("\n".join(["# Page", "", *lines, ""]))
    return path


def test_a_block_that_is_not_true_fails(tmp_path: Path):
    path = write(tmp_path, "```python", "assert 1 + 1 == 3", "```")
    with pytest.raises(AssertionError):
        Blocks(path, tmp_path).run()


def test_a_command_that_says_something_else_fails(tmp_path: Path):
    path = write(tmp_path, "```console", "$ echo one", "two", "```")
    with pytest.raises(Exception, match="expected:\ntwo"):
        Blocks(path, tmp_path).run()


def test_a_session_is_commands_with_their_output():
    assert read_session("$ a\n1\n2\n$ b\n") == [("a", "1\n2\n"), ("b", "")]


def test_an_ellipsis_stands_for_anything():
    assert matches("held … by …\n", "held since 3 s by pid 7\nand more\n")
    assert not matches("held", "held by pid 7")
