"""Algorithms that are known to be wrong, rebuilt to show that the harness catches them.

They stand here as interleavings of ``/field/locks.md``, section 5, not as anybody's code.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["CountingSemaphore", "NovaOriginal", "NovaWeakDictionary", "Semaphores"]

Semaphores = weakref.WeakValueDictionary[str, threading.Semaphore]


class CountingSemaphore:
    """A semaphore of one that knows how many are inside or waiting, as eventlet's did."""

    def __init__(self) -> None:
        self.users = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self.users += 1
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.users -= 1
        self._lock.release()


class NovaOriginal:
    """nova 2011, bug 872558: make it if it is missing, delete it if nobody waits.

    T1 and T2 both make one, the second store hides the first: two holders. Or: T1 releases, T2
    takes the same semaphore, T1 deletes the entry, T3 makes a new one: T2 and T3 hold.
    """

    def __init__(self, semaphores: dict[str, CountingSemaphore] | None = None) -> None:
        self._semaphores = {} if semaphores is None else semaphores

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        if name not in self._semaphores:
            self._semaphores[name] = CountingSemaphore()
        semaphore = self._semaphores[name]
        with semaphore:
            yield
        if not semaphore.users:
            del self._semaphores[name]


class NovaWeakDictionary:
    """nova's fix of August 2012, right for green threads only: a weak dictionary.

    T1 and T2 both miss and both make one; T1 stores its own; T2 now finds the name present, stores
    nothing, and holds a semaphore that nobody else can find.
    """

    def __init__(self, semaphores: Semaphores | None = None) -> None:
        self._semaphores = Semaphores() if semaphores is None else semaphores

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        semaphore = self._semaphores.get(name, threading.Semaphore())
        if name not in self._semaphores:
            self._semaphores[name] = semaphore
        with semaphore:
            yield
