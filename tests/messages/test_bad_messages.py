"""Bad input is refused with field, rule and shape, and never repeated."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from pydantic import ValidationError

from router.errors import InvalidMessage, RouterError, UnknownType
from router.messages import BanUser, Event, Id, SendMessage, catalog
from router.messages.fields import Json, Millis
from router.messages.registry import Catalog
from tests.messages.seeds import EMBED, SAMPLES, C, G, M, U, X

DEEP: Any = None
for _ in range(40):
    DEEP = [DEEP]


def changed(name: str, **changes: Any) -> dict[str, Any]:
    return {"type": name, "guildId": G, "userId": M, "data": SAMPLES[name] | changes}


FIELD = [
    # type, the change, the field that is blamed, a word of the rule, the shape that is told
    ("BAN_USER", {"userId": 175928847299117063}, "data.userId", "string", "an integer"),
    ("BAN_USER", {"userId": ""}, "data.userId", "id", "a string of 0 characters"),
    ("BAN_USER", {"userId": "a" * 65}, "data.userId", "id", "a string of 65 characters"),
    ("BAN_USER", {"userId": "18446744073709551616"}, "data.userId", "2**64", "a string of 20 characters"),
    ("BAN_USER", {"userId": "0175928847299117063"}, "data.userId", "leading zeros", "a string of 19 characters"),
    ("BAN_USER", {"userId": "-1"}, "data.userId", "id", "a string of 2 characters"),
    ("BAN_USER", {"userId": "1.5"}, "data.userId", "id", "a string of 3 characters"),
    ("BAN_USER", {"userId": "\uff11\uff12\uff13"}, "data.userId", "id", "a string of 3 characters"),
    ("BAN_USER", {"userId": "1\n"}, "data.userId", "id", "a string of 2 characters"),
    ("BAN_USER", {"userId": "1\x00"}, "data.userId", "id", "a string of 2 characters"),
    ("BAN_USER", {"userId": "{a}:*"}, "data.userId", "id", "a string of 5 characters"),
    ("BAN_USER", {"userId": "<b>"}, "data.userId", "id", "a string of 3 characters"),
    ("BAN_USER", {"userId": b"175928847299117063"}, "data.userId", "id", "18 bytes"),
    ("BAN_USER", {"userId": True}, "data.userId", "id", "a boolean"),
    ("BAN_USER", {"userId": None}, "data.userId", "required", "null"),
    ("BAN_USER", {"userId": ["1"]}, "data.userId", "id", "a list of 1"),
    ("BAN_USER", {"reason": "x" * 513}, "data.reason", "at most 512", "a string of 513 characters"),
    ("BAN_USER", {"reason": b"spam"}, "data.reason", "string", "4 bytes"),
    ("BAN_USER", {"reason": "\ud800"}, "data.reason", "string", "a string of 1 characters"),
    ("BAN_USER", {"reason": {"a": 1}}, "data.reason", "string", "an object of 1 fields"),
    ("BAN_USER", {"deleteMessageDays": 8}, "data.deleteMessageDays", "7", "an integer"),
    ("BAN_USER", {"deleteMessageDays": -1}, "data.deleteMessageDays", "0", "an integer"),
    ("BAN_USER", {"deleteMessageDays": "7"}, "data.deleteMessageDays", "integer", "a string of 1 characters"),
    ("BAN_USER", {"deleteMessageDays": True}, "data.deleteMessageDays", "integer", "a boolean"),
    ("BAN_USER", {"deleteMessageDays": 1.5}, "data.deleteMessageDays", "integer", "a number"),
    ("BAN_USER", {"duration": 0}, "data.duration", "greater than 0", "an integer"),
    ("BAN_USER", {"notifyUser": 1}, "data.notifyUser", "boolean", "an integer"),
    ("BAN_USER", {"notifyUser": "true"}, "data.notifyUser", "boolean", "a string of 4 characters"),
    ("BAN_USER", {"guildId": G}, "data.guildId", "beside data", ""),
    ("BAN_USER", {"actorId": M}, "data.actorId", "beside data", ""),
    ("TIMEOUT_USER", {"duration": 28 * 86_400 + 1}, "data.duration", "2419200", "an integer"),
    ("TIMEOUT_USER", {"duration": None}, "data.duration", "required", "null"),
    ("TIMEOUT_USER", {"until": "tomorrow"}, "data.until", "milliseconds", "a string of 8 characters"),
    ("TIMEOUT_USER", {"until": "2024-01-01T00:00:00"}, "data.until", "offset", "a string of 19 characters"),
    ("TIMEOUT_USER", {"until": 1.5}, "data.until", "integer", "a number"),
    ("TIMEOUT_USER", {"until": -1}, "data.until", "0", "an integer"),
    ("SET_VOLUME", {"volume": 101}, "data.volume", "100", "an integer"),
    ("SET_REPEAT", {"mode": "off"}, "data.mode", "'OFF'", "a string of 3 characters"),
    ("SKIP_MUSIC", {"skipCount": 0}, "data.skipCount", "greater than 0", "an integer"),
    ("SEND_MESSAGE", {"content": "x" * 2_001}, "data.content", "at most 2000", "a string of 2001 characters"),
    ("SEND_MESSAGE", {"embeds": [EMBED] * 11}, "data.embeds", "at most 10", "a list of 11"),
    ("SEND_MESSAGE", {"embeds": [{"title": "x" * 257}]}, "data.embeds[0].title", "256", "a string of 257 characters"),
    (
        "SEND_MESSAGE",
        {"embeds": [{"description": "x" * 4_000}] * 2},
        "data.embeds",
        "6000 characters together",
        "a list of 2",
    ),
    ("SEND_MESSAGE", {"embeds": [{"tilte": "x"}]}, "data.embeds[0].tilte", "not a field", ""),
    ("SEND_MESSAGE", {"reply": {"messageId": 5}}, "data.reply.messageId", "string", "an integer"),
    ("SEND_MESSAGE", {"components": [1]}, "data.components[0]", "object", "an integer"),
    ("SEND_MESSAGE", {"components": [{"a": DEEP}]}, "data.components[0]", "levels deep", "an object of 1 fields"),
    ("SEND_MESSAGE", {"files": [{"filename": "a", "url": "javascript:x"}]}, "data.files[0].url", "pattern", ""),
    ("UPDATE_CONFIG", {"config": {"a": float("nan")}}, "data.config", "finite", "an object of 1 fields"),
    ("UPDATE_CONFIG", {"config": {"a": float("inf")}}, "data.config", "finite", "an object of 1 fields"),
    ("UPDATE_CONFIG", {"config": {"a": 1 << 64}}, "data.config", "64 bits", "an object of 1 fields"),
    ("UPDATE_CONFIG", {"config": {"a": "\udfff"}}, "data.config", "Unicode", "an object of 1 fields"),
    ("UPDATE_CONFIG", {"config": {1: "a"}}, "data.config", "strings as keys", "an object of 1 fields"),
    ("UPDATE_CONFIG", {"config": {"a": {1, 2}}}, "data.config", "JSON", "an object of 1 fields"),
    ("UPDATE_CONFIG", {"config": {"a": list(range(9_001))}}, "data.config", "9000 values", "an object of 1 fields"),
    ("UPDATE_CONFIG", {"config": [1]}, "data.config", "object", "a list of 1"),
    ("MEMBER_JOINED", {"user": {"id": U}}, "data.user.username", "required", ""),
    ("MESSAGE_BULK_DELETED", {"messageIds": []}, "data.messageIds", "at least 1", "a list of 0"),
    ("MESSAGE_BULK_DELETED", {"messageIds": [X, 5]}, "data.messageIds[1]", "string", "an integer"),
    (
        "ROLE_CREATED",
        {"role": {**SAMPLES["ROLE_CREATED"]["role"], "permissions": "0x8"}},
        "data.role.permissions",
        "",
        "",
    ),
    ("MUSIC_ENDED", {"duration": float("nan")}, "data.duration", "finite", "a number"),
    ("MUSIC_ENDED", {"duration": "12"}, "data.duration", "number", "a string of 2 characters"),
    ("SCHEDULED_TASK", {"schedule": {"cron": "0 4 * * *", "interval": 5}}, "data.schedule", "not both", ""),
]


@pytest.mark.parametrize(("name", "change", "field", "rule", "shape"), FIELD)
def test_a_bad_field_is_refused_by_name_rule_and_shape(
    name: str, change: dict[str, Any], field: str, rule: str, shape: str
) -> None:
    with pytest.raises(InvalidMessage) as caught:
        catalog.from_wire(changed(name, **change))
    problem = caught.value.problems[0]
    assert problem.field == field
    assert rule in problem.rule
    assert shape in problem.shape
    assert caught.value.code == "invalid_message"
    assert not caught.value.retryable


FORM = [
    ({}, "type", "required"),
    ([], "", "must be an object"),
    ({"type": "BAN_USER", "data": []}, "data", "must be an object"),
    ({"type": "BAN_USER", "data": None}, "data", "must be an object"),
    ({"type": "BAN_USER", "data": {1: 2}}, "data", "strings as names"),
    ({"type": "BAN_USER", "guildId": 5, "data": SAMPLES["BAN_USER"]}, "guildId", "string"),
    ({"type": "BAN_USER", "guildId": "a b", "data": SAMPLES["BAN_USER"]}, "guildId", "id"),
    ({"type": "BAN_USER", "data": SAMPLES["BAN_USER"]}, "guildId", "required"),
    ({"type": "BAN_USER", "guildId": G, "userId": 5, "data": SAMPLES["BAN_USER"]}, "userId", "string"),
    ({"type": "BAN_USER", "guildId": G, "data": SAMPLES["BAN_USER"], "extra": 1}, "extra", "not a field"),
    ({"type": "BAN_USER", "guildId": G, "guild_id": G, "data": {}}, "guildId", "twice"),
    ({"type": "BAN_USER", "guildId": G, "data": SAMPLES["BAN_USER"], "version": 2}, "version", "must be 1 to 1"),
    ({"type": "BAN_USER", "guildId": G, "data": SAMPLES["BAN_USER"], "version": True}, "version", "must be 1 to 1"),
    ({"type": "BAN_USER", "guildId": G, "data": SAMPLES["BAN_USER"], "version": 0}, "version", "must be 1 to 1"),
    ({"type": "SEND_MESSAGE", "data": {"channelId": C}}, "data", "must have content"),
    ({"type": "SEND_DM", "data": {"userId": U}}, "data", "must have content"),
    ({"type": "EDIT_MESSAGE", "data": {"channelId": C, "messageId": X}}, "data", "must change"),
    ({"type": "UPDATE_CONFIG", "guildId": G, "userId": M, "data": {}}, "data", "config"),
    (
        {"type": "UPDATE_CONFIG", "guildId": G, "userId": M, "data": {"config": {}, "configPath": "a"}},
        "data",
        "either config",
    ),
    (
        {"type": "CLEANUP_EXPIRED_CASES", "guildId": "g1", "data": SAMPLES["CLEANUP_EXPIRED_CASES"]},
        "data.guildId",
        "the same",
    ),
]


@pytest.mark.parametrize(("wire", "field", "rule"), FORM)
def test_a_bad_form_is_refused(wire: Any, field: str, rule: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        catalog.from_wire(wire)
    assert caught.value.field == field
    assert rule in caught.value.rule


@pytest.mark.parametrize("name", ["", "ban_user", "BAN_USER ", "NO_SUCH", None, 5, [], {}, "A" * 10_000, "A\nB"])
def test_an_unknown_type_is_refused_without_being_repeated(name: Any) -> None:
    with pytest.raises(UnknownType) as caught:
        catalog.from_wire({"type": name, "data": {}})
    text = str(caught.value)
    assert len(text) < 100
    assert "\n" not in text


def test_hostile_values_and_names_are_never_repeated() -> None:
    secret = "hunter2" * 20
    with pytest.raises(InvalidMessage) as caught:
        catalog.from_wire(
            {
                "type": "BAN_USER",
                "guildId": secret + "\n",
                "userId": M,
                "data": {"userId": secret * 10, "reason": secret * 10, secret: 1, "a\nb": 2, "\x1b[31m": 3},
            }
        )
    for text in (str(caught.value), repr(caught.value), *map(str, caught.value.problems)):
        assert "hunter2" not in text
        assert "\n" not in text
        assert "\x1b" not in text
    with pytest.raises(InvalidMessage) as caught:
        BanUser(guild_id=G, user_id="hunter2 " * 9, moderator_id=M, reason="")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    with pytest.raises(ValidationError) as raw:
        BanUser.model_validate({"guild_id": G, "user_id": "hunter2 " * 9, "moderator_id": M, "reason": ""})
    assert "hunter2" not in str(raw.value)


def test_a_flood_of_wrong_fields_is_told_in_part() -> None:
    with pytest.raises(InvalidMessage) as caught:
        catalog.from_wire(changed("BAN_USER", **{f"x{n}": n for n in range(5_000)}))
    assert len(caught.value.problems) == 20


def test_in_python_a_field_has_its_python_name_and_the_error_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="delete_message_days must be less than or equal to 7") as caught:
        BanUser(guild_id=G, user_id=U, moderator_id=M, reason="", delete_message_days=9)
    assert isinstance(caught.value, RouterError)
    assert caught.value.fault.code == "invalid_message"


@pytest.mark.parametrize("value", [-1, 1 << 64, True, 1.0, b"1", None, "", "1 ", "a" * 65])
def test_python_ids_have_their_rule_too(value: Any) -> None:
    with pytest.raises(InvalidMessage):
        BanUser(guild_id=G, user_id=value, moderator_id=M, reason="")


def test_times_are_taken_as_numbers_texts_and_datetimes_with_an_offset() -> None:
    mine = Catalog()

    class Tick(Event, type="TICK", catalog=mine):
        at: Millis

    moment = 1_704_067_200_000
    for given in (
        moment,
        "2024-01-01T00:00:00Z",
        "2024-01-01T01:00:00+01:00",
        datetime.fromisoformat("2024-01-01T00:00Z"),
    ):
        assert Tick(at=given).at == moment
        assert Tick.from_wire({"data": {"at": given}}).to_wire()["data"] == {"at": moment}


def test_free_json_is_copied_so_that_a_message_cannot_change_behind_its_back() -> None:
    mine = Catalog()

    class Note(Event, type="NOTE", catalog=mine):
        pet: Id
        anything: Json = None

    given: dict[str, Any] = {"b": [1], "a": {"x": 1.0}}
    note = Note(pet="rex", anything=given)
    given["b"].append(2)
    given["a"]["x"] = 9
    assert note.anything == {"a": {"x": 1}, "b": [1]}
    assert list(note.to_wire()["data"]["anything"]) == ["a", "b"]


def test_what_is_sent_over_the_body_limit_is_refused() -> None:
    message = SendMessage(channel_id=C, content="x", components=tuple({"a": "y" * 200_000} for _ in range(6)))
    with pytest.raises(InvalidMessage, match="bytes packed"):
        _sealed(message)


def _sealed(message: Any) -> Any:
    from router.messages.seal import seal

    return seal(message, id="m", now=1, source="library")
