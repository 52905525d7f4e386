"""``Lockspace``: a set of names that are locked, kept by a driver; the way in for every program."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Mapping
from time import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from holdfast.doors.ask import Ask
from holdfast.doors.circles import forget_all
from holdfast.doors.grant import Grant, Hold
from holdfast.doors.mutex import Mutex, ShortMutex
from holdfast.doors.short import ShortAsk
from holdfast.doors.sleep import identity
from holdfast.drivers.base import Guarantees, Options
from holdfast.drivers.registry import open_driver
from holdfast.errors import Unsupported
from holdfast.locks.names import check_name, check_timeout, wants_of
from holdfast.locks.table import Claim, tell_nobody
from holdfast.locks.terms import EXCLUSIVE, Holder, Mode, Waiter

if TYPE_CHECKING:
    from typing import Self

    from holdfast.doors.events import Kind, Listener

__all__ = ["Lockspace"]

F = TypeVar("F", bound=Callable[..., Any])

SHORT_NAME = 256
"""Characters that surely fit into 1,024 bytes of UTF-8."""

_open: weakref.WeakSet[Lockspace] = weakref.WeakSet()
"""Those that a fork's child must let go of."""


class _Everything(dict[str, Any]):
    """Holds every name, so that no short cut is taken."""

    def __contains__(self, name: object) -> bool:
        return True


class _NoShortCut:
    """Stands in for the lent table where there is none, or not any more."""

    lines = _Everything()
    last = 0


NO_SHORT_CUT: Any = _NoShortCut()


