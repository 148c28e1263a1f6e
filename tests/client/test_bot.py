"""``BotClient`` against a real daemon: executing, answering, reconnecting, draining, and being killed."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from actors.policy.facts import Backoff
from router import Noop, Reject, RetryLater, handles
from router.client import BotClient, Forbidden, Gap, Happening, Replaced, RouterClient, Unauthorized, Unreachable
from router.messages import BanUser, KickUser, SendMessage, UnbanUser
from router.router import Router
from tests.client.bots import BotProcess, bot_process
from tests.client.proxies import Proxy
from tests.http.daemons import GUILD, OTHER, PATIENCE, Served, serve

QUICK = Backoff(initial=5, factor=2.0, cap=50, jitter="full")


@pytest.fixture
def served() -> Iterator[Served]:
    with serve() as served:
        yield served


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(2 * PATIENCE):
            await story()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(within())


async def until(holds: Callable[[], bool]) -> None:
    """The cap is the story's."""
    while not holds():  # noqa: ASYNC110 - what is looked at belongs to others, who tell nobody
        await asyncio.sleep(0)


def made(url: str, **options: Any) -> BotClient:
    return BotClient(url, backoff=QUICK, timeout=options.pop("timeout", PATIENCE), **options)


def client(url: str, **options: Any) -> RouterClient:
    return RouterClient(url, backoff=QUICK, timeout=PATIENCE, **options)


def ban(user: str = "7", guild: str = GUILD) -> BanUser:
    return BanUser(guild_id=guild, user_id=user, moderator_id="9", reason="spam")


def say(text: str, guild: str = GUILD) -> SendMessage:
    return SendMessage(guild_id=guild, channel_id="5", content=text)


def kick(user: str = "7") -> KickUser:
    return KickUser(guild_id=GUILD, user_id=user, moderator_id="9", reason="spam")


def test_async_and_sync_handlers_execute_and_start_no_thread_of_their_own(served: Served) -> None:
    bot = made(served.daemon.url, name="b")
    seen: list[Any] = []

    @bot.handler(BanUser)
    async def banning(command: BanUser, ctx: Any) -> dict[str, Any]:
        seen.append((command, ctx.id, ctx.attempt, ctx.sequence, ctx.audit_reason, ctx.envelope.guild))
        assert ctx.deadline > 0
        return {"banned": command.user_id, "on": threading.current_thread() is threading.main_thread()}

    @bot.handler(KickUser)
    def kicking(command: KickUser, ctx: Any) -> dict[str, Any]:
        return {"on": threading.current_thread() is threading.main_thread()}

    async def story() -> None:
        before = set(threading.enumerate())
        async with bot, client(served.daemon.url) as router:
            response = await router.request(ban())
            assert (response.status, response.method) == ("ok", "websocket")
            assert response.data == {"banned": "7", "on": True}
            assert set(threading.enumerate()) == before
            assert (await router.request(kick("8"))).data == {"on": False}

    run(story)
    assert seen == [(ban(), seen[0][1], 1, 1, "spam (by 9)", GUILD)]


@pytest.mark.parametrize(
    ("raised", "status", "code"),
    [
        (Reject("nope", "not allowed"), "rejected", "nope"),
        (Noop({"already": True}), "noop", None),
        (ConnectionError("away"), "dead", "handler_error"),
        (SystemExit(3), "dead", "handler_error"),
        (KeyboardInterrupt(), "dead", "handler_error"),
    ],
)
def test_what_a_handler_raises_means_what_it_means_in_an_embedded_router(
    raised: BaseException, status: str, code: str | None
) -> None:
    with serve(types={"BAN_USER": {"attempts": 1}}) as served:
        bot = made(served.daemon.url)

        @bot.handler("BAN_USER")
        async def banning(command: BanUser, ctx: Any) -> None:
            raise raised

        async def story() -> None:
            async with bot, client(served.daemon.url) as router:
                response = await router.request(ban())
                assert (response.status, response.error and response.error.code) == (status, code)
                assert bot.connected

        run(story)


