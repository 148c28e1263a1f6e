"""The guard before every protocol, in a real router: nothing is executed unchecked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actors.envelope import Envelope
from router import Response, Router
from router.errors import BadHandler
from router.messages import BanUser, SendDM
from router.permissions import ALLOWED, Allowed, Decision, Denied, PermissionAuthorizer, Unknown
from tests.chaos.load import wait_until
from tests.permissions.worlds import GUILD, HELPER, MODERATOR, NOW, USER, directory

CAP = 30.0


class House:
    """A router with one handler for bans, and what it did."""

    def __init__(self, authorizer: Any = None, **settings: Any) -> None:
        self.done: list[str] = []
        self.router = Router(authorizer=authorizer, **settings)

        @self.router.handler(BanUser)
        def ban(command: BanUser, ctx: Any) -> None:
            self.done.append(command.user_id)

    def ban(self, user: str = USER, actor: str = MODERATOR, **options: Any) -> Response:
        return self.router.request(command(user, actor), timeout=CAP, **options)

    def decisions(self, id_: str) -> list[str]:
        """Of one command, oldest first, as the audit trail has them."""
        lines = self.router.audit.search(id=id_)
        return [line.detail["decision"] for line in reversed(lines) if line.kind == "permission"]


def command(user: str = USER, actor: str = MODERATOR) -> BanUser:
    return BanUser(guild_id=GUILD, user_id=user, moderator_id=actor, reason="spam")


def deny(command: Any, envelope: Envelope) -> Decision:
    return Denied("not_today", "on no day")


@pytest.mark.parametrize("protocol", ["direct", "queue"])
@pytest.mark.parametrize("quick", [False, True])
def test_who_is_denied_is_rejected_by_code_and_audited_over_every_protocol(protocol: str, quick: bool) -> None:
    class Never:
        def authorize(self, command: Any, envelope: Envelope) -> Decision:
            return deny(command, envelope)

    never: Any = Never()
    never.quick = quick
    house = House(never)
    with house.router:
        response = house.ban(protocols=[protocol])
        assert (response.status, response.error and response.error.code) == ("rejected", "not_today")
        assert house.decisions(response.request_id) == ["denied"]
        story = house.router.explain(response.request_id)
        assert story is not None
        assert any(step["event"] == "permission" for step in story["story"])
        line = next(line for line in house.router.audit.search(user_id=MODERATOR) if line.kind == "permission")
        assert (line.guild, line.detail["code"]) == (GUILD, "not_today")
    assert house.done == []


def test_who_may_is_executed_and_that_it_was_allowed_is_audited() -> None:
    house = House(PermissionAuthorizer(directory(), now=lambda: NOW))
    with house.router:
        assert house.ban().status == "ok"
        refused = house.ban(actor=HELPER)
        assert refused.duplicate  # of an operation that was allowed to somebody: nothing is done for the helper
        other = house.ban("19999999999999999", actor=HELPER)
        assert (other.status, other.error and other.error.code) == ("rejected", "missing_permission")
        assert house.decisions(house.router.audit.search(type="BAN_USER", limit=10)[-1].id or "") == ["allowed"]
    assert house.done == [USER]


def test_what_cannot_be_told_waits_uncharged_and_is_never_executed_unchecked() -> None:
    answers: list[Decision] = [Unknown(20), Unknown(20), ALLOWED]

    def authorize(command: Any, envelope: Envelope) -> Decision:
        assert house.done == []
        return answers.pop(0)

    house = House(authorize)
    with house.router:
        response = house.ban()
        assert response.status == "ok"
        assert [line.outcome for line in response.attempts] == ["deferred", "deferred", "applied"]
        assert {line.number for line in response.attempts} == {1}
        assert house.decisions(response.request_id) == ["unknown", "allowed"]


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who could not tell is asked again in a moment."""
    monkeypatch.setattr("router.protocols.guard.HARDLY", 20)


@pytest.mark.parametrize("quick", [False, True])
def test_an_authorizer_that_fails_or_talks_nonsense_allows_nothing(soon: None, quick: bool) -> None:
    answers: list[Any] = [OSError("no directory"), True, None]

    class Broken:
        def __init__(self) -> None:
            self.quick = quick

        def authorize(self, command: Any, envelope: Envelope) -> Any:
            answer = answers.pop(0) if answers else Unknown(50)
            if isinstance(answer, Exception):
                raise answer
            return answer

    house = House(Broken())
    with house.router:
        response = house.ban(expires_in=1.0)
        assert response.status == "expired"
    assert answers == []
    assert house.done == []


def test_a_slow_authorizer_holds_up_nobody_else() -> None:
    free = threading.Event()

    def authorize(command: Any, envelope: Envelope) -> Decision:
        if envelope.user == HELPER:
            free.wait(CAP)
        return ALLOWED

    house = House(authorize, authorization_timeout_ms=60_000)
    with house.router:
        slow = house.router.send(command("19999999999999999", HELPER))
        assert house.ban().status == "ok"
        assert not slow.done()
        free.set()
        assert slow.result(CAP).status == "ok"


