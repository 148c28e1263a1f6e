"""Where settings come from besides Python: the environment and a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterator, Mapping, Set
from pathlib import Path
from typing import Any

from router.settings_errors import SettingsError, unknown

OURS = "ROUTER_"
TABLES = frozenset(("queues", "socket_events", "types", "upstreams"))  #: what only a file can say
#: the names of other programs that we read as they are; each is also known with our prefix
FOREIGN = frozenset(
    (
        "REDIS_HOST",
        "REDIS_PORT",
        "REDIS_PASSWORD",
        "REDIS_DB",
        "REDIS_URL",
        "MESSAGE_QUEUE_PROVIDER",
        "CIRCUIT_BREAKER_FAILURE_THRESHOLD",
        "CIRCUIT_BREAKER_RECOVERY_TIMEOUT",
        "CIRCUIT_BREAKER_MONITOR_INTERVAL",
        "QUEUE_CONCURRENCY",
        "QUEUE_MAX_CONCURRENT_OPERATIONS",
        "QUEUE_HISTORY_TTL",
        "QUEUE_HEALTH_CHECK_INTERVAL",
        "WEBSOCKET_TIMEOUT",
        "REST_TIMEOUT",
        "DIRECT_EXECUTION_TIMEOUT",
        "DISCORD_TOKEN",
        "DEBUG",
    )
)


def read_environment(environ: Mapping[str, str], fields: Set[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """(field -> text, field -> variable). An empty variable is not set; our prefix wins over the bare name."""
    values: dict[str, Any] = {}
    names: dict[str, str] = {}
    for name, field in _variables(environ, fields):
        if environ[name]:
            values[field], names[field] = environ[name], name
    return values, names


def _variables(environ: Mapping[str, str], fields: Set[str]) -> Iterator[tuple[str, str]]:
    yield from ((name, name.lower()) for name in sorted(FOREIGN & environ.keys()))
    ours = {OURS + field.upper() for field in (*fields, "config")}
    known = ours | FOREIGN
    for name in sorted(environ.keys() - known):
        if name.upper() in known:
            # Whoever set it believes that it counts.
            raise SettingsError(name, "", f"unknown setting; did you mean {name.upper()}?")
    for name in sorted(name for name in environ if name.startswith(OURS)):
        field = name.removeprefix(OURS).lower()
        if field == "config":
            continue
        if field in TABLES:
            raise SettingsError(name, "", "can only be set in a TOML file")
        if field not in fields:
            raise unknown(name, sorted(ours - {OURS + table.upper() for table in TABLES}))
        yield name, field


def read_file(path: str | Path, fields: Collection[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """(field -> value, field -> name with the file's) of a TOML file."""
    file = Path(path)
    try:
        values = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(str(path), "", f"cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(str(path), "", f"must be UTF-8; byte {error.start} is not") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(str(path), "", f"is not TOML: {error}") from error
    for key in values:
        if key not in fields:
            raise unknown(key, fields, where=file.name)
    return values, {key: f"{file.name}: {key}" for key in values}
