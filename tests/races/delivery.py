"""An exception at every point where CPython delivers one from outside, in turn.

Signal handlers run, and PyThreadState_SetAsyncExc strikes, only where the evaluation loop looks: at
the start of a function, at a backward jump, and after a call of C code. Those points are found by
tracing bytecodes. (``holdfast.testing.faults.interrupt`` strikes at every bytecode, which is more
than can happen: the short cut in memory is built on runs without such a point.)
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import holdfast
from holdfast.testing.faults import Interrupted

__all__ = ["Strikes", "strike_everywhere"]

HOLDFAST = holdfast.__file__.removesuffix("__init__.py")


class Strikes:
    """A trace function that raises at its *points* (counted from 1) in frames below *within*."""

    def __init__(self, points: set[int], within: str) -> None:
        self._points = points
        self._within = within
        # By id: a reference would keep alive what finalisers must free.
        self._after_call: set[int] = set()
        self.seen = 0

    def __call__(self, frame: FrameType, _event: str, _: Any) -> Any:
        """A new frame: its start is a point, unless it goes on after an await."""
        if not frame.f_code.co_filename.startswith(self._within):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if frame.f_lasti <= _start_of(frame):
            self._strike()
        return self.step

    def step(self, frame: FrameType, event: str, _: Any) -> Any:
        """One bytecode of a frame of interest, or its end."""
        if event == "opcode":
            name = dis.opname[frame.f_code.co_code[frame.f_lasti]]
            after_call = id(frame) in self._after_call
            self._after_call.discard(id(frame))
            if name.startswith("CALL"):
                self._after_call.add(id(frame))
            if after_call or "BACKWARD" in name:
                self._strike()
        elif event == "return":
            # The call of a Python function looks at its start, not at its end.
            self._after_call -= {id(frame), id(frame.f_back)}
        return self.step

    def _strike(self) -> None:
        self.seen += 1
        if self.seen in self._points:
            raise Interrupted


def _start_of(frame: FrameType) -> int:
    for each in dis.get_instructions(frame.f_code):
        if each.opname == "RESUME":
            return each.offset
    return 0


def strike_everywhere(
    act: Callable[[], None], check: Callable[[int], None], *, within: str = HOLDFAST, twice: int = 0
) -> int:
    """Run *act* again and again, struck at its first point, its second ...; *check* after each.

    *twice*: strike a second time, that many points later. Returns how many points there are.
    """
    point = 1
    while True:
        strikes = Strikes({point, point + twice}, within)
        before = sys.gettrace()
        sys.settrace(strikes)
        try:
            act()
        except Interrupted:
            pass
        finally:
            sys.settrace(before)
        check(point)
        if strikes.seen < point:
            return point - 1
        point += 1
