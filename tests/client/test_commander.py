"""``RouterClient`` against a real daemon over real sockets."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Any

import pytest

from actors.errors import KeyReusedError, Overloaded
from actors.policy.facts import Backoff
from router.client import (
    ClientClosed,
    Forbidden,
    Gap,
    Happening,
    NotFound,
    RouterClient,
    Unauthorized,
    Unreachable,
)
from router.errors import InvalidMessage, UnknownType
from router.messages import BanUser, BroadcastNotification, SendMessage
from router.response import Response
from router.router import Router
from tests.client.proxies import Proxy
from tests.http.daemons import GUILD, OTHER, PATIENCE, Served, serve

QUICK = Backoff(initial=5, factor=2.0, cap=50, jitter="full")


class Doings:
    """What the handlers did, and a way to hold them."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.release = threading.Event()
        self.release.set()
        self.begun = threading.Event()

    def __call__(self, router: Router) -> None:
        @router.handler(BanUser)
        def ban(command: BanUser, ctx: Any) -> dict[str, Any]:
            self.begun.set()
            assert self.release.wait(PATIENCE)
            self.done.append(command.user_id)
            return {"banned": command.user_id}

        @router.handler(SendMessage)
        async def say(command: SendMessage, ctx: Any) -> dict[str, Any]:
            self.done.append(command.content or "")
            return {"messageId": ctx.id}


@pytest.fixture
def doings() -> Doings:
    return Doings()


@pytest.fixture
def served(doings: Doings) -> Iterator[Served]:
    with serve(doings) as served:
        try:
            yield served
        finally:
            doings.release.set()


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(2 * PATIENCE):
            await story()

    asyncio.run(within())


def client(url: str, **options: Any) -> RouterClient:
    return RouterClient(url, backoff=QUICK, timeout=PATIENCE, **options)


def ban(user: str = "7", guild: str = GUILD) -> BanUser:
    return BanUser(guild_id=guild, user_id=user, moderator_id="9", reason="spam")


def say(text: str, guild: str = GUILD) -> SendMessage:
    return SendMessage(guild_id=guild, channel_id="5", content=text)


def test_importing_it_brings_no_server_no_engine_and_no_thread() -> None:
    program = (
        "import sys, threading, router.client, router.messages\n"
        "foreign = ('fastapi', 'starlette', 'uvicorn', 'pykka', 'redis', 'discord')\n"
        "print([name for name in foreign if name in sys.modules])\n"
        "print(threading.active_count())"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=150)
    assert result.stdout.split("\n")[:2] == ["[]", "1"]


def test_a_request_is_answered_with_the_response(served: Served) -> None:
    async def story() -> None:
        async with client(served.daemon.url) as router:
            before = threading.active_count()
            response = await router.request(ban(), timeout=PATIENCE)
            assert isinstance(response, Response)
            assert (response.status, response.data, response.method) == ("ok", {"banned": "7"}, "direct")
            again = await router.request(ban())
            assert again.duplicate
            assert threading.active_count() == before

    run(story)


def test_what_is_sent_is_accepted_and_can_be_waited_for_looked_up_and_explained(served: Served, doings: Doings) -> None:
    async def story() -> None:
        async with client(served.daemon.url) as router:
            doings.release.clear()
            sent = await router.send(ban(), actor="9", headers={"a": "b"}, request_id="mine")
            assert sent.accepted.sequence == 1
            assert (await sent.status())["requestId"] == "mine"
            assert await asyncio.to_thread(doings.begun.wait, PATIENCE)
            assert await sent.cancel() is False
            doings.release.set()
            response = await sent
            assert response.request_id == sent.id
            assert (await router.explain(sent.id))["id"] == sent.id
            later = await router.send(ban("8"), delay=3_600)
            assert await later.cancel() is True
            assert (await later.result(PATIENCE)).status == "cancelled"
            with pytest.raises(NotFound):
                await router.status("nothing")

    run(story)


def test_many_are_in_flight_at_once_and_each_gets_its_own_answer(served: Served) -> None:
    async def story() -> None:
        async with client(served.daemon.url, in_flight=64) as router:
            texts = [f"line {number}" for number in range(300)]
            answers = await asyncio.gather(
                *(router.request(say(text, str(1 + index % 7)), request_id=text) for index, text in enumerate(texts))
            )
            assert all(answer.success for answer in answers)
            assert len({answer.request_id for answer in answers}) == 300

    run(story)


