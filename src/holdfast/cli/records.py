"""What ``ls`` and ``who`` show of a lockspace: records for programs, rows for people."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence

from holdfast.cli.circles import Process, circles
from holdfast.cli.family import ancestors
from holdfast.cli.words import age
from holdfast.drivers.owner import boot_id, start_time
from holdfast.locks.terms import Holder, Owner, Waiter

__all__ = ["Entry", "as_json", "circle_lines", "rows"]

Entry = Holder | Waiter

FORMAT_VERSION = 1
LS_COLUMNS = ("NAME", "STATE", "MODE", "OWNER", "AGE", "TOKEN / BEHIND", "COMMAND")
WHO_COLUMNS = ("STATE", "MODE", "OWNER", "AGE", "TOKEN / BEHIND", "ID", "COMMAND")


def as_json(entries: Sequence[Entry]) -> str:
    """One line: the version of the format, the entries, and the circles as lists of ids."""
    record = {
        "version": FORMAT_VERSION,
        "entries": [each.as_dict() for each in entries],
        "circles": [[step.waiter.id for step in each] for each in circles(entries, _parents)],
    }
    return json.dumps(record, ensure_ascii=False)


def rows(entries: Sequence[Entry], columns: Sequence[str], now: float) -> list[list[str]]:
    """The cells of a table, a row for each entry."""
    owners = {each.id: each.owner for each in entries}
    return [[_cell(each, column, owners, now) for column in columns] for each in entries]


def _cell(each: Entry, column: str, owners: dict[str, Owner], now: float) -> str:
    match column:
        case "NAME":
            return each.name
        case "STATE":
            return "held" if isinstance(each, Holder) else "waiting"
        case "MODE":
            return str(each.mode)
        case "OWNER":
            return _who(each.owner)
        case "AGE":
            return age(now - each.since)
        case "TOKEN / BEHIND":
            return _token_or_behind(each, owners)
        case "ID":
            return each.id
    return _command(each.owner.command)


def _token_or_behind(each: Entry, owners: dict[str, Owner]) -> str:
    if isinstance(each, Holder):
        return str(each.token)
    if not each.waiting_for:
        return "nobody any more"
    first = owners.get(each.waiting_for[0])
    more = len(each.waiting_for) - 1
    shown = _short(first) if first else each.waiting_for[0]
    return f"{shown} + {more}" if more else shown


def _who(owner: Owner) -> str:
    """Label and pid; the host only where it is another one."""
    host = "" if owner.host == os.uname().nodename else f" on {owner.host}"
    return f"{owner.label} (pid {owner.pid}{host})".lstrip()


def _short(owner: Owner) -> str:
    return f"{owner.label or 'pid'} {owner.pid}"


def _command(command: str) -> str:
    """Of ``holdfast run NAME -- COMMAND`` the command, which is what an operator looks for."""
    before, found, after = command.partition(" -- ")
    return after if found and "holdfast" in before else command


def circle_lines(entries: Sequence[Entry]) -> list[str]:
    """A sentence for each circle, and what to do about them."""
    found = circles(entries, _parents)
    lines = [f"circle: {'; '.join(map(str, circle))}" for circle in found]
    if lines:
        lines.append("Those in a circle wait for each other: end one, unless a thread will let go.")
    return lines


def _parents(owner: Owner) -> Iterator[Process]:
    """The processes that it descends from, as far as this host can tell."""
    if owner.boot == boot_id() and owner.start == start_time(owner.pid):
        for pid in ancestors(owner.pid):
            yield owner.host, owner.boot, pid, start_time(pid)
