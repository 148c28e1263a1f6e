"""What is said when a setting is wrong: one line with the name, the value's shape and the rule, never the value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import ClassVar

from pydantic import ValidationError

from router.errors import RouterError, shape


class SettingsError(RouterError):
    """A setting is unknown or wrong; nothing was started."""

    code: ClassVar[str] = "bad_settings"

    def __init__(self, name: str, shape: str, rule: str, *, path: tuple[str, ...] = ()) -> None:
        super().__init__(": ".join(part for part in (name, shape, rule) if part))
        self.name = name  #: as its author wrote it: a variable, a key of the file, an argument
        self.shape = shape
        self.rule = rule
        self.path = path or (name,)  #: the field, and below it the keys of its table

    def named(self, sources: Mapping[str, str]) -> SettingsError:
        """The same, told by the name its author used; ``sources``: field -> name."""
        source = sources.get(self.path[0])
        return (
            self
            if source is None
            else SettingsError(dotted(source, self.path[1:]), self.shape, self.rule, path=self.path)
        )


def from_validation(error: ValidationError) -> SettingsError:
    """The first of pydantic's errors."""
    details = error.errors(include_url=False, include_context=False)
    first = details[0]
    path = tuple(str(part) for part in first["loc"]) or ("settings",)
    if first["type"] == "extra_forbidden":
        return SettingsError(dotted(path[0], path[1:]), "", "unknown setting", path=path)
    if first["loc"]:
        return SettingsError(dotted(path[0], path[1:]), shape(first["input"]), rule_of(first["msg"]), path=path)
    name, _, rule = rule_of(first["msg"]).partition(": ")  # a rule over several fields names its own
    return SettingsError(name, "", rule, path=(name,))


def unknown(name: str, known: Iterable[str], *, where: str = "") -> SettingsError:
    """A name nobody knows, with the nearest one that somebody does."""
    near = get_close_matches(name, list(known), n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]}?" if near else ""
    return SettingsError(f"{where}: {name}" if where else name, "", f"unknown setting{hint}")


def rule_of(message: str) -> str:
    """pydantic's words as a rule."""
    text = (
        message.removeprefix("Value error, ")
        .replace("Input should be ", "must be ", 1)
        .replace("Input should ", "must ", 1)
    )
    return text.partition(", unable to parse")[0]


def dotted(name: str, keys: Iterable[str]) -> str:
    """``types.BAN_USER.attempts``; keys that are not plain words are quoted, as in TOML."""
    parts = (key if key.replace("_", "").replace("-", "").isalnum() else f'"{key}"' for key in keys)
    return ".".join((name, *parts))
