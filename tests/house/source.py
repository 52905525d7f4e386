"""The source of holdfast as the house tests read it: parsed, never imported."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"
AnyFunction = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One file of src: its dotted name, whether it is a package's ``__init__``, its tree."""

    name: str
    path: Path
    is_package: bool
    tree: ast.Module
    text: str

    def imports(self) -> Iterator[tuple[str, str | None, int]]:
        """(module, name or None, line) of every import, also of those inside functions."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield alias.name, None, node.lineno
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    yield self._absolute(node), alias.name, node.lineno

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.name.split(".")[: None if self.is_package else -1]
        base = package[: len(package) - node.level + 1]
        return ".".join([*base, *filter(None, [node.module])])


@cache
def modules() -> tuple[Module, ...]:
    """Every module of src, by name."""
    found = []
    for path in sorted(SRC.rglob("*.py")):
        parts = list(path.relative_to(SRC).with_suffix("").parts)
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        text = path.read_text(encoding="utf-8")
        found.append(Module(name, path, is_package, ast.parse(text), text))
    return tuple(found)


def names_of_modules() -> set[str]:
    """The dotted names of :func:`modules`."""
    return {module.name for module in modules()}


@cache
def committed() -> tuple[Path, ...]:
    """What is or would be committed; everything but caches where there is no git."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode == 0:
        paths = [ROOT / line for line in listing.stdout.splitlines()]
    else:
        paths = [path for path in ROOT.rglob("*") if not _is_hidden(path)]
    return tuple(path for path in paths if path.is_file())


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(ROOT).parts)


def texts(*suffixes: str) -> Iterator[tuple[Path, str]]:
    """(path from the root, text) of the committed files whose names end so; all without any."""
    for path in committed():
        if not suffixes or path.name.endswith(suffixes):
            try:
                yield path.relative_to(ROOT), path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


def lines_of(function: AnyFunction) -> int:
    """Its length from ``def`` to end without the docstring, which nobody should save on."""
    first = function.body[0]
    spared = first.end_lineno - first.lineno + 1 if ast.get_docstring(function) is not None else 0
    return function.end_lineno - function.lineno + 1 - spared
