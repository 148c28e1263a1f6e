"""Every message type of the seeds is in the catalog, with every field."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from pydantic.alias_generators import to_camel

import router.messages
from router.errors import InvalidMessage
from router.messages import Message, catalog
from router.messages.layout import layout_of
from router.messages.queues import QUEUES
from router.messages.seal import seal, unseal
from router.messages.wire import payload_schema
from tests.messages.seeds import DEFAULTS, DISCORDS, NAMED, OPPOSITES, OURS, SAMPLES, SCHEMAS, G, M

NOW = 1_700_000_000_000
QUEUE_OF = {name: queue for name, (queue, _) in SCHEMAS.items()} | NAMED | OPPOSITES | DISCORDS


def fields_of(name: str) -> dict[str, bool]:
    """Wire name -> required, as the seed says."""
    return {field.removesuffix("?"): not field.endswith("?") for field in SCHEMAS[name][1].split()}


def wire(name: str, **changes: object) -> dict[str, object]:
    return {"type": name, "guildId": G, "userId": M, "data": SAMPLES[name] | changes}


OF_THE_ROUTER = {"COMMAND_ANSWERED"}
"""What ``reply_to`` asks for: no seed names the message that carries an answer."""


def test_the_catalog_is_what_the_seeds_name_their_opposites_and_what_discord_has_besides() -> None:
    built_in = {name for name, cls in catalog.items() if cls.__module__.startswith("router.messages.")}
    assert built_in == set(QUEUE_OF) | OF_THE_ROUTER
    assert built_in == set(SAMPLES) | OF_THE_ROUTER


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_a_type_has_every_field_of_its_schema_and_no_other(name: str) -> None:
    have = {field.wire for field in layout_of(catalog[name]).fields}
    assert have == set(fields_of(name)) | OURS.get(name, set())


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_what_the_schema_requires_is_required_and_the_rest_is_not(name: str) -> None:
    required = {field for field, needed in fields_of(name).items() if needed}
    optional = set(SAMPLES[name]) - required
    if name not in ("SEND_MESSAGE", "SEND_DM", "UPDATE_CONFIG"):  # one of several is needed there
        bare = {field: value for field, value in SAMPLES[name].items() if field not in optional}
        assert catalog.from_wire({**wire(name), "data": bare})
    actor = to_camel(catalog[name].__operation__.actor)
    for field in required:
        data = {key: value for key, value in SAMPLES[name].items() if key != field}
        if field in DEFAULTS:
            message = catalog.from_wire({**wire(name), "data": data})
            assert message.to_wire()["data"][field] == DEFAULTS[field]
            continue
        lacking = {"type": name, "guildId": G, "data": data}
        if field == actor:
            assert catalog.from_wire({**lacking, "userId": M}).to_wire()["data"][field] == M
        with pytest.raises(InvalidMessage) as caught:
            catalog.from_wire(lacking)
        assert f"data.{field}" in [problem.field for problem in caught.value.problems]


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_full_sample_survives_the_wire_and_the_envelope(name: str) -> None:
    message = catalog.from_wire(wire(name))
    sent = message.to_wire()
    assert sent["data"] == SAMPLES[name]
    assert (sent["type"], sent["guildId"]) == (name, G)
    assert catalog.from_wire(sent) == message
    envelope = seal(message, id="m", now=NOW, source="library")
    assert unseal(envelope) == message.resolved(NOW + (5_000 if name == "PROACTIVE_ACTION" else 0))
    assert (envelope.type, envelope.queue, envelope.guild) == (name, QUEUE_OF[name], G)
    assert envelope.queue in QUEUES


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_snake_case_says_the_same(name: str) -> None:
    by_wire = {field.wire: field.name for field in layout_of(catalog[name]).fields}
    snake = {by_wire[field]: value for field, value in SAMPLES[name].items()}
    given = {"type": name, "guild_id": G, "user_id": M, "data": snake}
    assert catalog.from_wire(given) == catalog.from_wire(wire(name))


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_an_unknown_field_is_refused_and_named(name: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        catalog.from_wire(wire(name, surprise=1))
    assert ("data.surprise", "is not a field here") in [problem[:2] for problem in caught.value.problems]


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_the_schema_of_a_payload_names_its_fields(name: str) -> None:
    schema = payload_schema(catalog[name])
    assert set(schema["properties"]) == {field.wire for field in layout_of(catalog[name]).fields}
    assert set(schema.get("required", ())) <= set(SAMPLES[name])


def test_the_facade_exports_every_class_and_is_sorted() -> None:
    exported = router.messages.__all__
    assert exported == sorted(exported)
    assert len(set(exported)) == len(exported)
    classes = {cls.__name__ for cls in catalog.values() if cls.__module__.startswith("router.messages.")}
    assert classes <= set(exported)
    assert all(hasattr(router.messages, name) for name in exported)


def test_every_module_of_messages_is_imported_by_the_facade() -> None:
    names = [module.name for module in pkgutil.iter_modules(router.messages.__path__, "router.messages.")]
    typed = [
        cls
        for name in names
        for cls in vars(importlib.import_module(name)).values()
        if isinstance(cls, type) and issubclass(cls, Message) and cls.type and cls.__module__ == name
    ]
    assert {cls.type for cls in typed} == set(QUEUE_OF) | OF_THE_ROUTER
