"""Everything under one prefix goes: for a store that was made to be thrown away."""

from __future__ import annotations

from actors.errors import StoreError
from router.stores.redis.address import Address
from router.stores.redis.link import Call, Link, plain
from router.stores.redis.names import Names
from router.stores.redis.options import RedisOptions

AT_ONCE = 1_000


def erase(url: str) -> int:
    """Remove every key of the store that ``url`` names, which nobody may use any more; how many.

    In a cluster every server that holds a partition is asked. Raises ``StoreError``, also for the default prefix: that
    one is somebody's.
    """
    address, texts = Address.parse(url)
    options = RedisOptions.read(texts)
    if options.prefix == RedisOptions().prefix:
        raise StoreError(f"the store under {options.prefix} is not one to be thrown away")
    names = Names(options.prefix, address.db, options.partitions)
    link = Link(address, connect_timeout=options.connect_timeout, timeout=options.timeout)
    try:
        # One key for each server; what has no partition beside it has the slot of one of the other keys.
        others = (names.deployment, names.members, names.queues, names.paused, names.workers, names.schedules)
        servers = {link.node(key): key for key in (*names.partitions, *others, names.rate("", ""))}
        return sum(_erase(link, key, options.prefix) for key in servers.values())
    finally:
        link.close()


def _erase(link: Link, at: str, prefix: str) -> int:
    removed = 0
    for pattern in (f"{prefix}:*", f"{{{prefix}:*"):  # a prefix has no character that means something here
        cursor = b"0"
        while True:
            cursor, keys = link.ask(Call(at, ("SCAN", cursor, "MATCH", pattern, "COUNT", AT_ONCE)))
            if keys:
                link.run([plain(key.decode(), "UNLINK", key) for key in keys], writes=True)
                removed += len(keys)
            if cursor == b"0":
                break
    return removed
