"""try_lock: a lock on an open file, for one process at a time."""

from __future__ import annotations

import os
import sys

__all__ = ["try_lock"]


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
