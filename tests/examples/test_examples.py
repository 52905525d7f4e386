"""Each example runs as a user would run it, and prints what the comment at its end says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def expected_of(path: Path) -> str:
    """The last block of comment lines of a program."""
    lines = path.read_text(encoding="utf-8").splitlines()
    block = []
    for line in reversed(lines):
        if not line.startswith("# "):
            break
        block.append(line[2:])
    return "\n".join(reversed(block))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_prints_what_it_says(path: Path, tmp_path: Path):
    ran = subprocess.run(
        [sys.executable, "-W", "error", path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert expected_of(path), f"{path.name} does not say what it prints"
    assert ran.stdout.strip() == expected_of(path)
    assert not list(tmp_path.iterdir()), "it left something in the current folder"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_is_listed_in_the_readme(path: Path):
    listed = re.findall(r"\]\((\w+\.py)\)", (ROOT / "examples" / "README.md").read_text())
    assert path.name in listed
