"""The same locks in a program that eventlet has patched: waiting lets other greenlets run."""

import warnings

warnings.filterwarnings("ignore", r"\s*Eventlet is deprecated")  # whoever still needs it knows

import eventlet  # noqa: E402

eventlet.monkey_patch()

from holdfast import Lockspace  # noqa: E402  (patching comes first, as eventlet asks)

locks = Lockspace()
log: list[str] = []


def operate(operation: str, seconds: float) -> None:
    with locks("vm-1"):
        log.append(f"{operation} begins")
        eventlet.sleep(seconds)  # others run meanwhile, but not on vm-1
        log.append(f"{operation} ends")


pool = eventlet.GreenPool()
for operation in ("reboot", "snapshot"):
    pool.spawn(operate, operation, 0.01)
pool.spawn(lambda: log.append("vm-2 is free"))
pool.waitall()
print("\n".join(log))
print("left behind:", locks.snapshot())

# reboot begins
# vm-2 is free
# reboot ends
# snapshot begins
# snapshot ends
# left behind: []
