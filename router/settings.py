"""One validated, frozen ``Settings`` for the router and the daemon.

Precedence: environment < TOML file < arguments. A name nobody knows and a value that breaks its rule stop the start
with one line (``SettingsError``). Times are milliseconds unless the description says seconds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    create_model,
    model_validator,
)

from actors.options import Options
from actors.policy.breaker_states import BreakerSettings
from actors.policy.consuming import QueueRules
from actors.policy.facts import Facts
from router.messages.queues import QUEUES
from router.settings_errors import SettingsError, from_validation
from router.settings_limits import LimitSettings
from router.settings_queues import bounds_of, rules_of
from router.settings_rest import RestSettings
from router.settings_sockets import SocketSettings
from router.settings_sources import OURS, read_environment, read_file
from router.settings_streams import StreamSettings
from router.settings_tables import Count, Ms, QueueSettings, TypeSettings, over_facts
from router.settings_values import (
    STORE_SCHEMES,
    Token,
    distinct_tokens,
    is_loopback,
    parse_tokens,
    redis_store_url,
    redis_url_of,
    without_password,
)

DEFAULT_WINDOW = Facts("").window  #: of a type that does not choose one itself
DEFAULT_STORES = {"memory": "memory://", "sqlite": "sqlite:///router.db"}
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]+(%[A-Za-z0-9]+)?|\[[0-9A-Fa-f:.]+\]")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\[\]:-]{1,255}")


def _tokens(value: object) -> object:
    if isinstance(value, str):
        return parse_tokens(value)
    if not isinstance(value, list | tuple):
        raise ValueError("must be a list of ROLE:SECRET or ROLE:SECRET@GUILD|GUILD")  # noqa: TRY004 - pydantic's protocol
    return distinct_tokens(_token(one) for one in value)


def _token(value: object) -> Token:
    match value:
        case Token():
            return value
        case str():
            return Token.parse(value)
        case {"role": str() as role, "secret": str() as secret, **rest} if not rest:
            return Token.make(role, secret)
        case {"role": str() as role, "secret": str() as secret, "guilds": list() as guilds, **rest} if not rest:
            return Token.make(role, secret, (str(guild) for guild in guilds))
        case _:
            raise ValueError("must be ROLE:SECRET, or a table of role, secret and guilds")


def _names(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]


class Settings(LimitSettings, RestSettings, SocketSettings, StreamSettings, BaseModel):
    """Everything that can be set. From Python nothing but the arguments counts; ``Settings.load`` reads the rest."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True)

    # ------------------------------------------------------------ store
    store: str = Field("", max_length=4_096, description="memory://, sqlite:///file.db or redis://host")
    message_queue_provider: Literal["memory", "sqlite", "redis"] | None = Field(
        None, description="the store when no URL is given: memory, sqlite (router.db) or redis (REDIS_*)"
    )
    redis_url: str = Field("", max_length=4_096, repr=False, description="one URL, or a comma list of cluster nodes")
    redis_host: str = Field("localhost", min_length=1, max_length=255, description="when there is no redis_url")
    redis_port: int = Field(6_379, ge=1, le=65_535, description="when there is no redis_url")
    redis_password: SecretStr = Field(SecretStr(""), description="used where redis_url has none")
    redis_db: int = Field(0, ge=0, le=9_999, description="when there is no redis_url")
    audit_days: int = Field(30, ge=1, le=3_650, description="settled records are kept so long")
    audit_rows: Count = Field(1_000_000, description="settled records kept at most")
    dead_letter_days: int = Field(180, ge=1, le=3_650, description="dead letters are kept so long")
    dead_letter_rows: Count = Field(10_000, description="dead letters kept at most")

    # ------------------------------------------------------------ ways of one command
    queue_concurrency: Count = Field(10, description="handlers of one named queue at once")
    queue_max_concurrent_operations: Count = Field(1_000, description="attempts running at once, over all protocols")
    queue_history_ttl: Ms = Field(300_000, description="a finished operation answers its duplicates for so long")
    queue_health_check_interval: Ms = Field(60_000, description="between two looks at a service that is well")
    circuit_breaker_failure_threshold: Count = Field(5, description="failures that open a breaker")
    circuit_breaker_recovery_timeout: Ms = Field(30_000, description="an open breaker lets a probe through after it")
    circuit_breaker_monitor_interval: Ms = Field(10_000, description="the window in which failures count")
    websocket_timeout: Ms = Field(30_000, description="longest wait for a bot's result over websocket")
    rest_timeout: Ms = Field(15_000, description="longest wait for an answer over rest; the request goes on")
    direct_execution_timeout: Ms = Field(5_000, description="longest run of a handler in this process")
    guild_running: Count = Field(10, description="lanes of one guild that run at once")
    clock_tolerance_ms: Ms = Field(300_000, description="a sender's clock may be off by so much")
    sequence_gap_ms: Ms = Field(5_000, description="a numbered message waits so long for the one before it")
    passivate_after_ms: Ms = Field(120_000, description="a guild without work leaves memory after so long")
    poison_limit: int = Field(3, ge=1, le=100, description="crashes of our own on one command before it is buried")
    query_cache_entries: Count = Field(10_000, description="answers of queries kept at most")
    query_cache_bytes: Count = Field(16_777_216, description="bytes of answers of queries kept at most")
    authorization_ttl_ms: int = Field(
        5_000, ge=0, le=3_600_000, description="an authorizer's answer is good for so long; 0: asked each time"
    )
    authorization_timeout_ms: Ms = Field(2_000, description="an authorizer that takes longer could not tell")
    workers: int = Field(4, ge=1, le=256, description="threads for handlers that are not async")
    max_replays: int = Field(3, ge=1, le=1_000, description="replays of one dead letter")
    queues: Mapping[str, QueueSettings] = Field(default_factory=dict, description="settings of single queues")
    types: Mapping[str, TypeSettings] = Field(default_factory=dict, description="settings of single message types")

    # ------------------------------------------------------------ daemon
    host: str = Field("127.0.0.1", max_length=255, description="address to listen on; a public one needs tokens")
    port: int = Field(8_600, ge=0, le=65_535, description="port to listen on; 0: any free one")
    tokens: Annotated[tuple[Token, ...], BeforeValidator(_tokens)] = Field(
        (), description="bearer tokens: ROLE:SECRET or ROLE:SECRET@GUILD|GUILD; roles bot, client, admin"
    )
    allowed_origins: Names = Field((), description="origins whose pages may change state, besides our own")
    allowed_hosts: Names = Field((), description="host names for callers without a token, besides loopback")
    drain: float = Field(15.0, ge=0, le=3_600, description="seconds for running work at the end")
    max_body_bytes: int = Field(1_048_576, ge=1_024, le=67_108_864, description="longest request body")
    max_depth: int = Field(32, ge=2, le=64, description="deepest nesting of a body")
    max_elements: int = Field(10_000, ge=10, le=1_000_000, description="most values in a body")
    max_header_bytes: int = Field(16_384, ge=1_024, le=1_048_576, description="longest request head")
    max_connections: int = Field(1_000, ge=1, le=1_000_000, description="connections at once; more get 503")
    header_timeout: float = Field(10.0, gt=0, le=600, description="seconds for a request's head")
    body_timeout: float = Field(30.0, gt=0, le=600, description="seconds for a request's body")
    max_wait_ms: Ms = Field(30_000, description="longest ?wait= of a request")

    # ------------------------------------------------------------ logs
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="what is logged")
    debug: str = Field("", max_length=4_096, description="debug logging per component: queue:*,websocket:*")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise from_validation(error) from None  # pydantic's own text would show what may not be shown

    @classmethod
    def load(
        cls,
        config: str | Path | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        defaults: Mapping[str, Any] | None = None,
        **overrides: Any,
    ) -> Self:
        """From the environment, then a TOML file (``config``, else ``ROUTER_CONFIG``), then ``overrides``.

        An override of ``None`` was not given. ``defaults`` stand below all of them.
        """
        environment = os.environ if environ is None else environ
        fields = cls.model_fields.keys()
        layers: list[tuple[dict[str, Any], dict[str, str]]] = [(dict(defaults or {}), {})]
        layers.append(read_environment(environment, fields))
        if file := config or environment.get(f"{OURS}CONFIG"):
            layers.append(read_file(file, fields))
        given = {name: value for name, value in overrides.items() if value is not None}
        layers.append((given, {name: f"argument {name}" for name in given}))
        values: dict[str, Any] = {}
        names: dict[str, str] = {}
        for layer, sources in layers:
            for name in sorted(names.keys() & layer.keys()):
                cls._check_hidden(name, values[name], names)
            if "message_queue_provider" in layer and "store" not in layer:
                values.pop("store", None)  # the choice of a higher layer is not undone by the URL of a lower one
            values |= layer
            names |= sources
        try:
            return cls(**values)
        except SettingsError as error:
            raise error.named(names) from None

    @classmethod
    def _check_hidden(cls, name: str, value: Any, sources: Mapping[str, str]) -> None:
        """What a higher layer overrides must keep its own field's rules all the same: it will count one day."""
        info = cls.model_fields[name]
        fields: Any = {name: (info.annotation, info)}
        field = create_model("Hidden", __config__=cls.model_config, **fields)
        try:
            field(**{name: value})
        except ValidationError as error:
            raise from_validation(error).named(sources) from None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.redis_url:
            url = _rule("redis_url", redis_store_url, self.redis_url, self.redis_password.get_secret_value())
        else:
            url = redis_url_of(self.redis_host, self.redis_port, self.redis_db, self.redis_password.get_secret_value())
        if not self.store:
            chosen = DEFAULT_STORES | {"redis": url}
            # not by validation: a store that was only derived does not count as one that was asked for
            object.__setattr__(self, "store", chosen[self.message_queue_provider or "memory"])
        scheme = self.store.partition("://")[0]
        if "://" not in self.store or scheme not in STORE_SCHEMES:
            raise ValueError("store: must begin with memory://, sqlite:/// or redis://")
        if scheme not in ("memory", "sqlite"):
            _rule("store", redis_store_url, self.store)
        if not _HOST.fullmatch(self.host):
            raise ValueError("host: must be an address or a host name")
        if not is_loopback(self.host) and not self.tokens:
            raise ValueError("host: must be a loopback address such as 127.0.0.1 unless ROUTER_TOKENS names a token")
        if not all(_ORIGIN.fullmatch(origin) for origin in self.allowed_origins):
            raise ValueError("allowed_origins: must be origins such as https://dashboard.example")
        if not all(_HOST.fullmatch(host) for host in self.allowed_hosts):
            raise ValueError("allowed_hosts: must be host names without a port")
        for table in ("queues", "types"):
            if not all(0 < len(name) <= 128 and name.isprintable() for name in getattr(self, table)):
                raise ValueError(f"{table}: must have names of 1 to 128 printable characters")
        return self

    def facts(self, facts: Facts) -> Facts:
        """A type's facts as this installation wants them: its queue's table first, then its own."""
        if facts.window == DEFAULT_WINDOW:
            facts = replace(facts, window=self.queue_history_ttl)
        return over_facts(facts, self.queues.get(facts.queue), self.types.get(facts.type))

    def breakers(self) -> BreakerSettings:
        """When a protocol is given a rest."""
        return BreakerSettings(
            failure_threshold=self.circuit_breaker_failure_threshold,
            recovery_timeout=self.circuit_breaker_recovery_timeout,
            reset_cap=max(self.circuit_breaker_recovery_timeout, BreakerSettings().reset_cap),
            window=self.circuit_breaker_monitor_interval,
        )

    def queue_rules(self, queue: str) -> QueueRules:
        """What one named queue allows: its own table, else the seeds' figures for it, else the general ones."""
        return rules_of(queue, self.queues.get(queue), self.queue_concurrency)

    def options(self) -> Options:
        """The engine's numbers."""
        return Options(
            max_running=self.queue_max_concurrent_operations,
            guild_running=self.guild_running,
            max_backlog=self.max_backlog,
            guild_backlog=self.guild_backlog,
            user_backlog=self.user_backlog,
            router_rate=self.router_rate,
            user_rate=self.user_rate,
            guild_rate=self.guild_rate,
            clock_tolerance=self.clock_tolerance_ms,
            sequence_gap=self.sequence_gap_ms,
            passivate_after=self.passivate_after_ms,
            poison_limit=self.poison_limit,
            max_replays=self.max_replays,
            probe_every=self.queue_health_check_interval,
            lag_limit=self.lag_limit_ms,
            types={name: table.options() for name, table in self.types.items()},
            queues={name: bounds_of(name, self.queues.get(name)) for name in QUEUES.keys() | self.queues.keys()},
        )

    def store_options(self) -> dict[str, int]:
        """How long and how much a store remembers of what is over: the fields of its ``Retention``."""
        return {
            "audit_days": self.audit_days,
            "audit_rows": self.audit_rows,
            "dead_days": self.dead_letter_days,
            "dead_rows": self.dead_letter_rows,
        }

    def public(self) -> dict[str, Any]:
        """All settings, fit to be shown: without secrets."""
        shown = self.model_dump(
            mode="json", exclude={"tokens", "redis_password", "redis_url", "store", "rest_secret", "discord_token"}
        )
        shown["store"] = without_password(self.store)
        shown["redis_url"] = without_password(self.redis_url)
        shown["tokens"] = [str(token) for token in self.tokens]
        return shown

    def __repr_args__(self) -> Any:
        for name, value in super().__repr_args__():
            yield name, without_password(value) if name == "store" else value


def _rule(name: str, check: Any, *values: Any) -> Any:
    """A check whose complaint begins with the setting's name."""
    try:
        return check(*values)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
