"""The short cut: a free name of a driver that lends its table, in as few steps as there can be."""

from __future__ import annotations

from time import time
from types import TracebackType
from typing import TYPE_CHECKING, Any
from weakref import ref

from holdfast.doors.ask import Ask, current_task, is_cancellation
from holdfast.doors.grant import Grant, Hold
from holdfast.locks.terms import EXCLUSIVE, Want

if TYPE_CHECKING:
    from collections.abc import Awaitable

__all__ = ["ShortAsk"]


class ShortAsk(Ask):
    """An ask for one name, exclusive, of a driver that lends its table for the short cut.

    See :mod:`holdfast.drivers.memory` for why the marked runs are sound; they stand here, and not
    behind a call, because a call costs more than all they do.
    """

    __slots__ = ()
    _timeout = None

    @property
    def wants(self) -> tuple[Want, ...]:
        """The name asked for, exclusive."""
        return ((self._name, EXCLUSIVE),)

    def __enter__(self) -> Grant:
        space = self._space
        grant = Grant()
        grant._space = space
        grant._name = name = self._name
        grant.claim = None
        grant.who = space._who()
        grant.since = time()
        # One run: nobody else gets the same one.
        hold = space._spare
        if hold is None:
            hold = Hold()
        else:
            space._spare = None
        table = space._table
        # The run `take`; it is only here that nobody else can have entered this ask.
        if name not in table.lines and self._held is None:
            table.last = grant.number = table.last + 1
            table.lines[name] = hold.grant = grant
            self._held = hold
            return grant
        return Ask.__enter__(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        hold = self._held
        space = self._space
        lines = space._lent.lines
        name = self._name
        # The run `give`.
        try:
            if hold is not None and lines[name] is hold.grant:
                del lines[name]
                hold.grant = self._held = None
                space._spare = hold
                return
        except KeyError:
            pass
        Ask.__exit__(self, kind, error, trace)

    async def __aenter__(self) -> Grant:
        space = self._space
        grant = Grant()
        grant._space = space
        grant._name = name = self._name
        grant.claim = None
        task = current_task()
        grant.who = ref(task)
        grant._before = task.cancelling()
        grant._struck = False
        grant.since = time()
        # One run: nobody else gets the same one.
        hold = space._spare
        if hold is None:
            hold = Hold()
        else:
            space._spare = None
        table = space._table
        # The run `take`.
        if name not in table.lines and self._held is None:
            table.last = grant.number = table.last + 1
            table.lines[name] = hold.grant = grant
            self._held = hold
            return grant
        return await Ask.__aenter__(self)

    def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Awaitable[None]:
        hold = self._held
        space = self._space
        lines = space._lent.lines
        name = self._name
        # The run `give`.
        try:
            if hold is not None and lines[name] is hold.grant:
                del lines[name]
                hold.grant = self._held = None
                space._spare = hold
                return DONE
        except KeyError:
            pass
        return self._leave_async(is_cancellation(kind))


class _Done:
    """An awaitable that is done at once: cheaper than a coroutine, and shared by all."""

    __slots__ = ()

    __await__: Any = staticmethod(().__iter__)


DONE: Awaitable[None] = _Done()
