"""Several processes of one host, no daemon; one is killed with -9 and the next holds at once."""

import os
import signal
import subprocess
import sys
import tempfile
import time

from holdfast import Lockspace

WORKER = """
import sys, time
from holdfast import Lockspace
with Lockspace(sys.argv[1], label=sys.argv[2])("disk-7") as grant:
    print("token", grant.token, flush=True)
    if sys.argv[2] == "first":
        time.sleep(600)     # it will be killed in here
"""


def start(label: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, url, label], stdout=subprocess.PIPE, text=True
    )


def token_of(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline().split()[1])


def end_of(process: subprocess.Popen[str]) -> int:
    with process:  # closes the pipe
        return process.wait()


with tempfile.TemporaryDirectory() as folder:
    url = f"file://{folder}/locks"
    with Lockspace(url) as locks:
        first = start("first")
        first_token = token_of(first)
        second = start("second")
        while not locks.waiters("disk-7"):
            time.sleep(0.01)
        print("holder:", locks.holders("disk-7")[0].owner.label)
        print("waiter:", locks.waiters("disk-7")[0].owner.label)

        os.kill(first.pid, signal.SIGKILL)  # no clean-up of any kind in there
        print("the second holds, with a larger token:", token_of(second) > first_token)
        print("ends well:", end_of(second) == 0, "killed:", end_of(first) == -signal.SIGKILL)
        print("left behind:", locks.snapshot())

# holder: first
# waiter: second
# the second holds, with a larger token: True
# ends well: True killed: True
# left behind: []
