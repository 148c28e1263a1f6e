"""The registry of handlers."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
from threading import Event, Thread
from typing import Any

import pytest

from actors.outcome import Verdict
from router.errors import BadHandler, UnknownType
from router.messages.communication import SendMessage
from router.messages.moderation import BanUser, KickUser, UnbanUser
from router.protocols.handlers import Handlers
from router.protocols.marks import handles
from router.protocols.rehearsal import CAP, Outcomes, ban, say
from tests.protocols.benches import DirectBench
from tests.protocols.tickets import ticket


class Moderation:
    """Handlers as methods."""

    def __init__(self, name: str = "one") -> None:
        self.name = name
        self.entered = Event()
        self.release = Event()

    @handles(BanUser)
    @handles("KICK_USER", timeout=3, protocols=["direct"], idempotent=True, verify="happened")
    def remove(self, command: Any, ctx: Any) -> str:
        return f"{self.name} {ctx.envelope.type} {command.user_id}"

    @handles(UnbanUser)
    async def back(self, command: Any, ctx: Any) -> str:
        self.entered.set()
        await asyncio.to_thread(self.release.wait, CAP)
        return self.name

    def happened(self, command: Any, ctx: Any) -> bool:
        return self.name == "one"

    def not_marked(self) -> None:
        raise AssertionError("nobody calls this")


def run(bench: DirectBench, message: Any) -> Any:
    outcomes = Outcomes()
    bench.protocol.start(ticket(bench, message), outcomes)
    return outcomes.one


def member(cls: Any) -> Any:
    return cls(guild_id="1" * 17, user_id="2" * 17, moderator_id="3" * 17, reason="spam")


# ---------------------------------------------------------------- functions


def test_a_type_may_be_named_by_its_class_or_its_name() -> None:
    handlers = Handlers()

    @handlers.handler(BanUser)
    def one(command: Any, ctx: Any) -> None: ...

    @handlers.handler("KICK_USER")
    async def two(command: Any, ctx: Any) -> None: ...

    assert handlers.types() == ["BAN_USER", "KICK_USER"]
    first, second = handlers.find("BAN_USER"), handlers.find("KICK_USER")
    assert first is not None
    assert second is not None
    assert (first.target(), first.is_async) == (one, False)
    assert (second.target(), second.is_async) == (two, True)
    assert handlers.queues() == ["bot:moderation"]


def test_the_decorated_function_stays_what_it_is() -> None:
    handlers = Handlers()

    def fn(command: Any, ctx: Any) -> int:
        return 1

    assert handlers.handler(BanUser)(fn) is fn


def test_an_unknown_type_is_refused_when_it_is_registered() -> None:
    with pytest.raises(UnknownType):
        Handlers().handler("BAN_USERS")(lambda command, ctx: None)


def test_a_second_handler_is_refused_naming_both_and_the_first_stays() -> None:
    handlers = Handlers()
    handlers.handler(BanUser)(member_one)
    with pytest.raises(BadHandler, match=r"BAN_USER.*member_one.*member_two"):
        handlers.handler(BanUser)(member_two)
    found = handlers.find("BAN_USER")
    assert found is not None
    assert found.target() is member_one


def member_one(command: Any, ctx: Any) -> None: ...


def member_two(command: Any, ctx: Any) -> None: ...


def test_each_protocol_may_have_its_own_handler() -> None:
    handlers = Handlers()
    handlers.handler(BanUser, protocols=["direct"])(member_one)
    handlers.handler(BanUser, protocols=["queue"])(member_two)
    found = [handlers.find("BAN_USER", name) for name in ("direct", "queue")]
    assert [each.target() for each in found if each] == [member_one, member_two]
    assert handlers.find("BAN_USER", "websocket") is None


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"timeout": 0}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"timeout": "5"}, "timeout"),
        ({"protocols": ["direct", "pigeon"]}, "pigeon"),
        ({"protocols": "direct"}, "list"),
        ({"verify": lambda: True}, "command, ctx"),
        ({"verify": "a_method"}, "a_method"),
    ],
)
def test_a_wrong_declaration_is_refused_with_its_word(options: dict[str, Any], word: str) -> None:
    with pytest.raises(BadHandler, match=word):
        Handlers().handler(BanUser, **options)(member_one)


@pytest.mark.parametrize("function", [lambda: None, lambda command: None, lambda a, b, c: None, "not callable"])
def test_a_function_that_cannot_take_command_and_ctx_is_refused(function: Any) -> None:
    with pytest.raises(BadHandler):
        Handlers().handler(BanUser)(function)


class Callable2:
    async def __call__(self, command: Any, ctx: Any) -> None: ...


@pytest.mark.parametrize(
    ("function", "is_async"),
    [
        (functools.partial(lambda extra, command, ctx: None, 1), False),
        (functools.partial(member_one), False),
        (Callable2(), True),
        (lambda *args: None, False),
        (lambda command, ctx, more=None: None, False),
    ],
)
def test_any_callable_will_do(function: Any, is_async: bool) -> None:
    handlers = Handlers()
    handlers.handler(BanUser)(function)
    found = handlers.find("BAN_USER")
    assert found is not None
    assert found.is_async is is_async


def test_idempotent_is_the_catalogs_word_unless_declared() -> None:
    handlers = Handlers()
    handlers.handler(BanUser)(member_one)
    handlers.handler(KickUser, idempotent=False)(member_one)
    handlers.handler(SendMessage, idempotent=True)(member_one)
    found = {name: handlers.find(name) for name in handlers.types()}
    assert {name: (each.safe, each.idempotent) for name, each in found.items() if each} == {
        "BAN_USER": (True, False),
        "KICK_USER": (False, False),
        "SEND_MESSAGE": (True, True),
    }


# ---------------------------------------------------------------- objects


def test_marked_methods_are_bound_with_what_their_marks_say() -> None:
    handlers = Handlers()
    owner = Moderation()
    assert handlers.bind(owner) is owner
    assert handlers.types() == ["BAN_USER", "KICK_USER", "UNBAN_USER"]
    kick = handlers.find("KICK_USER")
    assert kick is not None
    assert (kick.timeout, kick.protocols, kick.idempotent) == (3_000, {"direct"}, True)
    assert kick.hook() == owner.happened
    bench = DirectBench(handlers)
    assert run(bench, member(BanUser)).data.endswith(b"one BAN_USER " + b"2" * 17)
    bench.close()


def test_marks_register_nothing_by_themselves() -> None:
    assert Handlers().types() == []


def test_an_override_without_a_mark_is_no_handler() -> None:
    class Quiet(Moderation):
        def remove(self, command: Any, ctx: Any) -> str:
            return "quiet"

    handlers = Handlers()
    owner = handlers.bind(Quiet())
    assert handlers.types() == ["UNBAN_USER"]
    assert owner is not None


def test_an_object_without_marks_and_one_bound_twice_are_refused() -> None:
    handlers = Handlers()
    with pytest.raises(BadHandler, match="no method"):
        handlers.bind(object())
    owner = Moderation()
    handlers.bind(owner)
    with pytest.raises(BadHandler, match="already"):
        handlers.bind(owner)
    with pytest.raises(BadHandler, match="already"):
        handlers.bind(Moderation("two"))
    with pytest.raises(BadHandler, match="not bound"):
        handlers.unbind(Moderation("three"))


def test_a_bind_that_is_refused_leaves_nothing_behind() -> None:
    handlers = Handlers()
    handlers.handler(UnbanUser)(member_one)
    with pytest.raises(BadHandler):
        handlers.bind(Moderation())
    assert handlers.types() == ["UNBAN_USER"]


def test_another_object_takes_over_after_unbind() -> None:
    handlers = Handlers()
    one, two = Moderation("one"), Moderation("two")
    handlers.bind(one)
    assert handlers.unbind(one)
    assert handlers.types() == []
    handlers.bind(two)
    bench = DirectBench(handlers)
    assert b"two" in run(bench, member(BanUser)).data
    bench.close()


def test_unbind_waits_for_its_running_calls_and_begins_no_other() -> None:
    handlers = Handlers()
    owner = Moderation()
    handlers.bind(owner)
    bench = DirectBench(handlers)
    outcomes = Outcomes()
    bench.protocol.start(ticket(bench, member(UnbanUser)), outcomes)
    assert owner.entered.wait(CAP)
    assert handlers.unbind(owner, drain=0.01) is False
    assert not bench.protocol.reaches(ticket(bench, ban()).envelope)
    drained: list[bool] = []
    again = Moderation("again")
    handlers.bind(again)
    bench.protocol.start(ticket(bench, member(UnbanUser)), outcomes)
    assert again.entered.wait(CAP)
    waiter = Thread(target=lambda: drained.append(handlers.unbind(again, drain=CAP)))
    waiter.start()
    owner.release.set()
    again.release.set()
    waiter.join(CAP)
    assert drained == [True]
    assert [outcome.verdict for outcome in outcomes.wait(2)] == [Verdict.APPLIED] * 2
    bench.close()


def test_what_waits_for_a_thread_while_its_object_is_unbound_never_begins() -> None:
    handlers = Handlers()
    release, entered = Event(), Event()

    @handlers.handler(SendMessage)
    def block(command: Any, ctx: Any) -> None:
        entered.set()
        assert release.wait(CAP)

    owner = handlers.bind(Moderation())
    bench = DirectBench(handlers, workers=1)
    bench.protocol.start(ticket(bench, say()), Outcomes())
    assert entered.wait(CAP)
    waiting = Outcomes()
    bench.protocol.start(ticket(bench, member(BanUser)), waiting)
    assert handlers.unbind(owner)
    release.set()
    assert (waiting.one.verdict, waiting.one.fault.code) == (Verdict.DEFERRED, "no_handler")
    bench.close()


def test_aunbind_waits_without_blocking_the_loop() -> None:
    handlers = Handlers()
    owner = Moderation()
    handlers.bind(owner)
    bench = DirectBench(handlers)
    outcomes = Outcomes()
    bench.protocol.start(ticket(bench, member(UnbanUser)), outcomes)
    assert owner.entered.wait(CAP)

    async def scenario() -> bool:
        waiting = asyncio.ensure_future(handlers.aunbind(owner, drain=CAP))
        await asyncio.sleep(0)
        assert not waiting.done()
        owner.release.set()
        return await waiting

    assert asyncio.run(scenario()) is True
    bench.close()


def test_aunbind_gives_up_after_its_drain() -> None:
    handlers = Handlers()
    owner = Moderation()
    handlers.bind(owner)
    bench = DirectBench(handlers)
    bench.protocol.start(ticket(bench, member(UnbanUser)), Outcomes())
    assert owner.entered.wait(CAP)
    assert asyncio.run(handlers.aunbind(owner, drain=0.01)) is False
    owner.release.set()
    bench.close()


def test_an_object_that_is_gone_takes_its_handlers_along_and_that_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    handlers = Handlers()
    owner = Moderation()
    handlers.bind(owner)
    with caplog.at_level(logging.WARNING):
        del owner
        gc.collect()
    assert handlers.types() == []
    assert "keep a reference" in caplog.text


def test_whoever_listens_hears_of_every_change() -> None:
    handlers = Handlers()
    heard: list[list[str]] = []
    handlers.on_change(lambda: heard.append(handlers.types()))
    owner = Moderation()
    handlers.handler(SendMessage)(member_one)
    handlers.bind(owner)
    handlers.unbind(owner)
    assert heard == [["SEND_MESSAGE"], ["BAN_USER", "KICK_USER", "SEND_MESSAGE", "UNBAN_USER"], ["SEND_MESSAGE"]]


def test_a_method_may_name_a_function_of_its_class_as_its_hook() -> None:
    class Sure:
        def happened(self, command: Any, ctx: Any) -> bool:
            return isinstance(self, Sure)

        @handles(BanUser, verify=happened)
        def ban(self, command: Any, ctx: Any) -> None: ...

    handlers = Handlers()
    owner = handlers.bind(Sure())
    bench = DirectBench(handlers)
    answers = Outcomes()
    bench.protocol.verify(ticket(bench, ban()).envelope, answers)
    assert answers.one is True
    assert owner is not None
    bench.close()
