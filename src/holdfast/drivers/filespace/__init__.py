"""The parts of the driver ``file:///dir``; :mod:`holdfast.drivers.file` puts them together.

layout      the mapped file: its words, records and texts         (no process, no lock)
ground      the directory: who may use it, on which file system
mutex       the one lock: flock, taken without ever waiting for the GIL while holding it
peers       one FIFO for each process: wakes it, and tells of its death
space       this process's place in the file: its slot, its chunks, its free records
board       the law, applied to the records: who is blocked, who is granted, who watches whom
repair      what the dead leave: reaped, or the whole made anew from what the living wrote
listener    the one thread that sleeps for all waiters of this process
probe       what ``holdfast doctor`` tries out
"""
