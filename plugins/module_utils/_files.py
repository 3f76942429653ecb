# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Files that hold keys: nobody else reads them, and nobody ever sees half of one."""

import contextlib
import fcntl
import itertools
import os
import stat
import tempfile
import typing as t

from ._clock import Deadline
from ._errors import CertfleetError

# Seconds between two looks whether a lock is free.
_LOOK = 0.05
_PID_LENGTH = 20
_TEMPORARY = ".certfleet-"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Occupied(CertfleetError):
    """Another process, or another thread of this one, holds the lock."""


def _failed(action: str, path: str, error: OSError) -> CertfleetError:
    return CertfleetError(f"cannot {action} {path}: {error.strerror or error}")


def _sync_directory(path: str) -> None:
    """Make a rename or link in the directory survive a power cut."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _write_temporary(path: str, data: bytes) -> str:
    """The data, on the disk, in a new file (0600) next to `path`."""
    fd, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=_TEMPORARY)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        os.unlink(temporary)
        raise
    return temporary


def write_private(path: str, data: bytes) -> None:
    """Put the data into a file of mode 0600, at once or not at all. CertfleetError when that fails."""
    write_private_files({path: data})


def write_private_files(files: t.Mapping[str, bytes]) -> None:
    """As write_private() for several files of one directory, one after the other; but the directory, which takes as
    long as a file to reach the disk, does so once. CertfleetError for the first that fails; those before it stay.
    """
    path = ""
    try:
        for path, data in files.items():
            _replace(os.path.abspath(path), data)
        _sync_directory(os.path.dirname(os.path.abspath(path)))
    except OSError as error:
        raise _failed("write", path, error) from error


def write_public(path: str, data: bytes) -> None:
    """Put the data into a file that everybody may read, at once or not at all; missing directories are made.

    CertfleetError when that fails.
    """
    path = os.path.abspath(path)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        _replace(path, data, 0o644)
    except OSError as error:
        raise _failed("write", path, error) from error


def _replace(path: str, data: bytes, mode: int = 0o600) -> None:
    temporary = _write_temporary(path, data)
    try:
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def create_private(path: str, data: bytes) -> bool:
    """As write_private(), but only where there is no such file yet.

    False when there was one, which stays as it is: of several processes one is first, and all end with its data.
    CertfleetError when it cannot be made.
    """
    path = os.path.abspath(path)
    try:
        temporary = _write_temporary(path, data)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        finally:
            os.unlink(temporary)
        _sync_directory(os.path.dirname(path))
    except OSError as error:
        raise _failed("create", path, error) from error
    return True


def unlink(path: str) -> None:
    """Remove a file, if it is there. CertfleetError when that fails."""
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    except OSError as error:
        raise _failed("remove", path, error) from error


def remove_leftovers(directory: str) -> None:
    """Remove what processes left that were killed while they wrote. For whoever holds the directory's lock.

    CertfleetError when that fails.
    """
    try:
        leftovers = [name for name in os.listdir(directory) if name.startswith(_TEMPORARY)]
    except OSError as error:
        raise _failed("read", directory, error) from error
    for name in leftovers:
        unlink(os.path.join(directory, name))


@contextlib.contextmanager
def hold_lock(path: str, patience: t.Optional[Deadline] = None) -> t.Iterator[None]:
    """Hold this lock file for as long as the block lasts; if the process dies, the kernel lets it go.

    Occupied when somebody else holds it: at once, or when patience is over; CertfleetError when there can be no lock.
    The file stays: to remove it would be a race.
    """
    path = os.path.abspath(path)
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _failed("open", path, error) from error
    try:
        for _each in patience.tries(itertools.repeat(_LOOK)) if patience else (None,):
            if _lock(fd, path):
                break
        else:
            raise _occupied(fd, path)
        yield
    finally:
        os.close(fd)


def _lock(fd: int, path: str) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Padded, not cut off first, which takes longer than all the rest.
        os.pwrite(fd, str(os.getpid()).encode().ljust(_PID_LENGTH), 0)
    except BlockingIOError:
        return False
    except OSError as error:
        raise _failed("lock", path, error) from error
    return True


def _occupied(fd: int, path: str) -> Occupied:
    holder = os.pread(fd, _PID_LENGTH, 0).decode("ascii", "replace").strip()
    return Occupied(
        f"another run (process {holder or 'unknown'}) is at work in {os.path.dirname(path)}",
        remedy="Wait until it has ended, then run again.",
        details={"holder": holder},
    )


def read_private(path: str) -> bytes:
    """The contents of a key file. CertfleetError when it cannot be read, or group or others may read it too."""
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & _OTHERS:
                raise CertfleetError(
                    f"{path} is accessible by others (mode {stat.S_IMODE(mode):04o})", remedy=f"chmod 0600 {path}"
                )
            return file.read()
    except OSError as error:
        raise _failed("read", path, error) from error


def make_private_directory(path: str) -> None:
    """Make sure of a directory that only this user enters (0700); missing parents are made too.

    CertfleetError when it is there but belongs to someone else, is a link or is accessible by others.
    """
    path = os.path.abspath(path)
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)
        status = os.lstat(path)
    except OSError as error:
        raise _failed("make the directory", path, error) from error
    if not stat.S_ISDIR(status.st_mode):
        raise CertfleetError(f"{path} is not a directory", remedy="Remove it, or name another directory.")
    if status.st_uid != os.geteuid():
        raise CertfleetError(
            f"the directory {path} belongs to another user (uid {status.st_uid})",
            remedy="Remove it, or name another directory.",
        )
    if status.st_mode & _OTHERS:
        raise CertfleetError(
            f"the directory {path} is accessible by others (mode {stat.S_IMODE(status.st_mode):04o})",
            remedy=f"chmod 0700 {path}",
        )


__all__ = (
    "Occupied",
    "create_private",
    "hold_lock",
    "make_private_directory",
    "read_private",
    "remove_leftovers",
    "unlink",
    "write_private",
    "write_private_files",
    "write_public",
)