def test_retry_later_costs_no_attempt_and_comes_again(served: Served) -> None:
    bot = made(served.daemon.url)
    attempts: list[int] = []

    @bot.handler(BanUser)
    async def banning(command: BanUser, ctx: Any) -> None:
        attempts.append(ctx.attempt)
        if len(attempts) < 3:
            raise RetryLater(0.01)

    async def story() -> None:
        async with bot, client(served.daemon.url) as router:
            assert (await router.request(ban())).status == "ok"

    run(story)
    assert attempts == [1, 1, 1]


def test_at_most_capacity_run_at_once(served: Served) -> None:
    bot = made(served.daemon.url, capacity=3)
    running, most = 0, 0

    @bot.handler(SendMessage)
    async def saying(command: SendMessage, ctx: Any) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(5):
            await asyncio.sleep(0)
        running -= 1

    async def story() -> None:
        async with bot, client(served.daemon.url) as router:
            answers = await asyncio.gather(*(router.request(say("x", str(guild))) for guild in range(1, 31)))
            assert all(answer.success for answer in answers)

    run(story)
    assert 1 < most <= 3


def test_a_handler_that_takes_too_long_is_cancelled_and_in_doubt(served: Served) -> None:
    bot = made(served.daemon.url)
    cancelled = asyncio.Event()

    @bot.handler(SendMessage, timeout=0.05)
    async def saying(command: SendMessage, ctx: Any) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def story() -> None:
        async with bot, client(served.daemon.url) as router:
            response = await router.request(say("x"))
            assert response.status == "in_doubt"
            await cancelled.wait()

    run(story)


def test_a_cogs_handlers_come_and_go_while_it_is_connected(served: Served) -> None:
    class Cog:
        @handles(BanUser)
        async def banning(self, command: BanUser, ctx: Any) -> str:
            return "cog"

    bot = made(served.daemon.url)

    async def story() -> None:
        async with bot, client(served.daemon.url) as router:
            cog = Cog()
            bot.bind(cog)
            assert (await router.request(ban("1"))).data == "cog"
            assert await bot.unbind(cog)
            sent = await router.send(ban("2"))
            assert (await sent.status())["state"] != "settled"
            bot.bind(cog)
            assert (await sent).data == "cog"

    run(story)


def test_shards_and_guilds_decide_who_executes(served: Served) -> None:
    names = {}

    def bot_of(name: str, **options: Any) -> BotClient:
        bot = made(served.daemon.url, name=name, **options)

        @bot.handler(BanUser)
        async def banning(command: BanUser, ctx: Any) -> str:
            return name

        return bot

    first, second = "4194304", str(2 * 4194304)  # shards 1 and 0 of two

    async def story() -> None:
        even = bot_of("even", shards=[0], shard_count=2)
        odd = bot_of("odd", shards=[1], shard_count=2)
        async with even, odd, client(served.daemon.url) as router:
            for guild in (first, second):
                names[guild] = (await router.request(ban("1", guild))).data

    run(story)
    assert names == {first: "odd", second: "even"}

    async def limited() -> None:
        only = bot_of("only", guilds=[OTHER])
        async with only, client(served.daemon.url) as router:
            assert (await router.request(ban("2", OTHER))).data == "only"
            sent = await router.send(ban("3"))
            assert (await sent.status())["attempts"] == 0

    run(limited)


def test_only_what_it_handles_is_announced(served: Served) -> None:
    bot = made(served.daemon.url, handles=[UnbanUser])

    @bot.handler(BanUser)
    async def banning(command: BanUser, ctx: Any) -> str:
        return "ban"

    @bot.handler(UnbanUser)
    async def unbanning(command: UnbanUser, ctx: Any) -> str:
        return "unban"

    async def story() -> None:
        async with bot, client(served.daemon.url) as router:
            unban = UnbanUser(guild_id=GUILD, user_id="7", moderator_id="9", reason="ok")
            assert (await router.request(unban)).data == "unban"
            sent = await router.send(ban("8"))
            assert (await sent.status())["attempts"] == 0

    run(story)


