"""The file ``space``: made whole under another name, checked each time, never overwritten."""

from __future__ import annotations

import fcntl
import mmap
import os
from time import time_ns
from typing import Any

from holdfast.drivers.filespace.ground import Access, check_file, saying
from holdfast.drivers.filespace.layout import (
    CHUNKS,
    DIRECTORY,
    FORMAT,
    H_CEILING,
    H_FORMAT,
    H_LAST,
    INDEX,
    MAGIC,
    SLOTS,
    TOTAL_BYTES,
    VERSION,
)
from holdfast.errors import DriverError

__all__ = ["open_space", "sync"]

SPACE = "space"
NEW = "space.new"


def open_space(directory: int, path: str, access: Access) -> int:
    """A descriptor of the lockspace's file, made if need be. Raises DriverError if it is not ours.

    Two that open at once: P0 sees no file; P1 sees none; P0 makes it; P1 must not make it again.
    So who makes it holds the directory's own lock, and looks again inside.
    """
    full = f"{path}/{SPACE}"
    with saying("open", full):
        try:
            fd = _open(directory)
        except FileNotFoundError:
            fcntl.flock(directory, fcntl.LOCK_EX)
            try:
                fd = _open_or_make(directory, access)
            finally:
                fcntl.flock(directory, fcntl.LOCK_UN)
    try:
        check_file(fd, full, access)
        _check_format(fd, full)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _open(directory: int) -> int:
    return os.open(SPACE, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)


def _open_or_make(directory: int, access: Access) -> int:
    try:
        return _open(directory)
    except FileNotFoundError:
        pass
    try:
        os.unlink(NEW, dir_fd=directory)  # of somebody who died while making it
    except FileNotFoundError:
        pass
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(NEW, flags, 0o600, dir_fd=directory)
    try:
        _make(fd, access)
        os.rename(NEW, SPACE, src_dir_fd=directory, dst_dir_fd=directory)
        os.fsync(directory)
    except BaseException:
        os.close(fd)
        _forget_new(directory)
        raise
    return fd


def _forget_new(directory: int) -> None:
    try:
        os.unlink(NEW, dir_fd=directory)
    except FileNotFoundError:
        pass  # it has its name already


def _make(fd: int, access: Access) -> None:
    """Header, index and directory get their room now; slots and chunks when they are needed."""
    if access.is_shared:
        os.fchown(fd, -1, access.group)
        os.fchmod(fd, access.file)
    os.ftruncate(fd, TOTAL_BYTES)
    os.posix_fallocate(fd, 0, SLOTS * 8)
    os.posix_fallocate(fd, DIRECTORY * 8, (CHUNKS - DIRECTORY) * 8)
    words = memoryview(bytearray(INDEX * 8)).cast("Q")
    words[H_FORMAT] = FORMAT
    words[H_LAST] = words[H_CEILING] = time_ns() >> 8
    os.pwrite(fd, words, 0)
    os.fsync(fd)


def _check_format(fd: int, full: str) -> None:
    with saying("read", full):
        found = int.from_bytes(os.pread(fd, 8, H_FORMAT * 8), "little")
        size = os.fstat(fd).st_size
    version, magic = found >> 56, found & ((1 << 56) - 1)
    if magic != MAGIC:
        raise DriverError(f"{full} is not a lockspace; move it away or name another directory")
    if version != VERSION:
        raise DriverError(
            f"{full} has format {version}, this holdfast knows {VERSION};"
            " use one version of holdfast on this host, or end all that use it and remove the file"
        )
    if size != TOTAL_BYTES:
        raise DriverError(
            f"{full} has {size} bytes instead of {TOTAL_BYTES}; end all that use it, then remove it"
        )


def sync(raw: Any) -> None:
    """Have the header on the disk."""
    if isinstance(raw, mmap.mmap):
        raw.flush(0, mmap.PAGESIZE)
