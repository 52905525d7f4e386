"""``synchronized``: the lock's name from the arguments of the call; ``def`` and ``async def``."""

import asyncio
from dataclasses import dataclass

from holdfast import Lockspace

locks = Lockspace()


@dataclass
class Machine:
    """What a call may be given; the name is made of one of its attributes."""

    uuid: str


@locks.synchronized("vm-{vm_id}")
def reboot(vm_id: int, *, hard: bool = False) -> str:
    held = [holder.name for holder in locks.holders(f"vm-{vm_id}")]
    return f"rebooting {'hard' if hard else 'softly'} under {held}"


@locks.synchronized("vm-{vm.uuid}", shared=True)
async def inspect(vm: Machine) -> str:
    held = [f"{holder.name} ({holder.mode})" for holder in locks.holders(f"vm-{vm.uuid}")]
    return f"inspecting under {held}"


print(reboot(7))
print(reboot(vm_id=8, hard=True))
print(asyncio.run(inspect(Machine("b7e9"))))
try:
    locks.synchronized("vm-{machine}")(reboot.__wrapped__)  # type: ignore[attr-defined]
except ValueError as error:
    print("refused when decorating:", "machine" in str(error))

# rebooting softly under ['vm-7']
# rebooting hard under ['vm-8']
# inspecting under ['vm-b7e9 (shared)']
# refused when decorating: True
