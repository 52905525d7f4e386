"""The sizes that keep a house liveable: printed each time, and bounded where it hurts.

They are a mirror, not a target: never split a thought to please a number.
"""

from __future__ import annotations

import ast
from statistics import median

import pytest

from tests.house.source import ROOT, AnyFunction, lines_of, modules

LONGEST_FUNCTION = 60
LONGEST_MODULE = 400


def functions() -> dict[str, int]:
    return {
        f"{module.name}:{node.lineno} {node.name}": lines_of(node)
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, AnyFunction)
    }


def lengths() -> dict[str, int]:
    return {module.name: len(module.text.splitlines()) for module in modules()}


def percentile(numbers: list[int], part: float) -> int:
    return sorted(numbers)[min(len(numbers) - 1, int(len(numbers) * part))]


def lines_below(folder: str) -> int:
    return sum(
        len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / folder).rglob("*.py")
    )


def test_sizes_are_printed(capsys: pytest.CaptureFixture[str]):
    sizes, files = list(functions().values()), list(lengths().values())
    source, tests = lines_below("src"), lines_below("tests")
    with capsys.disabled():
        print(
            f"\n  functions: {len(sizes)}, median {median(sizes):g} lines,"
            f" 99 % at most {percentile(sizes, 0.99)}, longest {max(sizes)}"
            f"\n  modules: {len(files)}, median {median(files):g} lines, longest {max(files)}"
            f"\n  tests: {tests / source:.2f} lines for each of the {source} of src\n  ",
            end="",
        )


def test_no_function_is_longer_than_a_screen():
    long = {name: lines for name, lines in functions().items() if lines > LONGEST_FUNCTION}
    assert not long, f"more than {LONGEST_FUNCTION} lines: {long}"


def test_no_module_is_longer_than_an_evening():
    long = {name: lines for name, lines in lengths().items() if lines > LONGEST_MODULE}
    assert not long, f"more than {LONGEST_MODULE} lines: {long}"
