"""WholeFile: a file that is there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["OWNER_ONLY", "WholeFile", "real_path"]

OWNER_ONLY: Final = 0o600
"""The mode of every file that is written here, unless an old one's is kept."""


def real_path(path: str | os.PathLike[str]) -> Path:
    """Gives the file that a path leads to; symbolic links are followed, so that they stay."""
    return Path(os.path.realpath(path))


class WholeFile:
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
