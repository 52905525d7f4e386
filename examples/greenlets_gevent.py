"""The same locks in a program that gevent has patched: waiting lets other greenlets run."""

from gevent import monkey

monkey.patch_all()

import gevent  # noqa: E402  (patching comes first, as gevent asks)

from holdfast import Lockspace  # noqa: E402

locks = Lockspace()
log: list[str] = []


def operate(operation: str, seconds: float) -> None:
    with locks("vm-1"):
        log.append(f"{operation} begins")
        gevent.sleep(seconds)  # others run meanwhile, but not on vm-1
        log.append(f"{operation} ends")


gevent.joinall(
    [
        gevent.spawn(operate, "reboot", 0.01),
        gevent.spawn(operate, "snapshot", 0.01),
        gevent.spawn(lambda: log.append("vm-2 is free")),
    ],
    raise_error=True,
)
print("\n".join(log))
print("left behind:", locks.snapshot())

# reboot begins
# vm-2 is free
# reboot ends
# snapshot begins
# snapshot ends
# left behind: []
