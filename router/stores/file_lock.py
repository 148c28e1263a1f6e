"""One holder for one file, kept by the operating system, so that it ends with the process however that ends."""

from __future__ import annotations

import os
import sys

from actors.errors import StoreInUse


class FileLock:
    """An exclusive lock on ``path``, a file of its own, which names the holder and stays when the lock is gone."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock, or raise ``StoreInUse``; ``OSError`` when the file cannot be made."""
        if self._file is not None:
            return
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
        self._file = file
        try:
            free = _lock(file)
            if free:
                os.ftruncate(file, 0)
                os.pwrite(file, f"{os.getpid()}\n".encode("ascii"), 0)
            holder = os.pread(file, 32, 0).decode("ascii", "replace").strip()
        except BaseException:
            self.release()
            raise
        if not free:
            self.release()
            raise StoreInUse(f"{self._path}: held by process {holder or 'unknown'}")

    def release(self) -> None:
        """Let go; idempotent."""
        if self._file is not None:
            file, self._file = self._file, None
            os.close(file)


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> bool:
        # A byte far behind the text: Windows would forbid others to read what is locked.
        os.lseek(file, 1 << 30, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _lock(file: int) -> bool:
        # flock, not lockf: it belongs to this open file, so a second store in the same process is kept out as well.
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