def test_a_result_that_was_finished_while_disconnected_is_delivered_and_nothing_is_done_twice(served: Served) -> None:
    done: list[str] = []
    begun, release = asyncio.Event(), asyncio.Event()

    async def story() -> None:
        async with Proxy(served.daemon.url) as proxy:
            bot = made(proxy.url, name="b")

            @bot.handler(SendMessage)
            async def saying(command: SendMessage, ctx: Any) -> dict[str, int]:
                begun.set()
                await release.wait()
                done.append(command.content or "")
                return {"count": len(done)}

            async with bot, client(served.daemon.url) as router:
                waiting = asyncio.create_task(router.request(say("x")))
                await begun.wait()
                proxy.refuse()
                await proxy.refused()
                release.set()
                await until(lambda: not bot.running)
                proxy.allow()
                response = await waiting
                assert (response.status, response.data) == ("ok", {"count": 1})
                assert done == ["x"]

    run(story)


def test_cuts_at_any_moment_do_no_harm(served: Served) -> None:
    done: list[str] = []

    async def story() -> None:
        async with Proxy(served.daemon.url) as proxy:
            bot = made(proxy.url, name="b")

            @bot.handler(SendMessage)
            async def saying(command: SendMessage, ctx: Any) -> None:
                await asyncio.sleep(0)
                done.append(command.content or "")

            async with bot, client(served.daemon.url) as router:
                texts = [f"line {number}" for number in range(40)]

                async def rattle() -> None:
                    while True:
                        await proxy.chunk()
                        await proxy.chunk()
                        await proxy.chunk()
                        proxy.cut()

                rattling = asyncio.create_task(rattle())
                waiting = [asyncio.create_task(router.request(say(text))) for text in texts]
                await asyncio.wait(waiting, timeout=1.0)  # real time: as long as the rattling may take
                rattling.cancel()
                responses = [await one for one in waiting]
                assert {response.status for response in responses} <= {"ok", "in_doubt"}
                assert all(response.success for response in responses)
                assert done == texts

    run(story)


def test_stopping_drains(served: Served) -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def story() -> None:
        bot = made(served.daemon.url)

        @bot.handler(SendMessage)
        async def saying(command: SendMessage, ctx: Any) -> str:
            begun.set()
            await release.wait()
            return command.content or ""

        async with client(served.daemon.url) as router:
            await bot.start()
            first = asyncio.create_task(router.request(say("first")))
            await begun.wait()
            stopping = asyncio.create_task(bot.stop(drain=PATIENCE))
            second = await router.send(say("second", OTHER))
            assert not stopping.done()
            release.set()
            assert await stopping is True
            assert (await first).data == "first"
            assert (await second.status())["attempts"] == 0  # not for a bot that leaves; it waits for another

    run(story)


def test_stopping_without_patience_leaves_what_runs_in_doubt() -> None:
    begun = asyncio.Event()

    async def story(url: str) -> None:
        bot = made(url)

        @bot.handler(SendMessage)
        async def saying(command: SendMessage, ctx: Any) -> None:
            begun.set()
            await asyncio.Event().wait()

        async with client(url) as router:
            await bot.start()
            sent = await router.send(say("x"))
            await begun.wait()
            assert await bot.stop(drain=0) is False
            async with aclosing(router.events(jobs=[sent.id], after="0")) as events:
                seen = [event async for event in until_doubt(events)]
            assert seen[-1] == "in_doubt"

    with serve(drain=0.1) as served:  # it waits for the bot to come back and tell
        run(partial(story, served.daemon.url))


async def until_doubt(events: AsyncIterator[Happening | Gap]) -> AsyncIterator[str]:
    """What came of the attempts, up to the first that is in doubt."""
    async for event in events:
        if isinstance(event, Happening) and event.kind == "attempted":
            yield event.detail or ""
            if event.detail == "in_doubt":
                return


def test_of_two_bots_with_one_name_the_newer_one_stays(served: Served) -> None:
    async def story() -> None:
        older, newer = made(served.daemon.url, name="b"), made(served.daemon.url, name="b")
        running = asyncio.create_task(older.run())
        await until(lambda: older.connected)
        async with newer:
            with pytest.raises(Replaced):
                await running
            assert newer.connected

    run(story)