class Lockspace:
    """A lockspace, opened: a set of names, each free, held, or held and awaited.

    *url*: None or ``memory:`` for this process alone (two of them share nothing);
    ``file:///dir`` for the processes of one host. *label* is shown to those who meet our locks.
    *ttl* is the lease in seconds; a driver that learns of death without one takes any. Other
    options are the driver's own.

    A context manager, sync and async, that closes it.
    Raises Unsupported for a scheme or an option that no installed driver knows, DriverError if the
    lockspace cannot be used.
    """

    def __init__(
        self,
        url: str | os.PathLike[str] | None = None,
        *,
        label: str = "",
        ttl: float | None = None,
        **options: object,
    ) -> None:
        text = None if url is None else os.fspath(url)
        extra = tuple(sorted(options.items()))
        self._driver: Any = open_driver(text, Options(label=label, ttl=ttl, extra=extra))
        self._url = text or "memory:"
        self._lent: Any = getattr(self._driver, "lent", None)
        self._table: Any = self._lent or NO_SHORT_CUT
        self._listeners: tuple[Listener, ...] = ()
        self._who = identity()
        self._era = 0
        self._spare: Hold | None = None
        _open.add(self)

    # Asking ------------------------------------------------------------------------------------

    def __call__(
        self,
        name: str | Mapping[str, Mode],
        *more: str,
        shared: bool = False,
        group: str | None = None,
        slots: int | None = None,
        timeout: float | None = None,
    ) -> Ask:
        """An ask for one name or several, all or none; exclusive unless said otherwise.

        *shared*: with other sharers; *group*: with sharers of the same group only; *slots*: with
        at most that many holders. A dictionary gives each name its own mode. *timeout*: how many
        seconds to wait at most, None for ever.
        Raises BadName, and ValueError for modes that contradict each other or a name twice.
        """
        if (
            name.__class__ is str
            and not (more or shared)
            and group is None
            and slots is None
            and timeout is None
            and 0 < len(name) <= SHORT_NAME
            and name.isprintable()
        ):
            # The common ask, and no more work for it than is needed.
            ask: Ask
            if self._lent is not None:
                ask = ShortAsk()
                ask._name = name
            else:
                ask = Ask()
                ask._wants = ((name, EXCLUSIVE),)
                ask._timeout = None
            ask._held = None
            ask._space = self
            return ask
        ask = Ask()
        ask._held = None
        ask._space = self
        ask._wants = wants_of((name, *more), shared, group, slots)
        ask._timeout = check_timeout(timeout)
        return ask

    def __getitem__(self, name: str) -> Ask:
        """The same as ``locks(name)``."""
        return self(name)

    def mutex(self, name: str) -> Mutex:
        """*name* with the face of ``threading.Lock``, and of ``asyncio.Lock`` in ``async with``."""
        kind = Mutex if self._lent is None else ShortMutex
        return kind(self, check_name(name), self(name))

    def synchronized(
        self,
        template: str,
        *,
        shared: bool = False,
        group: str | None = None,
        slots: int | None = None,
        timeout: float | None = None,
    ) -> Callable[[F], F]:
        """A decorator for ``def`` and ``async def``: run under the lock that *template* names.

        Its fields are filled in from the call's arguments: ``"vm-{vm_id}"``, ``"{vm.uuid}"``.
        Raises ValueError when decorating, if a field is no parameter of the function.
        """
        from holdfast.doors.synchronized import synchronize

        def ask(name: str) -> Ask:
            return self(name, shared=shared, group=group, slots=slots, timeout=timeout)

        return lambda function: synchronize(ask, template, function)

    # Seeing ------------------------------------------------------------------------------------

    def holders(self, name: str) -> list[Holder]:
        """Who holds *name*."""
        return [each for each in self._look_at(name) if isinstance(each, Holder)]

    def waiters(self, name: str) -> list[Waiter]:
        """Who awaits *name*, in queue order."""
        return [each for each in self._look_at(name) if isinstance(each, Waiter)]

    def snapshot(self, prefix: str = "") -> list[Holder | Waiter]:
        """Every holder and waiter of the names that begin with *prefix*, by name."""
        seen: list[Holder | Waiter] = self._driver.look(prefix)
        return seen

    @property
    def guarantees(self) -> Guarantees:
        """What this driver promises, and the public suite proved."""
        promised: Guarantees = self._driver.guarantees
        return promised

    @property
    def url(self) -> str:
        """Where it is."""
        return self._url

    def liveness(self) -> int:
        """A descriptor that keeps this process's locks alive as long as any process has it open.

        ``holdfast run`` hands it to its child. Raises Unsupported where there is none.
        """
        if not hasattr(self._driver, "liveness"):
            raise Unsupported(f"the locks of {self._url} cannot be inherited by a child")
        descriptor: int = self._driver.liveness()
        return descriptor

    def subscribe(self, listener: Listener) -> None:
        """Have *listener* called with each :class:`holdfast.doors.events.Event` of our asks.

        It is called in the thread where the event happens, and must be quick and not raise.
        From then on asks take no short cut.
        """
        self._table = NO_SHORT_CUT
        self._listeners = (*self._listeners, listener)

    # Breaking and closing ----------------------------------------------------------------------

    def break_(self, name: str, id: str, why: str) -> bool:
        """Take *name* from the holder with that *id*, who is known to be dead; say *why*.

        All names of that grant go. True if done; False, and nothing changed, if no present holder
        of *name* has that id. Raises ValueError for an empty *why*.
        """
        if not why.strip():
            raise ValueError("say why: whoever finds the lock broken will want to know")
        broken: bool = self._driver.break_(check_name(name), id, why)
        if broken:
            self._emit("broken", (name,), id)
        return broken

    def close(self) -> None:
        """Release all that is held here; end our waiters with Closed. Idempotent."""
        self._table = NO_SHORT_CUT
        self._driver.close()
        _open.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Lockspace {self._url}>"

    # For the doors -----------------------------------------------------------------------------

    def _spare_hold(self) -> Hold:
        # One run: nobody else gets the same one.
        hold = self._spare
        if hold is None:
            return Hold()
        self._spare = None
        return hold

    def _look_at(self, name: str) -> list[Holder | Waiter]:
        check_name(name)
        return [each for each in self._driver.look(name) if each.name == name]

    def _who_calls(self) -> object:
        """Who calls; greenlets may have come into this process since we looked last."""
        self._who = identity()
        return self._who()

    def _id_of(self, grant: Grant) -> str:
        if grant.claim is None:
            text: str = self._driver.id_of(grant.number)
            return text
        return grant.claim.id or self._driver.id_of(grant.claim.ticket)

    def _has_lone(self, name: str, grant: Grant) -> bool:
        return self._lent is not None and self._lent.lines.get(name) is grant

    def _give(self, grant: Grant) -> bool:
        """The lone *grant* is not held any more. True if it was until now; may be repeated."""
        if self._lent is not None:
            lines, name = self._lent.lines, grant._name
            # The run `give` (see holdfast.drivers.memory).
            try:
                if lines[name] is grant:
                    del lines[name]
                    return True
            except KeyError:
                pass
        # Unfolded meanwhile, or never held.
        return grant.claim is not None and self._drop(grant.claim)

    def _drop(self, claim: Claim) -> bool:
        """*claim* neither holds nor waits any more. True if it held until now."""
        waited = claim.state == "waiting"
        held: bool = self._driver.drop(claim)
        claim.tell = tell_nobody  # or the claim and its grant would keep each other alive
        if self._listeners and (held or waited):
            self._emit("released" if held else "gave up", claim.names, claim.id)
        return held

    def _was_forked(self, grant: Grant) -> bool:
        """Whether the grant was the parent's and this is a fork's child.

        One by the short cut has no era, unless its user released it.
        """
        return getattr(grant, "_era", None) != self._era

    def _emit(self, kind: Kind, names: tuple[str, ...], id: str) -> None:
        if self._listeners:
            from holdfast.doors.events import Event

            event = Event(kind, names, id, time())
            for listener in self._listeners:
                listener(event)


def _forked() -> None:
    """In a fork's child, before anything else: hold nothing."""
    forget_all()
    for space in tuple(_open):
        space._era += 1
        space._driver.forked()


os.register_at_fork(after_in_child=_forked)