def test_an_authorizer_that_takes_too_long_could_not_tell(soon: None) -> None:
    free = threading.Event()
    asked: list[str] = []

    def authorize(command: Any, envelope: Envelope) -> Decision:
        asked.append(envelope.id)
        if len(asked) == 1:
            free.wait(CAP)
        return ALLOWED

    house = House(authorize, authorization_timeout_ms=500)  # enough for the second time
    with house.router:
        response = house.ban()
        free.set()
        assert [line.outcome for line in response.attempts] == ["deferred", "applied"]
    assert len(house.done) == 1


def test_an_async_authorizer_is_awaited() -> None:
    async def authorize(command: Any, envelope: Envelope) -> Decision:
        return Allowed() if envelope.user == MODERATOR else Denied()

    house = House()
    house.router.authorizer(authorize)
    with house.router:
        assert house.ban().status == "ok"
        denied = house.ban("19999999999999999", HELPER)
        assert (denied.status, denied.error and denied.error.code) == ("rejected", "permission_denied")


def counting(asked: list[str]) -> Callable[[Any, Envelope], Decision]:
    def authorize(command: Any, envelope: Envelope) -> Decision:
        asked.append(envelope.user)
        return ALLOWED

    return authorize


def test_an_answer_is_good_for_a_short_time_and_until_somebody_says_otherwise() -> None:
    asked: list[str] = []
    house = House(counting(asked))
    with house.router:
        for text in ("a", "b"):
            house.ban(idempotency_key=text)
        assert len(asked) == 1
        house.router.guard.forget()
        house.ban(idempotency_key="c")
        assert len(asked) == 2
        house.router.authorizer(counting(asked))
        house.ban(idempotency_key="d")
        assert len(asked) == 3
    asked.clear()
    house = House(counting(asked), authorization_ttl_ms=0)
    with house.router:
        for text in ("a", "b"):
            house.ban(idempotency_key=text)
    assert len(asked) == 2


def test_a_revoked_permission_counts_at_once_where_the_directory_is_at_hand() -> None:
    known = directory()
    house = House(PermissionAuthorizer(known, now=lambda: NOW))
    with house.router:
        assert house.ban(idempotency_key="a").status == "ok"
        known.drop_member(GUILD, MODERATOR)
        assert house.ban(idempotency_key="b").status == "rejected"


def test_who_asks_the_same_at_once_is_answered_by_one_question() -> None:
    free, asked = threading.Event(), []

    def authorize(command: Any, envelope: Envelope) -> Decision:
        asked.append(envelope.id)
        free.wait(CAP)
        return ALLOWED

    house = House(authorize, authorization_timeout_ms=60_000)
    with house.router:
        known: Any = house.router.guard
        key = lambda command, envelope: envelope.user  # noqa: E731 - short
        known._authorizer.cache_key = key
        replies = [house.router.send(command(user)) for user in (USER, "19999999999999999", "18888888888888888")]
        wait_until(lambda: sum(len(run.waiters) for run in known._asked.values()) == 3, CAP, lambda: "not joined")
        free.set()
        assert [reply.result(CAP).status for reply in replies] == ["ok"] * 3
    assert len(asked) == 1


def test_a_command_that_somebody_published_into_a_queue_is_checked_too() -> None:
    house = House(deny)
    with house.router:
        id_ = house.router.publish(command())
        wait_until(lambda: house.decisions(id_) == ["denied"], CAP, lambda: "nobody decided")
        wait_until(lambda: bool(house.router.queues.failed("bot:moderation")), CAP, lambda: "it did not fail")
    assert house.done == []


def test_what_is_being_looked_at_when_the_router_stops_is_handed_back_and_executed_by_the_next(tmp_path: Path) -> None:
    asked, free = threading.Event(), threading.Event()

    def authorize(command: Any, envelope: Envelope) -> Decision:
        asked.set()
        free.wait(CAP)
        return ALLOWED

    store = f"sqlite:///{tmp_path / 'router.db'}"
    first = House(authorize, store=store, authorization_timeout_ms=60_000)
    with first.router:
        reply = first.router.send(command(), expires_in=60)
        assert asked.wait(CAP)
        first.router.stop(drain=0)
        free.set()
    second = House(lambda command, envelope: ALLOWED, store=store)
    with second.router:
        wait_until(lambda: second.done == [USER], CAP, lambda: "not executed")
        wait_until(lambda: (view := second.router.find(reply.id)) is not None and view.response is not None, CAP, str)
        view = second.router.find(reply.id)
        assert view is not None
        assert view.response is not None
        assert (view.response.status, len(view.response.attempts)) == ("ok", 2)
    assert first.done == []


def test_without_an_authorizer_whoever_came_through_a_door_is_executed() -> None:
    house = House()
    with house.router:
        response = house.ban(actor=HELPER)
        assert response.status == "ok"
        assert house.decisions(response.request_id) == []


def test_what_can_be_no_authorizer_is_refused_when_it_is_given() -> None:
    with pytest.raises(BadHandler, match=r"command, envelope"):
        Router(authorizer=lambda: ALLOWED)


def test_a_command_without_declared_needs_passes() -> None:
    house = House(PermissionAuthorizer(directory(), now=lambda: NOW))
    house.router.handler(SendDM)(lambda command, ctx: None)
    with house.router:
        assert house.router.request(SendDM(user_id=USER, content="hi"), timeout=CAP).status == "ok"