def test_who_may_not_execute_is_told_at_the_start() -> None:
    async def story() -> None:
        with serve(tokens="client:C,bot:B") as served:
            url = served.daemon.url
            with pytest.raises(Forbidden):
                await made(url, token="C").start()
            with pytest.raises(Unauthorized):
                await made(url, token="wrong").start()
            async with made(url, token="B") as bot:
                assert bot.connected
        with pytest.raises(Unreachable):
            await made(url, timeout=0.2).start()  # real time: a short patience
        with pytest.raises(ValueError, match="shard_count"):
            made(url, shards=[1])

    run(story)


# ------------------------------------------------------------------------ killed


def test_a_bot_killed_while_it_executes_leaves_an_idempotent_command_to_another_way(tmp_path: Path) -> None:
    done: list[str] = []

    def prepare(router: Router) -> None:
        @router.handler(BanUser)
        def banning(command: BanUser, ctx: Any) -> dict[str, str]:
            done.append(command.user_id)
            return {"by": "daemon"}

    with serve(prepare) as served, bot_process(served.daemon.url, "b", tmp_path / "ledger") as bot:
        job = served.send(data={"userId": "7", "reason": "spam"}, protocols=["websocket", "direct"]).json()["jobId"]
        bot.wait_for("begin 7")
        bot.kill()
        result = served.end_of(job)
        assert (result["status"], result["method"], result["data"]) == ("ok", "direct", {"by": "daemon"})
        assert [one["outcome"] for one in result["attempts"]] == ["in_doubt", "applied"]
        assert bot.lines() == ["ready", "begin 7"]
        assert done == ["7"]


def send_text(served: Served, text: str) -> str:
    job: str = served.send("SEND_MESSAGE", data={"channelId": "5", "content": text}).json()["jobId"]
    return job


def test_a_killed_bot_that_comes_back_with_its_record_answers_for_what_it_did(tmp_path: Path) -> None:
    ledger, record = tmp_path / "ledger", tmp_path / "record"

    async def cut_while_it_works(served: Served) -> tuple[str, BotProcess]:
        async with Proxy(served.daemon.url) as proxy:
            bot = await asyncio.to_thread(BotProcess, proxy.url, "b", ledger, record)
            job = await asyncio.to_thread(send_text, served, "x")
            await asyncio.to_thread(bot.wait_for, "begin x")
            proxy.refuse()  # the router hears no more of it
            bot.go()
            await asyncio.to_thread(bot.wait_for, "done x")
            await until(lambda: b'"e"' in record.read_bytes())
            bot.kill()
        return job, bot

    with serve() as served:
        job, _ = asyncio.run(cut_while_it_works(served))
        with bot_process(served.daemon.url, "b", ledger, record) as again:
            result = served.end_of(job)
            assert (result["status"], result["data"]) == ("ok", {"by": "b"})
            assert again.lines() == ["ready", "begin x", "done x", "ready"]


def test_a_killed_bot_that_comes_back_with_its_record_does_not_do_twice_what_it_had_begun(tmp_path: Path) -> None:
    ledger, record = tmp_path / "ledger", tmp_path / "record"
    with serve() as served:
        with bot_process(served.daemon.url, "b", ledger, record) as bot:
            job = send_text(served, "x")
            bot.wait_for("begin x")
            bot.kill()
        bot.go()
        with bot_process(served.daemon.url, "b", ledger, record) as again:
            assert served.end_of(job)["status"] == "in_doubt"
            assert again.lines() == ["ready", "begin x", "ready"]
            other = send_text(served, "y")
            assert served.end_of(other)["status"] == "ok"


def test_two_bots_cannot_keep_one_record(tmp_path: Path, served: Served) -> None:
    record = tmp_path / "record"

    async def story() -> None:
        async with made(served.daemon.url, record=record):
            with pytest.raises(Exception, match="held by process"):
                await made(served.daemon.url, record=record).start()

    run(story)


def test_a_bot_is_quick_to_see_that_its_router_is_gone() -> None:
    with serve() as served:
        url = served.daemon.url

    async def story() -> None:
        before = time.monotonic()
        with pytest.raises(Unreachable):
            await made(url, timeout=0.1).start()  # real time: a short patience
        assert time.monotonic() - before < PATIENCE

    run(story)
