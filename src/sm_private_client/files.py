"""Files of this user alone: a lock, checked reads, and writes that are whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "OWNER_ONLY",
    "AtomicFile",
    "NotOursError",
    "OwnedDirectory",
    "open_ours",
    "read_owned",
    "real_path",
    "try_lock",
]

OWNER_ONLY: Final = 0o600
"""The mode of every file that is written here, unless an old one's is kept."""

_OTHERS_MAY_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
# Absent on Windows, where the user's own profile directory is what protects these files.
_DIRECTORY: Final[int] = getattr(os, "O_DIRECTORY", 0)
_NO_LINKS: Final[int] = getattr(os, "O_NOFOLLOW", 0)
_NO_WAITING: Final[int] = getattr(os, "O_NONBLOCK", 0)  # a pipe would wait for who writes to it
_BINARY: Final[int] = getattr(os, "O_BINARY", 0)
# Which one depends on the system.
_LINK_ERRORS: Final = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EMLINK})


def try_lock(handle: int) -> bool:
    """Take the lock of an open file; return False if another process or handle has it.

    Closing the file gives the lock back.

    Args:
        handle: The descriptor of a file that is open for writing, at its beginning.
    """
    try:
        if sys.platform == "win32":
            # Locks are on bytes there, so this takes one that is never used.
            os.lseek(handle, 1 << 60, os.SEEK_SET)
            try:
                msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            finally:
                os.lseek(handle, 0, os.SEEK_SET)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


class NotOursError(OSError):
    """It belongs to another user, others can write it, or it is no ordinary file."""


