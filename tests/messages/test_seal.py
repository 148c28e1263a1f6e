"""From message to envelope: who, where, until when, and what is the same operation."""

from __future__ import annotations

from typing import Any

import pytest

from actors.codec import check_envelope, decode, encode
from actors.envelope import Envelope
from router.errors import InvalidMessage, UnknownType
from router.messages import (
    BanUser,
    BroadcastNotification,
    ChatMessage,
    CleanupExpiredCases,
    Command,
    DeleteMessage,
    EditMessage,
    Id,
    KickUser,
    MemberJoined,
    Message,
    PauseMusic,
    PlayMusic,
    Priority,
    ProactiveAction,
    SendDM,
    SendMessage,
    SetVolume,
    StopMusic,
    TimeoutUser,
    UnbanUser,
    UserNotification,
    catalog,
)
from router.messages.deadlines import time_to_start
from router.messages.registry import Catalog
from router.messages.seal import seal, unseal
from tests.messages.seeds import SAMPLES, C, G, M, U, X

NOW = 1_700_000_000_000
MINUTE = 60_000
DAY = 24 * 60 * MINUTE


def put(message: Message, **options: Any) -> Envelope:
    return seal(message, **{"id": "m", "now": NOW, "source": "library"} | options)


def ban(**changes: Any) -> BanUser:
    return BanUser(**{"guild_id": G, "user_id": U, "moderator_id": M, "reason": "spam"} | changes)


def say(**changes: Any) -> SendMessage:
    return SendMessage(**{"guild_id": G, "channel_id": C, "content": "hi"} | changes)


# ---------------------------------------------------------------- the header


def test_the_header_of_a_plain_command() -> None:
    envelope = put(ban())
    assert envelope == Envelope(
        id="m",
        type="BAN_USER",
        kind="command",
        guild=G,
        subject=f"user:{U}",
        queue="bot:moderation",
        priority=8,
        created_at=NOW,
        expires_at=NOW + 15 * MINUTE,
        key=envelope.key,
        fingerprint=envelope.fingerprint,
        source="library",
        user=M,
        body=envelope.body,
    )
    assert (len(envelope.key), len(envelope.fingerprint)) == (16, 16)


def test_every_option_arrives_in_its_field() -> None:
    envelope = put(
        ban(),
        source="rest",
        priority="critical",
        delay_ms=500,
        expires_in_ms=9_000,
        realtime=True,
        reliable=True,
        idempotency_key="form-1",
        protocols=["websocket", "queue"],
        user="7",
        sender="dashboard",
        sender_sequence=3,
        request_id="r-1",
        correlation_id="c-1",
        reply_to="answers",
        headers={"traceparent": "00-1", "b": ""},
        created_at=NOW - 5,
    )
    assert envelope[6:10] == (10, NOW - 5, NOW + 9_500, NOW + 500)
    assert envelope[12:] == (
        "form-1",
        "rest",
        "7",
        "r-1",
        "c-1",
        "answers",
        True,
        True,
        ("websocket", "queue"),
        "dashboard",
        3,
        (("traceparent", "00-1"), ("b", "")),
        (),
        envelope.body,
    )


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_every_type_makes_an_envelope_that_the_codec_takes(name: str) -> None:
    message = catalog.from_wire({"type": name, "guildId": G, "userId": M, "data": SAMPLES[name]})
    envelope = put(message)
    check_envelope(envelope)
    assert decode(encode(envelope)) == envelope


@pytest.mark.parametrize(
    ("message", "guild", "subject", "user"),
    [
        (ban(), G, f"user:{U}", M),
        (ban(actor_id="7"), G, f"user:{U}", "7"),
        (say(), G, f"channel:{C}", ""),
        (say(guild_id=None), "global", f"channel:{C}", ""),
        (say(guild_id=None, actor_id=M), f"user:{M}", f"channel:{C}", M),
        (SendDM(user_id=U, content="x"), f"user:{U}", f"user:{U}", ""),
        (SendDM(user_id=U, content="x", actor_id=M), f"user:{M}", f"user:{U}", M),
        (SendDM(user_id=U, content="x", guild_id=G), G, f"user:{U}", ""),
        (PlayMusic(guild_id=G, query="x", requested_by=M), G, "music", M),
        (ChatMessage(user_id="u1", conversation_id="c1", message="x"), "user:u1", "conversation:c1", "u1"),
        (
            BroadcastNotification.from_wire({"data": SAMPLES["BROADCAST_NOTIFICATION"]}),
            X,
            "broadcast",
            "",
        ),
        (UserNotification.from_wire({"data": SAMPLES["USER_NOTIFICATION"]}), f"user:{U}", f"user:{U}", ""),
        (MemberJoined.from_wire({"guildId": G, "data": SAMPLES["MEMBER_JOINED"]}), G, f"user:{U}", ""),
        (CleanupExpiredCases(case_types=(), expired_before=1), "global", "cases", ""),
        (CleanupExpiredCases(guild_id=G, case_types=(), expired_before=1), G, "cases", ""),
    ],
)
def test_where_a_message_belongs(message: Message, guild: str, subject: str, user: str) -> None:
    envelope = put(message)
    assert (envelope.guild, envelope.subject, envelope.user) == (guild, subject, user)
    assert message.guild == guild
    assert unseal(envelope) == message


