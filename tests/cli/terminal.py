"""A terminal with a real bash on it, which does job control as a person would see it."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
from pathlib import Path

from tests.cli.tools import PATIENCE, until

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]")


class Terminal:
    """Types into it, and sees what it shows."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        self.seen = ""
        self.raw = ""
        self._master, slave = pty.openpty()
        os.set_blocking(self._master, False)
        self.process = subprocess.Popen(
            # setsid --ctty: its own session, so that this is its controlling terminal.
            ["setsid", "--ctty", "--wait", *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env={**environment, "TERM": "xterm-256color", "COLUMNS": "150", "LINES": "40"},
        )
        os.close(slave)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def sees(self, text: str) -> str:
        """Wait until *text* is shown, and forget all up to it."""

        def shown() -> bool:
            self.look()
            return text in self.seen

        try:
            until(shown, text)
        except AssertionError as error:
            raise AssertionError(f"{error} in: {self.seen!r}") from None
        before, _, self.seen = self.seen.partition(text)
        return before

    def look(self) -> None:
        """Take in what is shown by now."""
        try:
            more = os.read(self._master, 65536)
        except OSError:  # nothing there, or nobody left at the other end
            return
        self.raw += more.decode(errors="replace")
        self.seen += ESCAPES.sub("", more.decode(errors="replace"))

    def ends(self) -> int:
        """Wait for the end of what runs on it; its status."""
        until(lambda: (self.look(), self.process.poll())[1] is not None, "the end")
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        if self.process.poll() is None:
            for each in descendants(self.process.pid):
                os.kill(each, signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        os.close(self._master)


def descendants(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    children = [int(each) for each in text.split()]
    return [*children, *(each for child in children for each in descendants(child))]
