"""One upload for each volume, and at most five at once over all volumes: one ask for both.

The bug this replaces: a request that waits for a *busy* volume took one of the five places
meanwhile, and five such requests shut the pool. An ask that is blocked on one name reserves no slot
of another.
"""

import threading

from holdfast import EXCLUSIVE, Lockspace, slots

locks = Lockspace()
guard = threading.Lock()
now, most = 0, 0
written: list[str] = []


def upload(volume: str) -> None:
    global now, most  # noqa: PLW0603  (a meter for the example)
    with locks({volume: EXCLUSIVE, "uploads": slots(5)}):
        with guard:
            now += 1
            most = max(most, now)
        pause.wait(0.01)  # the transfer
        written.append(volume)
        with guard:
            now -= 1


pause = threading.Event()
volumes = [f"volume-{number % 10}" for number in range(40)]  # each is asked for four times
threads = [threading.Thread(target=upload, args=(volume,)) for volume in volumes]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()

print("uploads:", len(written), "at once at most five:", most <= 5)

# A busy volume takes no slot from the others:
with locks("volume-0"):
    blocked = [threading.Thread(target=upload, args=("volume-0",)) for _ in range(8)]
    for thread in blocked:
        thread.start()
    while len(locks.waiters("volume-0")) < 8:
        pause.wait(0.001)
    other = locks({"volume-1": EXCLUSIVE, "uploads": slots(5)}).try_acquire()
    print("another volume gets in at once:", other is not None)
    if other:
        other.release()
for thread in blocked:
    thread.join()
print("left behind:", locks.snapshot())

# uploads: 40 at once at most five: True
# another volume gets in at once: True
# left behind: []
