"""Which bot gets a command: by shard, by guild, by turns, and never one that is full, draining or stalled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from actors.envelope import Envelope
from actors.policy.balancing import Balance
from router.frames.frame import Frame
from router.protocols.websocket.bots import STALLED, Bot, Bots, Offer


class Nowhere:
    """A link of a bot that is only chosen."""

    def post(self, message: bytes | str, may_send: Callable[[], bool]) -> None: ...

    def say(self, frame: Frame) -> None: ...

    def encode(self, frame: Frame) -> bytes | str:
        return b""

    def replace(self) -> None: ...


def envelope(guild: str = "g", type_: str = "T") -> Envelope:
    return Envelope("e", type_, "command", guild, "s", "q", 5, 0, 0)


def guild_of(shard: int) -> str:
    return str(shard << 22)


def joined(bots: Bots, name: str, **offer: Any) -> Bot:
    bot = Bot(name, name, Nowhere())
    bots.add(bot, Offer(frozenset({"T"}), **offer))
    return bot


def chosen(bots: Bots, times: int, guild: str = "g", now: int = 0) -> Counter[str]:
    found = [bots.choose(envelope(guild), now) for _ in range(times)]
    return Counter(bot.name for bot in found if bot is not None)


def test_a_guild_is_its_shards_and_without_an_owner_that_of_those_without_shards() -> None:
    bots = Bots()
    joined(bots, "zero", shards=frozenset({0}), shard_count=3)
    joined(bots, "one", shards=frozenset({1}), shard_count=3)
    joined(bots, "any")
    assert [chosen(bots, 2, guild_of(shard)) for shard in range(3)] == [{"zero": 2}, {"one": 2}, {"any": 2}]
    assert chosen(bots, 4, "global") == {"zero": 2, "one": 2}


def test_bots_of_another_number_of_shards_are_asked_too_while_a_bot_reshards() -> None:
    bots = Bots()
    old = joined(bots, "old", shards=frozenset({1}), shard_count=2)
    joined(bots, "new", shards=frozenset({3}), shard_count=4)
    assert chosen(bots, 2, guild_of(3)) == {"old": 2}
    bots.remove(old)
    assert chosen(bots, 2, guild_of(3)) == {"new": 2}
    assert chosen(bots, 2, guild_of(1)) == {}


def test_a_new_offer_replaces_the_old_one() -> None:
    bots = Bots()
    bot = joined(bots, "a")
    assert bots.add(bot, Offer(frozenset({"U"}))) is None
    assert chosen(bots, 1) == {}
    assert bots.choose(envelope(type_="U"), 0) is bot
    bots.add(bot, Offer(frozenset({"T"}), shards=frozenset({0}), shard_count=2))
    assert chosen(bots, 1, guild_of(0)) == {"a": 1}
    assert chosen(bots, 1, guild_of(1)) == {}


def test_the_same_name_replaces_and_nothing_of_the_former_is_left() -> None:
    bots = Bots()
    former = joined(bots, "a", shards=frozenset({0}), shard_count=1)
    newcomer = Bot("a", "other", Nowhere())
    assert bots.add(newcomer, Offer(frozenset({"T"}))) is former
    bots.remove(former)
    assert bots.find("a") is newcomer
    assert bots.choose(envelope(guild_of(0)), 0) is newcomer


def test_who_is_full_draining_or_gone_is_passed_over() -> None:
    bots = Bots()
    full, draining, gone = (joined(bots, name, capacity=1) for name in ("full", "draining", "gone"))
    full.running.add("e1")
    draining.draining = True
    gone.gone = True
    assert chosen(bots, 1) == {}
    assert list(bots.fitting(envelope(), 0)) == [full]
    bots.remove(gone)
    assert not bots.room()


def test_who_owes_an_acknowledgement_for_too_long_gets_nothing_until_it_comes() -> None:
    bots = Bots()
    stalled = joined(bots, "stalled")
    stalled.unacked["e1"] = 1_000
    assert chosen(bots, 1, now=1_000 + STALLED) == {"stalled": 1}
    assert chosen(bots, 1, now=1_001 + STALLED) == {}
    joined(bots, "other")
    assert chosen(bots, 4, now=1_001 + STALLED) == {"other": 4}
    stalled.unacked.clear()
    assert set(chosen(bots, 4, now=1_001 + STALLED)) == {"stalled", "other"}


def test_guilds_and_the_tokens_guilds_limit_a_bot() -> None:
    bots = Bots()
    joined(bots, "named", guilds=frozenset({"g"}))
    limited = Bot("limited", "i", Nowhere(), frozenset({"h"}))
    bots.add(limited, Offer(frozenset({"T"})))
    assert [chosen(bots, 2, guild) for guild in ("g", "h", "i")] == [{"named": 2}, {"limited": 2}, {}]


def test_of_very_many_each_gets_its_share_and_one_with_room_is_always_found() -> None:
    for how in Balance:
        bots = Bots(how)
        everybody = [joined(bots, f"b{number}", capacity=10) for number in range(500)]
        for _ in range(5_000):
            bot = bots.choose(envelope(), 0)
            assert bot is not None
            bot.running.add(f"e{len(bot.running)}")
        assert {len(bot.running) for bot in everybody} == {10}
        assert bots.choose(envelope(), 0) is None
        everybody[321].running.pop()
        assert bots.choose(envelope(), 0) is everybody[321]
