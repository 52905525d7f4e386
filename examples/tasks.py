"""asyncio tasks and a thread in one queue; waiting never blocks the event loop."""

import asyncio
import threading

from holdfast import Lockspace, LockTimeout

locks = Lockspace(label="api")


async def reboot(machine: str, ticks: list[int]) -> str:
    async with locks(machine):
        return f"rebooted {machine} while the loop ticked: {len(ticks) > 0}"


async def tick(ticks: list[int]) -> None:
    while True:
        ticks.append(1)
        await asyncio.sleep(0.001)


async def main() -> None:
    entered, leave = threading.Event(), threading.Event()

    def backup() -> None:
        with locks("vm-1"):
            entered.set()
            leave.wait()

    thread = threading.Thread(target=backup)
    thread.start()
    entered.wait()
    try:
        async with locks("vm-1", timeout=0.05):
            print("never printed: the thread holds it")
    except LockTimeout as error:
        print("gave up;", "held by", error.holders[0].owner.label)

    ticks: list[int] = []
    ticking = asyncio.create_task(tick(ticks))
    rebooting = asyncio.create_task(reboot("vm-1", ticks))
    await asyncio.sleep(0.01)  # it waits now
    leave.set()  # the thread leaves, and the task holds
    print(await rebooting)
    ticking.cancel()
    thread.join()


asyncio.run(main())

# gave up; held by api
# rebooted vm-1 while the loop ticked: True
