"""Memory as the kernel tells it."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from router.memory import MEGABYTE, MemoryMeter, container_limit


def system(folder: Path, cgroup: str, **files: str) -> tuple[Path, Path]:
    """A ``/proc/self`` and a ``/sys/fs/cgroup`` as a test wants them; ``__`` in a name is ``/``."""
    proc, groups = folder / "proc", folder / "cgroup"
    proc.mkdir()
    (proc / "cgroup").write_text(cgroup)
    (proc / "statm").write_text("5000 256 30 1 0 100 0\n")
    for name, text in files.items():
        path = groups / name.replace("__", "/").replace("_max", ".max")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return proc, groups


@pytest.mark.parametrize(
    ("cgroup", "files", "limit"),
    [
        ("0::/\n", {"memory_max": "104857600\n"}, 100),
        ("0::/\n", {"memory_max": "max\n"}, 0),
        ("0::/\n", {}, 0),
        ("", {"memory_max": "104857600\n"}, 0),
        ("0::/a/b\n", {"a__b__memory_max": "max\n", "a__memory_max": "209715200\n", "memory_max": "max\n"}, 200),
        ("0::/a/b\n", {"a__b__memory_max": "104857600\n", "a__memory_max": "209715200\n"}, 100),
        ("0::/host/path\n", {"memory_max": "104857600\n"}, 100),
        ("4:cpu:/\n5:memory:/docker/x\n", {"memory__docker__x__memory.limit_in_bytes": "104857600\n"}, 100),
        ("5:memory:/\n", {"memory__memory.limit_in_bytes": "9223372036854771712\n"}, 0),
    ],
)
def test_the_containers_limit_is_the_least_of_its_group_and_those_above(
    tmp_path: Path, cgroup: str, files: dict[str, str], limit: int
) -> None:
    assert container_limit(*system(tmp_path, cgroup, **files)) == limit * MEGABYTE


def test_a_tenth_of_the_containers_limit_is_left_free_and_a_given_one_counts_as_it_is(tmp_path: Path) -> None:
    proc, groups = system(tmp_path, "0::/\n", memory_max=str(100 * MEGABYTE))
    assert MemoryMeter(proc=proc, groups=groups).limit == 90 * MEGABYTE
    meter = MemoryMeter(40, proc=proc, groups=groups)
    assert meter.limit == 40 * MEGABYTE
    assert meter.resident() == 256 * os.sysconf("SC_PAGE_SIZE")
    assert meter.read() == meter.resident() / meter.limit


def test_without_a_limit_there_is_no_share(tmp_path: Path) -> None:
    assert MemoryMeter(proc=tmp_path, groups=tmp_path).read() == 0.0


def test_what_it_says_of_this_process_is_what_others_say() -> None:
    resident = MemoryMeter().resident()
    assert resident == pytest.approx(psutil.Process().memory_info().rss, rel=0.1)


def test_where_the_kernel_does_not_say_it_is_the_most_there_ever_was(tmp_path: Path) -> None:
    assert MemoryMeter(1, proc=tmp_path, groups=tmp_path).resident() > MEGABYTE
