"""Sagas in a running router."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from router import Reject, Response, RetryLater, Router
from router.messages import BanUser, Command, SendMessage, UnbanUser
from router.messages.registry import Catalog
from router.permissions import ALLOWED, Denied
from router.saga_progress import Line, Mark, Progress

CAP = 30.0
GUILD, USER, MODERATOR = "81384788765712384", "175928847299117063", "53908232506183680"
catalog = Catalog()
SOON = {"attempts": 3, "backoff_ms": 10}


class Expel(Command, type="EXPEL", catalog=catalog, subject="user:{user_id}", actor="moderator_id", idempotent=True):
    user_id: str = USER
    moderator_id: str = MODERATOR


for kind in (BanUser, UnbanUser, SendMessage):
    catalog.add(kind)


class House:
    """A router, a handler that is a saga, and what was done in which order."""

    def __init__(self, saga: Callable[[House, Any], Any], *, sync: bool = False, **settings: Any) -> None:
        self.done: list[str] = []
        self.router = Router(catalog=catalog, types={"EXPEL": SOON, "BAN_USER": SOON}, **settings)
        self.saga = saga
        if sync:
            self.router.handler(Expel)(self.handle_sync)
        else:
            self.router.handler(Expel)(self.handle)

    async def handle(self, command: Expel, ctx: Any) -> Any:
        async with self.router.saga(ctx) as saga:
            await self.saga(self, saga)
        return saga.report()

    def handle_sync(self, command: Expel, ctx: Any) -> Any:
        with self.router.saga(ctx) as saga:
            self.saga(self, saga)
        return saga.report()

    def does(self, what: str, error: Exception | None = None) -> Callable[[], str]:
        def do() -> str:
            self.done.append(what)
            if error is not None:
                raise error
            return f"{what}!"

        return do

    def run(self, **options: Any) -> Response:
        with self.router:
            response = self.router.request(Expel(guild_id=GUILD), timeout=CAP, **options)
            self.lines = [
                (line.detail["mark"], line.detail["step"])
                for line in reversed(self.router.audit.search(id=response.request_id, limit=100))
                if line.kind == "saga"
            ]
            self.story = self.router.explain(response.request_id)
        return response


async def fails_third(house: House, saga: Any) -> None:
    await saga.step("one", house.does("one"), undo=house.does("un-one"))
    await saga.step("two", house.does("two"), undo=house.does("un-two"))
    await saga.step("three", house.does("three", OSError("no room")), undo=house.does("un-three"))


def test_steps_are_done_in_order_and_what_they_returned_is_reported() -> None:
    async def works(house: House, saga: Any) -> None:
        assert await saga.step("one", house.does("one"), undo=house.does("un-one")) == "one!"

        async def two(step: Any) -> dict[str, str]:
            return {"key": step.key}

        await saga.step("two", two)

    house = House(works)
    response = house.run(id="parent")
    assert (response.status, response.data) == ("ok", {"steps": {"one": "one!", "two": {"key": "parent.1.two"}}})
    assert house.done == ["one"]
    assert house.lines[-1] == ("completed", "")


def test_what_was_done_is_undone_in_reverse_and_the_answer_and_the_trail_say_so() -> None:
    house = House(fails_third)
    response = house.run()
    assert house.done == ["one", "two", "three", "un-two", "un-one"]
    assert (response.status, response.error and response.error.code) == ("rejected", "compensated")
    assert response.error is not None
    assert response.error.message == "three failed: OSError: no room; undone: two, one"
    assert [mark for mark, _ in house.lines] == [
        *("begun", "done", "begun", "done", "begun", "failed"),
        *("undoing", "undone", "undoing", "undone", "compensated"),
    ]
    assert house.story is not None
    assert sum(step["event"] == "saga" for step in house.story["story"]) == 11


def test_a_sync_handler_has_the_same() -> None:
    def steps(house: House, saga: Any) -> None:
        saga.step_now("one", house.does("one"), undo=house.does("un-one"))
        saga.step_now("two", house.does("two", OSError("no room")))

    house = House(steps, sync=True)
    response = house.run()
    assert house.done == ["one", "two", "un-one"]
    assert response.error is not None
    assert response.error.code == "compensated"


def test_an_error_between_the_steps_undoes_them_too() -> None:
    async def steps(house: House, saga: Any) -> None:
        await saga.step("one", house.does("one"), undo=house.does("un-one"))
        raise Reject("changed_my_mind", "no")

    house = House(steps)
    response = house.run()
    assert house.done == ["one", "un-one"]
    assert response.error is not None
    assert response.error.message == "the handler failed: Reject: no; undone: one"


def test_coming_back_later_undoes_nothing_and_repeats_nothing() -> None:
    later = [True]

    async def steps(house: House, saga: Any) -> None:
        await saga.step("one", house.does("one"), undo=house.does("un-one"))

        def two() -> str:
            if later:
                later.clear()
                raise RetryLater(0.01)
            return "two"

        await saga.step("two", two, idempotent=True)

    house = House(steps)
    assert house.run().data == {"steps": {"one": "one!", "two": "two"}}
    assert house.done == ["one"]


def test_a_compensation_that_fails_is_tried_again_and_ends_as_a_dead_letter_whose_replay_goes_on() -> None:
    broken = [True]

    async def steps(house: House, saga: Any) -> None:
        def undo() -> None:
            house.done.append("un-one")
            if broken:
                raise OSError("still there")

        await saga.step("one", house.does("one"), undo=undo)
        await saga.step("two", house.does("two"), undo=house.does("un-two"))
        await saga.step("three", house.does("three", OSError("no room")))

    house = House(steps)
    with house.router as router:
        response = router.request(Expel(guild_id=GUILD), timeout=CAP)
        assert (response.status, response.error and response.error.code) == ("dead", "compensation_failed")
        assert house.done == ["one", "two", "three", "un-two", "un-one", "un-one", "un-one"]
        (letter,) = router.dead_letters.list()
        assert letter.reason == "compensation_failed"
        broken.clear()
        replies: list[Any] = []
        stop = router.hub.subscribe(lambda kind, payload: replies.append(payload) if kind == "settled" else None)
        router.dead_letters.replay([letter.id])
        wait(lambda: bool(replies))
        stop()
        assert replies[0]["response"]["error"]["code"] == "compensated"
    assert house.done[-1] == "un-one"
    assert len(house.done) == 8


def wait(holds: Callable[[], bool]) -> None:
    from tests.chaos.load import wait_until

    wait_until(holds, CAP, lambda: "it did not happen")


@pytest.mark.parametrize(("truth", "status"), [(True, "ok"), (False, "ok"), (None, "in_doubt")])
def test_a_step_cut_short_is_asked_about_and_never_repeated_blindly(truth: bool | None, status: str) -> None:
    import asyncio

    async def steps(house: House, saga: Any) -> None:
        async def strike() -> str:
            house.done.append("strike")
            if len(house.done) == 1:
                await asyncio.Event().wait()
            return "struck"

        await saga.step("strike", strike, verify=None if truth is None else lambda: truth)

    house = House(steps, direct_execution_timeout=500)  # enough for what is not cut short
    response = house.run()
    assert response.status == status
    assert house.done == (["strike", "strike"] if truth is False else ["strike"])
    if truth is None:
        assert response.error is not None
        assert response.error.code == "step_in_doubt"


def test_a_message_is_a_command_of_its_own_on_behalf_of_the_same_user_that_does_not_wait_for_its_parent() -> None:
    seen: list[Any] = []

    async def steps(house: House, saga: Any) -> None:
        await saga.step("ban", ban(), undo=UnbanUser(**whom()))
        await saga.step("say", lambda: SendMessage(guild_id=GUILD, channel_id=USER, content="gone"))
        await saga.step("fail", house.does("fail", OSError("no")))

    house = House(steps)
    for kind in (BanUser, UnbanUser, SendMessage):
        house.router.handler(kind)(lambda command, ctx: seen.append((command.type, ctx.envelope.user)))
    with house.router as router:
        response = router.request(Expel(guild_id=GUILD), id="parent", timeout=CAP)
        assert response.error is not None
        assert response.error.code == "compensated"
        child = router.explain("parent.1.ban")
        assert child is not None
        assert (child["correlationId"], child["source"]) == ("parent", "saga")
    assert [name for name, _ in seen] == ["BAN_USER", "SEND_MESSAGE", "UNBAN_USER"]
    assert {user for _, user in seen} == {MODERATOR}


def test_a_child_that_is_not_allowed_fails_its_step() -> None:
    async def steps(house: House, saga: Any) -> None:
        await saga.step("ban", ban())

    house = House(steps, authorizer=lambda command, envelope: ALLOWED if command.type == "EXPEL" else Denied())
    house.router.handler(BanUser)(house.does)
    response = house.run()
    assert response.error is not None
    assert "permission_denied" in response.error.message


def test_a_child_in_doubt_leaves_its_parent_in_doubt() -> None:
    async def steps(house: House, saga: Any) -> None:
        await saga.step("one", house.does("one"), undo=house.does("un-one"))
        await saga.step("say", SendMessage(guild_id=GUILD, channel_id=USER, content="hi"))

    import asyncio

    house = House(steps)

    @house.router.handler(SendMessage, timeout=0.05)
    async def say(command: SendMessage, ctx: Any) -> None:
        await asyncio.Event().wait()

    response = house.run()
    assert (response.status, response.error and response.error.code) == ("in_doubt", "step_in_doubt")
    assert house.done == ["one"]


def whom() -> dict[str, Any]:
    return {"guild_id": GUILD, "user_id": USER, "moderator_id": MODERATOR, "reason": "spam"}


def ban() -> BanUser:
    return BanUser(**whom())


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "a/b"])
def test_a_step_has_a_proper_name_and_a_name_has_one_step(name: str) -> None:
    async def steps(house: House, saga: Any) -> None:
        await saga.step(name or "twice", house.does("one"))
        await saga.step("twice", house.does("two"))

    response = House(steps).run()
    assert response.error is not None
    assert "ValueError" in response.error.message


def test_a_result_that_cannot_be_kept_does_not_undo_the_step() -> None:
    async def steps(house: House, saga: Any) -> None:
        assert await saga.step("big", lambda: "x" * 100_000) is None
        assert await saga.step("odd", object) is None

    assert House(steps).run().status == "ok"


def test_lines_in_any_order_tell_one_story() -> None:
    lines = [
        Line(1, Mark.BEGUN, "a"),
        Line(2, Mark.DONE, "a", 1),
        Line(3, Mark.BEGUN, "b"),
        Line(4, Mark.FAILED, "b", "why"),
        Line(5, Mark.UNDOING, "a"),
    ]
    progress = Progress(reversed(lines))
    assert (progress.results, progress.failed, progress.round) == ({"a": 1}, lines[3], 1)
    assert Line.read(lines[1].detail()) == lines[1]
    progress.take(progress.next(Mark.UNDONE, "a"))
    assert (progress.results, progress.given, progress.undone) == ({}, {"a": 1}, ["a"])
    progress.take(progress.next(Mark.COMPENSATED, "", {"attempt": 1}))
    assert (progress.round, progress.given, progress.failed) == (2, {}, None)
