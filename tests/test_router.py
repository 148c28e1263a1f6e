"""The router's public face, embedded in this process."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pykka
import pytest

from actors.errors import KeyReusedError, ShuttingDown
from router import InvalidMessage, Noop, Reject, Router, Settings
from router.messages import (
    BanUser,
    Command,
    CommandAnswered,
    Id,
    ModerationActionCompleted,
    SendDM,
    SendMessage,
    UnbanUser,
)

GUILD = "81384788765712384"
USER = "175928847299117063"
MODERATOR = "53908232506183680"
CAP = 30  # s


def ban(user: str = USER, reason: str = "spam") -> BanUser:
    return BanUser(guild_id=GUILD, user_id=user, moderator_id=MODERATOR, reason=reason)


def unban(user: str = USER) -> UnbanUser:
    return UnbanUser(guild_id=GUILD, user_id=user, moderator_id=MODERATOR, reason="it was a mistake")


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 'router.db'}"


def test_a_command_is_accepted_executed_answered_and_explained(store: str) -> None:
    router = Router(store=store)

    @router.handler(BanUser)
    async def handle(command: BanUser, ctx: Any) -> dict[str, object]:
        return {"banned": command.user_id, "attempt": ctx.attempt}

    with router:
        reply = router.send(ban(), correlation_id="form-7")
        assert reply.accepted(CAP).sequence == 1
        response = reply.result(CAP)
        assert (response.status, response.method, response.data) == ("ok", "direct", {"banned": USER, "attempt": 1})
        assert [line.outcome for line in response.attempts] == ["applied"]
        view = reply.status()
        assert view is not None
        assert (view.state, view.sequence, view.response) == ("settled", 1, response)
        story = router.explain(reply.id)
        assert story is not None
        assert [step["event"] for step in story["story"]] == ["accepted", "attempt", "answered"]
        assert story["correlationId"] == "form-7"


def test_a_command_that_waits_explains_why(store: str) -> None:
    router = Router(store=store)
    with router:
        command = router.send(ban())
        told: list[str] = []
        while told[-1:] != ["no_executor"]:  # on its way into its lane it says so
            assert len(told) < 1_000, told
            story = router.explain(command.id)
            if story is not None:
                told.append(story["waits"]["reason"])
        assert story is not None
        assert set(story["waits"]["protocols"]) == router.engine.protocols.keys()
        assert "BAN_USER" in story["story"][-1]["detail"]


def test_ban_unban_ban_is_three_operations_and_ban_ban_is_one(store: str) -> None:
    router = Router(store=store)
    done: list[str] = []

    @router.handler(BanUser)
    def handle_ban(command: BanUser, ctx: Any) -> None:
        done.append("ban")

    @router.handler(UnbanUser)
    def handle_unban(command: UnbanUser, ctx: Any) -> None:
        done.append("unban")

    with router:
        answers = [router.request(command, timeout=CAP) for command in (ban(), ban(reason="again"), unban(), ban())]
    assert [answer.duplicate for answer in answers] == [False, True, False, False]
    assert done == ["ban", "unban", "ban"]


def test_a_refused_wish_may_be_wished_again_and_an_idempotency_key_stands(store: str) -> None:
    router = Router(store=store)
    verdicts: list[Exception | None] = [Reject("missing_permission", "not you"), Noop("was banned"), None]

    @router.handler(BanUser)
    def handle(command: BanUser, ctx: Any) -> None:
        verdict = verdicts.pop(0)
        if verdict is not None:
            raise verdict

    with router:
        refused = router.request(ban(), timeout=CAP)
        assert (refused.status, refused.error and refused.error.code) == ("rejected", "missing_permission")
        assert router.request(ban(), timeout=CAP).status == "noop"
        keyed = router.request(ban("80351110224678912"), idempotency_key="form-1", timeout=CAP)
        assert not keyed.duplicate
        assert router.request(ban("80351110224678912"), idempotency_key="form-1", timeout=CAP).duplicate
        with pytest.raises(KeyReusedError):
            router.request(ban("80351110224678912", "other"), idempotency_key="form-1", timeout=CAP)


def test_a_dead_letter_is_listed_replayed_within_its_bound_and_purged(store: str) -> None:
    router = Router(store=store, max_replays=1, types={"SEND_MESSAGE": {"attempts": 1}})
    broken = [True]

    @router.handler("SEND_MESSAGE")
    def handle(command: SendMessage, ctx: Any) -> None:
        if broken:
            raise OSError("no such channel")

    def message() -> SendMessage:
        return SendMessage(guild_id=GUILD, channel_id="381870553235193857", content="hello")

    with router:
        dead = router.request(message(), timeout=CAP)
        assert dead.status == "dead"
        assert [letter.id for letter in router.dead_letters.list()] == [dead.request_id]
        assert router.dead_letters.replay(dry_run=True).ids == [dead.request_id]
        settled = threading.Event()
        router.hub.subscribe(lambda kind, _: settled.set() if kind == "settled" else None)
        assert router.dead_letters.replay([dead.request_id]).ids == [dead.request_id]
        assert settled.wait(CAP)
        assert router.dead_letters.replay([dead.request_id]).refused == [dead.request_id]
        assert router.dead_letters.purge() == 1
        assert router.dead_letters.list() == []


def test_a_paused_queue_starts_nothing_and_goes_on_when_resumed(store: str) -> None:
    router = Router(store=store)

    @router.handler(BanUser)
    def handle(command: BanUser, ctx: Any) -> None:
        return None

    with router:
        router.queues.pause("bot:moderation")
        reply = router.send(ban())
        reply.accepted(CAP)
        assert router.queues.size("bot:moderation") == 1
        with pytest.raises(pykka.Timeout):
            reply.result(0.05)
        router.queues.resume("bot:moderation")
        assert reply.result(CAP).success


def test_a_command_that_waits_can_be_cancelled_and_one_that_ended_cannot(store: str) -> None:
    router = Router(store=store)

    @router.handler(BanUser)
    def handle(command: BanUser, ctx: Any) -> None:
        return None

    with router:
        later = router.send(ban(), delay=3600)
        later.accepted(CAP)
        assert later.cancel()
        assert later.result(CAP).status == "cancelled"
        now = router.send(ban())
        now.result(CAP)
        assert not now.cancel()


def test_the_proxy_is_pykkas_and_knows_types_declared_after_it_was_made() -> None:
    router = Router()

    @router.handler(BanUser)
    def handle(command: BanUser, ctx: Any) -> dict[str, str]:
        return {"banned": command.user_id}

    with router:
        proxy = router.proxy()
        assert isinstance(proxy, pykka.ActorProxy)
        future = proxy.ban_user(guild_id=GUILD, user_id=USER, moderator_id=MODERATOR, reason="spam")
        assert isinstance(future, pykka.Future)
        assert future.get(timeout=CAP).data == {"banned": USER}

        class FeedDragon(Command, type="FEED_DRAGON", subject="dragon:{dragon_id}", key=("dragon_id",)):
            dragon_id: Id

        @router.handler(FeedDragon)
        def feed(command: FeedDragon, ctx: Any) -> str:
            return command.dragon_id

        assert router.proxy().feed_dragon(dragon_id="smaug").get(timeout=CAP).data == "smaug"


def test_a_reply_is_awaited_without_blocking_the_loop() -> None:
    async def scenario() -> tuple[str, int]:
        router = Router()
        gate = asyncio.Event()

        @router.handler(BanUser)
        async def handle(command: BanUser, ctx: Any) -> None:
            await gate.wait()

        ticks = 0
        async with router:
            reply = router.send(ban())
            await reply.acceptance
            waiting = asyncio.ensure_future(router.arequest(ban(), timeout=CAP))  # the same: attaches
            while ticks < 3:
                ticks += 1
                await asyncio.sleep(0)
            gate.set()
            first, second = await reply, await waiting
            assert second.duplicate
            assert (await router.afind(reply.id)) is not None
            return first.status, ticks

    assert asyncio.run(scenario()) == ("ok", 3)


def test_subscribers_and_listeners_from_before_the_start_outlive_new_settings() -> None:
    router = Router()
    heard, kinds = threading.Event(), set()
    router.subscribe("moderation:events", lambda message: heard.set())
    router.hub.subscribe(lambda kind, _: kinds.add(kind))
    router.configure(Settings(store="memory://", workers=1))
    event = ModerationActionCompleted(
        guild_id=GUILD, action="BAN", user_id=USER, success=True, executed_by=MODERATOR, timestamp=1_700_000_000_000
    )
    with router:
        router.publish(event)
        assert heard.wait(CAP)
    assert "published" in kinds


def test_wrong_input_is_refused_before_anything_is_sent() -> None:
    router = Router()
    with pytest.raises(InvalidMessage):
        ban(user="not a user")
    with pytest.raises(TypeError, match="no option colour"):
        router.send(ban(), colour="red")
    with pytest.raises(ShuttingDown):
        router.send(ban()).result(CAP)  # not started


def test_what_was_accepted_before_a_stop_is_done_after_the_start(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'router.db'}"
    with Router(store=store) as nobody_handles:
        reply = nobody_handles.send(ban())
        reply.accepted(CAP)
    with pytest.raises(ShuttingDown):
        reply.result(CAP)
    router, done = Router(store=store), threading.Event()

    @router.handler(BanUser)
    def handle(command: BanUser, ctx: Any) -> None:
        done.set()

    with router:
        assert done.wait(CAP)


def test_an_answer_is_put_into_the_queue_its_sender_named_once_for_each_sender(store: str) -> None:
    router = Router(store=store)
    answers: list[CommandAnswered] = []
    both = threading.Event()

    @router.handler(BanUser)
    def handle(command: BanUser, ctx: Any) -> dict[str, bool]:
        return {"banned": True}

    def take(message: CommandAnswered) -> None:
        answers.append(message)
        if len(answers) == 2:
            both.set()

    router.subscribe("dashboard:replies", take)
    with router:
        first = router.send(ban(), reply_to="dashboard:replies")
        first.result(CAP)
        second = router.send(ban(), reply_to="dashboard:replies")
        second.result(CAP)
        assert both.wait(CAP)
    by_id = {message.request_id: message for message in answers}
    assert by_id.keys() == {first.id, second.id}
    assert by_id[first.id].response["data"] == {"banned": True}
    assert [by_id[reply.id].response["duplicate"] for reply in (first, second)] == [False, True]


def test_an_installation_says_how_much_its_store_remembers(tmp_path: Path) -> None:
    router = Router(
        store=f"sqlite:///{tmp_path / 'router.db'}", dead_letter_rows=1, types={"BAN_USER": {"attempts": 1}}
    )

    @router.handler(BanUser)
    def handle(command: BanUser, ctx: Any) -> None:
        raise OSError("no")

    with router:
        for user in (USER, "80351110224678912"):
            assert router.request(ban(user), timeout=CAP).status == "dead"
        router.engine.store_call(lambda store, now: store.sweep(now, 100)).get(CAP)
        assert len(router.dead_letters.list()) == 1


def test_wrong_calls_of_a_proxy_fail_alone_and_the_router_goes_on() -> None:
    router = Router()

    @router.handler(BanUser)
    def handle(command: BanUser, ctx: Any) -> None:
        return None

    with router:
        proxy = router.proxy()
        for _ in range(20):
            with pytest.raises(InvalidMessage):
                proxy.ban_user(guild_id=GUILD, user_id="a b", moderator_id=MODERATOR, reason="spam").get(timeout=CAP)
            proxy.ban_user.defer(guild_id=GUILD)
        assert router.request(ban(), timeout=CAP).success


def test_the_id_of_a_duplicate_leads_to_the_original(store: str) -> None:
    router = Router(store=store)

    @router.handler(BanUser)
    def handle(command: BanUser, ctx: Any) -> None:
        return None

    with router:
        first, second = router.send(ban()), None
        first.result(CAP)
        second = router.send(ban())
        assert second.result(CAP).original == first.id
        view, story = second.status(), router.explain(second.id)
        assert view is not None
        assert story is not None
        assert view.id == story["id"] == first.id
        assert not second.cancel()


def test_an_id_used_for_another_command_is_refused_and_harms_nobody(store: str) -> None:
    router = Router(store=store)
    gate = threading.Event()

    @router.handler(BanUser)
    def handle(command: BanUser, ctx: Any) -> str:
        assert gate.wait(CAP)
        return command.user_id

    with router:
        first = router.send(ban(), id="mine")
        first.accepted(CAP)
        with pytest.raises(KeyReusedError):
            router.send(ban("80351110224678912"), id="mine").result(CAP)
        gate.set()
        assert first.result(CAP).data == USER
        assert router.request(ban("80351110224678912"), timeout=CAP).success


def test_a_command_whose_handler_has_no_thread_before_its_deadline_is_not_executed_late() -> None:
    router = Router(workers=1)
    gate, began = threading.Event(), []

    @router.handler(BanUser)
    def handle(command: BanUser, ctx: Any) -> None:
        began.append(command.user_id)
        assert gate.wait(CAP)

    with router:
        first = router.send(ban())
        late = router.send(ban("80351110224678912"), expires_in=0.2)
        late.accepted(CAP)
        deadline = late.status()
        assert deadline is not None
        while router.clock.now() <= deadline.expires_at:
            gate.wait(0.02)  # real time: the deadline is a promise about real time
        gate.set()
        assert first.result(CAP).success
        assert late.result(CAP).status == "expired"
        assert began == [USER]


def test_a_doubt_is_asked_about_and_never_repeated_also_after_a_restart(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'router.db'}"
    ledger: list[str] = []

    def build() -> Router:
        router = Router(store=store, direct_execution_timeout=300)

        @router.handler("SEND_MESSAGE")
        async def handle(command: SendMessage, ctx: Any) -> None:
            ledger.append(ctx.id)
            await asyncio.Event().wait()  # sent, and no answer

        return router

    with build() as router:
        message = SendMessage(guild_id=GUILD, channel_id="381870553235193857", content="hello")
        assert router.request(message, timeout=60).status == "in_doubt"
    with build() as router:
        assert router.queues.size("bot:commands") == 0
    assert len(ledger) == 1


def test_a_question_that_breaks_the_store_costs_nobody_a_command(store: str) -> None:
    router = Router(store=store)

    @router.handler(BanUser)
    def handle(command: BanUser, ctx: Any) -> None:
        return None

    with router:
        for _ in range(10):
            with pytest.raises(Exception, match=r".+"):
                router.engine.store_call(lambda store, _: 1 // 0).get(CAP)
        assert router.request(ban(), timeout=CAP).success


def test_a_protocol_nobody_has_and_options_of_the_wrong_kind_are_refused_at_once() -> None:
    router = Router()
    wrong: list[dict[str, Any]] = [
        {"protocols": "direct"},
        {"protocols": ["bogus"]},
        {"protocols": ["rest"]},
        {"delay": "1"},
        {"delay": float("nan")},
        {"expires_in": -1},
        {"at": 1.5},
        {"headers": ["a"]},
    ]
    with router:
        for options in wrong:
            with pytest.raises(InvalidMessage):
                router.send(ban(), **options)
        with pytest.raises(InvalidMessage):
            router.send({"type": "BAN_USER"})


def test_a_router_can_be_started_again_after_a_stop(store: str) -> None:
    router = Router(store=store)

    @router.handler(BanUser)
    def handle(command: BanUser, ctx: Any) -> None:
        return None

    with router:
        assert router.request(ban(), timeout=CAP).success
    with pytest.raises(ShuttingDown):
        router.proxy()
    with router:
        assert router.request(ban("80351110224678912"), timeout=CAP).success


def test_what_is_sensitive_does_not_show_in_a_message_that_is_logged() -> None:
    secret = SendDM(user_id=USER, content="the password is swordfish")
    assert "swordfish" not in repr(secret)
    assert "swordfish" in secret.content  # it is there for the handler


def test_failed_entries_of_a_queue_are_seen_and_replayed(store: str) -> None:
    router = Router(store=store, queues={"moderation:events": {"attempts": 1}})
    broken, heard = [True], threading.Event()
    event = ModerationActionCompleted(
        guild_id=GUILD, action="BAN", user_id=USER, success=True, executed_by=MODERATOR, timestamp=1_700_000_000_000
    )

    def take(message: Any) -> None:
        if broken:
            raise OSError("the archive is closed")
        heard.set()

    failed = threading.Event()
    with router:
        subscription = router.subscribe("moderation:events", take)
        id_ = router.publish(event)
        while not router.queues.failed("moderation:events"):
            assert not failed.wait(0.01)
        (entry,) = router.queues.failed("moderation:events")
        assert (entry.id, entry.type) == (id_, "MODERATION_ACTION_COMPLETED")
        broken.clear()
        assert router.queues.replay_failed("moderation:events") == 1
        assert heard.wait(CAP)
        subscription.cancel()
