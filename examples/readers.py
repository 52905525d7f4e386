"""Many may use an image, one may delete it: shared and exclusive, and nobody overtakes."""

import threading
import time

from holdfast import Lockspace

locks = Lockspace()
log: list[str] = []


def delete() -> None:
    with locks("image-3"):
        log.append("deleted")


def spawn() -> None:
    with locks("image-3", shared=True):
        log.append("spawned from it")


def check() -> None:
    with locks("image-3", shared=True) as grant:
        log.append(f"checked, sharing token: {grant.token == mine.token}")


with locks("image-3", shared=True) as mine:
    checker = threading.Thread(target=check)  # compatible with us, and nobody is ahead of it
    checker.start()
    checker.join()
    deleter = threading.Thread(target=delete)
    deleter.start()
    while not locks.waiters("image-3"):
        time.sleep(0.001)
    spawner = threading.Thread(target=spawn)  # compatible with us, but behind the deleter
    spawner.start()
    while len(locks.waiters("image-3")) < 2:
        time.sleep(0.001)
    print("waiting:", [str(waiter.mode) for waiter in locks.waiters("image-3")])
    print("another reader at once?", locks("image-3", shared=True).try_acquire())

deleter.join()
spawner.join()
print(log)

# waiting: ['exclusive', 'shared']
# another reader at once? None
# ['checked, sharing token: True', 'deleted', 'spawned from it']
