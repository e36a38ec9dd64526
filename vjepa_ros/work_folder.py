"""Work folders beside outputs: made, entered and marked so that nothing of anybody else's is ever cleared or followed.

A folder of the same name may be a link, somebody else's, or simply precious. It knows nothing of what is put into one.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from vjepa_ros.errors import OutputError
from vjepa_ros.errors import place as shown

LOCK = "vjepa_ros.lock"
"""The file in a work folder that is held locked while a run is in it; it goes last, and what has none is not ours."""

_MARK = b"vjepa_ros work folder 1\n"  # in the lock: whatever else lies in such a folder may be cleared
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_ATTEMPTS = 10  # to enter a folder that other runs are just leaving


@contextmanager
def entered(work: Path, output: Path, tool: str) -> Iterator[None]:
    """Make a work folder, or find one that a killed run has left, and hold its lock. It is for the caller to remove.

    Args:
        work: the folder.
        output: what it is for.
        tool: the program, as it is called.

    Raises:
        OutputError: where another run is in it, or where something of its name is no work folder of this user's.
        OSError: where it cannot be made.
    """
    for _ in range(_ATTEMPTS):
        with ExitStack() as attempt:
            if _is_entered(work, output, tool, attempt):
                held = attempt.pop_all()
                break
    else:
        raise _in_use(output, tool)
    with held:
        yield


def _is_entered(work: Path, output: Path, tool: str, stack: ExitStack) -> bool:
    """Whether the folder is ours now, until the stack is left; False where another run has just removed it."""
    try:
        folder = _opened(work, tool, stack)
        content = os.listdir(folder)
        if content and LOCK not in content:
            raise _foreign(work, tool, "has other things in it")
        # Neither emptied nor followed: it might be a link to a file that is precious to somebody.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        lock = os.open(LOCK, flags, 0o600, dir_fd=folder)
    except FileNotFoundError:
        if not work.parent.is_dir():
            raise
        return False
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise _foreign(work, tool, "has a lock that is none") from error
        if error.errno == errno.ENAMETOOLONG:
            raise OutputError(f"{shown(output)}: is too long a name: {shown(work.name)} must fit beside it") from error
        raise
    stack.callback(os.close, lock)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel drops it with the process, however that ends
    except BlockingIOError as error:
        raise _in_use(output, tool) from error
    if not (_is_still(work / LOCK, lock) and _is_still(work, folder)):
        return False
    _mark(work, tool, folder, lock)
    return True


def _opened(work: Path, tool: str, stack: ExitStack) -> int:
    """A descriptor of a folder that was made just now, or is this user's alone."""
    is_new = True
    try:
        work.mkdir(mode=0o700)
    except FileExistsError:
        is_new = False
    try:
        folder = os.open(work, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise _foreign(work, tool, "is a link or a file") from error
        raise
    stack.callback(os.close, folder)
    status = os.fstat(folder)
    if not is_new and status.st_uid != os.geteuid():  # of a new one some network disks say that it is nobody's
        raise _foreign(work, tool, "belongs to another user")
    if not is_new and status.st_mode & _OTHERS_WRITE:
        raise _foreign(work, tool, "can be written by other users")
    return folder


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether a path is what was opened there; another run may have removed it in between."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _mark(work: Path, tool: str, folder: int, lock: int) -> None:
    """See the mark in the lock, or put it into a new one."""
    status = os.fstat(lock)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        raise _foreign(work, tool, "has a lock that is none")
    found = os.pread(lock, len(_MARK) + 1, 0)
    if found == _MARK:
        return
    # Made just now, or by a run that was killed here: then there is nothing else yet.
    if not _MARK.startswith(found) or os.listdir(folder) != [LOCK]:
        raise _foreign(work, tool, "does not bear the mark of one")
    os.pwrite(lock, _MARK, 0)


def _in_use(output: Path, tool: str) -> OutputError:
    return OutputError(f"{shown(output)}: another {tool} is writing it")


def _foreign(work: Path, tool: str, why: str) -> OutputError:
    return OutputError(
        f"{shown(work)}: is in the way and {why}; {tool} works in a folder of this name and clears none but its own: "
        "move it away, or choose another place"
    )
