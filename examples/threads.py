"""Threads that run operations on machines: one at a time on each machine, in order of arrival."""

import threading
import time

from holdfast import Lockspace

locks = Lockspace(label="compute")
log: list[str] = []


def operate(operation: str) -> None:
    with locks("vm-1") as grant:
        log.append(f"{operation} holds vm-1 with token {grant.token}")


with locks("vm-1"):  # the main thread is first
    waiting = []
    for number, operation in enumerate(["reboot", "snapshot", "resize"], 1):
        waiting.append(threading.Thread(target=operate, args=(operation,)))
        waiting[-1].start()
        while len(locks.waiters("vm-1")) < number:  # so that the order below is certain
            time.sleep(0.001)
    print("holders:", [holder.owner.label for holder in locks.holders("vm-1")])
    print("waiters:", len(locks.waiters("vm-1")))

for thread in waiting:
    thread.join()
print([line.split(" with ")[0] for line in log])
print("left behind:", locks.snapshot())

# holders: ['compute']
# waiters: 3
# ['reboot holds vm-1', 'snapshot holds vm-1', 'resize holds vm-1']
# left behind: []
