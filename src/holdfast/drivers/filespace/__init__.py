"""The parts of the driver ``file:///dir``; :mod:`holdfast.drivers.file` puts them together.

layout      the mapped file: its words, records and texts         (no process, no lock)
files       how the file is made and checked
ground      the directory: who may use it, on which file system
mutex       the one lock: flock, taken without ever waiting for the GIL while holding it
peers       one FIFO for each process: wakes it, and tells of its death
board       the law, applied to the records: who is blocked, who is granted, who watches whom
records     this process's chunks: numbers, new records, free records
repair      what the dead leave: reaped, or the whole made anew from what the living wrote
space       the lockspace as one process has it open: its slot, its FIFO, whom it must wake
claims      this process's claims, and what is done to them inside the mutex
keeper      how a claim comes to the mutex and back: gate, listener, fork, close
listener    the one thread that sleeps for all waiters of this process
view        what one sees of it: holders and waiters
probe       what ``holdfast doctor`` tries out
promises    what the driver promises, and what it cannot
"""
