"""Why a goal was not reached, in words: kept by hand, shown beside the row while it is not."""

from __future__ import annotations

__all__ = ["WHY"]

BUSY = (
    "Part of it is the machine: waking a process needs a free processor, there are two, and other"
    " work ran beside (see the load; calmer runs gave 217 µs and 1.04 ms for hand-over, 3.2 ms for"
    " kill). It is not all: raw flock, which is woken by the kernel alone, suffers the same load in"
    " the same rounds and stays below (Side by side). What ours does more has not been taken apart:"
    " suspected are the two wake-ups in the heir (its listener, then the thread that waits), and"
    " the file's mutex, which nine processes then ask for at once."
)

WHY: dict[str, str] = {
    "with": (
        "A bare lock is two C calls. A keyed one that keeps all facts crosses from C to Python"
        " three times (`__call__`, `__enter__`, `__exit__`) and makes two objects: the ask, which"
        " only the statement sees, so that what an interrupted `with` left is freed at once, and"
        " the grant, which the user may keep. Measured one by one on this machine (CPU ns, where a"
        " bare lock is 110): the crossings and the ask 165, dictionary and give-back 80, the grant"
        " 60, the clock 55, keyword arguments 25, the name's check 35, the thread's ident 30, the"
        " token 25, and the branches between. The clock"
        " alone is half a bare lock. The goal's sketch was measured where a bare lock took some 150"
        " ns. With many names the caches slow both sides down, so the ratio is better there."
    ),
    "mutex": (
        "A `with mutex` is two calls of Python functions, one insertion, one deletion, a token and"
        " a reading of the clock (`since`), which is half a bare lock by itself: without it the"
        " ratio is 1.6. The row lies within the noise of its goal."
    ),
    "async": (
        "A free `asyncio.Lock` does not ask who takes it. We must know the task, because it is"
        " cancelled if the lock is lost, and on Python 3.11 each question for the running loop is a"
        " system call (getpid) of some 200 ns on a virtual machine; later Pythons have none. The"
        " rest is that of `with`, a weak reference to the task, its count of cancellations, and one"
        " coroutine."
    ),
    "threads": (
        "Nobody overtakes, so every entry is a hand-over to a thread that sleeps: two switches of"
        " context and two of the interpreter's lock. A queue lock of fifteen lines (a deque of C"
        " locks, nothing else) gives 45,000 to 63,000 entries per second on this machine, 0.13 to"
        " 0.22 of LockByKey, which lets the running thread take the lock again and again. So a"
        " third is out of reach here for any lock that serves in order; ours needs two to three"
        " times the processor time of that queue lock for each hand-over. The longest wait is a"
        " pause of the scheduler or of the interpreter's lock (5 ms): it grows with the load of the"
        " machine, while the mean does not."
    ),
    "file-free": (
        "The kernel's part, two flocks on a kept descriptor, is small; what is left is Python: of"
        " the processor time about a third is the short way that takes, a fifth the one that gives,"
        " and nearly half the doors above them (ask, grant, claim, and the calls between). The goal"
        " comes from a prototype of the driver alone."
    ),
    "file-busy": (
        "Each flock that has to wait gives up the interpreter's lock, and gets it back only when"
        " the busy thread's turn of 5 ms is over."
    ),
    "hand-over": BUSY,
    "kill": BUSY + " The kernel itself needs 0.3 to 0.4 ms to end a process and tell it.",
    "idle": "A waiter that wakes up without a reason is a fault.",
    "growth-memory": (
        "The table is one dictionary, and more keys are spread over more memory than the"
        " processor's caches hold: a bare dict, measured in the same rounds, grows by more than we"
        " do. Nothing of ours walks over the names."
    ),
    "growth-file": "Chains of the index are longer; nothing walks over all names.",
    "import": (
        "More than half is `typing` with what it imports (re, enum, collections, contextlib); our"
        " own code is a third."
    ),
    "run": (
        "Most of it is imports: click, the command line's own modules and ctypes; then opening the"
        " lockspace, fork and exec."
    ),
}