def test_who_sends_more_than_is_in_flight_waits(served: Served, doings: Doings) -> None:
    async def story() -> None:
        async with client(served.daemon.url, in_flight=2) as router:
            doings.release.clear()
            first = [asyncio.create_task(router.request(ban(user))) for user in ("1", "2")]
            third = asyncio.create_task(router.request(ban("3")))
            assert await asyncio.to_thread(doings.begun.wait, PATIENCE)
            assert router._unanswered is not None
            assert len(router._unanswered) == 2
            doings.release.set()
            assert {(await task).status for task in (*first, third)} == {"ok"}

    run(story)


def test_refusals_are_the_errors_of_an_embedded_router(doings: Doings) -> None:
    async def story() -> None:
        with serve(guild_backlog=1, tokens=f"client:C@{GUILD}") as served:
            async with client(served.daemon.url, token="C") as router:
                await router.send(ban("1"))
                with pytest.raises(Overloaded) as overloaded:
                    await router.send(ban("2"))
                assert overloaded.value.retryable
                assert overloaded.value.retry_after > 0
                with pytest.raises(Forbidden):
                    await router.send(ban("1", OTHER))
                with pytest.raises(InvalidMessage) as invalid:
                    await router.send(ban("3"), priority=99)
                assert invalid.value.field == "priority"

        with serve(doings) as served:
            async with client(served.daemon.url) as router:
                await router.send(say("a"), idempotency_key="k")
                with pytest.raises(KeyReusedError):
                    await router.request(say("b"), idempotency_key="k")
                with pytest.raises(UnknownType):
                    await anext(router.events(types=["NO_SUCH"]))
                with pytest.raises(TypeError, match="colour"):
                    await router.send(say("c"), colour="red")

    run(story)


def test_a_command_whose_answer_was_lost_is_sent_again_and_done_once(served: Served, doings: Doings) -> None:
    async def story() -> None:
        async with Proxy(served.daemon.url) as proxy, client(proxy.url) as router:
            doings.release.clear()
            waiting = [
                asyncio.create_task(router.request(ban("1"))),
                asyncio.create_task(router.request(say("hello"))),
            ]
            assert await asyncio.to_thread(doings.begun.wait, PATIENCE)
            proxy.cut()
            doings.release.set()
            responses = [await one for one in waiting]
            assert [response.status for response in responses] == ["ok", "ok"]
            assert sorted(doings.done) == ["1", "hello"]
            assert proxy.connections >= 2

    run(story)


def test_answers_that_get_lost_all_the_time_still_lead_to_one_execution_each(served: Served, doings: Doings) -> None:
    async def story() -> None:
        async with Proxy(served.daemon.url) as proxy, client(proxy.url) as router:

            async def rattle() -> None:
                while True:
                    await proxy.chunk()  # something was passed on: now is as bad a moment as any
                    proxy.cut()

            rattling = asyncio.create_task(rattle())
            texts = [f"line {number}" for number in range(40)]
            waiting = [asyncio.create_task(router.request(say(text))) for text in texts]
            await asyncio.wait(waiting, timeout=0.5)  # real time: as long as the rattling may take
            rattling.cancel()
            responses = [await one for one in waiting]
            assert all(response.success for response in responses)
            assert doings.done == texts  # each once, and in the order in which they were sent
            assert proxy.connections > 2

    run(story)


def test_a_router_that_is_away_is_waited_for() -> None:
    async def story() -> None:
        doings = Doings()
        with serve(doings) as served:
            async with Proxy(served.daemon.url) as proxy, client(proxy.url) as router:
                assert (await router.request(say("one"))).success
                proxy.refuse()
                waiting = asyncio.create_task(router.request(say("two")))
                await proxy.refused()
                assert not router.connected
                proxy.allow()
                assert (await waiting).success
                proxy.refuse()
                with pytest.raises(TimeoutError):
                    await router.request(say("three"), timeout=0.05)  # real time: the wait is the promise
                assert router._unanswered is not None
                assert len(router._unanswered) == 0

    run(story)


