"""The log of what happened lately: order, cursors, gaps, bounds."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from actors.codec import pack
from actors.envelope import Envelope
from actors.messages import Published
from router.event_log import EventLog, Gap, Logged, Reader, Wanted
from router.messages import BroadcastNotification, MemberLeft
from router.router import Router

CAP = 30.0


def envelope(guild: str = "1", type_: str = "BAN_USER", id_: str = "a", body: bytes = b"") -> Envelope:
    return Envelope(id_, type_, "command", guild, "s", "q", 5, 0, 0, body=body)


def event(number: int = 0, guild: str = "1", kind: str = "settled", **rest: Any) -> Published:
    return Published(kind, envelope(guild, **rest), None, number)


def made(**bounds: int) -> EventLog:
    return EventLog(lambda event: {"sequence": event.sequence}, lambda: 1_000, **bounds)


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(CAP):
            await story()

    asyncio.run(within())


def numbers(read: list[Logged | Gap]) -> list[int]:
    return [item.event.sequence for item in read if isinstance(item, Logged)]


def gaps(read: list[Logged | Gap]) -> list[Gap]:
    return [item for item in read if isinstance(item, Gap)]


def test_a_reader_gets_what_comes_after_it_came_and_in_order() -> None:
    async def story() -> None:
        log = made()
        log.append(event(1))
        reader = log.read(Wanted())
        for number in (2, 3, 4):
            log.append(event(number))
        read = await reader.next()
        assert numbers(read) == [2, 3, 4]
        assert [item.cursor for item in read] == [f"{log.name}.{number}" for number in (2, 3, 4)]
        assert read[0].shown == {"cursor": f"{log.name}.2", "kind": "settled", "at": 1_000, "sequence": 2}

    run(story)


def test_a_reader_goes_on_after_its_cursor_and_misses_nothing_in_between() -> None:
    async def story() -> None:
        log = made()
        for number in range(1, 6):
            log.append(event(number))
        reader = log.read(Wanted(), f"{log.name}.2", limit=1)
        assert numbers(await reader.next()) == [3, 4, 5]
        log.append(event(6))
        assert numbers(await reader.next()) == [6]

    run(story)


def test_what_is_forgotten_is_a_gap_and_then_what_is_left() -> None:
    async def story() -> None:
        log = made(capacity=3)
        for number in range(1, 9):
            log.append(event(number))
        assert len(log) == 3
        read = await log.read(Wanted(), f"{log.name}.2").next()
        assert gaps(read) == [Gap(f"{log.name}.5", "too_old", 3)]
        assert read[0] == gaps(read)[0]
        assert numbers(read) == [6, 7, 8]

    run(story)


@pytest.mark.parametrize("cursor", ["elsewhere.1", "nonsense", "{name}.99", "{name}.-1", "{name}.²", "." + "9" * 40])
def test_a_cursor_of_another_life_is_a_gap_and_then_everything(cursor: str) -> None:
    async def story() -> None:
        log = made()
        log.append(event(1))
        read = await log.read(Wanted(), cursor.format(name=log.name)).next()
        assert gaps(read) == [Gap(f"{log.name}.0", "other_log")]
        assert numbers(read) == [1]

    run(story)


def test_the_log_is_bounded_by_bytes_too() -> None:
    log = made(max_bytes=10_000)
    for number in range(10):
        log.append(Published("settled", envelope(body=b"x" * 4_000), None, number))
    assert len(log) == 2


def test_a_slow_reader_loses_what_has_no_room_is_told_and_slows_nobody() -> None:
    async def story() -> None:
        log = made()
        slow, quick = log.read(Wanted(), limit=3), log.read(Wanted(), limit=100)
        for number in range(1, 11):
            log.append(event(number))
        assert numbers(await quick.next()) == list(range(1, 11))
        read = await slow.next()
        assert numbers(read) == [1, 2, 3]
        assert read[-1] == Gap(f"{log.name}.10", "slow", 7)
        log.append(event(11))
        assert numbers(await slow.next()) == [11]

    run(story)


def test_the_cursor_of_a_gap_is_where_one_can_go_on() -> None:
    async def story() -> None:
        log = made()
        reader = log.read(Wanted(), limit=1)
        for number in (1, 2, 3):
            log.append(event(number))
        gap = (await reader.next())[-1]
        log.append(event(4))
        assert numbers(await log.read(Wanted(), gap.cursor).next()) == [4]

    run(story)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(guilds=frozenset(("2",))), [2]),
        (Wanted(guilds=frozenset(("1", "2"))), [1, 2, 3, 4]),
        (Wanted(types=frozenset(("KICK_USER",))), [3]),
        (Wanted(kinds=frozenset(("accepted",))), [4]),
        (Wanted(jobs=frozenset(("c",))), [3]),
        (Wanted(guilds=frozenset(("2",)), types=frozenset(("KICK_USER",))), []),
    ],
)
def test_a_reader_gets_what_it_wants_now_and_on_resuming(wanted: Wanted, expected: list[int]) -> None:
    async def story() -> None:
        log = made()
        reader = log.read(wanted)
        log.append(event(1))
        log.append(event(2, guild="2", id_="b"))
        log.append(event(3, type_="KICK_USER", id_="c"))
        log.append(event(4, kind="accepted"))
        again = log.read(wanted, f"{log.name}.0")
        assert numbers(await reader.next(0)) == expected
        assert numbers(await again.next(0)) == expected

    run(story)


def test_what_is_addressed_to_roles_comes_to_those_that_have_one_and_to_those_that_name_none() -> None:
    def render(event: Published) -> dict[str, Any]:
        return {"data": {"targetRoles": ["7", "8"]} if event.sequence == 1 else {}}

    async def story() -> None:
        log = EventLog(render, lambda: 0)
        readers = [log.read(Wanted(roles=frozenset(roles))) for roles in ((), ("8",), ("9",))]
        log.append(event(1, kind="published", body=pack({})))
        log.append(event(2, kind="published"))
        assert [numbers(await reader.next(0)) for reader in readers] == [[1, 2], [1, 2], [2]]

    run(story)


NOTICES = {
    1: {"targetUserId": "7"},
    2: {"targetUserId": "8"},
    3: {"targetGuildId": "1"},
    4: {"targetGuildId": "2"},
    5: {},
    6: {"targetRoles": ["r"]},
}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(), [1, 2, 3, 4, 5, 6]),
        (Wanted(users=frozenset("7")), [1, 3, 4, 5, 6]),
        (Wanted(guilds=frozenset("1")), [3, 5, 6]),
        (Wanted(guilds=frozenset("1"), users=frozenset("7")), [1, 3, 5, 6]),
        (Wanted(guilds=frozenset("1"), roles=frozenset("x")), [3, 5]),
        (Wanted(roles=frozenset("r")), [1, 2, 3, 4, 5, 6]),
        (Wanted(within=frozenset("1")), [3, 5, 6]),
        (Wanted(within=frozenset("1"), users=frozenset("7")), [3, 5, 6]),
    ],
)
def test_a_notification_comes_to_its_addressees(wanted: Wanted, expected: list[int]) -> None:
    async def story() -> None:
        log = EventLog(lambda event: {"data": NOTICES[event.sequence]}, lambda: 0)
        reader = log.read(wanted)
        for number, data in NOTICES.items():
            user = "targetUserId" in data
            guild = f"user:{data['targetUserId']}" if user else str(data.get("targetGuildId", "global"))
            notice = event(number, kind="published", guild=guild)
            subject = f"user:{number}" if user else "broadcast"
            log.append(notice._replace(envelope=notice.envelope._replace(kind="notification", subject=subject)))
        assert numbers(await reader.next(0)) == expected
        assert numbers(await log.read(wanted, f"{log.name}.0").next(0)) == expected

    run(story)


def test_events_from_many_threads_reach_a_waiting_reader_in_the_order_of_their_cursors() -> None:
    async def story() -> None:
        log = made()
        reader = log.read(Wanted(), limit=10_000)
        threads = [
            threading.Thread(target=lambda: [log.append(event(number)) for number in range(200)]) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        read: list[Logged | Gap] = []
        while len(read) < 800:
            read += await reader.next()
        for thread in threads:
            thread.join()
        assert [item.number for item in read if isinstance(item, Logged)] == list(range(1, 801))

    run(story)


def test_a_closed_reader_ends_and_is_forgotten() -> None:
    async def story() -> None:
        log = made()
        readers = [log.read(Wanted(guilds=frozenset(("1",)))), log.read(Wanted())]
        waiting = [asyncio.create_task(reader.next()) for reader in readers]
        await asyncio.sleep(0)
        assert log.readers == 2
        await asyncio.to_thread(log.close)
        assert await asyncio.gather(*waiting) == [[], []]
        assert log.readers == 0
        assert log._index.by_guild == {}

    run(story)


def test_a_reader_whose_loop_is_gone_harms_nobody() -> None:
    log = made()
    left: list[Reader] = []

    async def leave() -> None:
        left.append(log.read(Wanted()))

    run(leave)
    log.append(event(1))
    assert left[0].closed
    log.append(event(2))
    assert log.readers == 0


def test_a_router_logs_what_is_published_with_its_data_once_it_is_stored() -> None:
    async def story() -> None:
        async with Router() as router:
            log = router.hub.log()
            assert router.hub.log() is log
            reader = log.read(Wanted())
            notice = {"type": "UPDATE", "title": "t", "message": "m", "priority": "LOW"}
            await router.apublish(BroadcastNotification(target_roles=["5"], notification=notice))
            await router.apublish(
                MemberLeft(
                    guild_id="5",
                    user={"id": "7", "username": "u", "discriminator": "0"},
                    member={"joined_at": 1, "roles": []},
                    reason="LEFT",
                )
            )
            read: list[Any] = []
            while len(read) < 2:
                read += await reader.next()
            assert [item.shown["type"] for item in read] == ["BROADCAST_NOTIFICATION", "MEMBER_LEFT"]
            assert read[0].shown["data"]["targetRoles"] == ["5"]
            assert (read[1].shown["guildId"], read[1].shown["data"]["user"]["id"]) == ("5", "7")
            assert read[1].json.startswith('{"cursor":"')

    run(story)
