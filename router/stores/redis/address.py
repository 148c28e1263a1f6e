"""Where a Redis is: the parts of a store URL.

====================================================================== ===========================================
``redis://[user:password@]host[:port][/db]``                           one server
``redis+sentinel://[user:password@]host:port,host:port/master[/db]``   the master that these sentinels name
``redis+cluster://[user:password@]host:port,host:port``                a cluster that these nodes know
``rediss://``, ``rediss+sentinel://``, ``rediss+cluster://``           the same over TLS
====================================================================== ===========================================

Behind a ``?``: ``ssl_ca_certs``, ``ssl_certfile``, ``ssl_keyfile`` (paths), ``ssl_check_hostname`` (``true``,
``false``), ``sentinel_username``, ``sentinel_password`` where the sentinels have their own, and the fields of
``RedisOptions``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

TLS_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname")
SENTINEL_OPTIONS = ("sentinel_username", "sentinel_password")
KINDS = ("single", "sentinel", "cluster")
_NODE = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.%]+)\]|(?P<host>[^\s:/\[\]@,]+))(?::(?P<port>\d{1,5}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Address:
    """A server, a master behind sentinels, or a cluster."""

    kind: str  #: ``single``, ``sentinel`` or ``cluster``
    nodes: tuple[tuple[str, int], ...]
    db: int = 0
    master: str = ""  #: its name among the sentinels
    username: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    tls_options: tuple[tuple[str, str], ...] = ()
    sentinel_username: str = ""
    sentinel_password: str = field(default="", repr=False)

    @property
    def named(self) -> str:
        """For people: without secrets."""
        nodes = ",".join(f"{host}:{port}" for host, port in self.nodes)
        return f"{self.master} at {nodes}" if self.master else nodes

    @classmethod
    def parse(cls, url: str) -> tuple[Address, dict[str, str]]:
        """From a store URL, and what of it says how the store is set up.

        ``ValueError`` says what is wrong with it, never its password.
        """
        scheme, _, rest = url.partition("://")
        transport, _, kind = scheme.partition("+")
        kind = kind or "single"
        if transport not in ("redis", "rediss") or kind not in KINDS:
            raise ValueError("store URL: must begin with redis://, rediss://, redis+sentinel:// or redis+cluster://")
        rest, _, query = rest.partition("?")
        login, _, rest = rest.rpartition("@")
        hosts, _, path = rest.partition("/")
        username, _, password = login.partition(":")
        nodes = tuple(_node(part, 26_379 if kind == "sentinel" else 6_379) for part in hosts.split(","))
        if kind == "single" and len(nodes) > 1:
            raise ValueError("store URL: several hosts are a redis+cluster:// or redis+sentinel://")
        master, db = _path(kind, path.rstrip("/"))
        options = dict(parse_qsl(query, keep_blank_values=True))
        known = (TLS_OPTIONS if transport == "rediss" else ()) + (SENTINEL_OPTIONS if kind == "sentinel" else ())
        here = {name: options.pop(name) for name in known if name in options}
        address = cls(
            kind,
            nodes,
            db,
            master,
            unquote(username),
            unquote(password),
            transport == "rediss",
            tuple((name, here[name]) for name in TLS_OPTIONS if name in here),
            here.get("sentinel_username", ""),
            here.get("sentinel_password", ""),
        )
        return address, options


def _node(text: str, port: int) -> tuple[str, int]:
    match = _NODE.fullmatch(text.strip())
    if match is None or int(match["port"] or 1) not in range(1, 65_536):
        raise ValueError("store URL: must name a Redis host, such as localhost:6379")
    return match["six"] or match["host"], int(match["port"] or port)


def _path(kind: str, path: str) -> tuple[str, int]:
    master = ""
    if kind == "sentinel":
        master, _, path = path.partition("/")
        if not master:
            raise ValueError("store URL: redis+sentinel:// needs the master's name, as in host:26379/mymaster/0")
    if path and not re.fullmatch(r"\d{1,4}", path, re.ASCII):
        raise ValueError("store URL: must end in a database number, as in redis://localhost:6379/0")
    if kind == "cluster" and int(path or 0):
        raise ValueError("store URL: a Redis cluster has only database 0")
    return unquote(master), int(path or 0)
