"""Values that settings are made of, each readable from one piece of text."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple
from urllib.parse import quote, urlsplit

from pydantic import SecretStr

UNITS_MS: Mapping[str, int] = {"second": 1_000, "minute": 60_000, "hour": 3_600_000, "day": 86_400_000}
_RATE = re.compile(r"\s*(\d{1,9})\s*/\s*(\d{0,6})\s*(s|m|h|d|second|minute|hour|day)s?\s*", re.ASCII)
_SECRET = re.compile(r"[\x21-\x7e]{1,512}")
_GUILD = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SENTINEL = re.compile(
    r"(?P<scheme>rediss?\+sentinel)://(?P<login>[^@/?\s]*@)?(?P<rest>[^@/?\s]+/[^@/?\s]+(/\d{1,4})?/?(\?\S*)?)",
    re.ASCII,
)
REDIS_SCHEMES = ("redis", "rediss", "redis+sentinel", "redis+cluster", "rediss+sentinel", "rediss+cluster")
STORE_SCHEMES = ("memory", "sqlite", *REDIS_SCHEMES)


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in so long: ``2/minute``, ``100/10s``."""

    count: int
    per: int  #: ms

    @classmethod
    def parse(cls, text: str) -> Rate:
        """From ``COUNT/UNIT`` or ``COUNT/NUNIT`` with second, minute, hour, day or their first letter."""
        match = _RATE.fullmatch(text)
        if match is None:
            raise ValueError("must be a rate such as 2/minute or 100/10s")
        count, number, unit = int(match[1]), int(match[2] or 1), match[3]
        if count < 1 or number < 1:
            raise ValueError("must be a rate above zero, such as 2/minute")
        length = next(ms for name, ms in UNITS_MS.items() if name.startswith(unit))
        return cls(count, number * length)

    def __str__(self) -> str:
        unit = next((name for name, ms in UNITS_MS.items() if ms == self.per), f"{self.per // 1_000}s")
        return f"{self.count}/{unit}"


Role = Literal["bot", "client", "admin"]
ROLES: tuple[Role, ...] = ("bot", "client", "admin")


@dataclass(frozen=True, slots=True)
class Token:
    """Who may come in, and to which guilds; no guilds named: to all."""

    role: Role
    secret: SecretStr
    guilds: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.role}:***" + ("@" + "|".join(sorted(self.guilds)) if self.guilds else "")

    @classmethod
    def parse(cls, text: str) -> Token:
        """From ``ROLE:SECRET`` or ``ROLE:SECRET@GUILD|GUILD``; the last ``@`` begins the guilds."""
        role, colon, rest = text.strip().partition(":")
        if not colon:
            raise ValueError("must be ROLE:SECRET or ROLE:SECRET@GUILD|GUILD")
        secret, at, guilds = rest.rpartition("@") if "@" in rest else (rest, "", "")
        return cls.make(role, secret, guilds.split("|") if at else ())

    @classmethod
    def make(cls, role: str, secret: str, guilds: Iterable[str] = ()) -> Token:
        """Checked."""
        known = next((one for one in ROLES if one == role), None)
        if known is None:
            raise ValueError(f"must have one of the roles {', '.join(ROLES)} before the colon")
        if not _SECRET.fullmatch(secret):
            raise ValueError("must have a secret of 1 to 512 visible ASCII characters")
        limited = frozenset(guilds)
        if not all(_GUILD.fullmatch(guild) for guild in limited):
            raise ValueError("must name guilds of 1 to 64 letters, digits, _ or - separated by |")
        return cls(known, SecretStr(secret), limited)


def parse_tokens(text: str) -> tuple[Token, ...]:
    """From a comma list; equal secrets are refused, since a token must say one thing."""
    return distinct_tokens(Token.parse(part) for part in text.split(",") if part.strip())


def distinct_tokens(tokens: Iterable[Token]) -> tuple[Token, ...]:
    """The same, unless two of them share a secret."""
    found = tuple(tokens)
    if len({token.secret.get_secret_value() for token in found}) != len(found):
        raise ValueError("must not give two tokens the same secret")
    return found


