"""What routers tell each other of their bots: short, true while it is short, and never hiding one."""

from __future__ import annotations

from typing import Any

import pytest

from actors.codec import pack
from actors.envelope import Envelope
from actors.errors import EnvelopeError
from actors.sharing import Member
from router.messages.seal import seal
from router.protocols.rehearsal import ban, say
from router.protocols.websocket.bots import Offer
from router.protocols.websocket.letters import is_place, queue_of
from router.protocols.websocket.neighbours import REFUSED, Neighbours
from router.protocols.websocket.offers import ANYBODY, MOST, OWNER, Reach, decode, report

BOTH = frozenset(("BAN_USER", "SEND_MESSAGE"))
EVERYWHERE: frozenset[str] = frozenset()


def offer(**fields: Any) -> Offer:
    return Offer(**({"handles": BOTH} | fields))


def envelope(guild: str = "1" * 17, message: Any = None) -> Envelope:
    return seal(message or say(), id="e", now=1, source="library")._replace(guild=guild)


def reach(*offers: Offer, allowed: frozenset[str] = EVERYWHERE) -> Reach:
    return Reach(decode(report([(one, allowed) for one in offers])))


def test_a_bot_without_shards_reaches_its_types_in_every_guild() -> None:
    its = reach(offer(handles=frozenset(["BAN_USER"])))
    assert its.rank(envelope(message=ban())) == ANYBODY
    assert its.rank(envelope()) is None


def test_a_bot_with_shards_reaches_their_guilds_and_is_their_owner() -> None:
    its = reach(offer(shards=frozenset([1]), shard_count=2))
    assert its.rank(envelope(str(1 << 22))) == OWNER
    assert its.rank(envelope(str(2 << 22))) is None


def test_guilds_are_those_of_the_bot_and_of_its_token() -> None:
    named = offer(guilds=frozenset(["5", "6"]))
    its = reach(named, allowed=frozenset(["6", "7"]))
    assert [its.rank(envelope(guild)) for guild in ("5", "6", "7")] == [None, ANYBODY, None]
    assert reach(offer(), allowed=frozenset(["7"])).rank(envelope("7")) == ANYBODY


def test_a_guild_that_only_looks_like_a_number_stays_what_it_is() -> None:
    for guild in ("007", "٣", "9" * 30, "global"):
        assert reach(offer(guilds=frozenset([guild]))).rank(envelope(guild)) == ANYBODY


def test_safe_is_what_every_bot_that_could_get_it_declares() -> None:
    safe, unsafe = offer(idempotent=BOTH), offer()
    assert reach(safe).safe(envelope())
    assert not reach(safe, unsafe).safe(envelope())
    assert reach(safe._replace(shards=frozenset([0]), shard_count=1), unsafe).safe(envelope())


def test_hundreds_of_shards_are_one_line() -> None:
    bots = [(offer(shards=frozenset([shard]), shard_count=300), EVERYWHERE) for shard in range(300)]
    assert len(report(bots)) < 100
    assert Reach(decode(report(bots))).rank(envelope(str(299 << 22))) == OWNER


def test_what_is_too_long_is_told_as_more_than_it_is() -> None:
    many = frozenset(str(10**17 + number) for number in range(5_000))
    told = report([(offer(guilds=many), EVERYWHERE)])
    assert len(told) < MOST
    assert Reach(decode(told)).rank(envelope("5")) == ANYBODY
    bots = [(Offer(frozenset((f"TYPE_{number}", "BAN_USER"))), EVERYWHERE) for number in range(1_500)]
    told = report(bots)
    assert Reach(decode(told)).rank(envelope(message=ban())) == ANYBODY


@pytest.mark.parametrize("told", [b"", b"\xc1", pack(5), pack([5]), pack([[[], [], 1, [5], None]]), pack([[1, 2]])])
def test_what_is_no_report_is_refused(told: bytes) -> None:
    with pytest.raises(EnvelopeError):
        decode(told)


class Others:
    """The members a store tells of."""

    def __init__(self, **about: dict[str, Any]) -> None:
        self.about = about

    def __call__(self) -> list[Member]:
        return [Member(router, f"host:{router}", 0, pack(said)) for router, said in self.about.items()]


def told(place: int, *offers: Offer) -> dict[str, Any]:
    return {"place": place, "bots": len(offers), "offers": report([(one, EVERYWHERE) for one in offers])}


def test_the_best_of_all_routers_are_found_and_this_one_is_not_among_them() -> None:
    others = Others(
        me=told(0, offer()), a=told(1, offer()), b=told(2, offer(shards=frozenset([0]), shard_count=1)), c=told(3)
    )
    neighbours = Neighbours("me", others)
    assert neighbours.look(0)
    assert not neighbours.look(1)
    assert neighbours.fitting(envelope()) == (OWNER, ["b"])
    assert neighbours.fitting(envelope(), but=["b"]) == (ANYBODY, ["a"])
    assert neighbours.queue("b") == "bots:2"


def test_whoever_had_none_after_all_is_asked_again_a_second_later_and_for_other_guilds_at_once() -> None:
    neighbours = Neighbours("me", Others(a=told(1, offer())))
    neighbours.look(0)
    neighbours.refused("a", envelope(), 100)
    assert neighbours.fitting(envelope()) == (None, [])
    assert neighbours.fitting(envelope("5")) == (ANYBODY, ["a"])
    assert not neighbours.look(100 + REFUSED - 1)
    assert neighbours.look(100 + REFUSED), "whoever waits for a bot is told"
    assert neighbours.fitting(envelope()) == (ANYBODY, ["a"])


def test_a_router_of_another_version_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    others = Others(old={"version": "0"}, odd={"place": "x", "offers": 5}, new={"place": 1, "offers": b"\xc1"})
    neighbours = Neighbours("me", others)
    neighbours.look(0)
    assert neighbours.fitting(envelope()) == (None, [])
    assert "cannot be read" in caplog.text


def test_only_the_queues_of_places_are_not_anybodys_own() -> None:
    assert is_place(queue_of(0))
    assert is_place(queue_of(31))
    assert not any(is_place(name) for name in ("bots:music", "bots:", "bot:commands", "bots:1a", "bots:²", "x:bots:1"))


def test_places_are_the_smallest_that_are_free_and_the_later_of_two_moves() -> None:
    neighbours = Neighbours("m", Others(a=told(0), z=told(2)))
    neighbours.look(0)
    assert neighbours.place(-1) == 1
    assert neighbours.place(2) == 2, "z comes after m, and moves"
    assert neighbours.place(0) == 1, "a comes before m"
    assert neighbours.place(7) == 7
    assert neighbours.consumed("bots:2")
    assert not neighbours.consumed("bots:1")
