"""try_lock: a lock on an open file, for one process at a time."""

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

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

__all__ = [
    "OWNER_ONLY",
    "AtomicFile",
    "NotOursError",
    "OwnedDirectory",
    "read_owned",
    "real_path",
    "try_lock",
]

if sys.platform == "win32":
    import msvcrt

    def try_lock(handle: int) -> bool:
        """Takes the lock if nobody has it, and says whether; closing the file gives it back.

        Args:
            handle: The descriptor of a file that is open for writing, at its beginning.
        """
        os.lseek(handle, 1 << 60, os.SEEK_SET)  # locks are on bytes there, so on one never used
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(handle, 0, os.SEEK_SET)
        return True
else:
    import fcntl

    def try_lock(handle: int) -> bool:
        """Takes the lock if nobody has it, and says whether; closing the file gives it back.

        Args:
            handle: The descriptor of a file that is open for writing, at its beginning.
        """
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
# Absent on Windows, where the user's own profile directory is what protects these files.
_DIRECTORY: int = getattr(os, "O_DIRECTORY", 0)
_NO_LINKS: int = getattr(os, "O_NOFOLLOW", 0)
_NO_WAITING: int = getattr(os, "O_NONBLOCK", 0)  # a pipe would wait for who writes to it
_BINARY: int = getattr(os, "O_BINARY", 0)
_OWNER_ONLY = 0o600
# Which one depends on the system.
_LINK_ERRORS = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EMLINK})


class NotOursError(OSError):
    """It belongs to another user, others can write it, or it is no ordinary file."""


class OwnedDirectory:
    """An open directory of this user alone, in which no link is followed.

    Use it in a ``with`` block.

    Args:
        path: The directory.
        make: Make it, for its owner only, where it is not there.

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
        return os.listdir(self.path if self._handle is None else self._handle)  # noqa: PTH208

    def read(self, name: str, *, limit: int) -> bytes:
        """Return what a file holds.

        Args:
            name: Its name.
            limit: Bytes; one more is read of a longer file, so that it can be told.

        Raises:
            NotOursError: It belongs to another user, can be written by others, or is no ordinary
                file.
            OSError: It cannot be opened, or is a link.
        """
        with os.fdopen(self._open(name, os.O_RDONLY), "rb") as file:
            return file.read(limit + 1)

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all, over one that may be there.

        Raises:
            OSError: It could not be written; nothing of it is left.
        """
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
        """Return the descriptor of a file to lock, made where it is not there.

        Raises:
            OSError: As for ``read``.
        """
        return self._open(name, os.O_RDWR | os.O_CREAT)

    def unlink(self, name: str) -> None:
        """Delete a file.

        Raises:
            OSError: It could not be deleted.
        """
        os.unlink(self._where(name), dir_fd=self._handle)

    def _where(self, name: str) -> str:
        return name if self._handle is not None else str(self.path / name)

    def _open(self, name: str, flags: int) -> int:
        path = self.path / name
        return _checked(
            path, _open(path, flags | _NO_WAITING | _BINARY, self._where(name), self._handle)
        )


def read_owned(path: Path, *, limit: int) -> bytes:
    """Return what a file holds that the user named; a link is followed, and its file checked.

    Args:
        path: The file.
        limit: Bytes; one more is read of a longer file, so that it can be told.

    Raises:
        NotOursError: It belongs to another user, can be written by others, or is no ordinary file.
        OSError: It cannot be opened.
    """
    handle = _checked(path, os.open(path, os.O_RDONLY | _NO_WAITING | _BINARY))
    with os.fdopen(handle, "rb") as file:
        return file.read(limit + 1)


def _checked(path: Path, handle: int) -> int:
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise NotOursError(f"{path} is no ordinary file")
        _require_ours(path, status)
    except OSError:
        os.close(handle)
        raise
    return handle


def _open(path: Path, flags: int, where: str = "", directory: int | None = None) -> int:
    try:
        return os.open(where or path, flags | _NO_LINKS, _OWNER_ONLY, dir_fd=directory)
    except OSError as error:
        if error.errno in _LINK_ERRORS and path.is_symlink():
            raise NotOursError(f"{path} is a link") from None
        raise


def _require_ours(path: Path, status: os.stat_result) -> None:
    if sys.platform != "win32" and (
        status.st_uid != os.geteuid() or status.st_mode & _OTHERS_MAY_WRITE
    ):
        raise NotOursError(f"{path} belongs to another user or can be written by others")


OWNER_ONLY: Final = 0o600
"""The mode of every file that is written here, unless an old one's is kept."""


def real_path(path: str | os.PathLike[str]) -> Path:
    """Gives the file that a path leads to; symbolic links are followed, so that they stay."""
    return Path(os.path.realpath(path))


class AtomicFile:
    """Writes beside a file, and takes its place once everything is on the disk.

    Used in a ``with`` block; without ``commit`` nothing of it stays and the old file is as it was.

    Args:
        path: The file, in a directory that is there.
        mode: The new file's mode.

    Attributes:
        path: The file, links followed.
        temporary: Where it is written until then.

    Raises:
        OSError: The directory cannot be written to.
    """

    def __init__(self, path: str | os.PathLike[str], *, mode: int = OWNER_ONLY) -> None:
        self.path = real_path(path)
        handle, name = tempfile.mkstemp(
            prefix=f".{self.path.name}.", suffix=".part", dir=self.path.parent
        )
        self.temporary = Path(name)
        self._file = os.fdopen(handle, "wb")
        self._mode = mode

    def write(self, data: bytes) -> None:
        """Adds bytes.

        Raises:
            OSError: The disk did not take them.
        """
        self._file.write(data)

    def flush(self) -> None:
        """Lets others who look at ``temporary`` see what was written."""
        self._file.flush()

    def commit(self) -> None:
        """Takes the file's place.

        Raises:
            OSError: The disk did not take it; the old file is as it was.
        """
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self.temporary.chmod(self._mode)
        self.temporary.replace(self.path)
        _sync_directory(self.path.parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):  # what could not be written is being reported already
            self._file.close()
        self.temporary.unlink(missing_ok=True)


def _sync_directory(directory: Path) -> None:
    """Forces the new name to the disk, where directories can be opened."""
    if sys.platform == "win32":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
