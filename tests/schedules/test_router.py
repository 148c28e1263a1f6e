"""Schedules of an embedded router."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from actors.runtime.testing import ManualClock
from router import InvalidMessage, Router
from router.messages import ModerationActionCompleted, SendMessage, TimeoutUser

GUILD = "81384788765712384"
CHANNEL = "381870553235193857"
CAP = 30


def hello(text: str = "good morning") -> SendMessage:
    return SendMessage(guild_id=GUILD, channel_id=CHANNEL, content=text)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 'router.db'}"


class House:
    """A router under a clock that the test turns, and what its handler was called with."""

    def __init__(self, store: str, now: ManualClock | None = None) -> None:
        self.clock = now or ManualClock()
        self.router = Router(store=store, clock=self.clock)
        self.calls: SimpleQueue[tuple[Any, Any]] = SimpleQueue()
        self.router.handler(SendMessage)(lambda command, ctx: self.calls.put((command, ctx)))

    def turn(self, seconds: float) -> Any:
        """Time passes; the next call."""
        self.clock.advance(seconds)
        return self.calls.get(timeout=CAP)

    def rest(self) -> None:
        """Whoever was told something has done it."""
        for _ in range(3):
            self.router.schedules.list()
            for name in ("timetable", "intake", "journal"):
                self.router.engine.runtime.ref(name).ask(None, timeout=CAP)


@pytest.fixture
def house(store: str) -> Iterator[House]:
    house = House(store)
    with house.router:
        yield house


def test_a_command_is_sent_at_each_tick_as_an_operation_of_its_own(house: House) -> None:
    schedule = house.router.schedule(hello(), every=60, actor="7", priority=9)
    first = house.turn(60)[1]
    house.rest()
    second = house.turn(60)[1]
    assert first.id != second.id
    assert {each.envelope.source for each in (first, second)} == {"schedule"}
    assert (first.envelope.user, first.envelope.priority) == ("7", 9)
    assert first.idempotency_key != second.idempotency_key
    house.rest()
    view = schedule.view()
    assert view is not None
    assert (view.fired, view.passed, view.recent) == (2, 0, [first.id, second.id])
    assert view.next == view.made_at + 180_000


def test_a_cancelled_schedule_fires_no_more(house: House) -> None:
    schedule = house.router.schedule(hello(), every=60)
    house.turn(60)
    house.rest()
    assert schedule.cancel()
    assert not schedule.cancel()
    assert schedule.view() is None
    house.clock.advance(600)
    house.rest()
    assert house.calls.empty()


def test_a_paused_schedule_goes_on_with_the_tick_that_comes(house: House) -> None:
    schedule = house.router.schedule(hello(), cron="0 * * * *")
    assert schedule.pause()
    house.clock.advance(7_500)
    house.rest()
    assert house.calls.empty()
    assert schedule.resume()
    view = schedule.view()
    assert view is not None
    assert (view.paused, view.passed, view.fired) == (False, 0, 0)
    house.turn((view.next or 0) / 1000 - house.clock.now() / 1000)
    actions = [line.detail.get("action") for line in house.router.audit.search() if line.kind == "operator"]
    assert sorted(actions) == ["pause schedule", "resume schedule", "schedule"]


def test_made_again_it_is_the_same_schedule_and_keeps_its_beat(house: House) -> None:
    first = house.router.schedule(hello(), every=60)
    house.clock.advance(40)
    again = house.router.schedule(hello(), every=timedelta(minutes=1))
    assert again.id == first.id
    house.turn(20)
    assert house.router.schedule(hello("another"), every=60).id != first.id
    assert len(house.router.schedules.list()) == 2


def test_the_same_id_replaces_what_was_there(house: House) -> None:
    house.router.schedule(hello(), every=60, id="morning")
    house.router.schedule(hello("later"), every=120, id="morning")
    assert house.turn(120)[0].content == "later"
    assert [each.every_ms for each in house.router.schedules.list()] == [120_000]


def test_at_a_time_it_is_sent_once(house: House) -> None:
    moment = datetime.fromtimestamp(house.clock.now() / 1000 + 90, UTC)
    schedule = house.router.schedule(hello(), at=moment)
    house.turn(90)
    house.rest()
    view = schedule.view()
    assert view is not None
    assert (view.fired, view.next) == (1, None)


def test_a_schedule_survives_the_router(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'router.db'}"
    house = House(url)
    with house.router:
        house.router.schedule(hello(), every=60)
    later = House(url, ManualClock(house.clock.now() + 30_000))
    with later.router:
        assert later.turn(30)[0].content == "good morning"


def test_what_is_declared_before_the_start_is_made_at_the_start(store: str) -> None:
    house = House(store)
    schedule = house.router.schedule(hello(), every=60, id="early")
    with house.router:
        house.turn(60)
        house.rest()
        view = schedule.view()
        assert view is not None
        assert view.fired == 1


def test_inside_an_event_loop(store: str) -> None:
    async def main() -> None:
        house = House(store)
        async with house.router as router:
            schedule = await router.aschedule(hello(), every=60, overlap="allow")
            view = await schedule.aview()
            assert view is not None
            assert (view.overlap, view.catch_up_ms) == ("allow", 60_000)
            assert await schedule.apause()
            assert await schedule.aresume()
            assert [each.id for each in await router.schedules.alist()] == [schedule.id]
            assert await schedule.acancel()

    asyncio.run(main())


def test_a_duration_counts_from_each_tick(house: House) -> None:
    seen: SimpleQueue[Any] = SimpleQueue()
    house.router.handler(TimeoutUser)(lambda command, ctx: seen.put((command, ctx.envelope)))
    command = TimeoutUser(
        guild_id=GUILD, user_id="175928847299117063", moderator_id="53908232506183680", reason="x", duration=60_000
    )
    house.router.schedule(command, every=3_600)
    found = []
    for _ in range(2):
        house.clock.advance(3_600)
        found.append(seen.get(timeout=CAP))
        house.rest()
    (first, one), (second, two) = found
    assert first.duration == second.duration
    assert two.expires_at - one.expires_at == 3_600_000
    assert one.body != two.body, "each has an end of its own"


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({}, "schedule"),
        ({"cron": "* * * * *", "every": 60}, "schedule"),
        ({"cron": "61 * * * *"}, "cron"),
        ({"cron": "0 0 31 2 *"}, "cron"),
        ({"cron": 5}, "cron"),
        ({"cron": "* * * * *", "timezone": "Nowhere/Land"}, "timezone"),
        ({"cron": "* * * * *", "timezone": 5}, "timezone"),
        ({"every": 0.5}, "everyMs"),
        ({"every": "minute"}, "everyMs"),
        ({"every": True}, "everyMs"),
        ({"at": 5}, "at"),
        ({"at": datetime(2030, 1, 1)}, "at"),  # noqa: DTZ001 - that it has no zone is the point
        ({"every": 60, "overlap": "perhaps"}, "overlap"),
        ({"every": 60, "catch_up": -1}, "catchUpMs"),
        ({"every": 60, "catch_up": 100_000}, "catchUpMs"),
        ({"every": 60, "id": "a/b"}, "id"),
        ({"every": 60, "id": ""}, "id"),
        ({"every": 60, "idempotency_key": "k"}, "idempotency_key"),
        ({"every": 60, "delay": 5}, "delay"),
        ({"every": 60, "protocols": ["carrier pigeon"]}, "protocols"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field_and_nothing_is_stored(options: dict[str, Any], field: str) -> None:
    with Router(clock=ManualClock()) as router:
        with pytest.raises(InvalidMessage) as refused:
            router.schedule(hello(), **options)
        assert refused.value.field == field
        assert router.schedules.list() == []


def test_only_what_can_be_sent_can_be_scheduled() -> None:
    event = ModerationActionCompleted(
        guild_id=GUILD, action="BAN", user_id="1" * 17, success=True, executed_by="2" * 17, timestamp=1_700_000_000_000
    )
    with Router(clock=ManualClock()) as router:
        for what in (event, "BAN_USER", None):
            with pytest.raises(InvalidMessage):
                router.schedule(what, every=60)
