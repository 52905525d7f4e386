"""The directory: who may use it, how it is made, and on which file systems it may lie.

Every component of the path is opened by itself, so that nobody can put a symbolic link of theirs
in our way between a check and its use.
"""

from __future__ import annotations

import ctypes
import errno
import grp
import os
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from holdfast.drivers.base import Options
from holdfast.errors import DriverError, Unsupported

__all__ = ["Access", "check_file", "file_system", "open_directory", "read_url", "saying"]

MAX_LINKS = 40

# The magic numbers of statfs(2). Locks of these do not exclude as ours must, or reach other hosts.
REMOTE = {
    0x6969: "NFS",
    0xFF534D42: "CIFS",
    0xFE534D42: "SMB",
    0x517B: "SMB",
    0x01021997: "9p",
    0x65735546: "FUSE",
    0x00C36400: "Ceph",
    0x0BD00BD0: "Lustre",
    0x7461636F: "OCFS2",
    0x01161970: "GFS2",
    0x47504653: "GPFS",
    0x5346414F: "AFS",
    0x19830326: "BeeGFS",
}
LOCAL = {
    0xEF53: "ext4",
    0x58465342: "XFS",
    0x9123683E: "btrfs",
    0x01021994: "tmpfs",
    0x2FC12FC1: "ZFS",
    0xF2F52010: "F2FS",
    0x794C7630: "overlayfs",
    0x858458F6: "ramfs",
    0xCA451A4E: "bcachefs",
}
OVERLAY = 0x794C7630


class Access(NamedTuple):
    """Who may use the lockspace: the modes of directory and files, and the group that shares it."""

    directory: int = 0o700
    file: int = 0o600
    group: int = -1

    @property
    def is_shared(self) -> bool:
        """Whether the members of a group may use it, by configuration."""
        return self.group >= 0


@contextmanager
def saying(what: str, path: str) -> Iterator[None]:
    """Errors of the system become one sentence that names the path and what to do."""
    try:
        yield
    except OSError as error:
        raise DriverError(f"cannot {what} {path}: {_advice(error)}") from error


def _advice(error: OSError) -> str:
    text = os.strerror(error.errno or 0)
    advice = {
        errno.ENOSPC: "make room there, or put the lockspace on another file system",
        errno.EDQUOT: "the quota is used up; raise it or use another directory",
        errno.EROFS: "put the lockspace on a file system that can be written",
        errno.EACCES: "run as the directory's owner, or share it with ?mode=0770&group=NAME",
        errno.EPERM: "run as the directory's owner, or share it with ?mode=0770&group=NAME",
        errno.EMFILE: "raise the limit of open files of this process (ulimit -n)",
        errno.ENFILE: "raise the limit of open files of this host (fs.file-max)",
        errno.ENOENT: "make the directory above it first",
        errno.ENOTDIR: "name a directory",
        errno.EFBIG: "raise the limit of file sizes of this process (ulimit -f)",
        errno.ENOLCK: "this file system does not lock; use another directory",
        errno.ENOMEM: "the host or its limits leave no memory for the map (ulimit -v)",
    }.get(error.errno or 0)
    return f"{text}; {advice}" if advice else text


def read_url(url: str, options: Options) -> tuple[str, Access]:
    """The directory and the access that ``file:///dir?mode=0770&group=NAME`` means.

    Any ttl is kept: the kernel tells at once when a process has died.
    """
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise Unsupported(
            f"the lockspace of a host is file:///DIRECTORY, an absolute path: {url!r}"
        )
    words: dict[str, object] = dict(parse_qsl(parts.query, keep_blank_values=True))
    words.update(options.extra)
    access = _access(words.pop("mode", None), words.pop("group", None))
    if words:
        raise Unsupported(f"file: knows mode= and group=, not {', '.join(sorted(words))}")
    return os.path.normpath(unquote(parts.path)), access


def _access(mode: object, group: object) -> Access:
    if mode is None and group is None:
        return Access()
    bits = _mode_bits(0o770 if mode is None else mode)
    if bits & 0o070 and group is None:
        raise Unsupported("mode= lets a group in, so say which: ?mode=0770&group=NAME")
    if group is None:
        return Access()
    return Access(0o2770, 0o660, _group_id(str(group)))


def _mode_bits(mode: object) -> int:
    bits = mode if isinstance(mode, int) else -1
    if isinstance(mode, str) and mode and set(mode) <= set("01234567"):
        bits = int(mode, 8)
    if bits & 0o777 not in (0o700, 0o770) or bits & ~0o2777:
        raise Unsupported(f"mode= is 0700 or 0770, not {mode!r}: others must not write there")
    return bits


def _group_id(name: str) -> int:
    if name.isdecimal():
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise DriverError(
            f"there is no group {name!r} on this host; make it or name another"
        ) from None


