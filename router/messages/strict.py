"""The strict rule: ids are Discord's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from router.errors import InvalidMessage, Problem, shape
from router.messages.fields import IdRule, is_snowflake

SNOWFLAKE_RULE = "must be a Discord id: a string of 15 to 20 digits below 2**64"


def check_snowflakes(message: BaseModel) -> None:
    """Raise ``InvalidMessage`` unless every id in a message is a snowflake."""
    found = [Problem(path, SNOWFLAKE_RULE, shape(value)) for path, value in _strange(message, "data.")]
    if found:
        raise InvalidMessage("", "", problems=tuple(found))


_BESIDE = {"guild_id": "guildId", "actor_id": "userId"}


def _strange(model: BaseModel, prefix: str) -> Iterator[tuple[str, object]]:
    for name, field in type(model).model_fields.items():
        beside = _BESIDE.get(name) if prefix == "data." else None
        path = beside or prefix + to_camel(name)
        yield from _ids(field.annotation, _ruled(field.metadata), getattr(model, name), path)


def _ids(annotation: Any, ruled: bool, value: object, path: str) -> Iterator[tuple[str, object]]:
    if value is None:
        return
    if get_origin(annotation) is Annotated:
        annotation, *metadata = get_args(annotation)
        ruled = ruled or _ruled(metadata)
    if isinstance(value, BaseModel):
        yield from _strange(value, f"{path}.")
    elif isinstance(value, tuple | list):
        inner = next(iter(get_args(annotation)), None)
        for index, item in enumerate(value):
            yield from _ids(inner, False, item, f"{path}[{index}]")
    elif isinstance(value, str):
        if ruled and not is_snowflake(value):
            yield path, value
        elif not ruled:
            for part in get_args(annotation):
                if get_origin(part) is Annotated:
                    yield from _ids(part, False, value, path)


def _ruled(metadata: Any) -> bool:
    return any(isinstance(rule, IdRule) for rule in metadata)
