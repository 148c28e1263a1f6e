"""What may be set, from where, and what is said when it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from actors.policy.facts import Backoff, ConflictPolicy, Facts
from router.settings import Settings
from router.settings_errors import SettingsError
from router.settings_values import Rate

SEED_NAMES = {
    "REDIS_HOST": ("redis_host", "cache.internal", "cache.internal"),
    "REDIS_PORT": ("redis_port", "6380", 6380),
    "REDIS_DB": ("redis_db", "3", 3),
    "REDIS_URL": ("redis_url", "redis://localhost:6379/1", "redis://localhost:6379/1"),
    "MESSAGE_QUEUE_PROVIDER": ("message_queue_provider", "sqlite", "sqlite"),
    "CIRCUIT_BREAKER_FAILURE_THRESHOLD": ("circuit_breaker_failure_threshold", "7", 7),
    "CIRCUIT_BREAKER_RECOVERY_TIMEOUT": ("circuit_breaker_recovery_timeout", "31000", 31_000),
    "CIRCUIT_BREAKER_MONITOR_INTERVAL": ("circuit_breaker_monitor_interval", "11000", 11_000),
    "QUEUE_CONCURRENCY": ("queue_concurrency", "12", 12),
    "QUEUE_MAX_CONCURRENT_OPERATIONS": ("queue_max_concurrent_operations", "1200", 1_200),
    "QUEUE_HISTORY_TTL": ("queue_history_ttl", "299999", 299_999),
    "QUEUE_HEALTH_CHECK_INTERVAL": ("queue_health_check_interval", "59999", 59_999),
    "WEBSOCKET_TIMEOUT": ("websocket_timeout", "29999", 29_999),
    "REST_TIMEOUT": ("rest_timeout", "14999", 14_999),
    "DIRECT_EXECUTION_TIMEOUT": ("direct_execution_timeout", "4999", 4_999),
    "DEBUG": ("debug", "queue:*", "queue:*"),
}
SEED_DEFAULTS = {
    "circuit_breaker_failure_threshold": 5,
    "circuit_breaker_recovery_timeout": 30_000,
    "circuit_breaker_monitor_interval": 10_000,
    "queue_concurrency": 10,
    "queue_max_concurrent_operations": 1_000,
    "queue_history_ttl": 300_000,
    "queue_health_check_interval": 60_000,
    "websocket_timeout": 30_000,
    "rest_timeout": 15_000,
    "direct_execution_timeout": 5_000,
}


def load(environ: dict[str, str] | None = None, **overrides: Any) -> Settings:
    return Settings.load(environ=environ or {}, **overrides)


def toml(folder: Path, text: str) -> Path:
    file = folder / "router.toml"
    file.write_text(text, "utf-8")
    return file


@pytest.mark.parametrize("name", SEED_NAMES)
def test_every_variable_of_the_seeds_is_read_under_its_own_name_and_with_our_prefix(name: str) -> None:
    field, text, value = SEED_NAMES[name]
    assert getattr(load({name: text}), field) == value
    assert getattr(load({f"ROUTER_{name}": text}), field) == value


def test_the_seeds_defaults_hold() -> None:
    settings = Settings()
    assert {name: getattr(settings, name) for name in SEED_DEFAULTS} == SEED_DEFAULTS


def test_settings_from_python_do_not_read_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTER_PORT", "9999")
    assert Settings().port == 8_600
    assert Settings.load().port == 9_999


def test_a_file_overrides_the_environment_and_arguments_override_the_file(tmp_path: Path) -> None:
    file = toml(tmp_path, "port = 2\nqueue_concurrency = 2\n")
    environ = {"ROUTER_PORT": "1", "QUEUE_CONCURRENCY": "1", "REST_TIMEOUT": "1"}
    settings = load(environ, config=file, port=3)
    assert (settings.port, settings.queue_concurrency, settings.rest_timeout) == (3, 2, 1)


def test_a_wrong_value_stops_the_start_even_where_another_overrides_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^ROUTER_PORT: a string of 4 characters: must be a valid integer"):
        load({"ROUTER_PORT": "http"}, port=3)
    with pytest.raises(SettingsError, match=r"^ROUTER_TOKENS: a string of 11 characters: must have one of the roles"):
        load({"ROUTER_TOKENS": "root:s3cr3t"}, tokens="bot:x")
    file = toml(tmp_path, "port = 70000\n")
    with pytest.raises(SettingsError, match=r"^router\.toml: port: an integer: must be less than or equal to 65535"):
        load({"ROUTER_PORT": "1"}, config=file, port=3)


def test_a_public_host_that_is_overridden_needs_no_tokens() -> None:
    assert load({"ROUTER_HOST": "0.0.0.0"}, host="127.0.0.1").host == "127.0.0.1"


def test_an_argument_of_none_was_not_given() -> None:
    assert load({"ROUTER_PORT": "1"}, port=None).port == 1


def test_the_file_can_be_named_by_the_environment(tmp_path: Path) -> None:
    assert load({"ROUTER_CONFIG": str(toml(tmp_path, "port = 7"))}).port == 7


def test_our_prefix_wins_over_the_bare_name_and_empty_variables_are_not_set() -> None:
    assert load({"QUEUE_CONCURRENCY": "1", "ROUTER_QUEUE_CONCURRENCY": "2"}).queue_concurrency == 2
    assert load({"QUEUE_CONCURRENCY": "1", "ROUTER_QUEUE_CONCURRENCY": ""}).queue_concurrency == 1


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({"ROUTER_PORTS": "1"}, "ROUTER_PORTS: unknown setting; did you mean ROUTER_PORT?"),
        ({"ROUTER_port": "1"}, "ROUTER_port: unknown setting; did you mean ROUTER_PORT?"),
        ({"Router_Store": "memory://"}, "Router_Store: unknown setting; did you mean ROUTER_STORE?"),
        ({"Router_Queues": "{}"}, "Router_Queues: unknown setting; did you mean ROUTER_QUEUES?"),
        ({"router_config": "x.toml"}, "router_config: unknown setting; did you mean ROUTER_CONFIG?"),
        ({"Redis_Url": "redis://x"}, "Redis_Url: unknown setting; did you mean REDIS_URL?"),
        ({"ROUTER_QUEUES": "{}"}, "ROUTER_QUEUES: can only be set in a TOML file"),
        ({"ROUTER_TYPES": "{}"}, "ROUTER_TYPES: can only be set in a TOML file"),
        ({"ROUTER_PORT": "http"}, "ROUTER_PORT: a string of 4 characters: must be a valid integer"),
        ({"ROUTER_PORT": "65536"}, "ROUTER_PORT: a string of 5 characters: must be less than or equal to 65535"),
        ({"QUEUE_CONCURRENCY": "0"}, "QUEUE_CONCURRENCY: a string of 1 characters: must be greater than or equal to 1"),
        ({"QUEUE_HISTORY_TTL": "5m"}, "QUEUE_HISTORY_TTL: a string of 2 characters: must be a valid integer"),
        ({"ROUTER_LOG_LEVEL": "loud"}, "ROUTER_LOG_LEVEL: a string of 4 characters: must be 'debug', "),
        (
            {"ROUTER_TOKENS": "root:s3cr3t"},
            "ROUTER_TOKENS: a string of 11 characters: must have one of the roles",
        ),
        ({"ROUTER_TOKENS": "s3cr3t"}, "ROUTER_TOKENS: a string of 6 characters: must be ROLE:SECRET"),
        (
            {"ROUTER_TOKENS": "bot:a,admin:a"},
            "ROUTER_TOKENS: a string of 13 characters: must not give two tokens",
        ),
        ({"MESSAGE_QUEUE_PROVIDER": "kafka"}, "MESSAGE_QUEUE_PROVIDER: a string of 5 characters: must be 'memory', "),
        ({"REDIS_URL": "http://localhost"}, "REDIS_URL: must begin with one of redis://"),
        ({"REDIS_URL": "redis://localhost:http"}, "REDIS_URL: must be a Redis URL such as redis://localhost:6379/0"),
        ({"REDIS_URL": "redis://a:1/1,redis://b:1/1"}, "REDIS_URL: must use database 0"),
        ({"ROUTER_STORE": "postgres://x"}, "ROUTER_STORE: must begin with memory://, sqlite:/// or redis://"),
        ({"ROUTER_STORE": "router.db"}, "ROUTER_STORE: must begin with memory://"),
        ({"ROUTER_HOST": "0.0.0.0"}, "ROUTER_HOST: must be a loopback address such as 127.0.0.1 unless ROUTER_TOKENS"),
        ({"ROUTER_HOST": "-bad-"}, "ROUTER_HOST: must be an address or a host name"),
        ({"ROUTER_CONFIG": "missing.toml"}, "missing.toml: cannot be read: No such file or directory"),
    ],
)
def test_a_wrong_variable_stops_the_start_with_one_line_naming_it(environ: dict[str, str], line: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(environ)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)
    assert caught.value.code == "bad_settings"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("prot = 1", "router.toml: prot: unknown setting; did you mean port?"),
        ("port = 'x'", "router.toml: port: a string of 1 characters: must be a valid integer"),
        ("port = ", "router.toml"),
        ("[queues.chat]\nspeed = 1", "router.toml: queues.chat.speed: unknown setting"),
        (
            '[queues."bot:music"]\nrate_limit = "fast"',
            'router.toml: queues."bot:music".rate_limit: a string of 4 characters: ',
        ),
        (
            '[queues.x]\nrate_limit = "0/minute"',
            "router.toml: queues.x.rate_limit: a string of 8 characters: must be a rate above",
        ),
        (
            "[types.BAN_USER]\nattempts = -1",
            "router.toml: types.BAN_USER.attempts: an integer: must be greater than",
        ),
        (
            "[types.BAN_USER]\nconflict = 'ignore'",
            "router.toml: types.BAN_USER.conflict: a string of 6 characters: must be 'queue'",
        ),
        (
            "tokens = [{role = 'bot', secret = 'a', expires = 1}]",
            "router.toml: tokens: a list of 1: must be ROLE:SECRET",
        ),
        ("tokens = 5", "router.toml: tokens: an integer: must be a list of"),
    ],
)
def test_a_wrong_file_stops_the_start_with_one_line_naming_the_key(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(config=toml(tmp_path, text))
    assert str(caught.value).removeprefix(f"{tmp_path}/").startswith(line)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "router.toml"
    file.write_bytes(b"store = '\xff'")
    with pytest.raises(SettingsError, match="must be UTF-8; byte 9 is not"):
        load(config=file)


def test_a_wrong_argument_is_named_as_one() -> None:
    with pytest.raises(SettingsError, match=r"^argument port: an integer: must be less than or equal to 65535"):
        load(port=70_000)
    with pytest.raises(SettingsError, match=r"^port: an integer: "):
        Settings(port=70_000)
    with pytest.raises(SettingsError, match=r"^colour: unknown setting"):
        Settings(colour="red")


@pytest.mark.parametrize(
    ("given", "store"),
    [
        ({}, "memory://"),
        ({"MESSAGE_QUEUE_PROVIDER": "memory"}, "memory://"),
        ({"MESSAGE_QUEUE_PROVIDER": "sqlite"}, "sqlite:///router.db"),
        ({"REDIS_URL": "redis://elsewhere"}, "memory://"),
        ({"MESSAGE_QUEUE_PROVIDER": "redis"}, "redis://localhost:6379/0"),
        (
            {
                "MESSAGE_QUEUE_PROVIDER": "redis",
                "REDIS_HOST": "::1",
                "REDIS_PORT": "7",
                "REDIS_DB": "2",
                "REDIS_PASSWORD": "p@/",
            },
            "redis://:p%40%2F@[::1]:7/2",
        ),
        ({"MESSAGE_QUEUE_PROVIDER": "redis", "REDIS_URL": "redis://:pw@h:6379"}, "redis://:pw@h:6379/0"),
        (
            {"MESSAGE_QUEUE_PROVIDER": "redis", "REDIS_URL": "rediss://h/4", "REDIS_PASSWORD": "pw"},
            "rediss://:pw@h:6379/4",
        ),
        (
            {"MESSAGE_QUEUE_PROVIDER": "redis", "REDIS_URL": "redis://node1:6379,redis://node2:6380, node3:6381"},
            "redis+cluster://node1:6379,node2:6380,node3:6381",
        ),
        ({"MESSAGE_QUEUE_PROVIDER": "redis", "ROUTER_STORE": "sqlite:///a.db"}, "sqlite:///a.db"),
    ],
)
def test_the_store_follows_from_the_provider_unless_it_is_named(given: dict[str, str], store: str) -> None:
    assert load(given).store == store


def test_a_provider_chosen_in_the_file_is_not_undone_by_a_store_of_the_environment(tmp_path: Path) -> None:
    file = toml(tmp_path, "message_queue_provider = 'memory'")
    assert load({"ROUTER_STORE": "sqlite:///a.db"}, config=file).store == "memory://"


def test_defaults_of_the_caller_stand_below_everything() -> None:
    assert Settings.load(environ={}, defaults={"store": "sqlite:///router.db"}).store == "sqlite:///router.db"
    assert (
        Settings.load(environ={"ROUTER_STORE": "memory://"}, defaults={"store": "sqlite:///router.db"}).store
        == "memory://"
    )


def test_tokens_have_a_role_a_secret_and_perhaps_guilds() -> None:
    settings = load({"ROUTER_TOKENS": "admin:SECRET, bot:S2@guild1|guild2"})
    admin, bot = settings.tokens
    assert (admin.role, admin.secret.get_secret_value(), admin.guilds) == ("admin", "SECRET", frozenset())
    assert (bot.role, bot.secret.get_secret_value(), bot.guilds) == ("bot", "S2", {"guild1", "guild2"})


def test_tokens_can_be_lists_and_tables_in_a_file(tmp_path: Path) -> None:
    text = 'tokens = ["client:a", {role = "bot", secret = "b@c", guilds = ["1"]}]'
    one, two = load(config=toml(tmp_path, text)).tokens
    assert (one.role, two.secret.get_secret_value(), two.guilds) == ("client", "b@c", {"1"})


def test_a_public_address_is_allowed_with_a_token() -> None:
    assert load({"ROUTER_HOST": "0.0.0.0", "ROUTER_TOKENS": "admin:x"}).host == "0.0.0.0"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "::1", "[::1]"])
def test_loopback_needs_no_token(host: str) -> None:
    assert Settings(host=host).tokens == ()


def test_secrets_are_in_no_representation() -> None:
    settings = load(
        {
            "ROUTER_TOKENS": "admin:hunter2",
            "REDIS_PASSWORD": "hunter2",
            "REDIS_URL": "redis://user:hunter2@localhost",
            "MESSAGE_QUEUE_PROVIDER": "redis",
        }
    )
    assert settings.store == "redis://user:hunter2@localhost:6379/0"
    for shown in (
        repr(settings),
        str(settings),
        str(settings.public()),
        repr(settings.tokens),
        str(settings.tokens[0]),
    ):
        assert "hunter2" not in shown
    assert settings.public()["store"] == "redis://user:***@localhost:6379/0"


@pytest.mark.parametrize(
    "environ",
    [
        {"ROUTER_TOKENS": "admin:hunter2 with spaces"},
        {"REDIS_URL": "redis://:hunter2@host:port"},
        {"ROUTER_STORE": "redis://:hunter2@host:port/0"},
        {"REDIS_PASSWORD": "hunter2", "REDIS_PORT": "x"},
    ],
)
def test_secrets_are_in_no_complaint(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as caught:
        load(environ)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1


def test_settings_of_a_queue_and_then_of_a_type_change_the_facts(tmp_path: Path) -> None:
    file = toml(
        tmp_path,
        """
        [queues."bot:moderation"]
        concurrency = 3
        attempts = 5
        backoff_ms = 10_000
        rate_limit = "2/minute"
        retention_done = 1
        retention_failed = 2

        [types.BAN_USER]
        attempts = 7
        backoff_factor = 3.0
        timeout_ms = 1_500
        expires_ms = 60_000
        conflict = "supersede"
        """,
    )
    settings = load(config=file)
    facts = Facts("BAN_USER", queue="bot:moderation")
    changed = settings.facts(facts)
    assert (changed.attempts, changed.timeout, changed.conflict) == (7, 1_500, ConflictPolicy.SUPERSEDE)
    assert (changed.retention_done, changed.retention_failed) == (1, 2)
    assert changed.backoff == Backoff(initial=10_000, factor=3.0)
    assert settings.facts(Facts("KICK_USER", queue="bot:moderation")).attempts == 5
    assert settings.facts(Facts("PLAY_MUSIC", queue="bot:music")) == Facts("PLAY_MUSIC", queue="bot:music")
    queue = settings.options().queues["bot:moderation"]
    assert (queue.concurrency, queue.rate, queue.rate_window) == (3, 2, 60_000)


def test_what_a_type_is_sent_with_by_default(tmp_path: Path) -> None:
    settings = load(config=toml(tmp_path, "[types.A]\npriority = 9\nexpires_ms = 5\nprotocols = ['direct']"))
    assert settings.types["A"].sealing() == {"priority": 9, "expires_in_ms": 5, "protocols": ("direct",)}


def test_the_history_ttl_is_the_window_of_types_that_choose_none() -> None:
    settings = load({"QUEUE_HISTORY_TTL": "1000"})
    assert settings.facts(Facts("A")).window == 1_000
    assert settings.facts(Facts("B", window=60_000)).window == 60_000


def test_the_circuit_breaker_settings_reach_the_breakers() -> None:
    breakers = load({"CIRCUIT_BREAKER_FAILURE_THRESHOLD": "2", "CIRCUIT_BREAKER_RECOVERY_TIMEOUT": "7"}).breakers()
    assert (breakers.failure_threshold, breakers.recovery_timeout, breakers.window) == (2, 7, 10_000)


@pytest.mark.parametrize(
    ("text", "count", "per"),
    [("2/minute", 2, 60_000), ("100/10s", 100, 10_000), (" 5 / hours ", 5, 3_600_000), ("1/d", 1, 86_400_000)],
)
def test_rates_are_read(text: str, count: int, per: int) -> None:
    assert Rate.parse(text) == Rate(count, per)


@pytest.mark.parametrize("text", ["", "2", "2/", "/s", "2/0s", "0/s", "-1/s", "2/week", "\u0661/s", "1e3/s"])
def test_what_is_not_a_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a rate"):
        Rate.parse(text)
