"""What stands in Redis before the first command: whose data it is, and whether the server is fit to keep it."""

from __future__ import annotations

import logging
import time
from typing import Any
from uuid import uuid4

from actors.errors import StoreError, StoreUnavailable, StoreVersion
from router.stores.redis.link import Link, plain, run_script
from router.stores.redis.names import Names
from router.stores.redis.options import RedisOptions
from router.stores.redis.scripts import ENTER, FOUND

SCHEMA = 1
"""Of the keys and the scripts; another number is another layout, and neither reads the other's."""

OLDEST = (6, 2)

SLOWEST_SYNC = 2_000
"""Ms until ``appendfsync everysec`` has synced a write: within a second, or two while the last sync still runs."""

logger = logging.getLogger("guild_router.store")


def found(link: Link, names: Names, options: RedisOptions) -> list[str]:
    """The epoch of every partition, new where there was none; raises ``StoreVersion`` for what is not ours."""
    candidate = f"{time.time_ns() // 1_000_000:x}-{uuid4().hex[:12]}"
    schema, partitions, epoch = link.ask(
        run_script(FOUND, [names.deployment], SCHEMA, options.partitions, candidate), writes=True
    )
    if int(schema) != SCHEMA:
        age = "newer" if int(schema) > SCHEMA else "older"
        raise StoreVersion(
            f"what is under {options.prefix} in Redis is of an {age} version: {int(schema)}, not {SCHEMA}"
        )
    if int(partitions) != options.partitions:
        raise StoreVersion(
            f"what is under {options.prefix} in Redis was made with {int(partitions)} partitions, "
            f"not {options.partitions}; they are fixed when it is made"
        )
    if epoch.decode() == candidate:
        logger.info("a new store was made in Redis under %s", options.prefix)
    if link.clustered:
        calls = [run_script(ENTER, [key], epoch) for key in names.partitions]
    else:
        calls = [run_script(ENTER, names.partitions, epoch)]
    return [each.decode() for answer in link.run(calls, writes=True) for each in answer]


def inspect(link: Link, options: RedisOptions) -> tuple[str, tuple[str, ...]]:
    """As ``examine``; warns of what is unfit, or raises ``StoreError`` when told to be strict."""
    durability, unfit = examine(link, options)
    for what in unfit:
        if options.strict:
            raise StoreError(f"Redis at {link.address.named} is not fit: {what}")
        logger.warning("Redis at %s is not fit to keep commands: %s", link.address.named, what)
    return durability, unfit


def examine(link: Link, options: RedisOptions) -> tuple[str, tuple[str, ...]]:
    """What acceptance survives there, and what makes it unfit; raises ``StoreError`` where nothing would work."""
    info = _info(link)
    version = tuple(int(part) for part in info.get("redis_version", "0").split(".")[:2] if part.isdigit())
    if version < OLDEST:
        raise StoreError(f"Redis {info.get('redis_version', '')} is too old; 6.2 is the oldest that will do")
    if options.wait_disk and version < (7, 2):
        raise StoreError("waiting for the disk of Redis needs Redis 7.2, which has WAITAOF")
    kept = info.get("aof_enabled") == "1"
    if options.wait_disk:
        _check_syncs(link, options, kept=kept)
    policy = info.get("maxmemory_policy", "noeviction")
    unfit = []
    if not kept:
        unfit.append("it keeps no append-only file (appendonly no), so a restart forgets what was accepted")
    if policy != "noeviction":
        unfit.append(f"it may evict what was accepted (maxmemory-policy {policy}, not noeviction)")
    if not kept:
        return "process", tuple(unfit)
    return "disk" if options.wait_disk or _syncs(link) == "always" else "kernel", tuple(unfit)


def _check_syncs(link: Link, options: RedisOptions, *, kept: bool) -> None:
    """Whoever waits for a disk that is synced seldom or never would refuse every command."""
    if not kept:
        raise StoreError("waiting for the disk of Redis needs its append-only file (appendonly yes)")
    match _syncs(link):
        case "no":
            raise StoreError("waiting for the disk of Redis needs appendfsync always or everysec, not no")
        case "everysec" if options.wait_timeout < SLOWEST_SYNC:
            raise StoreError(
                f"waiting for the disk of Redis with appendfsync everysec needs a wait_timeout of {SLOWEST_SYNC} or "
                f"more, and a timeout above it; or appendfsync always"
            )


def _info(link: Link) -> dict[str, str]:
    sections = ("server", "persistence", "memory")
    lines = b"".join(link.run([plain("", "INFO", section) for section in sections])).decode(errors="replace")
    return dict(line.split(":", 1) for line in lines.splitlines() if ":" in line)


def _syncs(link: Link) -> str:
    """Its ``appendfsync``; "": it does not say."""
    try:
        answer: Any = link.ask(plain("", "CONFIG", "GET", "appendfsync"))
    except StoreUnavailable:  # many who rent a Redis may not ask; then the less is believed
        return ""
    return bytes(answer[1]).decode() if len(answer) == 2 else ""
