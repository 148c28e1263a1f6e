"""Queries: read-only messages, answered once for all who ask the same."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from actors.runtime.testing import ManualClock
from router import Reject, Router
from router.errors import BadCatalog
from router.messages import BanUser, Command, Id, Query, UnbanUser
from router.messages.registry import Catalog
from router.permissions import ALLOWED, Denied
from tests.chaos.load import wait_until

CAP = 30.0
GUILD, OTHER, USER, MODERATOR = "81384788765712384", "613425648685547541", "175928847299117063", "53908232506183680"
catalog = Catalog()


class GetBan(
    Query,
    type="GET_BAN",
    catalog=catalog,
    key=("user_id",),
    cache_ttl=60_000,
    invalidated_by=("BAN_USER", "UNBAN_USER"),
):
    user_id: Id
    note: str = ""


class MyCases(Query, type="MY_CASES", catalog=catalog, cache_ttl=60_000):
    """Depends on who asks."""


class LookInOrder(Query, type="LOOK_IN_ORDER", catalog=catalog, subject="user:{user_id}"):
    user_id: Id


for kind in (BanUser, UnbanUser):
    catalog.add(kind)


class House:
    """A router with handlers that count, and wait if they are told to."""

    def __init__(self, **options: Any) -> None:
        self.asked: list[Any] = []
        self.acting = threading.Event()
        self.gate: threading.Event | None = None
        self.error: Exception | None = None
        self.router = Router(catalog=catalog, **options)
        for kind in (GetBan, MyCases, LookInOrder):
            self.router.handler(kind, timeout=CAP)(self.look)
        for kind in (BanUser, UnbanUser):
            self.router.handler(kind, timeout=CAP)(self.act)

    def look(self, query: Any, ctx: Any) -> Any:
        gate = self.gate
        self.asked.append(ctx.envelope.user or query.type)
        if gate is not None:
            assert gate.wait(CAP)
        if self.error is not None:
            raise self.error
        return {"number": len(self.asked)}

    def act(self, command: Any, ctx: Any) -> None:
        gate = self.gate
        self.acting.set()
        if gate is not None:
            assert gate.wait(CAP)

    def get(self, user: str = USER, guild: str = GUILD, **options: Any) -> Any:
        return self.router.request(GetBan(guild_id=guild, user_id=user), timeout=CAP, **options)


def ban(user: str = USER, guild: str = GUILD) -> BanUser:
    return BanUser(guild_id=guild, user_id=user, moderator_id=MODERATOR, reason="spam")


def test_an_answer_is_given_again_for_its_time_and_then_looked_up_anew() -> None:
    clock = ManualClock()
    house = House(clock=clock)
    with house.router:
        first, second = house.get(), house.get()
        assert (first.data, first.duplicate) == ({"number": 1}, False)
        assert (second.data, second.duplicate, second.original) == ({"number": 1}, True, first.request_id)
        assert second.status == "ok"
        clock.advance(60)
        assert house.get().data == {"number": 2}
        assert house.router.queries.stats() | {"keptBytes": 0} == {
            "executed": 2,
            "joined": 0,
            "cached": 1,
            "invalidated": 0,
            "kept": 1,
            "keptBytes": 0,
        }


def test_equal_are_the_fields_the_type_names_in_one_guild() -> None:
    house = House()
    with house.router:
        house.get()
        same = house.router.request(GetBan(guild_id=GUILD, user_id=USER, note="else"), timeout=CAP)
        assert same.duplicate
        assert not house.get(guild=OTHER).duplicate
        assert not house.get(user=MODERATOR).duplicate


def test_without_named_fields_the_asker_counts() -> None:
    house = House()
    with house.router:
        for user in (USER, MODERATOR, USER):
            house.router.request(MyCases(guild_id=GUILD), actor=user, timeout=CAP)
    assert house.asked == [USER, MODERATOR]


def test_who_asks_meanwhile_shares_one_execution() -> None:
    house = House()
    house.gate = threading.Event()
    with house.router:
        replies = [house.router.send(GetBan(guild_id=GUILD, user_id=USER)) for _ in range(20)]
        wait_until(lambda: house.router.queries.stats()["joined"] == 19, CAP, lambda: "not joined")
        house.gate.set()
        answers = [reply.result(CAP) for reply in replies]
    assert len(house.asked) == 1
    assert [answer.data for answer in answers] == [{"number": 1}] * 20
    assert sorted(answer.duplicate for answer in answers) == [False] + [True] * 19
    assert len({answer.request_id for answer in answers}) == 20


def test_a_failure_is_told_to_all_who_waited_and_kept_for_nobody() -> None:
    house = House()
    house.gate, house.error = threading.Event(), OSError("down")
    with house.router:
        replies = [house.router.send(GetBan(guild_id=GUILD, user_id=USER), expires_in=0.3) for _ in range(2)]
        wait_until(lambda: house.router.queries.stats()["joined"] == 1, CAP, lambda: "not joined")
        house.gate.set()
        assert {reply.result(CAP).status for reply in replies} == {"failed"}
        house.error = None
        assert house.get().status == "ok"


def test_a_rejection_of_one_is_nobody_elses() -> None:
    house = House()
    house.gate, house.error = threading.Event(), Reject("not_you", "no")
    with house.router:
        replies = [house.router.send(GetBan(guild_id=GUILD, user_id=USER)) for _ in range(2)]
        wait_until(lambda: house.router.queries.stats()["joined"] == 1, CAP, lambda: "not joined")
        house.gate.set()
        assert {reply.result(CAP).status for reply in replies} == {"rejected"}
    assert len(house.asked) == 2


def unban() -> UnbanUser:
    return UnbanUser(guild_id=GUILD, user_id=USER, moderator_id=MODERATOR, reason="a mistake")


@pytest.mark.parametrize("command", [ban(), unban()], ids=["ban", "unban"])
def test_an_applied_command_ends_the_answers_it_makes_wrong_before_its_sender_is_told(command: Any) -> None:
    house = House()
    with house.router:
        for _ in range(50):
            before = house.get().data
            assert house.router.request(command, idempotency_key=str(len(house.asked)), timeout=CAP).status == "ok"
            assert house.get().data != before, "what was true before the command was told after it"
        kept = house.get(guild=OTHER)
        house.router.request(command, idempotency_key="last", timeout=CAP)
        assert house.get(guild=OTHER).original == kept.request_id


def test_what_is_being_looked_at_while_something_changes_is_not_kept() -> None:
    house = House()
    house.gate = threading.Event()
    with house.router:
        early = house.router.send(GetBan(guild_id=GUILD, user_id=USER))
        wait_until(lambda: len(house.asked) == 1, CAP, lambda: "nobody looks")
        gate, house.gate = house.gate, None
        assert house.router.request(ban(), timeout=CAP).status == "ok"
        late = house.get()
        gate.set()
        assert early.result(CAP).data == {"number": 2}  # it saw what it saw when it ended; nobody else is given it
        assert not late.duplicate
        assert house.get().original == late.request_id


def test_a_command_that_nobody_waits_for_ends_answers_too() -> None:
    house = House()
    with house.router:
        house.get()
        house.router.send(ban(), delay=0.02)
        wait_until(lambda: house.router.queries.stats()["invalidated"] > 0, CAP, lambda: "not ended")
        assert house.get().data == {"number": 2}


def test_a_query_waits_for_no_command_unless_it_wants_to_see_what_it_did() -> None:
    house = House()
    house.gate = threading.Event()
    with house.router:
        house.router.send(ban())
        assert house.acting.wait(CAP)
        reply = house.router.send(LookInOrder(guild_id=GUILD, user_id=USER))
        gate, house.gate = house.gate, None
        assert house.get().status == "ok"
        assert not reply.done()
        gate.set()
        assert reply.result(CAP).status == "ok"


def test_an_answer_made_for_another_is_given_only_to_who_may_ask() -> None:
    def authorize(command: Any, envelope: Any) -> Any:
        return ALLOWED if envelope.user == MODERATOR else Denied("not_staff", "no")

    house = House(authorizer=authorize)
    with house.router:
        assert house.get(actor=MODERATOR).status == "ok"
        denied = house.get(actor=USER)
        assert (denied.status, denied.error and denied.error.code, denied.data) == ("rejected", "not_staff", None)
        assert house.get(actor=MODERATOR).duplicate
    assert len(house.asked) == 1


def test_through_a_proxy_a_batch_and_a_loop_it_is_the_same() -> None:
    house = House()

    async def awaited() -> Any:
        return await house.router.arequest(GetBan(guild_id=GUILD, user_id=USER), timeout=CAP)

    with house.router:
        first = house.router.proxy().get_ban(guild_id=GUILD, user_id=USER).get(timeout=CAP)
        assert first.data == {"number": 1}
        batch = house.router.send_many([GetBan(guild_id=GUILD, user_id=USER), ban(MODERATOR)])
        assert [reply.result(CAP).status for reply in batch] == ["ok", "ok"]
        assert batch[0].accepted(CAP).original == first.request_id
        assert asyncio.run(awaited()).data is not None


def test_what_asks_for_more_than_an_answer_goes_by_itself() -> None:
    house = House()
    with house.router:
        house.get()
        assert not house.get(idempotency_key="mine").duplicate
        assert not house.get(reply_to="answers").duplicate
    assert len(house.asked) == 3


@pytest.mark.parametrize(
    ("base", "options", "text"),
    [
        (Command, {"cache_ttl": 1}, "only a query"),
        (Command, {"invalidated_by": ("X",)}, "only a query"),
        (Query, {"opposes": ("X",)}, "changes nothing"),
        (Query, {"compensation": "X"}, "changes nothing"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(base: Any, options: Any, text: str) -> None:
    with pytest.raises(BadCatalog, match=text):
        type("Wrong", (base,), {}, type="WRONG", catalog=None, **options)


def test_over_http_it_is_sent_like_a_command() -> None:
    from tests.http.daemons import serve

    counted: list[str] = []

    def prepare(router: Router) -> None:
        router.catalog = catalog
        router.handlers._catalog = catalog
        router.handler(GetBan)(lambda query, ctx: counted.append(query.user_id) or {"banned": True})

    with serve(prepare) as served:
        body = {"type": "GET_BAN", "guildId": GUILD, "data": {"userId": USER}}
        answers = [served.client.post("/api/commands?wait=5000", json=body).json() for _ in range(2)]
    assert [answer["data"] for answer in answers] == [{"banned": True}] * 2
    assert [answer["duplicate"] for answer in answers] == [False, True]
    assert answers[1]["jobId"] == answers[0]["jobId"]
    assert counted == [USER]