class OwnedDirectory:
    """An open directory of this user alone, in which no link is followed.

    Use it in a ``with`` block.

    Args:
        path: The directory.
        make: Make it, for its owner only, if it is not there.

    Raises:
        NotOursError: It belongs to another user or can be written by others.
        OSError: It cannot be opened, or is a link.
    """

    def __init__(self, path: Path, *, make: bool = False) -> None:
        self.path = path
        self._handle: int | None = None
        if make:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sys.platform == "win32":  # there directories cannot be opened
            if not path.is_dir():
                raise FileNotFoundError(2, "No such directory", str(path))
            return
        self._handle = _open(path, os.O_RDONLY | _DIRECTORY)
        try:
            _require_ours(path, os.fstat(self._handle))
        except OSError:
            os.close(self._handle)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            os.close(self._handle)

    def names(self) -> list[str]:
        """Return the names of what is in it."""
        # Of what is open, not of what has its name now.
        return os.listdir(self.path if self._handle is None else self._handle)  # noqa: PTH208 - a handle

    def read(self, name: str, *, limit: int) -> bytes:
        """Return the content of a file, which may be no link; see ``read_owned``."""
        return _read(self._open(name, os.O_RDONLY), limit)

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all, over one that may be there."""
        temporary = f".new-{secrets.token_hex(8)}"
        handle = self._open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(
                self._where(temporary),
                self._where(name),
                src_dir_fd=self._handle,
                dst_dir_fd=self._handle,
            )
        except BaseException:
            with contextlib.suppress(OSError):
                self.unlink(temporary)
            raise

    def lock_file(self, name: str) -> int:
        """Return the descriptor of a file for ``try_lock``; make the file if it is not there."""
        return self._open(name, os.O_RDWR | os.O_CREAT)

    def unlink(self, name: str) -> None:
        """Delete a file."""
        os.unlink(self._where(name), dir_fd=self._handle)

    def _where(self, name: str) -> str:
        return name if self._handle is not None else str(self.path / name)

    def _open(self, name: str, flags: int) -> int:
        path = self.path / name
        handle = _open(path, flags | _NO_WAITING | _BINARY, self._where(name), self._handle)
        return _checked(path, handle)


def read_owned(path: Path, *, limit: int) -> bytes:
    """Return the content of a file that the user named; a link is followed, and its file checked.

    Of a file that is longer than ``limit`` bytes one byte more is read.

    Raises:
        NotOursError: It belongs to another user, can be written by others, or is no ordinary file.
        OSError: It cannot be opened.
    """
    return _read(_checked(path, os.open(path, os.O_RDONLY | _NO_WAITING | _BINARY)), limit)


def open_ours(path: Path, flags: int) -> int:
    """Return the descriptor of a file that nobody else can write; a link is not followed.

    Its owner may be another user, as shared file systems have it. A new file is for its owner only.

    Raises:
        NotOursError: It is a link or no ordinary file, or others can write it.
        OSError: It cannot be opened.
    """
    return _checked(path, _open(path, flags | _NO_WAITING | _BINARY), any_owner=True)


def _read(handle: int, limit: int) -> bytes:
    with os.fdopen(handle, "rb") as file:
        return file.read(limit + 1)


def _open(path: Path, flags: int, where: str = "", directory: int | None = None) -> int:
    try:
        return os.open(where or path, flags | _NO_LINKS, OWNER_ONLY, dir_fd=directory)
    except OSError as error:
        if error.errno in _LINK_ERRORS and path.is_symlink():
            raise NotOursError(f"{path} is a link") from None
        raise


def _checked(path: Path, handle: int, *, any_owner: bool = False) -> int:
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise NotOursError(f"{path} is no ordinary file")
        _require_ours(path, status, any_owner=any_owner)
    except OSError:
        os.close(handle)
        raise
    return handle


def _require_ours(path: Path, status: os.stat_result, *, any_owner: bool = False) -> None:
    if sys.platform == "win32":
        return
    if not any_owner and status.st_uid != os.geteuid():
        raise NotOursError(f"{path} belongs to another user")
    if status.st_mode & _OTHERS_MAY_WRITE:
        raise NotOursError(f"{path} can be written by others")


def real_path(path: str | os.PathLike[str]) -> Path:
    """Return the file that a path leads to; symbolic links are followed, so that they stay."""
    return Path(os.path.realpath(path))


class AtomicFile:
    """A file that is written beside its path, and takes its place once it is on the disk.

    Use it in a ``with`` block. Without ``commit`` nothing of it stays and the old file is as it
    was.

    Args:
        path: The file, in a directory that is there.
        mode: The new file's mode.
        over: Replace a file that is there; a link to one is followed.

    Attributes:
        path: The file.
        temporary: The file that is written until then.

    Raises:
        OSError: The directory cannot be written to.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, mode: int = OWNER_ONLY, over: bool = True
    ) -> None:
        self.path = real_path(path) if over else Path(path)
        handle, name = tempfile.mkstemp(
            prefix=f".{self.path.name}.", suffix=".part", dir=self.path.parent
        )
        self.temporary = Path(name)
        self._file = os.fdopen(handle, "wb")
        self._mode = mode
        self._over = over

    def write(self, data: bytes) -> None:
        """Add bytes."""
        self._file.write(data)

    def flush(self) -> None:
        """Write what is buffered, for others who read ``temporary``."""
        self._file.flush()

    def commit(self) -> None:
        """Take the file's place.

        Raises:
            FileExistsError: There is a file, and it is not to be replaced.
            OSError: The disk did not take it; the old file is as it was.
        """
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self.temporary.chmod(self._mode)
        if self._over:
            self.temporary.replace(self.path)
        else:
            self._take_free_name()
        _sync_directory(self.path.parent)

    def _take_free_name(self) -> None:
        try:
            os.link(self.temporary, self.path)  # fails if a file is there
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links, such as exFAT and some shares
            handle = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | _BINARY, self._mode)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(self.temporary.read_bytes())
                    file.flush()
                    os.fsync(file.fileno())
            except BaseException:
                with contextlib.suppress(OSError):
                    self.path.unlink()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # what could not be written is being reported already
            self._file.close()
        self.temporary.unlink(missing_ok=True)


def _sync_directory(directory: Path) -> None:
    """Force a new name to the disk, if the system can open directories."""
    if sys.platform == "win32":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
