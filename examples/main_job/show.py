"""Who holds and who waits, while it happens: a live table on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from holdfast import Holder, Lockspace, Waiter


class Show:
    """A picture of a lockspace, drawn again by each :meth:`look`."""

    def __init__(self, locks: Lockspace, console: Console) -> None:
        self.locks = locks
        self.console = console
        self.began = time.monotonic()
        self.next_line = 0.0
        self.live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.live.stop()

    def look(self, rounds: int) -> None:
        """Draw what is true now."""
        seen = self.locks.snapshot()
        if self.console.is_terminal:
            self.live.update(self.table(seen, rounds), refresh=True)
        elif time.monotonic() >= self.next_line:
            self.next_line = time.monotonic() + 1
            self.console.print(self.line(seen, rounds), highlight=False, soft_wrap=True)

    def say(self, sentence: str) -> None:
        """Something happened; above the table."""
        self.console.print(f"{self.seconds():5.1f} s  {sentence}", highlight=False, soft_wrap=True)

    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self.began

    def table(self, seen: list[Holder | Waiter], rounds: int) -> Table:
        """Holders first, then waiters in queue order."""
        table = Table(title=f"{self.seconds():.1f} s, {rounds} rounds written")
        for column in ("", "who", "pid", "token", "for"):
            table.add_column(column, justify="right" if column in {"pid", "token", "for"} else None)
        for each in seen:
            held = isinstance(each, Holder)
            table.add_row(
                "[green]holds" if held else "[yellow]waits",
                each.owner.label,
                str(each.owner.pid),
                str(each.token) if isinstance(each, Holder) else "",
                f"{max(0.0, time.time() - each.since):.2f} s",
            )
        return table

    def line(self, seen: list[Holder | Waiter], rounds: int) -> str:
        """The same in one line."""
        holders = [
            f"{each.owner.label} (token {each.token})" for each in seen if isinstance(each, Holder)
        ]
        waiters = [each.owner.label for each in seen if isinstance(each, Waiter)]
        return (
            f"{self.seconds():5.1f} s  {rounds:3} rounds; holds: {', '.join(holders) or 'nobody'};"
            f" waits: {', '.join(waiters) or 'nobody'}"
        )