def test_the_user_given_at_the_call_acts() -> None:
    assert put(say(guild_id=None), user="9").guild == "user:9"
    assert unseal(put(ban(), user="9")).actor_id == "9"
    with pytest.raises(InvalidMessage, match="userId must be an id"):
        put(ban(), user="a b")


# ---------------------------------------------------------------- time


@pytest.mark.parametrize(
    ("priority", "realtime", "reliable", "limit"),
    [
        (10, True, False, 1_000),
        (9, True, False, 5_000),
        (8, True, False, 5_000),
        (7, True, False, 30_000),
        (5, True, False, 30_000),
        (4, True, False, 15 * MINUTE),
        (10, False, False, 15 * MINUTE),
        (1, False, False, 15 * MINUTE),
        (5, False, True, DAY),
        (10, True, True, 1_000),
        (2, True, True, DAY),
    ],
)
def test_the_deadline_comes_from_priority_and_wishes(priority: int, realtime: bool, reliable: bool, limit: int) -> None:
    assert time_to_start(priority, realtime=realtime, reliable=reliable) == limit
    envelope = put(ban(), priority=priority, realtime=realtime, reliable=reliable)
    assert envelope.expires_at == NOW + limit


def test_a_types_own_deadline_comes_before_the_rule_and_the_calls_before_both() -> None:
    mine = Catalog()

    class Brew(Command, type="BREW", expires=7_000, catalog=mine):
        pass

    assert put(Brew(), realtime=True, priority=10).expires_at == NOW + 7_000
    assert put(Brew(), expires_in_ms=5).expires_at == NOW + 5
    assert put(MemberJoined.from_wire({"data": SAMPLES["MEMBER_JOINED"]})).expires_at == NOW + DAY


def test_delays_move_the_deadline_and_the_instant_of_a_duration() -> None:
    message = TimeoutUser(guild_id=G, user_id=U, moderator_id=M, reason="", duration=60)
    for options in ({"delay_ms": 5_000}, {"at": NOW + 5_000}):
        envelope = put(message, **options)
        assert (envelope.due_at, envelope.expires_at) == (NOW + 5_000, NOW + 5_000 + 15 * MINUTE)
        assert unseal(envelope) == message.resolved(NOW + 5_000)
    assert unseal(put(message)) == message.resolved(NOW)
    assert put(message, at=NOW - 1).due_at == 0
    assert put(message, at=NOW).due_at == 0


def test_a_proactive_action_waits_as_it_says_unless_the_call_says_otherwise() -> None:
    action = ProactiveAction(
        action_type="reminder",
        agent_type="general",
        message="x",
        user_id="u",
        conversation_id="c",
        timing="delayed",
        delay_ms=5_000,
    )
    assert put(action).due_at == NOW + 5_000
    assert put(action, delay_ms=7).due_at == NOW + 7
    assert put(action, at=NOW + 9).due_at == NOW + 9


# ---------------------------------------------------------------- the same operation


def key(message: Message, **options: Any) -> bytes:
    return put(message, **options).key


def test_reason_and_moderator_do_not_make_another_ban_but_the_target_and_its_length_do() -> None:
    assert key(ban()) == key(ban(reason="other", moderator_id="7", notify_user=True, delete_message_days=7))
    others = [
        ban(user_id="5"),
        ban(guild_id="5"),
        ban(duration=24),
        ban(duration=25),
        ban(until=NOW),
        UnbanUser(guild_id=G, user_id=U, moderator_id=M, reason=""),
        KickUser(guild_id=G, user_id=U, moderator_id=M, reason=""),
    ]
    assert len({key(message) for message in (ban(), *others)}) == 8


def test_repeating_in_the_next_millisecond_is_the_same_operation_and_the_same_payload() -> None:
    first, later = put(ban(duration=24)), put(ban(duration=24), now=NOW + 1)
    assert (first.key, first.fingerprint) == (later.key, later.fingerprint)
    assert first.body != later.body


def test_types_whose_repetition_is_meant_have_no_key_until_one_is_given() -> None:
    for message in (say(), SendDM(user_id=U, content="x"), PlayMusic(guild_id=G, query="x", requested_by=M)):
        assert key(message) == b""
        assert len(key(message, idempotency_key="k")) == 16
    assert key(MemberJoined.from_wire({"guildId": G, "data": SAMPLES["MEMBER_JOINED"]})) == b""


