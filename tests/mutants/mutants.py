"""Bugs to be seeded: where, the right text, and the wrong one. Each must be found by a test.

The right text stands exactly as often in its file as ``count`` says; whoever changes the line
rewrites the mutant beside it. Equivalent changes (speed only) do not belong here.
"""

from __future__ import annotations

from dataclasses import dataclass

QUEUE, TABLE = "locks/queue.py", "locks/table.py"
NAMES, TERMS = "locks/names.py", "locks/terms.py"
MEMORY, ASK, SHORT = "drivers/memory.py", "doors/ask.py", "doors/short.py"


@dataclass(frozen=True)
class Mutant:
    """One seeded bug."""

    what: str
    file: str
    right: str
    wrong: str
    count: int = 1


LAW = [
    Mutant("all groups share", QUEUE, "mine.group == other.group", "True"),
    Mutant("exclusives share", QUEUE, 'mine.kind != "exclusive" and ', ""),
    Mutant("kinds mix", QUEUE, "mine.kind == other.kind and", "True and"),
    Mutant(
        "a reader passes a waiting writer",
        QUEUE,
        "        if not compatible(mine, ahead.mode):",
        "        if ahead.held and not compatible(mine, ahead.mode):",
    ),
    Mutant("one slot too many", QUEUE, "len(held) >= min(", "len(held) > min("),
    Mutant("the largest limit counts", QUEUE, "min(me.mode.limit, *", "max(me.mode.limit, *"),
    Mutant(
        "the limits of holders do not count",
        QUEUE,
        "min(me.mode.limit, *(each.mode.limit for each in held))",
        "me.mode.limit",
    ),
    Mutant("it is in its own way", QUEUE, "each.held and each is not me and", "each.held and"),
    Mutant("a small limit starves", QUEUE, "ahead.mode.limit <= len(held)", "False"),
    Mutant("a small limit starves at the edge", QUEUE, "limit <= len(held)", "limit < len(held)"),
    Mutant("a stuck ask reserves a slot", QUEUE, " and not stuck(ahead)", ""),
    Mutant(
        "holders behind do not count", QUEUE, "for each in queue if", "for each in queue[:at] if"
    ),
    Mutant("sharers have their own tokens", QUEUE, "return other.token", "return fresh()"),
    Mutant("tokens of waiters count", QUEUE, "other.held and other is not me", "other is not me"),
    Mutant("the token stands still", QUEUE, "    return fresh()\n", "    return 1\n"),
    Mutant(
        "a try stays in the queue",
        TABLE,
        "            self._remove(claim)\n            claim.seats = []\n",
        "            claim.seats = []\n",
    ),
    Mutant("a try keeps its seats", TABLE, "            claim.seats = []\n", ""),
    Mutant(
        "a grant that frees others wakes nobody",
        TABLE,
        "            if self._tangled:\n                self.settle(())\n",
        "",
    ),
    Mutant(
        "who asks twice sits twice",
        TABLE,
        "        if claim.seats:\n            self.leave(claim)\n",
        "",
    ),
    Mutant(
        "it waits before it has its seats",
        TABLE,
        "        for seat in claim.seats:\n            self.line(",
        '        claim.state = "waiting"\n        for seat in claim.seats:\n            self.line(',
    ),
    Mutant("leaving wakes nobody", TABLE, "        self.settle(claim.names)\n", "", count=2),
    Mutant(
        "leaving wakes those of one name only",
        TABLE,
        "self.settle(claim.names)",
        "self.settle(claim.names[:1])",
        count=2,
    ),
    Mutant(
        "who left still holds", TABLE, '            claim.state = "gone"\n', "            pass\n"
    ),
    Mutant(
        "it is taken out before it is gone",
        TABLE,
        '        if claim.state in ("held", "waiting"):\n            claim.state = "gone"\n',
        '        self._remove(claim)\n        claim.state = "gone"\n',
    ),
    Mutant(
        "a loss is not told",
        TABLE,
        '            self.news.append(claim)\n            claim.state = "lost"\n',
        '            claim.state = "lost"\n',
    ),
    Mutant("a loss has no reason", TABLE, "            claim.error = error\n", ""),
    Mutant(
        "a later one is served before an earlier one",
        TABLE,
        "        while next(self._grants(tuple(self.lines)), None):\n",
        "        for _ in self._grants(tuple(self.lines)):\n",
    ),
    Mutant("other names are not looked at", TABLE, "if not self._tangled:", "if True:"),
    Mutant(
        "a grant is not told",
        TABLE,
        "                self.news.append(claim)\n                self._grant(",
        "                self._grant(",
    ),
    Mutant("slots are never tangled", TABLE, " in wants) > 1\n", " in wants) > 9\n"),
    Mutant("last come, first served", TABLE, "in sorted(waiting)", "in sorted(waiting)[::-1]"),
    Mutant(
        "leftovers trip others",
        TABLE,
        '        if seat.claim.state != "waiting":\n            return False\n',
        "",
    ),
    Mutant("its own name makes it stuck", TABLE, "if other is not seat)", "if True)"),
    Mutant(
        "empty queues stay",
        TABLE,
        "                del self.lines[seat.name]\n",
        "                pass\n",
    ),
    Mutant("numbers stand still", TABLE, "number = self.last + 1", "number = self.last"),
    Mutant("who waited still holds", TABLE, 'claim.state == "held"\n', 'claim.state != "gone"\n'),
    Mutant(
        "who holds is blocked",
        TABLE,
        '        if claim.state != "waiting":\n            return []\n',
        "",
    ),
    Mutant("names that cannot be printed", NAMES, "if not name.isprintable():", "if False:"),
    Mutant("the longest name is refused", NAMES, "size > MAX", "size >= MAX"),
    Mutant("letters are counted, not bytes", NAMES, "len(name.encode())", "len(name)"),
    Mutant("another text than was checked", NAMES, "str.__str__(name)", "str(name)"),
    Mutant("no number is a time", NAMES, "not timeout >= 0", "timeout < 0"),
    Mutant("a name twice", NAMES, "    _refuse_twice(wants)\n", ""),
    Mutant("slots of a group", NAMES, "if shared or group is not None", "if shared"),
    Mutant("the mode is lost", NAMES, "mode or EXCLUSIVE", "EXCLUSIVE"),
    Mutant("shared is not shared", NAMES, "SHARED if shared else None", "None"),
    Mutant("True is a number of slots", TERMS, " or isinstance(limit, bool)", ""),
    Mutant("slots of a newer version", TERMS, "argument == str(int(argument))", "int(argument)"),
    Mutant("a group is written as shared", TERMS, 'f"group:{self.group}" if', "self.kind if"),
]

DOORS = [
    Mutant("memory: any id breaks", MEMORY, "self._id(seat.claim) == id", "True"),
    Mutant(
        "memory: tells nobody", MEMORY, "                claim.tell()\n", "                pass\n"
    ),
    Mutant("memory: a fork keeps all", MEMORY, "        self.table.clear()\n", "        pass\n"),
    Mutant("memory: closed is open", MEMORY, "        if self._closed:\n", "        if False:\n"),
    Mutant(
        "a short cut takes what is held", SHORT, "if name not in table.lines", "if True", count=2
    ),
    Mutant(
        "another loop is not woken",
        "doors/tasks.py",
        "self._loop.call_soon_threadsafe(",
        "self._loop.call_soon(",
    ),
    Mutant(
        "a thread is not woken",
        "doors/sleep.py",
        "            self._lock.release()\n",
        "            pass\n",
    ),
    Mutant("own cancellation is not taken back", ASK, "task.uncancel() if", "task.cancelling() if"),
    Mutant(
        "a loss does not cancel",
        "doors/grant.py",
        "who.get_loop().call_soon_threadsafe(self._cancel)",
        "pass",
    ),
]