def test_a_correlation_id_may_be_that_of_many_commands(served: Served) -> None:
    async def story() -> None:
        async with client(served.daemon.url) as router:
            answers = await asyncio.gather(
                *(router.request(say(str(number)), correlation_id="user_123") for number in range(5))
            )
            assert len({answer.request_id for answer in answers}) == 5
            sent = await router.send(say("last"), correlation_id="user_123")
            assert (await sent).success

    run(story)


def test_events_come_with_their_message_and_go_on_after_a_cut(served: Served) -> None:
    async def story() -> None:
        async with Proxy(served.daemon.url) as proxy, client(proxy.url) as router:
            async with aclosing(router.events(guild_id=GUILD, kinds=["published"])) as events:
                reading = asyncio.ensure_future(anext(events))
                await proxy.chunk()
                await publish(served, "one")
                first = await reading
                assert isinstance(first, Happening)
                message = first.message()
                assert isinstance(message, BroadcastNotification)
                assert message.notification.title == "one"
                proxy.cut()
                await publish(served, "two")
                await publish(served, "three")
                seen = [await anext(events), await anext(events)]
                assert [title_of(one) for one in seen] == ["two", "three"]
            async with aclosing(router.events(kinds=["published"], after=first.cursor)) as again:
                assert (await anext(again)).cursor == seen[0].cursor
            async with aclosing(router.events(after="elsewhere.1")) as other:
                gap = await anext(other)
                assert isinstance(gap, Gap)
                assert gap.why == "other_log"

    run(story)


def title_of(seen: Happening | Gap) -> str:
    assert isinstance(seen, Happening)
    message = seen.message()
    assert isinstance(message, BroadcastNotification)
    return message.notification.title


async def publish(served: Served, title: str) -> None:
    notice = {"type": "UPDATE", "title": title, "message": "m", "priority": "LOW"}
    await served.router.apublish(BroadcastNotification(target_guild_id=GUILD, notification=notice))


def test_an_event_is_published_once_also_when_the_answer_was_lost(served: Served) -> None:
    async def story() -> None:
        notice = {"type": "UPDATE", "title": "t", "message": "m", "priority": "LOW"}
        async with Proxy(served.daemon.url) as proxy, client(proxy.url) as router:
            proxy.lose_answers = 1
            await router.publish(BroadcastNotification(target_guild_id=GUILD, notification=notice))
        assert await served.router.queues.asize("notifications") == 1

    run(story)


def test_who_is_not_known_or_not_there_is_told_at_the_start() -> None:
    async def story() -> None:
        with serve(tokens="client:C") as served:
            url = served.daemon.url
            with pytest.raises(Unauthorized):
                await client(url, token="wrong").start()
        with pytest.raises(Unreachable):
            await RouterClient(url, backoff=QUICK, timeout=0.2).start()  # real time: a short patience
        with pytest.raises(ClientClosed):
            await client(url).send(ban())

    run(story)


@pytest.mark.parametrize("url", ["127.0.0.1:8600", "ftp://a", "http://", "http://a b"])
def test_what_is_no_url_is_refused(url: str) -> None:
    async def story() -> None:
        with pytest.raises(ValueError, match="URL"):
            RouterClient(url)

    run(story)


def test_closing_tells_those_who_wait_and_leaves_nothing(served: Served, doings: Doings) -> None:
    async def story() -> None:
        router = await client(served.daemon.url).start()
        doings.release.clear()
        waiting = asyncio.create_task(router.request(ban()))
        assert await asyncio.to_thread(doings.begun.wait, PATIENCE)
        await router.close()
        with pytest.raises(ClientClosed):
            await waiting
        await router.close()
        doings.release.set()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(story)


def test_a_drained_router_is_waited_for_over_its_restart(tmp_path: Any) -> None:
    async def story() -> None:
        store = f"sqlite:///{tmp_path / 'router.db'}"
        doings = Doings()
        with serve(doings, store=store) as served:
            port = int(served.daemon.url.rpartition(":")[2])
            router = await client(served.daemon.url).start()
            assert (await router.request(say("before"))).success
        waiting = asyncio.create_task(router.request(say("between")))
        with serve(doings, store=store, port=port):
            assert (await waiting).success
            await router.close()

    run(story)