def test_an_idempotency_key_is_the_operation_within_its_guild() -> None:
    assert key(say(), idempotency_key="k") == key(ban(), idempotency_key="k")
    assert key(say(), idempotency_key="k") != key(say(guild_id="5"), idempotency_key="k")
    assert key(say(), idempotency_key="k") != key(say(), idempotency_key="K")
    assert put(say(), idempotency_key="k").fingerprint != put(ban(), idempotency_key="k").fingerprint
    assert put(say(), idempotency_key="k").fingerprint != put(say(content="x"), idempotency_key="k").fingerprint


def test_values_that_differ_make_another_operation_of_commands_that_set_something() -> None:
    for messages in (
        [SetVolume(guild_id=G, requested_by=M, volume=volume) for volume in (1, 2)],
        [PauseMusic(guild_id=G, requested_by=M, paused=paused) for paused in (True, False)],
        [EditMessage(channel_id=C, message_id=X, content=content) for content in ("a", "b", "")],
        [DeleteMessage(channel_id=C, message_id=message) for message in (X, U)],
        [StopMusic(guild_id=guild, requested_by=M) for guild in (G, "5")],
    ):
        assert len({key(message) for message in messages}) == len(messages)
        assert key(messages[0]) == key(messages[0].model_copy(update={"requested_by": "7"}))


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"priority": 0}, "priority"),
        ({"priority": 11}, "priority"),
        ({"priority": True}, "priority"),
        ({"priority": "urgent"}, "priority"),
        ({"priority": 5.0}, "priority"),
        ({"delay_ms": -1}, "delayMs"),
        ({"delay_ms": 1.5}, "delayMs"),
        ({"delay_ms": 1 << 60}, "delayMs"),
        ({"delay_ms": 5, "at": NOW + 5}, "delayMs"),
        ({"at": -1}, "at"),
        ({"at": "soon"}, "at"),
        ({"expires_in_ms": 0}, "ttlMs"),
        ({"expires_in_ms": -5}, "ttlMs"),
        ({"created_at": -5}, "createdAt"),
        ({"created_at": 5.5}, "createdAt"),
        ({"idempotency_key": "a\nb"}, "idempotencyKey"),
        ({"idempotency_key": "x" * 256}, "idempotencyKey"),
        ({"idempotency_key": 5}, "idempotencyKey"),
        ({"request_id": "\x00"}, "requestId"),
        ({"correlation_id": "x" * 129}, "correlationId"),
        ({"reply_to": "\x1b[31m"}, "replyTo"),
        ({"sender": "a\u2028b"}, "sender"),
        ({"sender_sequence": 3}, "sender"),
        ({"sender": "a", "sender_sequence": -3}, "senderSequence"),
        ({"headers": {"a": "b\r\nc"}}, "headers"),
        ({"headers": {"": "b"}}, "headers"),
        ({"headers": {"a": 5}}, "headers"),
        ({"headers": {f"h{n}": "" for n in range(65)}}, "headers"),
        ({"protocols": ["a"] * 9}, "protocols"),
        ({"protocols": [""]}, "protocols"),
        ({"protocols": [5]}, "protocols"),
        ({"source": "x" * 33}, "source"),
        ({"id": "a b"}, "id"),
    ],
)
def test_a_bad_option_is_refused_by_its_wire_name(options: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        put(ban(), **options)
    assert caught.value.field == field


def test_a_subject_that_would_break_a_line_is_refused() -> None:
    mine = Catalog()

    class Touch(Command, type="TOUCH", subject="pet:{pet}", catalog=mine):
        pet: str

    for pet in ("rex", "\ue000", "a\u00a0b"):
        assert put(Touch(pet=pet)).subject == f"pet:{pet}"
    for pet in ("a\nb", "x" * 130, "a\u2028"):
        with pytest.raises(InvalidMessage, match="subject"):
            put(Touch(pet=pet))


def test_an_envelope_of_another_world_is_refused() -> None:
    envelope = put(ban())
    with pytest.raises(UnknownType):
        unseal(envelope._replace(type="NO_SUCH"))
    with pytest.raises(UnknownType):
        unseal(envelope, Catalog())
    for body in (b"", b"\x90", b"\xc1", b"\x81", b"\x81\xa6userId\xa1-"):
        with pytest.raises(InvalidMessage):
            unseal(envelope._replace(body=body))


def test_numbers_in_the_place_of_ids_are_refused_in_envelopes_too() -> None:
    mine = Catalog()

    class Look(Command, type="LOOK", catalog=mine):
        at: Id

    with pytest.raises(InvalidMessage, match=r"data\.at"):
        unseal(put(Look(at="5"))._replace(body=b"\x81\xa2at\x05"), mine)


@pytest.mark.parametrize(
    ("given", "number"), [("HIGH", 8), ("low", 2), ("Normal", 5), (Priority.CRITICAL, 10), (1, 1), (None, 8)]
)
def test_priorities_by_name_or_number(given: Any, number: int) -> None:
    envelope = put(ban(), priority=given)
    assert envelope.priority == number
    assert type(envelope.priority) is int
