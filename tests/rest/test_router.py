"""A whole router whose commands are executed by bots over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from router import Router, Settings
from router.messages.moderation import BanUser
from router.protocols.rehearsal import ban, say
from router.protocols.rest.endpoint import Endpoint
from router.settings_errors import SettingsError
from tests.fakes import bot as bots
from tests.fakes.bot import Bot
from tests.fakes.served import Served, application


def test_a_command_goes_to_the_bot_and_its_answer_comes_back() -> None:
    with Bot() as bot, Router(upstreams={"main": {"url": bot.url}}) as router:
        response = router.request(ban(), timeout=60)
        assert (response.status, response.method) == ("ok", "rest")
        assert bot.ledger == [response.request_id]
        assert router.request(ban(), timeout=60).duplicate
        assert len(bot.ledger) == 1


def test_an_answer_that_got_lost_is_looked_up_and_nothing_is_executed_twice() -> None:
    calls: list[str] = []
    endpoint = Endpoint(secret="s3cret")
    dropping = [True]

    @endpoint.handler("SEND_MESSAGE")
    async def send(command: Any, ctx: Any) -> dict[str, str]:
        calls.append(ctx.id)
        return {"sent": ctx.id}

    async def between(request: Any) -> Any:
        answer = await endpoint.aiohttp(request)
        if request.method == "POST" and dropping:
            dropping.clear()
            request.transport.abort()
        return answer

    endpoint.open()
    with Served(application("/commands{tail:.*}", between)) as served:
        upstream = {"url": f"{served.url}/commands", "secret": "s3cret", "records": True}
        with Router(upstreams={"main": upstream}) as router:
            reply = router.send(say())
            response = reply.result(timeout=60)
            assert response.status == "ok"
            assert [attempt.outcome for attempt in response.attempts] == ["applied"]
            assert calls == [reply.id]
            assert any(step["event"] == "verified" for step in router.explain(reply.id)["story"])
    endpoint.close(1)


def test_an_upstreams_breaker_is_one_of_the_routers() -> None:
    with Bot(*[bots.answer(500)] * 5) as bot, Router(upstreams={"main": {"url": bot.url}}) as router:
        for _ in range(5):
            router.request(say(), timeout=60)
        shown = {each.name: each.condition for each in router.engine.breakers.snapshots()}
        assert (shown["rest:main"], shown["rest"]) == ("open", "closed")


def test_nobody_knows_whether_a_message_went_out_and_its_sender_is_told() -> None:
    with Bot(bots.drop_after) as bot, Router(upstreams={"main": {"url": bot.url}}) as router:
        assert router.request(say(), timeout=60).status == "in_doubt"
        assert len(bot.requests) == 1


def test_a_handler_here_takes_over_from_a_bot_that_cannot_be_reached() -> None:
    router = Router(upstreams={"main": {"url": "http://127.0.0.1:1/commands"}})

    @router.handler(BanUser)
    def local(command: BanUser, ctx: Any) -> str:
        return "here"

    with router:
        response = router.request(ban(), timeout=60, protocols=["rest", "direct"])
        assert (response.status, response.method) == ("ok", "direct")
        assert [attempt.outcome for attempt in response.attempts] == ["not_applied", "applied"]


@pytest.mark.parametrize(
    ("upstreams", "field"),
    [
        ({"main": {"url": "ftp://bot"}}, "upstreams.main.url"),
        ({"main": {"url": "http://"}}, "upstreams.main.url"),
        ({"main": {"url": "http://user:pass@bot/"}}, "upstreams.main.url"),
        ({"main": {"url": "http://bot/?a=1"}}, "upstreams.main.url"),
        ({"main": {"url": "http://bot/\nx"}}, "upstreams.main.url"),
        ({"main": {"url": "http://[::1/"}}, "upstreams.main.url"),
        ({"main": {"url": "http://bot/", "secret": "a\nb"}}, "upstreams.main.secret"),
        ({"main": {"url": "http://bot/", "weight": 0}}, "upstreams.main.weight"),
        ({"main": {"url": "http://bot/", "what": 1}}, "upstreams.main.what"),
        ({"main": {}}, "upstreams.main.url"),
        ({"discord": {"url": "http://bot/"}}, "upstreams"),
        ({"A b": {"url": "http://bot/"}}, "upstreams"),
    ],
)
def test_a_wrong_upstream_stops_the_start_with_its_name_and_no_value(upstreams: Any, field: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings(upstreams=upstreams)
    assert caught.value.name == field
    assert "pass" not in str(caught.value)


def test_no_secret_is_shown() -> None:
    settings = Settings(rest_secret="hush", upstreams={"main": {"url": "http://bot/", "secret": "quiet"}})
    for text in (repr(settings), str(settings.public())):
        assert "hush" not in text
        assert "quiet" not in text
