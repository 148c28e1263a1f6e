"""The description of the interface, with every message type of the catalog in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from router.http.door import is_open
from router.messages.base import Message
from router.messages.fields import is_acting_user
from router.messages.layout import wire_name

_REF = "#/components/schemas/"


def describe(app: FastAPI, catalog: Mapping[str, type[Message]]) -> dict[str, Any]:
    """FastAPI's description, and for each type a body whose ``data`` is that type's payload."""
    schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    components = schema.setdefault("components", {}).setdefault("schemas", {})
    components.pop("HTTPValidationError", None)
    components.pop("ValidationError", None)
    for body, kinds in (("CommandBody", ("command", "task")), ("MessageBody", ("event", "notification"))):
        choice = {name: cls for name, cls in catalog.items() if cls.__kind__ in kinds}
        if body in components and choice:
            components[body] = _one_of(body, components, choice)
    schema["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            operation["responses"].pop("422", None) if not _may_be_invalid(operation) else None
            if not is_open(path):
                operation["security"] = [{"token": []}]
    return schema


def _one_of(body: str, components: dict[str, Any], choice: Mapping[str, type[Message]]) -> dict[str, Any]:
    components[f"Any{body}"] = components[body]
    mapping = {}
    for name, cls in sorted(choice.items()):
        key = f"{cls.__name__}{body.removesuffix('Body')}" if cls.__kind__ not in cls.__name__.lower() else cls.__name__
        payload = cls.payload_schema()
        components |= _lifted(payload)
        components[f"{key}Data"] = payload
        components[key] = {
            "allOf": [{"$ref": f"{_REF}Any{body}"}, _frame_of(cls, payload, {"$ref": f"{_REF}{key}Data"})]
        }
        mapping[name] = f"{_REF}{key}"
    return {
        "oneOf": [{"$ref": ref} for ref in mapping.values()],
        "discriminator": {"propertyName": "type", "mapping": mapping},
    }


def _frame_of(cls: type[Message], payload: Mapping[str, Any], data: Mapping[str, str]) -> dict[str, Any]:
    """What one type says of the fields beside its payload."""
    versions = {"type": ["integer", "null"], "minimum": 1, "maximum": cls.__operation__.version}
    properties: dict[str, Any] = {"type": {"const": cls.type}, "version": versions, "data": data}
    required = ["type"]
    if cls.model_fields["guild_id"].is_required() and not cls.__operation__.payload_guild:
        properties["guildId"] = {"type": "string"}
        required.append("guildId")
    if payload.get("required") or "anyOf" in payload:  # each rule of a choice demands a field
        required.append("data")
    frame: dict[str, Any] = {"type": "object", "properties": properties, "required": required}
    if cls.__operation__.payload_guild:  # given twice it must be the same, which a schema cannot say: so only once
        nobody: dict[str, Any] = {"properties": {"guildId": {"type": "null"}}}
        frame["allOf"] = [{"anyOf": [nobody, {"properties": {"data": nobody}}]}]
    if who := _acting_user(cls):  # beside the payload or in it
        beside = {"properties": {"userId": {"type": "string"}}, "required": ["userId"]}
        inside = {"properties": {"data": {"required": [who]}}, "required": ["data"]}
        frame["anyOf"] = [beside, inside]
    return frame


def _acting_user(cls: type[Message]) -> str:
    """The payload field that must name the acting user, unless the field beside it does; "": there is none."""
    name = cls.__operation__.actor
    field = cls.model_fields.get(name)
    return wire_name(name, field) if field is not None and is_acting_user(field) else ""


def _lifted(schema: dict[str, Any]) -> dict[str, Any]:
    # A payload's own definitions move up to the components, where references can find them.
    found: dict[str, Any] = schema.pop("$defs", {})
    _point(schema)
    for definition in found.values():
        _point(definition)
    return found


def _point(node: Any) -> None:
    if isinstance(node, dict):
        ref = node.get("$ref")
        if isinstance(ref, str):
            node["$ref"] = ref.replace("#/$defs/", _REF)
        for inner in node.values():
            _point(inner)
    elif isinstance(node, list):
        for inner in node:
            _point(inner)


def _may_be_invalid(operation: Mapping[str, Any]) -> bool:
    return bool(operation.get("requestBody") or operation.get("parameters"))
