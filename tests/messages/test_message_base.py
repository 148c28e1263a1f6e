"""The base of every message, shown on the moderation commands."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from router.errors import BadCatalog, InvalidMessage, UnknownType
from router.messages.base import Command, Event
from router.messages.fields import Id
from router.messages.moderation import BanUser, TimeoutUser
from router.messages.registry import Catalog, catalog, method_name
from router.messages.seal import seal, unseal
from router.messages.wire import payload_schema

NOW = 1_700_000_000_000
GUILD = "81384788765712384"
TARGET = "175928847299117063"
ACTOR = "53908232506183680"


def ban(**changes: Any) -> BanUser:
    return BanUser(**{"guild_id": GUILD, "user_id": TARGET, "moderator_id": ACTOR, "reason": "spam"} | changes)


def test_flat_keywords_and_the_wire_say_the_same() -> None:
    wire = {
        "type": "BAN_USER",
        "guildId": GUILD,
        "userId": ACTOR,
        "data": {
            "createCase": False,
            "deleteMessageDays": 0,
            "moderatorId": ACTOR,
            "notifyUser": False,
            "reason": "spam",
            "userId": TARGET,
        },
    }
    assert ban().to_wire() == wire
    assert BanUser.from_wire(wire) == ban()
    assert catalog.from_wire(wire) == ban()


def test_the_acting_user_beside_data_fills_the_moderator_and_stays_apart_when_it_is_another() -> None:
    data = {"targetUserId": TARGET, "reason": "spam"}
    assert BanUser.from_wire({"guildId": GUILD, "userId": ACTOR, "data": data}) == ban()
    message = BanUser.from_wire({"guildId": GUILD, "userId": "7", "data": {**data, "moderatorId": ACTOR}})
    assert (message.actor_id, message.moderator_id) == ("7", ACTOR)
    assert message.to_wire()["userId"] == "7"
    assert BanUser(guild_id=GUILD, user_id=TARGET, reason="", actor_id=ACTOR).moderator_id == ACTOR


def test_snake_case_is_accepted_on_the_wire_but_not_both_forms_of_one_field() -> None:
    wire = {"type": "BAN_USER", "guild_id": GUILD, "user_id": ACTOR, "data": {"user_id": TARGET, "reason": "spam"}}
    assert BanUser.from_wire(wire) == ban()
    with pytest.raises(InvalidMessage, match="guildId is given twice"):
        BanUser.from_wire({**wire, "guildId": GUILD})
    for other in ("userId", "targetUserId"):
        with pytest.raises(InvalidMessage, match="is not a field here"):
            BanUser.from_wire({**wire, "data": {**wire["data"], other: TARGET}})


def test_python_takes_integers_as_ids_and_the_wire_does_not() -> None:
    assert ban(guild_id=int(GUILD), user_id=int(TARGET)) == ban()
    with pytest.raises(InvalidMessage) as caught:
        BanUser.from_wire({"guildId": int(GUILD), "userId": ACTOR, "data": {"userId": int(TARGET), "reason": ""}})
    assert [problem.field for problem in caught.value.problems] == ["guildId", "data.userId"]


def test_messages_are_immutable_and_equal_by_value() -> None:
    message = ban()
    with pytest.raises(ValidationError):
        message.reason = "other"
    assert message == ban()
    assert hash(message) == hash(ban())
    assert message != ban(reason="other")


def test_a_message_survives_the_envelope() -> None:
    for message in (ban(), ban(actor_id="7"), ban(duration=24), ban(until=NOW + 5)):
        envelope = seal(message, id="m", now=NOW, source="library")
        assert unseal(envelope) == message.resolved(NOW)


def test_an_own_type_is_a_full_citizen_at_once() -> None:
    class FeedPet(Command, type="FEED_PET_1", subject="pet:{pet_id}", key=("pet_id",), idempotent=True):
        pet_id: Id
        grams: float = 10.0

    assert catalog["FEED_PET_1"] is FeedPet
    assert catalog.by_method("feed_pet_1") is FeedPet
    assert FeedPet.facts().idempotent
    message = FeedPet(pet_id="rex")
    envelope = seal(message, id="m", now=NOW, source="library")
    assert (envelope.guild, envelope.subject, envelope.queue) == ("global", "pet:rex", "bot:commands")
    assert unseal(envelope) == message
    assert set(payload_schema(FeedPet)["properties"]) == {"petId", "grams"}


def test_a_second_class_of_one_type_is_refused_and_a_reload_is_not() -> None:
    mine = Catalog()

    def define() -> type[Command]:
        class Walk(Command, type="WALK", catalog=mine):
            pass

        return Walk

    define()
    again = define()
    assert mine["WALK"] is again
    with pytest.raises(BadCatalog, match="WALK is declared twice"):

        class Run(Command, type="WALK", catalog=mine):
            pass

    with pytest.raises(BadCatalog, match=r"would both be called walk\(\)"):

        class Slow(Command, type="walk", catalog=mine):
            pass

    assert "WALK" not in catalog


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"subject": "pet:{nobody}"}, "no such field: nobody"),
        ({"key": ("nobody",)}, "no such field: nobody"),
        ({"key": "pet_id"}, "key is a tuple"),
        ({"actor": "nobody"}, "no such field"),
        ({"sensitive": ("nobody",)}, "no such field"),
        ({"priority": 0}, "priority"),
        ({"priority": 11}, "priority"),
        ({"window": -1}, "window"),
        ({"attempts": -1}, "attempts"),
        ({"queue": "a b"}, "queue"),
        ({"colour": "red"}, "no such option: colour"),
        ({"opposes": ("BAD",), "conflict": "annihilate"}, "annihilate"),
    ],
)
def test_a_wrong_declaration_is_refused_while_it_is_defined(options: dict[str, Any], told: str) -> None:
    with pytest.raises(BadCatalog, match=told):
        type(Command)(
            "Bad", (Command,), {"__annotations__": {"pet_id": str}, "__module__": __name__}, type="BAD", **options
        )
    assert "BAD" not in catalog


def test_extending_a_type_needs_a_type_of_its_own() -> None:
    with pytest.raises(BadCatalog, match="extends BAN_USER"):

        class Harder(BanUser):
            pass


def test_a_base_without_a_type_hands_its_declaration_on() -> None:
    mine = Catalog()

    class Garden(Event, queue="garden", subject="bed:{bed}", catalog=mine):
        bed: str

    class Watered(Garden, type="WATERED"):
        pass

    assert (Watered.facts().queue, Watered.facts().kind) == ("garden", "event")
    assert list(mine) == ["WATERED"]
    with pytest.raises(UnknownType, match="no message type WATERED"):
        unseal(seal(Watered(bed="a"), id="m", now=NOW, source="library"))
    assert unseal(seal(Watered(bed="a"), id="m", now=NOW, source="library"), mine) == Watered(bed="a")


def test_method_names_are_identifiers() -> None:
    assert [method_name(name) for name in ("BAN_USER", "user.registered", "a:b-c")] == [
        "ban_user",
        "user_registered",
        "a_b_c",
    ]


def test_strict_reading_wants_discord_ids_everywhere() -> None:
    wire = ban().to_wire()
    assert BanUser.from_wire(wire, strict=True) == ban()
    wire["data"]["userId"] = "user_1"
    wire["guildId"] = "guild_1"
    assert BanUser.from_wire(wire).user_id == "user_1"
    with pytest.raises(InvalidMessage) as caught:
        BanUser.from_wire(wire, strict=True)
    assert {problem.field for problem in caught.value.problems} == {"guildId", "data.userId"}


def test_a_duration_becomes_an_instant_and_stays() -> None:
    message = TimeoutUser(guild_id=GUILD, user_id=TARGET, moderator_id=ACTOR, reason="", duration=60)
    assert message.resolved(NOW).until == NOW + 60_000
    assert message.resolved(NOW).duration == 60
    assert message.resolved(NOW).resolved(NOW + 5) == message.resolved(NOW)
    assert ban(duration=2).resolved(NOW).until == NOW + 7_200_000
    assert ban().resolved(NOW) == ban()
