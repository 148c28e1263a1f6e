"""Which server has a key: the one, the master that sentinels name, or the cluster's for the key's slot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from redis.connection import Connection
from redis.crc import key_slot
from redis.exceptions import ClusterDownError, RedisError, ResponseError
from redis.sentinel import Sentinel

from router.stores.redis.address import Address

Node = tuple[str, int]
SLOTS = 16_384


class Route(Protocol):
    """From keys to servers."""

    def node(self, key: str) -> Node:
        """The server of a key, found out if it must be; raises what redis-py raises."""

    def forget(self) -> None:
        """What was found out is no longer true."""


class Fixed:
    """One server."""

    def __init__(self, address: Address) -> None:
        self._node = address.nodes[0]

    def node(self, key: str) -> Node:  # noqa: ARG002 - all keys are there
        return self._node

    def forget(self) -> None:
        pass


class Watched:
    """The master that sentinels name, asked for at the start and after every broken connection."""

    def __init__(self, address: Address, options: dict[str, Any]) -> None:
        login = {"username": address.sentinel_username or None, "password": address.sentinel_password or None}
        self._sentinel = Sentinel(address.nodes, sentinel_kwargs=options | login)
        self._master = address.master
        self._node: Node | None = None

    def node(self, key: str) -> Node:  # noqa: ARG002 - all keys are there
        if self._node is None:
            try:
                host, port = self._sentinel.discover_master(self._master)
            finally:
                for each in self._sentinel.sentinels:
                    each.close()
            self._node = (str(host), int(port))
        return self._node

    def forget(self) -> None:
        self._node = None


class Clustered:
    """The slots of a cluster, as any of its nodes tells them."""

    def __init__(self, address: Address, connect: Callable[[Node], Connection]) -> None:
        self._connect = connect
        self._known: list[Node] = list(address.nodes)
        self._slots: list[Node | None] = []
        self._cache: dict[str, int] = {}  # of keys seen, of which there are few

    def node(self, key: str) -> Node:
        if not self._slots:
            self._slots = self._ask()
        slot = self._cache.get(key)
        if slot is None:
            if len(self._cache) > 4_096:
                self._cache.clear()
            slot = self._cache[key] = key_slot(key.encode())
        node = self._slots[slot]
        if node is None:
            raise ClusterDownError(f"no node serves slot {slot}")
        return node

    def forget(self) -> None:
        self._slots = []

    def _ask(self) -> list[Node | None]:
        failure: Exception | None = None
        for node in self._known:
            connection = self._connect(node)
            try:
                connection.send_command("CLUSTER", "SLOTS")
                ranges = connection.read_response()
            except (RedisError, OSError) as error:
                failure = error
                continue
            finally:
                connection.disconnect()
            return self._read(ranges, node)
        raise failure or ResponseError("no node of the cluster is known")

    def _read(self, ranges: Any, asked: Node) -> list[Node | None]:
        slots: list[Node | None] = [None] * SLOTS
        for first, last, master, *_ in ranges:
            host = (master[0] or b"").decode() or asked[0]  # empty: the one that was asked
            node = (asked[0] if host == "?" else host, int(master[1]))
            slots[first : last + 1] = [node] * (last + 1 - first)
            if node not in self._known:
                self._known.insert(0, node)
        return slots
