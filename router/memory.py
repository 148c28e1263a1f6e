"""How much memory this process holds, of how much it may: from the kernel's own files, without a library."""

from __future__ import annotations

import os
import sys
from pathlib import Path

MEGABYTE = 1 << 20
SHARE = 0.9
"""Of a container's limit: what is beyond is for the kernel's pages and the moment before the end."""

UNLIMITED = 1 << 60
"""Version 1 of control groups says "none" by a number near 2**63."""


class MemoryMeter:
    """Resident memory as a share of a limit: the one that is given, else that of the container, else none."""

    name = "memory"

    def __init__(self, limit_mb: int = 0, *, proc: Path = Path("/proc/self"), groups: Path = Path("/sys/fs/cgroup")):
        self._statm = proc / "statm"
        self.limit = limit_mb * MEGABYTE or round(container_limit(proc, groups) * SHARE)

    def read(self) -> float:
        """0 without a limit, and where the system does not say."""
        return self.resident() / self.limit if self.limit else 0.0

    def resident(self) -> int:
        """Bytes; where there is no ``/proc`` the most there ever were."""
        try:
            return int(self._statm.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError, ValueError):
            return _peak()


def container_limit(proc: Path, groups: Path) -> int:
    """Bytes this process's control group may hold, the least of it and those above; 0: no limit, or no such thing."""
    found = []
    for line in _text(proc / "cgroup").splitlines():
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        if number == "0":
            folder, name, top = groups / path.lstrip("/"), "memory.max", groups
        elif "memory" in controllers.split(","):
            folder, name, top = groups / "memory" / path.lstrip("/"), "memory.limit_in_bytes", groups / "memory"
        else:
            continue
        # Inside a container the path is often that of the host and not there: then the top is the group itself.
        for each in (folder, *folder.parents):
            found.append(_text(each / name))
            if each == top:
                break
    limits = [int(text) for text in found if text.isdigit() and int(text) < UNLIMITED]
    return min(limits, default=0)


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def _peak() -> int:
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