class RedisNode(NamedTuple):
    """One address out of a Redis URL."""

    scheme: str
    host: str
    port: int
    db: int
    username: str
    password: str


def parse_redis_node(url: str) -> RedisNode:
    """One ``redis://[user:password@]host[:port][/db]``; raises ``ValueError`` without echoing the password."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("must be a Redis URL such as redis://localhost:6379/0") from None
    if parts.scheme not in REDIS_SCHEMES:
        raise ValueError(f"must begin with one of {', '.join(f'{scheme}://' for scheme in REDIS_SCHEMES)}")
    if not host or any(char.isspace() for char in url.strip()):
        raise ValueError("must name a Redis host")
    db = parts.path.strip("/")
    if db and not re.fullmatch(r"\d{1,4}", db, re.ASCII):
        raise ValueError("must end in a database number, as in redis://localhost:6379/0")
    login = (parts.username or "", parts.password or "")
    return RedisNode(parts.scheme, host, 6379 if port is None else port, int(db or 0), *login)


def redis_store_url(urls: str, password: str = "") -> str:
    """The store URL of one Redis URL, or of a comma list of cluster nodes.

    ``password`` is used where the URL names none. A cluster takes its credentials from the first node and has only
    database 0.
    """
    scheme = urls.strip().partition("://")[0]
    if scheme.endswith("+sentinel"):
        return _sentinel_url(urls.strip(), password)
    parts = [part for part in urls.split(",") if part.strip()]
    if not parts:
        raise ValueError("must name at least one Redis server")
    scheme = scheme if "://" in parts[0] else "redis"
    nodes = [parse_redis_node(part if "://" in part else f"{scheme}://{part.strip()}") for part in parts]
    first = nodes[0]
    login = _login(first.username, first.password or password)
    if len(nodes) == 1:
        host = f"[{first.host}]" if ":" in first.host else first.host
        query = urlsplit(parts[0].strip()).query
        return f"{first.scheme}://{login}{host}:{first.port}/{first.db}" + (f"?{query}" if query else "")
    if any(node.db for node in nodes):
        raise ValueError("must use database 0: a Redis cluster has no other")
    if len({node.scheme for node in nodes}) > 1:
        raise ValueError("must use one scheme for all nodes of a cluster")
    scheme = first.scheme if "+" in first.scheme else f"{first.scheme}+cluster"
    hosts = ",".join(f"[{node.host}]:{node.port}" if ":" in node.host else f"{node.host}:{node.port}" for node in nodes)
    query = urlsplit(parts[-1].strip()).query
    return f"{scheme}://{login}{hosts}" + (f"?{query}" if query else "")


def _sentinel_url(url: str, password: str) -> str:
    match = _SENTINEL.fullmatch(url)
    if match is None:
        raise ValueError(
            "must name sentinels and their master, as in redis+sentinel://host:26379,host:26379/mymaster/0"
        )
    username, _, own = (match["login"] or "").removesuffix("@").partition(":")
    login = _login(username, own or password)
    return f"{match['scheme']}://{login}{match['rest']}"


def redis_url_of(host: str, port: int, db: int, password: str = "") -> str:
    """The store URL of the separate REDIS_* settings."""
    name = f"[{host}]" if ":" in host else host
    return f"redis://{_login('', password)}{name}:{port}/{db}"


def _login(username: str, password: str) -> str:
    if not username and not password:
        return ""
    return f"{quote(username, safe='%')}:{quote(password, safe='%' if '%' in password else '')}@"


def without_password(url: str) -> str:
    """A store URL fit to be shown."""
    url = re.sub(r"(?<=[?&]sentinel_password=)[^&]*", "***", url)
    return re.sub(r"(?<=//)([^/@?]*?):[^/]*@", r"\1:***@", url, count=1)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``: a loopback address, or ``localhost``."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return False
