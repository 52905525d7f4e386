"""Runs the code blocks of a Markdown document: ``python`` and ``console``, in order.

Blocks of one document share a namespace, a folder and a lockspace, as a reader would who types
them in. ``file:///run/holdfast`` in them means a lockspace in that folder, so that the text can
show what a user would write. In a console block a line that begins with ``$ `` is a command, and
what follows is its output, where ``…`` stands for anything.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from sybil import Document, Example
from sybil.parsers.markdown import CodeBlockParser, SkipParser

HOST_SPACE = "file:///run/holdfast"
MARK = "\x1e"
LONGEST = 60


class Blocks:
    """The blocks of one document, run in *folder*."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.folder = folder
        self.document: Document = Document.parse(
            str(path),
            CodeBlockParser("python", self.python),
            CodeBlockParser("console", self.console),
            SkipParser(),
        )
        self.environment = {
            **os.environ,
            "HOLDFAST_SPACE": self.space,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "COLUMNS": "100",
        }

    @property
    def space(self) -> str:
        return f"file://{self.folder}/space"

    def run(self) -> int:
        """How many blocks there were; an exception says which one is not true."""
        examples = list(self.document.examples())
        for example in examples:
            example.evaluate()
        return len(examples)

    def python(self, example: Example) -> None:
        padding = "\n" * example.line  # so that a traceback shows the line of the document
        source = padding + example.parsed.replace(HOST_SPACE, self.space)
        exec(compile(source, example.path, "exec"), example.namespace)

    def console(self, example: Example) -> str | None:
        commands = read_session(example.parsed.replace(HOST_SPACE, self.space))
        said = self.shell([command for command, _ in commands])
        for (command, expected), got in zip(commands, said, strict=True):
            if not matches(expected, got):
                return f"$ {command}\nexpected:\n{expected}\ngot:\n{got}"
        return None

    def shell(self, commands: list[str]) -> list[str]:
        """What each said on both of its outputs, run by one shell; what they left is killed."""
        script = "\n".join(f"{command}\nprintf '{MARK}'" for command in commands)
        shell = subprocess.Popen(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = shell.communicate(timeout=LONGEST)
        finally:
            if shell.poll() is None:
                os.killpg(shell.pid, signal.SIGKILL)
                shell.wait()
        return output.split(MARK)[:-1]


def read_session(text: str) -> list[tuple[str, str]]:
    """(command, expected output) of a console block."""
    session: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            session.append((line[2:], ""))
        else:
            command, expected = session[-1]
            session[-1] = (command, f"{expected}{line}\n")
    return session


def matches(expected: str, got: str) -> bool:
    """Whether they are the same, ``…`` standing for anything."""
    pattern = re.escape(expected.strip()).replace("…", ".*")
    return re.fullmatch(pattern, got.strip(), re.DOTALL) is not None
