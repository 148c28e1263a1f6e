"""Settings of ``rest``: the bots' endpoints, and Discord."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, SecretStr

from actors.policy.balancing import Balance
from router.settings_tables import Count, Table

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_SECRET = re.compile(r"[\x21-\x7e]{0,4096}")
RESERVED = "discord"


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        fine = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        fine = None
    if not fine or not value.isprintable() or " " in value or parts.username or parts.password:
        raise ValueError("must be an address such as https://bot.example/commands, without a login in it")
    if parts.query or parts.fragment:
        raise ValueError("must be an address without ? and #: records are read below it")
    return value


def _secret(value: SecretStr) -> SecretStr:
    if not _SECRET.fullmatch(value.get_secret_value()):
        raise ValueError("must be of visible ASCII characters, at most 4096")
    return value


def _names(value: Mapping[str, UpstreamSettings]) -> Mapping[str, UpstreamSettings]:
    for name in value:
        if name == RESERVED or not _NAME.fullmatch(name):
            raise ValueError("must have names of a-z 0-9 _ . -, at most 63 characters, and not discord")
    return value


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
Url = Annotated[str, Field(max_length=2_048), AfterValidator(_url)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]


class UpstreamSettings(Table):
    """``[upstreams.main]``."""

    url: Url = Field(description="commands are posted here, records are read below it")
    secret: Secret | None = Field(None, description="sent as a bearer token; none: rest_secret")
    weight: float = Field(1.0, gt=0, le=1_000, description="its share of the commands, beside the others'")
    concurrency: Count = Field(100, description="requests to it at once")
    guilds: tuple[str, ...] = Field((), description="the guilds it serves; none: all")
    types: tuple[str, ...] = Field((), description="the message types it executes; none: all")
    records: bool = Field(False, description="it executes an id once and answers GET url/ID: what became of it")


def _token(value: SecretStr) -> SecretStr:
    text = value.get_secret_value().strip().removeprefix("Bot ")
    return _secret(SecretStr(text))


class RestSettings(BaseModel):
    """What belongs to ``rest``; a part of ``Settings``."""

    discord_token: Annotated[SecretStr, AfterValidator(_token)] = Field(
        SecretStr(""), description="a bot's token: commands are executed at Discord's REST interface"
    )
    discord_url: Url = Field("https://discord.com/api/v10", description="that interface, or a proxy before it")
    discord_user_agent: str = Field(
        "", pattern=r"^[\x20-\x7e]{0,256}$", description="how it introduces itself there; empty: as guild-router"
    )
    discord_types: Names = Field((), description="the message types executed there; none: all that can be")
    discord_per_second: int = Field(50, ge=1, le=10_000, description="requests to Discord in any second, at most")
    discord_refusals: Count = Field(3_000, description="requests refused in ten minutes before all of them wait")
    discord_reason_tag: bool = Field(False, description="end audit reasons with a mark of the command")

    rest_balance: Balance = Field(Balance.ROUND_ROBIN, description="round_robin, least_connections or weighted")
    rest_secret: Secret = Field(SecretStr(""), description="bearer token for the upstreams that have none of their own")
    upstreams: Annotated[Mapping[str, UpstreamSettings], AfterValidator(_names)] = Field(
        default_factory=dict, description="bots that take commands over HTTP"
    )