def open_directory(path: str, access: Access) -> int:
    """A descriptor of the directory, made if it is missing. Raises DriverError if it is unfit."""
    with saying("use the directory", path):
        walked = _walk(path, access)
        try:
            fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=walked)
        finally:
            os.close(walked)
    try:
        _check_directory(fd, path, access)
        _check_file_system(fd, path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _walk(path: str, access: Access) -> int:
    """Open *path* one component after the other; the last is made if it is missing."""
    fd = os.open("/", os.O_PATH | os.O_CLOEXEC)
    left = deque(each for each in path.split("/") if each)
    links = 0
    try:
        while left:
            word = left.popleft()
            into = _step(fd, word, access, last=not left)
            if not stat.S_ISLNK(os.fstat(into).st_mode):
                os.close(fd)
                fd = into
                continue
            links += 1
            try:
                target = _target(into, word, path, links)
            finally:
                os.close(into)
            if target.startswith("/"):
                os.close(fd)
                fd = os.open("/", os.O_PATH | os.O_CLOEXEC)
            left.extendleft(each for each in reversed(target.split("/")) if each)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _step(fd: int, word: str, access: Access, last: bool) -> int:
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(word, flags, dir_fd=fd)
    except FileNotFoundError:
        if not last:
            raise
    try:
        os.mkdir(word, 0o700, dir_fd=fd)
    except FileExistsError:
        return os.open(word, flags, dir_fd=fd)
    made = os.open(word, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)
    try:
        if access.is_shared:
            os.fchown(made, -1, access.group)
            os.fchmod(made, access.directory)
        return os.open(word, flags, dir_fd=fd)
    finally:
        os.close(made)


def _target(link: int, word: str, path: str, links: int) -> str:
    """Where a symbolic link leads, if it is root's or ours."""
    if os.fstat(link).st_uid not in (0, os.geteuid()):
        raise DriverError(
            f"the path {path} leads over {word!r}, a symbolic link of another user;"
            " name the directory itself"
        )
    if links > MAX_LINKS:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return os.readlink("", dir_fd=link)


def _check_directory(fd: int, path: str, access: Access) -> None:
    seen = os.fstat(fd)
    me = os.geteuid()
    if seen.st_mode & 0o002:
        raise DriverError(f"everybody may write in {path}: chmod o-w it, or name another directory")
    if access.is_shared:
        _check_shared(seen, path, access)
    elif seen.st_uid != me:
        raise DriverError(
            f"{path} belongs to user {seen.st_uid}, not to {me}: run as its owner, or share it"
            " with ?mode=0770&group=NAME"
        )
    elif seen.st_mode & 0o020:
        raise DriverError(
            f"a group may write in {path}: chmod g-w it, or say so with ?mode=0770&group=NAME"
        )


def _check_shared(seen: os.stat_result, path: str, access: Access) -> None:
    if seen.st_gid != access.group or seen.st_mode & 0o7777 != access.directory:
        raise DriverError(
            f"{path} is not shared by group {access.group} (mode {seen.st_mode & 0o7777:04o}, group"
            f" {seen.st_gid}): chgrp {access.group} and chmod 2770 it, or leave out group="
        )
    member = access.group in (os.getegid(), *os.getgroups())
    if os.geteuid() not in (0, seen.st_uid) and not member:
        raise DriverError(f"{path} is shared by group {access.group}: add this user to that group")


class _Statfs(ctypes.Structure):
    _fields_ = (("type", ctypes.c_long), ("rest", ctypes.c_byte * 248))


def file_system(fd: int) -> tuple[int, str]:
    """The magic number of the file system behind *fd*, and a name for people."""
    libc: Any = ctypes.CDLL(None, use_errno=True)
    answer = _Statfs()
    if libc.fstatfs(fd, ctypes.byref(answer)):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    magic = int(answer.type) & 0xFFFFFFFF
    return magic, REMOTE.get(magic) or LOCAL.get(magic) or f"type {magic:#x}"


def _check_file_system(fd: int, path: str) -> None:
    magic, name = file_system(fd)
    if magic in REMOTE:
        raise DriverError(
            f"{path} lies on {name}, whose locks this driver cannot trust; name a directory on a"
            " local disk or in /run, or use a driver for several hosts (etcd:, postgresql:)"
        )
    if magic == OVERLAY and not _locks_exclude(fd):
        raise DriverError(f"locks on the overlay file system of {path} do not exclude; use /run")


def _locks_exclude(fd: int) -> bool:
    """Whether flock on a file made here excludes a second description of it."""
    import fcntl

    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    word = f".probe-{os.getpid()}-{os.urandom(4).hex()}"
    first = os.open(word, flags | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=fd)
    second = os.open(word, flags, dir_fd=fd)
    try:
        fcntl.flock(first, fcntl.LOCK_EX)
        fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(first)
        os.close(second)
        os.unlink(word, dir_fd=fd)
    return False


def check_file(fd: int, path: str, access: Access) -> None:
    """Refuse a file that is not plain, has a second name, or is somebody else's."""
    seen = os.fstat(fd)
    if not stat.S_ISREG(seen.st_mode):
        raise DriverError(f"{path} is not a plain file; move it away or name another directory")
    if seen.st_nlink != 1:
        raise DriverError(f"{path} has {seen.st_nlink} names; one is all it may have")
    if not access.is_shared and seen.st_uid != os.geteuid():
        raise DriverError(f"{path} belongs to user {seen.st_uid}; run as that user or remove it")
    if seen.st_mode & 0o007 or (seen.st_mode & 0o070 and not access.is_shared):
        raise DriverError(f"others may open {path}; chmod it to {access.file:04o}")
